"""Planes in another size, in straight lines between samples: down to half a side, or as large as wanted.

Imports numba: see `compiled`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from harness.videos.perturb.drawing.compiled import (
    BYTES,
    LONG,
    PAIR,
    PLANE,
    SHORTS,
    Bytes,
    Ints,
    Pair,
    Shorts,
    U,
    compiled,
    memory,
)
from harness.videos.perturb.drawing.lookup_rows import TWO, WINDOW, mixed_rows
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.vectors import LANES, PAIRS, Vectors

TWO_SHORTS: Any = types.UniTuple(SHORTS, 2)  # type: ignore[no-untyped-call]  # numba has no types
WHOLE = 64  # steps from a sample to the next
SMALLEST = 16  # samples of a side, of source and target


@dataclass(frozen=True, kw_only=True)
class _Side:
    """Where each sample of one side of the target comes from."""

    places: NDArray[np.int64]  # whole samples of the source
    steps: NDArray[np.int64]  # 64ths on the way to the next

    @staticmethod
    def of(source: int, target: int, length: float) -> _Side:
        """`length` is the source's in its own samples, which a part of a last one may add to."""
        middle = (np.arange(target) + 0.5) * length / target - 0.5
        steps = np.rint(np.clip(middle, 0, source - 1) * WHOLE).astype(np.int64)
        places = np.minimum(steps // WHOLE, source - 2)
        return _Side(places=places, steps=steps - places * WHOLE)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A row in chunks of up to eight samples, and which rows are mixed for each of the target."""

    lines: Ints
    below: Shorts  # of 32768, how much of the line after it
    places: Ints  # of each chunk's window of 16 columns
    starts: Shorts  # of each chunk in the target
    tables: Bytes  # for each chunk: 16 places in its window, and 16 weights


def stretched(
    source: Plane,
    target: Plane,
    lengths: tuple[float, float] | None = None,
    rows: tuple[int, int] | None = None,
) -> None:
    """Scale a plane to another's size; beyond the source's outermost samples are these again.

    Args:
        source: At least 16 samples a side.
        target: Likewise.
        lengths: Of the source's sides (h, w) in its samples, if there is more than it holds.
        rows: Only these of the target, from one to before the other.

    Raises:
        ValueError: A side is shorter.
    """
    if min(*source.shape, *target.shape) < SMALLEST:
        raise ValueError(
            f"{source.shape} cannot be scaled to {target.shape}: below {SMALLEST} samples a side"
        )
    height, width = source.shape
    how = stretch_of((height, width), (target.shape[0], target.shape[1]), lengths or (height, width))
    first, last = rows or (0, target.shape[0])
    _stretch_rows(
        source,
        target,
        (how.lines, how.places),
        (how.below, how.starts),
        how.tables,
        np.empty(2 * LANES, np.uint8),
        (first, last),
        target.shape[1],
    )


@lru_cache(maxsize=16)
def stretch_of(source: tuple[int, int], target: tuple[int, int], lengths: tuple[float, float]) -> Stretch:
    """Work out how planes of one shape (h, w) become planes of another: see `stretched`."""
    down, across = (_Side.of(*each) for each in zip(source, target, lengths, strict=True))
    places, starts, tables = [], [], []
    first = 0
    # What a chunk lacks at the end of a row repeats its last sample.
    across = _Side(
        places=np.append(across.places, across.places[-1:].repeat(LANES)),
        steps=np.append(across.steps, across.steps[-1:].repeat(LANES)),
    )
    while first < target[1]:
        left = min(int(across.places[first]), source[1] - WINDOW)
        off = across.places[first : first + LANES] - left
        weight = across.steps[first : first + LANES]
        fits = off <= WINDOW - 2
        off = np.where(fits, off, 0)
        places.append(left)
        starts.append(first)
        tables.append(np.stack((off, off + 1), 1))
        tables.append(np.stack((WHOLE - weight, weight), 1))
        first += int(fits.sum())  # they never lie further left than the ones before
    return Stretch(
        lines=down.places.astype(np.int32),
        below=(down.steps * (32768 // WHOLE)).clip(0, 32767).astype(np.uint16),
        places=np.array(places, np.int32),
        starts=np.array(starts, np.uint16),
        tables=np.concatenate(tables).astype(np.uint8).ravel(),
    )


def _mix(
    _: Any, target: Any, at: Any, source: Any, place: Any, step: Any, tables: Any, number: Any, down: Any
) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        vectors = Vectors.of(context, builder)
        to, samples, known = (
            context.make_array(signature.args[index])(context, builder, values[index]) for index in (0, 2, 5)
        )
        own = builder.mul(values[6], ir.Constant(values[6].type, 4 * LANES))
        chosen = builder.bitcast(vectors.load(known, own, PAIRS), vectors.numbers(0).type)
        weights = vectors.load(known, builder.add(own, ir.Constant(own.type, 2 * LANES)), PAIRS)
        above, below = (
            vectors.weighted(vectors.looked_up(vectors.load(samples, start, PAIRS), chosen), weights)
            for start in (values[3], builder.add(values[3], values[4]))
        )
        share = vectors.spread(builder.trunc(values[7], ir.IntType(16)))
        vectors.store(mixed_rows(vectors, above, below, share, WHOLE), to, values[1])
        return context.get_dummy_value()

    return types.void(target, at, source, place, step, tables, number, down), generate


mix_chunk: Any = intrinsic(_mix)


@compiled(PLANE, PLANE, TWO, TWO_SHORTS, BYTES, BYTES, PAIR, LONG)
def _stretch_rows(
    source_plane: Plane,
    target_plane: Plane,
    where: tuple[Ints, Ints],
    whither: tuple[Shorts, Shorts],
    tables: Bytes,
    room: Bytes,
    rows: Pair,
    width: int,
) -> None:
    """Work out rows of the target; what a chunk writes too much is written over by what follows it."""
    (source, step), (target, pitch), (lines, places) = memory(source_plane), memory(target_plane), where
    (below, starts), inner = whither, places.size
    while inner > 0 and int(starts[U(inner - 1)]) + LANES > width:
        inner -= 1
    for y in range(U(rows[0]), U(rows[1])):
        line, row, down = U(lines[y]) * U(step), U(pitch) * y, np.int64(below[y])
        for number in range(U(inner)):
            place, at = line + U(places[number]), row + U(starts[number])
            mix_chunk(target, at, source, place, U(step), tables, number, down)
        for number in range(U(inner), U(places.size)):
            start = U(starts[number])
            mix_chunk(room, U(0), source, line + U(places[number]), U(step), tables, number, down)
            for sample in range(start, min(U(width), start + U(LANES))):
                target[row + sample] = room[sample - start]
