"""Averages along a line and over blocks, in whole numbers and in one pass over memory."""

from __future__ import annotations

import numpy as np

from harness.videos.perturb.drawing.compiled import (
    BYTES,
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
    high,
    inlined,
    memory,
    sub,
)
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.vector_rows import summed
from harness.videos.perturb.drawing.vectors import LANES


def averaged(source: Plane, target: Plane, length: int, *, upright: bool) -> None:
    """Average along one axis over an odd number of samples, at most 255, mirrored about the ends."""
    if length == 1:
        target[:] = source
        return
    how = (length, 65536 // length + 1)
    if upright:
        sums = np.zeros(source.shape[1], np.uint16)
        _average_columns(source, target, source.shape, how, sums)
    else:
        room = np.empty(source.shape[1] + length + 1, np.uint8)
        _average_rows(source, target, source.shape, how, room)


@inlined
def _mirrored(at: int, size: int) -> int:
    if size == 1:
        return 0
    while at < 0 or at >= size:
        at = -at if at < 0 else 2 * (size - 1) - at
    return at


@compiled(PLANE, PLANE, PAIR, PAIR, SHORTS)
def _average_columns(source_plane: Plane, target_plane: Plane, shape: Pair, how: Pair, sums: Shorts) -> None:
    (source, step), (target, stride), (height, width) = memory(source_plane), memory(target_plane), shape
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


@compiled(PLANE, PLANE, PAIR, PAIR, BYTES)
def _average_rows(source_plane: Plane, target_plane: Plane, shape: Pair, how: Pair, room: Bytes) -> None:
    (source, step), (target, stride), (height, width) = memory(source_plane), memory(target_plane), shape
    (length, share), reach = how, how[0] // 2
    ahead = reach + 1  # samples before the first in `room`: what goes out for the first sum, and half of it
    many = width // LANES
    for y in range(height):
        here, there = U(step * y), U(stride * y)
        for x in range(U(width)):
            room[U(ahead) + x] = source[here + x]
        for x in range(1, ahead + 1):
            room[U(ahead - x)] = source[here + U(_mirrored(-x, width))]
            room[U(ahead + width - 1 + x)] = source[here + U(_mirrored(width - 1 + x, width))]
        whole = reach
        for x in range(U(length)):
            whole += int(room[x])
        summed(room, 0, length, target, there, whole, share, many)
        if many * LANES < width:
            whole = reach
            for x in range(U(many * LANES), U(many * LANES + length)):
                whole += int(room[x])
            for x in range(U(many * LANES), U(width)):
                whole += int(room[x + U(length)]) - int(room[x])
                target[there + x] = np.uint8(high(whole, share))


def pixelated(source: Plane, target: Plane, block: int) -> None:
    """Give every sample the mean of its block of `block` x `block`, at most 256; the last may be cut off."""
    _pixelate(source, target, source.shape, block, np.zeros(source.shape[1], np.uint16))


@compiled(PLANE, PLANE, PAIR, LONG, SHORTS)
def _pixelate(source_plane: Plane, target_plane: Plane, shape: Pair, block: int, sums: Shorts) -> None:
    (source, step), (target, stride), (height, width) = memory(source_plane), memory(target_plane), shape
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
