"""Planes at a half, a quarter or an eighth of their size, and back: in whole numbers, in one pass each."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.videos.perturb.drawing.compiled import (
    LONG,
    PAIR,
    PLANE,
    SHORTS,
    Bytes,
    Pair,
    Shorts,
    U,
    add,
    compiled,
    inlined,
    memory,
    mul,
    shr,
    sub,
)
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.vector_rows import enlarger, halved_row
from harness.videos.perturb.drawing.vectors import LANES

FACTORS = (2, 4, 8)
# Not made within what is compiled: numba could not tell it from others, and compiles it in each process.
_row_by_2, _row_by_4, _row_by_8 = (enlarger(factor) for factor in FACTORS)


def averaged_blocks(plane: Plane, shrink: int) -> Plane:
    """Averages over blocks of 2, 4 or 8 pixels a side; a last block that is cut off is filled up."""
    while shrink > 1:
        height, width = plane.shape
        small = np.empty(((height + 1) // 2, (width + 1) // 2), np.uint8)
        _halve(plane, small, plane.shape)
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
    _enlarge(source, target, target.shape, np.empty(source.shape[1], np.uint16), factor)


@compiled(PLANE, PLANE, PAIR)
def _halve(source_plane: Plane, target_plane: Plane, shape: Pair) -> None:
    (source, step), (target, stride), (height, width) = memory(source_plane), memory(target_plane), shape
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
def _by_vectors(room: Shorts, target: Bytes, at: Any, many: int, factor: int) -> None:
    if factor == 2:
        _row_by_2(room, target, at, many)
    elif factor == 4:
        _row_by_4(room, target, at, many)
    else:
        _row_by_8(room, target, at, many)


@inlined
def stretched(room: Shorts, target: Bytes, row: Any, width: int, factor: int) -> None:
    """Write a row of the result from what `between_rows` wrote."""
    half, few = factor // 2, room.size
    # The last sample is half outside, perhaps, and what is beyond the target is left out.
    whole = max(0, few - 2)
    if whole >= LANES:
        _by_vectors(room, target, row + U(half), whole // LANES, factor)
        last = whole - LANES
        _by_vectors(room[last:], target, row + U(half + factor * last), 1, factor)
    for x in range(0 if whole < LANES else whole, few):
        one, other = room[x], room[min(x + 1, few - 1)]
        first = factor * x + half
        for part in range(min(factor, width - first)):
            target[row + U(first + part)] = _between_columns(one, other, (2 * part + 1) * (8 // factor))
    for x in range(min(half, width)):
        target[row + U(x)] = _between_columns(room[0], room[0], 0)


@compiled(PLANE, PLANE, PAIR, SHORTS, LONG)
def _enlarge(source_plane: Plane, target_plane: Plane, shape: Pair, room: Shorts, factor: int) -> None:
    (source, step), (target, stride), (height, width) = memory(source_plane), memory(target_plane), shape
    for y in range(height):
        between_rows(source, step, y, factor, room)
        stretched(room, target, U(stride * y), width, factor)
