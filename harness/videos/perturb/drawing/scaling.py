"""Planes at a half, a quarter or an eighth of their size, and back: in whole numbers, in one pass each."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.videos.perturb.drawing.compiled import (
    FLAT,
    LONG,
    PAIR,
    SHORTS,
    Bytes,
    Flat,
    Pair,
    Shorts,
    U,
    add,
    compiled,
    flat,
    inlined,
    mul,
    shr,
    sub,
)
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.vector_rows import enlarger, halved_row
from harness.videos.perturb.drawing.vectors import LANES

FACTORS = (2, 4, 8)
# Made here, not within what is compiled: numba could not tell it from others, and would do it in each process.
_row_by_2, _row_by_4, _row_by_8 = (enlarger(factor) for factor in FACTORS)


def averaged_blocks(plane: Plane, shrink: int) -> Plane:
    """Averages over blocks of 2, 4 or 8 pixels a side; a last block that is cut off is filled up."""
    while shrink > 1:
        height, width = plane.shape
        small = np.empty(((height + 1) // 2, (width + 1) // 2), np.uint8)
        _halve(flat(plane), flat(small), plane.shape)
        plane, shrink = small, shrink // 2
    return plane


def enlarged(source: Plane, target: Plane, factor: int) -> None:
    """Enlarge to 2, 4 or 8 times the size in straight lines; what is beyond the target is left out.

    Raises:
        ValueError: The target holds less than all but a part of the last sample, or more than that.
    """
    needed = tuple(-(-side // factor) for side in target.shape)
    if source.shape != needed or factor not in FACTORS:
        raise ValueError(f"{target.shape} is enlarged by {factor} from {needed}, not {source.shape}")
    _enlarge(flat(source), flat(target), target.shape, np.empty(source.shape[1], np.uint16), factor)


@compiled(FLAT, FLAT, PAIR)
def _halve(source_plane: Flat, target_plane: Flat, shape: Pair) -> None:
    (source, step), (target, stride), (height, width) = source_plane, target_plane, shape
    for y in range((height + 1) // 2):
        one, row = U(2 * y * step), U(y * stride)
        other = one + U(step) if 2 * y + 1 < height else one
        many = width // 2 // LANES
        halved_row(source, one, other, target, row, many)
        for x in range(U(many * LANES), U(width // 2)):
            left, right = U(2) * x, U(2) * x + U(1)
            above = add(source[one + left], source[one + right])
            below = add(source[other + left], source[other + right])
            target[row + x] = np.uint8(shr(add(add(above, below), 2), 2))
        if width % 2:
            last = U(width - 1)
            whole = add(source[one + last], source[other + last])
            target[row + U(width // 2)] = np.uint8(shr(add(whole, 1), 1))


@inlined
def row_places(source: Bytes, step: int, y: int, factor: int, room: Shorts) -> tuple[int, int, int]:
    """Return where the rows begin between which row `y` of the result lies, and how many 16ths from one."""
    last = (source.size - room.size) // step
    place = max(0, (2 * y + 1 - factor) * (8 // factor))  # of 16 steps between two rows
    first = min(last, place // 16)
    return first * step, min(last, first + 1) * step, place % 16


@inlined
def between_rows(source: Bytes, step: int, y: int, factor: int, room: Shorts) -> None:
    """Write 16 times the samples between two rows of the source, for row `y` of the result."""
    first, second, lower = row_places(source, step, y, factor, room)
    one, other = U(first), U(second)
    for x in range(U(room.size)):
        room[x] = add(mul(source[one + x], 16 - lower), mul(source[other + x], lower))


@inlined
def _between_columns(one: Any, other: Any, right: Any) -> np.uint8:
    return np.uint8(shr(add(add(mul(one, sub(16, right)), mul(other, right)), 128), 8))


@inlined
def _one_by_one(room: Shorts, target: Bytes, row: Any, span: Pair, factor: int) -> None:
    """Write a part of a row sample by sample: what lies at its ends, and what fills no vector."""
    few = room.size
    for x in range(span[0], span[1]):
        place = max(0, 2 * x + 1 - factor)
        first = min(few - 1, place // (2 * factor))
        beside = min(few - 1, first + 1)
        right = place % (2 * factor) * 8 // factor
        target[row + U(x)] = _between_columns(room[U(first)], room[U(beside)], right)


@inlined
def stretched(room: Shorts, target: Bytes, row: Any, width: int, factor: int) -> None:
    """Write a row of the result from what `between_rows` wrote."""
    many, half = max(0, room.size - 2) // LANES, factor // 2
    if factor == 2:
        _row_by_2(room, target, row + U(half), many)
    elif factor == 4:
        _row_by_4(room, target, row + U(half), many)
    else:
        _row_by_8(room, target, row + U(half), many)
    _one_by_one(room, target, row, (0, min(half, width)), factor)
    _one_by_one(room, target, row, (factor * many * LANES + half, width), factor)


@compiled(FLAT, FLAT, PAIR, SHORTS, LONG)
def _enlarge(source_plane: Flat, target_plane: Flat, shape: Pair, room: Shorts, factor: int) -> None:
    (source, step), (target, stride), (height, width) = source_plane, target_plane, shape
    for y in range(height):
        between_rows(source, step, y, factor, room)
        stretched(room, target, U(stride * y), width, factor)
