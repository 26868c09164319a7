"""Sharpening, in whole numbers and in one pass over memory."""

from __future__ import annotations

import numpy as np

from harness.videos.perturb.drawing.compiled import (
    PAIR,
    PLANE,
    SHORTS,
    Bytes,
    Pair,
    Shorts,
    U,
    add,
    called,
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
    _sharpen(source, soft, target, source.shape, fixed(amount))


def fixed(amount: float) -> tuple[int, int]:
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
    _sharpen_by_mean(source, target, source.shape, fixed(amount), sums)


@called
def sharpen_row(  # noqa: PLR0917  (compiled: arguments go by their places)
    source: Bytes, rows: tuple[int, int, int], target: Bytes, at: int, sums: Shorts, how: Pair
) -> None:
    """Sharpen one row, given where it and the ones above and below begin; `sums` is two longer than it."""
    above, here, below = U(rows[0]), U(rows[1]), U(rows[2])
    there, width, last = U(at), sums.size - 2, U(sums.size - 1)
    for x in range(U(width)):
        sums[x + U(1)] = add(add(source[above + x], source[here + x]), source[below + x])
    sums[0], sums[last] = sums[1], sums[last - U(1)]
    for x in range(U(width)):
        mean = high(add(add(sums[x], sums[x + U(1)]), add(sums[x + U(2)], 4)), 7282)  # a 9th of 65536
        target[there + x] = _sharp(source[here + x], mean, how[0], how[1])


@compiled(PLANE, PLANE, PAIR, PAIR, SHORTS)
def _sharpen_by_mean(source_plane: Plane, target_plane: Plane, shape: Pair, how: Pair, sums: Shorts) -> None:
    (source, step), (target, stride), height = memory(source_plane), memory(target_plane), shape[0]
    for y in range(height):
        rows = (step * max(0, y - 1), step * y, step * min(height - 1, y + 1))
        sharpen_row(source, rows, target, stride * y, sums, how)
