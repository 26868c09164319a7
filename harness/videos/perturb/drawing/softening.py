"""Blurs with a small kernel that is alike on all four sides, in whole numbers."""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import types
from numpy.typing import NDArray

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
)
from harness.videos.perturb.drawing.planes import Plane

WEIGHTS = types.Array(types.uint16, 2, "C")
WHOLE = 256  # the sum of a kernel's weights


def softened(plane: Plane, sigma: float) -> Plane:
    """Blur by a Gaussian of this deviation, at most 4 pixels; its weights are rounded to 256ths."""
    soft = np.empty(plane.shape, np.uint8)
    weights = _gaussian(sigma)
    room = np.empty((2, plane.shape[1] + 2 * weights.size), np.uint16)
    _soften(flat(plane), flat(soft), plane.shape, weights, *room)
    return soft


def convolved(plane: Plane, kernel: NDArray[np.uint16]) -> Plane:
    """Blur by a kernel whose quarter is given: by how many rows and columns off the middle.

    All weights together, with those of the other quarters, are `WHOLE`.
    """
    soft = np.empty(plane.shape, np.uint8)
    room = np.empty((2, plane.shape[1] + 2 * kernel.shape[1]), np.uint16)
    _convolve(flat(plane), flat(soft), plane.shape, kernel, *room)
    return soft


@cache
def _gaussian(sigma: float) -> NDArray[np.uint16]:
    """Return the weights of the middle and of each further sample to one side."""
    reach = max(1, round(3 * sigma))
    shares = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    weights: NDArray[np.uint16] = whole_numbers(shares[None, :])[0]
    return weights


def whole_numbers(shares: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Round a quarter of a kernel, or one side of a line, so that the whole of it is `WHOLE`."""
    times = np.ones(shares.shape) * np.where(np.arange(shares.shape[1]) > 0, 2, 1)
    times *= np.where(np.arange(shares.shape[0]) > 0, 2, 1)[:, None]
    weights: NDArray[np.uint16] = np.round(shares / (shares * times).sum() * WHOLE).astype(np.uint16)
    weights[0, 0] = WHOLE - (int((weights * times).sum()) - int(weights[0, 0]))
    return weights


@inlined
def _fold(source: Bytes, one: int, other: int, weight: int, row: Shorts, begin: int, width: int) -> None:
    """Add to a row two rows of the source, weighted."""
    for x in range(U(width)):
        row[U(begin) + x] = add(row[U(begin) + x], mul(add(source[U(one) + x], source[U(other) + x]), weight))


@inlined
def _spread(row: Shorts, total: Shorts, reach: int, off: int, weight: int, width: int) -> None:
    """Add to each total what lies to both sides of it in a row that begins `reach` samples earlier."""
    left, right = U(reach - off), U(reach + off)
    for x in range(U(width)):
        total[x] = add(total[x], mul(add(row[left + x], row[right + x]), weight))


@inlined
def _mirror_ends(row: Shorts, reach: int, width: int) -> None:
    """Fill in what lies before the first sample and after the last."""
    for x in range(1, reach + 1):
        at = min(x, width - 1)
        row[U(reach - x)] = row[U(reach + at)]
        row[U(reach + width - 1 + x)] = row[U(reach + width - 1 - at)]


@inlined
def _row_at(y: int, off: int, height: int) -> int:
    """Return a row, mirrored about the first and the last."""
    at = y + off
    at = -at if at < 0 else at
    at = 2 * (height - 1) - at if at >= height else at
    return min(max(at, 0), height - 1)


@inlined
def _store(total: Shorts, target: Bytes, there: int, width: int) -> None:
    for x in range(U(width)):
        target[U(there) + x] = np.uint8(shr(add(total[x], 128), 8))


@compiled(FLAT, FLAT, PAIR, SHORTS, SHORTS, SHORTS)
def _soften(
    source_plane: Flat, target_plane: Flat, shape: Pair, weights: Shorts, row: Shorts, total: Shorts
) -> None:
    (source, step), (target, stride), (height, width) = source_plane, target_plane, shape
    reach = weights.size - 1
    for y in range(height):
        for x in range(U(width)):
            row[U(reach) + x] = add(mul(source[U(step * y) + x], weights[0]), 128)
        for off in range(1, reach + 1):
            one, other = step * _row_at(y, -off, height), step * _row_at(y, off, height)
            _fold(source, one, other, weights[off], row, reach, width)
        for x in range(U(width)):
            row[U(reach) + x] = shr(row[U(reach) + x], 8)
        _mirror_ends(row, reach, width)
        for x in range(U(width)):
            total[x] = mul(row[U(reach) + x], weights[0])
        for off in range(1, reach + 1):
            _spread(row, total, reach, off, weights[off], width)
        _store(total, target, stride * y, width)


@compiled(FLAT, FLAT, PAIR, WEIGHTS, SHORTS, SHORTS)
def _convolve(
    source_plane: Flat, target_plane: Flat, shape: Pair, kernel: Shorts, row: Shorts, total: Shorts
) -> None:
    (source, step), (target, stride), (height, width) = source_plane, target_plane, shape
    reach = kernel.shape[1] - 1
    for y in range(height):
        for x in range(U(width)):
            total[x] = 0
        for down in range(kernel.shape[0]):
            one, other = U(step * _row_at(y, -down, height)), U(step * _row_at(y, down, height))
            for x in range(U(width)):
                below = source[other + x] if down else np.uint8(0)
                row[U(reach) + x] = add(source[one + x], below)
            _mirror_ends(row, reach, width)
            for x in range(U(width)):
                total[x] = add(total[x], mul(row[U(reach) + x], kernel[down, 0]))
            for off in range(1, reach + 1):
                _spread(row, total, reach, off, kernel[down, off], width)
        _store(total, target, stride * y, width)
