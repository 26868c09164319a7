"""Moving planes by a map: where each sample comes from is worked out once per video, then only looked up.

Imports numba: see `compiled`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.videos.perturb.drawing.compiled import Bytes, Pair, flat
from harness.videos.perturb.drawing.lookup_maps import bend, project
from harness.videos.perturb.drawing.lookup_rows import (
    AHEAD,
    CHUNK,
    RIM,
    SPAN,
    WHOLE,
    Shorts,
    cut,
    move_two,
)
from harness.videos.perturb.drawing.planes import Plane

Ints = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """A map as pieces of a source of one shape."""

    places: Ints  # of each chunk in the source's memory
    counts: Ints  # samples that it stands for
    first: Ints  # chunk of each row, and the end
    rim: Ints  # each sample that is worked out by itself: column, source's column and row, weights
    edge: Ints  # where in `rim` each row begins, and the end
    spans: Ints  # what is outside: row, column and length


class LookUp:
    """Moves planes by one map, between neighbours in 32 steps, to planes of one shape (h, w)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        samples = shape[0] * shape[1]
        self._columns, self._rows = (np.empty(shape, np.int16) for _ in range(2))  # of the source
        # 32nds on the way to the next sample; a chunk reads past their end.
        self._across, self._down = (np.zeros(samples + CHUNK, np.uint8) for _ in range(2))
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

    @staticmethod
    def enlarging(source: tuple[int, ...], target: tuple[int, ...]) -> LookUp:
        """From a plane of one (h, w) to one of another; beyond the source's outermost samples, these."""
        made = LookUp(target)
        lines, below = _places(source[0], target[0])
        places, beside = _places(source[1], target[1])
        made._columns[:], made._rows[:] = places, lines[:, None]
        made._across[:-CHUNK].reshape(target)[:], made._down[:-CHUNK].reshape(target)[:] = (
            beside,
            below[:, None],
        )
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
            (pieces.places, pieces.counts, pieces.first),
            (pieces.rim, pieces.edge),
            pieces.spans,
            self._across,
            self._down,
            fill,
        )

    def _pieces(self, shape: Pair, step: int) -> _Cut:
        key = (*shape, step)
        if key not in self._cut:
            rows, columns = self._columns.shape
            # As much as there could be: memory that is not written to is none.
            samples = rows * columns
            places, counts = np.empty(samples, np.int32), np.empty(samples, np.int32)
            rim, spans = (np.empty(each * samples, np.int32) for each in (RIM, SPAN))
            first, edge = np.zeros(rows + 1, np.int32), np.zeros(rows + 1, np.int32)
            lengths = np.zeros(3, np.int32)
            cut(*self._map, *shape, step, places, counts, first, rim, edge, spans, lengths)
            made, edges, filled = lengths.tolist()
            self._cut[key] = _Cut(
                places=np.concatenate((places[:made], np.zeros(AHEAD, np.int32))),
                counts=counts[:made].copy(),
                first=first,
                rim=rim[:edges].copy(),
                edge=edge,
                spans=spans[:filled].copy(),
            )
        return self._cut[key]


def _places(source: int, target: int) -> tuple[NDArray[np.int64], Bytes]:
    """Return whole samples and 32nds for each sample of a row; the last is the end of the step to it."""
    middle = (np.arange(target) + 0.5) * source / target - 0.5
    steps = np.rint(np.clip(middle, 0, source - 1) * WHOLE).astype(np.int64)
    places = np.minimum(steps // WHOLE, max(0, source - 2))
    return places, (steps - places * WHOLE).astype(np.uint8)
