"""Sharpening, in whole numbers and in one pass over memory."""

from __future__ import annotations

import numpy as np

from harness.videos.perturb.drawing.compiled import (
    PAIR,
    PLANE,
    SHORTS,
    Pair,
    Shorts,
    U,
    add,
    compiled,
    high,
    inlined,
    memory,
    mul,
    shr,
    sub,
)
from harness.videos.perturb.drawing.planes import Plane


def sharpened(source: Plane, soft: Plane, target: Plane, amount: float) -> None:
    """Add to each sample `amount`, at most 7, times what a blurred one differs from it; of one size.

    The amount is rounded to a 16th or less.
    """
    _sharpen(source, soft, target, source.shape, _fixed(amount))


def _fixed(amount: float) -> tuple[int, int]:
    """Return a whole number and the bits that it has behind the point: as many as 16 leave for the result."""
    bits = next(bits for bits in (7, 6, 5, 4) if bits == 4 or 255 * (1 + 2 * amount) * 2**bits + 256 < 2**16)
    return round(amount * 2**bits), bits


@inlined
def _sharp(sample: int, soft: int, amount: int, bits: int) -> np.uint8:
    zero = mul(255, amount)
    whole = sub(add(mul(sample, add(1 << bits, amount)), zero), mul(soft, amount))
    risen = whole if whole > zero else zero
    grown = shr(add(sub(risen, zero), 1 << (bits - 1)), bits)
    return np.uint8(grown if grown < np.uint16(255) else np.uint16(255))


@compiled(PLANE, PLANE, PLANE, PAIR, PAIR)
def _sharpen(source_plane: Plane, soft_plane: Plane, target_plane: Plane, shape: Pair, how: Pair) -> None:
    (source, step), (soft, every), (target, stride) = (
        memory(source_plane),
        memory(soft_plane),
        memory(target_plane),
    )
    for y in range(U(shape[0])):
        here, beside, there = U(step) * y, U(every) * y, U(stride) * y
        for x in range(U(shape[1])):
            target[there + x] = _sharp(source[here + x], soft[beside + x], how[0], how[1])


def sharpened_by_mean(source: Plane, target: Plane, amount: float) -> None:
    """Add to each sample `amount`, at most 7, times what the mean of 3 x 3 differs from it.

    The two planes are of one size, and not the same. The amount is rounded to a 16th or less.
    """
    sums = np.zeros(source.shape[1] + 2, np.uint16)
    _sharpen_by_mean(source, target, source.shape, _fixed(amount), sums)


@compiled(PLANE, PLANE, PAIR, PAIR, SHORTS)
def _sharpen_by_mean(source_plane: Plane, target_plane: Plane, shape: Pair, how: Pair, sums: Shorts) -> None:
    (source, step), (target, stride), (height, width) = memory(source_plane), memory(target_plane), shape
    last = U(width + 1)
    for y in range(height):
        here, there = U(step * y), U(stride * y)
        above, below = U(step * max(0, y - 1)), U(step * min(height - 1, y + 1))
        for x in range(U(width)):
            sums[x + U(1)] = add(add(source[above + x], source[here + x]), source[below + x])
        sums[0], sums[last] = sums[1], sums[last - U(1)]
        for x in range(U(width)):
            mean = high(add(add(sums[x], sums[x + U(1)]), add(sums[x + U(2)], 4)), 7282)  # a 9th of 65536
            target[there + x] = _sharp(source[here + x], mean, how[0], how[1])
