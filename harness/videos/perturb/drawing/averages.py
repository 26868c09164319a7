"""Averages along a line and over blocks, in whole numbers and in one pass over memory."""

from __future__ import annotations

import numpy as np

from harness.videos.perturb.drawing.compiled import (
    FLAT,
    LONG,
    PAIR,
    SHORTS,
    Flat,
    Pair,
    Shorts,
    U,
    add,
    compiled,
    flat,
    high,
    inlined,
    sub,
)
from harness.videos.perturb.drawing.planes import Plane


def averaged(source: Plane, target: Plane, length: int, *, upright: bool) -> None:
    """Average along one axis over an odd number of samples, at most 255, mirrored about the ends."""
    if length == 1:
        target[:] = source
        return
    average = _average_columns if upright else _average_rows
    sums = np.zeros(source.shape[1], np.uint16)
    average(flat(source), flat(target), source.shape, (length, 65536 // length + 1), sums)


@inlined
def _mirrored(at: int, size: int) -> int:
    if size == 1:
        return 0
    while at < 0 or at >= size:
        at = -at if at < 0 else 2 * (size - 1) - at
    return at


@compiled(FLAT, FLAT, PAIR, PAIR, SHORTS)
def _average_columns(source_plane: Flat, target_plane: Flat, shape: Pair, how: Pair, sums: Shorts) -> None:
    (source, step), (target, stride), (height, width) = source_plane, target_plane, shape
    reach, share = how[0] // 2, how[1]
    for at in range(-reach, reach):
        row = U(_mirrored(at, height) * step)
        for x in range(U(width)):
            sums[x] = add(sums[x], source[row + x])
    for y in range(height):
        new, old = U(_mirrored(y + reach, height) * step), U(_mirrored(y - reach, height) * step)
        there = U(stride * y)
        for x in range(U(width)):
            whole = add(sums[x], source[new + x])
            target[there + x] = np.uint8(high(add(whole, reach), share))
            sums[x] = sub(whole, source[old + x])


@compiled(FLAT, FLAT, PAIR, PAIR, SHORTS)
def _average_rows(source_plane: Flat, target_plane: Flat, shape: Pair, how: Pair, sums: Shorts) -> None:
    (source, step), (target, stride), (height, width) = source_plane, target_plane, shape
    reach, share = how[0] // 2, how[1]
    for y in range(height):
        here, there, whole = U(step * y), U(stride * y), np.uint16(reach)
        for at in range(-reach, reach + 1):
            whole = add(whole, source[here + U(_mirrored(at, width))])
        # From one sum to the next: what comes in and what goes out.
        for x in range(min(reach, width)):
            new, old = _mirrored(x + reach + 1, width), _mirrored(x - reach, width)
            sums[U(x)] = sub(source[here + U(new)], source[here + U(old)])
        for x in range(U(reach), U(max(reach, width - reach - 1))):
            sums[x] = sub(source[here + x + U(reach + 1)], source[here + x - U(reach)])
        for x in range(max(reach, width - reach - 1), width):
            new, old = _mirrored(x + reach + 1, width), _mirrored(x - reach, width)
            sums[U(x)] = sub(source[here + U(new)], source[here + U(old)])
        for x in range(U(width)):
            difference = sums[x]
            sums[x] = whole
            whole = add(whole, difference)
        for x in range(U(width)):
            target[there + x] = np.uint8(high(sums[x], share))


def pixelated(source: Plane, target: Plane, block: int) -> None:
    """Give every sample the mean of its block of `block` x `block`, at most 256; the last may be cut off."""
    _pixelate(flat(source), flat(target), source.shape, block, np.zeros(source.shape[1], np.uint16))


@compiled(FLAT, FLAT, PAIR, LONG, SHORTS)
def _pixelate(source_plane: Flat, target_plane: Flat, shape: Pair, block: int, sums: Shorts) -> None:
    (source, step), (target, stride), (height, width) = source_plane, target_plane, shape
    for top in range(0, height, block):
        bottom = min(height, top + block)
        for x in range(U(width)):
            sums[x] = 0
        for y in range(top, bottom):
            here = U(step * y)
            for x in range(U(width)):
                sums[x] = add(sums[x], source[here + x])
        first = U(stride * top)
        for left in range(0, width, block):
            right, whole = min(width, left + block), 0
            for x in range(U(left), U(right)):
                whole += int(sums[x])
            count = (bottom - top) * (right - left)
            mean = np.uint8((2 * whole + count) // (2 * count))
            for x in range(U(left), U(right)):
                target[first + x] = mean
        for y in range(top + 1, bottom):
            there = U(stride * y)
            for x in range(U(width)):
                target[there + x] = target[first + x]
