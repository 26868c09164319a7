"""Moving planes by a map: where each sample comes from is worked out once per video, then only looked up.

Imports numba: see `compiled`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.videos.perturb.drawing.compiled import Bytes, Ints, Pair, flat
from harness.videos.perturb.drawing.compiled import Shorts as Records
from harness.videos.perturb.drawing.lookup_cut import cut, room_for
from harness.videos.perturb.drawing.lookup_maps import bend, project
from harness.videos.perturb.drawing.lookup_rows import CHUNK, GROUPS, RIM, ROWS_AHEAD, SPAN, Shorts, move_two
from harness.videos.perturb.drawing.planes import Plane


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """A map as pieces of a source of one shape."""

    places: Ints  # of each chunk's window in the source's memory
    starts: Records  # column of each chunk's first sample
    records: Records  # what is known of its samples
    first: Ints  # chunk of each row's groups, and the end
    rim: Ints  # each sample that is worked out by itself: column, source's column and row, weights
    edge: Ints  # where in `rim` each row begins, and the end
    spans: Ints  # what is outside: row, column and length


class LookUp:
    """Moves planes by one map, between neighbours in 32 steps, to planes of one shape (h, w)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        samples = shape[0] * shape[1]
        self._columns, self._rows = (np.empty(shape, np.int16) for _ in range(2))  # of the source
        self._across, self._down = (np.empty(samples, np.uint8) for _ in range(2))  # 32nds to the next sample
        self._cut: dict[tuple[int, int, int], _Cut] = {}

    @staticmethod
    def projective(matrix: Sequence[float], shape: tuple[int, ...]) -> LookUp:
        """By a matrix as in `Warp`, for planes of this (h, w)."""
        made = LookUp(shape)
        project(np.array(matrix, np.float64), *made._map)
        return made

    @staticmethod
    def bent(strength: float, shape: tuple[int, ...]) -> LookUp:
        """By a lens as in `Lens`, for planes of this (h, w)."""
        made = LookUp(shape)
        bend(strength, *made._map)
        return made

    @property
    def _map(self) -> tuple[Shorts, Shorts, Bytes, Bytes]:
        return self._columns, self._rows, self._across, self._down

    def move(self, sources: Sequence[Plane], targets: Sequence[Plane], fill: int) -> None:
        """Move a plane of each of one or two pictures; what comes in from outside is `fill`.

        Sources are of one shape, targets as large as the map. What is between a target's rows may be written
        to.
        """
        (one, step), (other, other_step) = flat(sources[0]), flat(sources[-1])
        (here, pitch), (there, other_pitch) = flat(targets[0]), flat(targets[-1])
        if (step, pitch) != (other_step, other_pitch):
            for source, target in zip(sources, targets, strict=True):
                self.move([source], [target], fill)
            return
        shape = (sources[0].shape[0], sources[0].shape[1])
        pieces = self._pieces(shape, step)
        move_two(
            (one, step),
            other,
            (here, pitch),
            there,
            shape,
            (pieces.places, pieces.first),
            pieces.starts,
            pieces.records,
            (pieces.rim, pieces.edge),
            pieces.spans,
            pieces.places.size - pieces.starts.size,
            fill,
        )

    def _pieces(self, shape: Pair, step: int) -> _Cut:
        key = (*shape, step)
        if key not in self._cut:
            rows, columns = self._columns.shape
            # As much as there could be: memory that is not written to is none.
            samples = rows * (columns + CHUNK * CHUNK)
            places, starts = np.empty(samples, np.int32), np.empty(samples, np.uint16)
            records = np.empty(CHUNK * samples, np.uint16)
            rim, spans = (np.empty(each * samples, np.int32) for each in (RIM, SPAN))
            first, edge = np.zeros(GROUPS * rows + 1, np.int32), np.zeros(rows + 1, np.int32)
            lengths = np.zeros(7, np.int32)
            cut(
                *self._map,
                shape,
                step,
                (places, first),
                starts,
                records,
                (rim, edge),
                spans,
                lengths,
                room_for(columns),
            )
            made, edges, filled = lengths[:3].tolist()
            self._cut[key] = _Cut(
                places=np.concatenate((places[:made], np.zeros(ROWS_AHEAD * columns // CHUNK, np.int32))),
                starts=starts[:made].copy(),
                records=records[: CHUNK * made].copy(),
                first=first,
                rim=rim[:edges].copy(),
                edge=edge,
                spans=spans[:filled].copy(),
            )
        return self._cut[key]
