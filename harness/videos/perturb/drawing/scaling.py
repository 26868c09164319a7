"""Planes at a half, a quarter or an eighth of their size, and back: in whole numbers, in one pass each."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.videos.perturb.drawing.compiled import (
    BYTES,
    LONG,
    PAIR,
    PLANE,
    Bytes,
    Pair,
    U,
    add,
    called,
    compiled,
    inlined,
    memory,
    mul,
    shr,
    sub,
)
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.vector_rows import FACTORS, enlarged_row, halved_row
from harness.videos.perturb.drawing.vectors import LANES

Rows = tuple[int, int, int, int]
Triple = tuple[int, int, int]


def averaged_blocks(plane: Plane, shrink: int) -> Plane:
    """Averages over blocks of 2, 4 or 8 pixels a side; a last block that is cut off is filled up.

    They are averages of averages over two by two, each rounded.
    """
    if shrink == 1:
        return plane
    height, width = plane.shape
    small = np.empty((-(-height // shrink), -(-width // shrink)), np.uint8)
    _average(plane, small, plane.shape, shrink, np.empty(2 * width + 4, np.uint8))
    return small


def enlarged(source: Plane, target: Plane, factor: int) -> None:
    """Enlarge to 2, 4 or 8 times the size in straight lines; what is beyond the target is left out.

    Raises:
        ValueError: The target holds less than all but a part of the last sample, or more than that.
    """
    needed = tuple(-(-side // factor) for side in target.shape)
    if source.shape != needed or factor not in FACTORS:
        raise ValueError(f"{target.shape} is enlarged by {factor} from {needed}, not {source.shape}")
    _enlarge(source, target, target.shape, (source.shape[1], factor))


@called
def halve_row(source: Bytes, rows: Pair, width: int, target: Bytes, there: int) -> None:
    """Write the averages over two by two samples of two rows."""
    one, other, row = U(rows[0]), U(rows[1]), U(there)
    many = width // 2 // (2 * LANES)
    halved_row(source, one, other, target, row, many)
    for x in range(U(many * 2 * LANES), U(width // 2)):
        left, right = U(2) * x, U(2) * x + U(1)
        above = add(source[one + left], source[one + right])
        below = add(source[other + left], source[other + right])
        target[row + x] = np.uint8(shr(add(add(above, below), 2), 2))
    if width % 2:
        last = U(width - 1)
        whole = add(source[one + last], source[other + last])
        target[row + U(width // 2)] = np.uint8(shr(add(whole, 1), 1))


@compiled(PLANE, PLANE, PAIR, LONG, BYTES)
def _average(source_plane: Plane, target_plane: Plane, shape: Pair, shrink: int, room: Bytes) -> None:
    (source, step), (target, stride), (height, width) = memory(source_plane), memory(target_plane), shape
    for y in range(0, height, 2):
        row, many, wide, size, first = y // 2, (height + 1) // 2, (width + 1) // 2, 2, 0
        rows = (step * y, step * min(y + 1, height - 1))  # a last row that is alone counts twice
        if shrink == 2:
            halve_row(source, rows, width, target, stride * row)
            continue
        # Rows are halved again as soon as there are two: `room` holds two of each size, and stays near.
        halve_row(source, rows, width, room, row % 2 * wide)
        while size < shrink and (row % 2 or row == many - 1):
            rows, after = (first, first + row % 2 * wide), first + 2 * wide
            row, many, narrow, size = row // 2, (many + 1) // 2, (wide + 1) // 2, 2 * size
            if size == shrink:
                halve_row(room, rows, wide, target, stride * row)
            else:
                halve_row(room, rows, wide, room, after + row % 2 * narrow)
            first, wide = after, narrow


@inlined
def row_places(source: Bytes, step: int, y: int, factor: int, few: int) -> tuple[int, int, int]:
    """Return where the rows begin between which row `y` of the result lies, and how many 16ths from one."""
    last = (source.size - few) // step
    place = max(0, (2 * y + 1 - factor) * (8 // factor))  # of 16 steps between two rows
    first = min(last, place // 16)
    return first * step, min(last, first + 1) * step, place % 16


@inlined
def _mixed(source: Bytes, rows: Rows, x: int) -> Any:
    """Return 16 times a sample between two rows."""
    one, other, lower, _ = rows
    return add(mul(source[U(one + x)], 16 - lower), mul(source[U(other + x)], lower))


@inlined
def _between(one: Any, other: Any, right: Any) -> np.uint8:
    return np.uint8(shr(add(add(mul(one, sub(16, right)), mul(other, right)), 128), 8))


@called
def _one_by_one(source: Bytes, target: Bytes, rows: Rows, span: Pair, size: Triple) -> None:
    """Write what lies from the middle of a sample to the next one's, or to the end of the row."""
    (few, width, factor), there = size, rows[3]
    for x in range(span[0], span[1]):
        one, other = _mixed(source, rows, x), _mixed(source, rows, min(x + 1, few - 1))
        first = factor * x + factor // 2
        for part in range(min(factor, width - first)):
            target[U(there + first + part)] = _between(one, other, (2 * part + 1) * (8 // factor))


@called
def _start(source: Bytes, target: Bytes, rows: Rows, size: Triple) -> None:
    """Write what lies before the middle of the first sample."""
    one = _mixed(source, rows, 0)
    for x in range(min(size[2] // 2, size[1])):
        target[U(rows[3] + x)] = _between(one, one, 0)


@called
def stretched(source: Bytes, target: Bytes, rows: Rows, span: Pair, size: Triple) -> None:
    """Write what lies from one sample to another, and nothing else, into a row of the result.

    Args:
        source: The smaller plane's memory.
        target: The result's.
        rows: Where in the source two rows begin, how many 16ths the result lies from the first to the second,
            and where its own row begins.
        span: From which sample's middle on, and to which one's. The result begins with what lies before the
            middle of sample 0, and ends with what lies after the last one's.
        size: How many samples there are, the result's width, and how many times larger it is.
    """
    (begin, end), (few, _, factor), (one, other, lower, there) = span, size, rows
    # The last sample is half outside, perhaps, and what is beyond the target is left out.
    whole, done, there = min(end, few - 2), begin, there + factor // 2
    if whole - begin >= LANES:
        many = (whole - begin) // LANES
        for first, count in ((begin, many), (whole - LANES, 1)):
            enlarged_row(
                source, one + first, other + first, lower, target, there + factor * first, count, factor
            )
        done = whole
    if done < end:
        _one_by_one(source, target, rows, (done, end), size)
    if begin == 0:
        _start(source, target, rows, size)


@called
def stretched_freely(source: Bytes, target: Bytes, rows: Rows, span: Pair, size: Triple) -> None:
    """Write the same, and anything beside it in this row: few samples are a vector as well."""
    (begin, end), (few, _, factor), (one, other, lower, there) = span, size, rows
    whole, done, there = min(end, few - 2), begin, there + factor // 2
    if few - 2 >= LANES and whole > begin:
        many = (whole - begin) // LANES
        for first, count in ((begin, many), (min(begin + many * LANES, few - 2 - LANES), 1)):
            enlarged_row(
                source, one + first, other + first, lower, target, there + factor * first, count, factor
            )
        done = whole
    if done < end:
        _one_by_one(source, target, rows, (done, end), size)
    if begin == 0:
        _start(source, target, rows, size)


@compiled(PLANE, PLANE, PAIR, PAIR)
def _enlarge(source_plane: Plane, target_plane: Plane, shape: Pair, how: Pair) -> None:
    (source, step), (target, stride) = memory(source_plane), memory(target_plane)
    (height, width), (few, factor) = shape, how
    for y in range(height):
        one, other, lower = row_places(source, step, y, factor, few)
        stretched(source, target, (one, other, lower, stride * y), (0, few), (few, width, factor))
