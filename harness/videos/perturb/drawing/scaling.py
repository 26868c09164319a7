"""Planes at a half, a quarter or an eighth of their size, and back: in whole numbers, in one pass each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from harness.videos.perturb.drawing.compiled import (
    FLAT,
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
    if source.shape != needed or factor not in ENLARGE:
        raise ValueError(f"{target.shape} is enlarged by {factor} from {needed}, not {source.shape}")
    ENLARGE[factor](flat(source), flat(target), target.shape, np.empty(source.shape[1], np.uint16))


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
def _between_rows(source: Bytes, step: int, y: int, factor: int, room: Shorts) -> None:
    """Write 16 times the samples between two rows of the source, for row `y` of the result."""
    last = (source.size - room.size) // step
    place = max(0, (2 * y + 1 - factor) * (8 // factor))  # of 16 steps between two rows
    first, lower = min(last, place // 16), place % 16
    one, other = U(first * step), U(min(last, first + 1) * step)
    for x in range(U(room.size)):
        room[x] = add(mul(source[one + x], 16 - lower), mul(source[other + x], lower))


@inlined
def _mixed(one: Any, other: Any, right: Any) -> np.uint8:
    return np.uint8(shr(add(add(mul(one, sub(16, right)), mul(other, right)), 128), 8))


@inlined
def _ends(room: Shorts, target: Bytes, row: Any, width: int, factor: int) -> None:
    """Write what lies before the middle of the first sample, and after that of the last but one."""
    half, few = factor // 2, room.size
    for x in range(min(half, width)):
        target[row + U(x)] = _mixed(room[0], room[0], 0)
    for x in range(factor * max(0, few - 2) + half, width):
        place = max(0, 2 * x + 1 - factor)
        first = min(few - 1, place // (2 * factor))
        beside = min(few - 1, first + 1)
        target[row + U(x)] = _mixed(room[U(first)], room[U(beside)], place % (2 * factor) * 8 // factor)


def _enlarger(factor: int) -> Callable[[Flat, Flat, Pair, Shorts], None]:
    """Compile a loop of its own for each factor: with it as a variable, what is inside is no vector."""
    enlarged_row = enlarger(factor)

    @compiled(FLAT, FLAT, PAIR, SHORTS)
    def enlarge(source_plane: Flat, target_plane: Flat, shape: Pair, room: Shorts) -> None:
        (source, step), (target, stride), (height, width) = source_plane, target_plane, shape
        for y in range(height):
            _between_rows(source, step, y, factor, room)
            row = U(stride * y)
            many = max(0, room.size - 2) // LANES
            enlarged_row(room, target, row + U(factor // 2), many)
            for x in range(U(many * LANES), U(max(0, room.size - 2))):
                one, other = room[x], room[x + U(1)]
                at = row + U(factor) * x + U(factor // 2)
                for part in range(U(factor)):
                    target[at + part] = _mixed(one, other, (U(2) * part + U(1)) * U(8 // factor))
            _ends(room, target, row, width, factor)

    return enlarge


ENLARGE = {factor: _enlarger(factor) for factor in (2, 4, 8)}
