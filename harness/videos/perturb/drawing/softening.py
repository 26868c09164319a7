"""Blurs with a small kernel that is alike on all four sides, in whole numbers."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.videos.perturb.drawing.compiled import (
    INTS,
    LONG,
    PAIR,
    PLANE,
    SHORTS,
    Ints,
    Pair,
    Shorts,
    U,
    add,
    compiled,
    inlined,
    memory,
)
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.vector_taps import GROUP, tapped_beside, tapped_down
from harness.videos.perturb.drawing.vectors import LANES

WHOLE = 256  # the sum of a kernel's weights


def softened(plane: Plane, sigma: float) -> Plane:
    """Blur by a Gaussian of this deviation, at most 4 pixels; its weights are rounded to 256ths."""
    source, soft, wide = _wide(plane)
    weights, pairs = _line(sigma, wide)
    reach = pairs.size // 2 - 1
    row = np.zeros(2 * wide + 2 * reach, np.uint16)  # with what lies beyond the ends, and nothing after it
    lines = np.empty(2 * reach + 1, np.int32)
    _soften(source, soft, plane.shape, weights, row, lines, pairs, wide)
    return soft[:, : plane.shape[1]]


@lru_cache(maxsize=64)
def _line(sigma: float, wide: int) -> tuple[Shorts, Ints]:
    """Return the weights for all lanes of a vector, and where each weight's two samples are in a row."""
    weights = _gaussian(sigma)
    reach = weights.size - 1
    offs = np.arange(1, reach + 1)
    pairs = np.stack((reach - offs, reach + offs), 1)
    pairs = np.concatenate(([[reach, wide + 2 * reach]], pairs))
    return weights.repeat(LANES), pairs.astype(np.int32).ravel()


def convolved(plane: Plane, kernel: NDArray[np.uint16]) -> Plane:
    """Blur by a kernel whose quarter is given: by how many rows and columns off the middle.

    All weights together, with those of the other quarters, are `WHOLE`.
    """
    source, soft, wide = _wide(plane)
    high, reach = kernel.shape[0], kernel.shape[1] - 1
    weights, pairs = _quarter(kernel.tobytes(), high, wide)
    rows = np.zeros(high * (wide + 2 * reach) + wide, np.uint16)  # likewise, one after another
    _convolve(source, soft, plane.shape, (high, reach), rows, pairs, weights, wide)
    return soft[:, : plane.shape[1]]


@lru_cache(maxsize=64)
def _quarter(content: bytes, high: int, wide: int) -> tuple[Shorts, Ints]:
    """Return the same for a kernel whose rows lie one after another in memory."""
    kernel = np.frombuffer(content, np.uint16).reshape(high, -1)
    pitch, reach = wide + 2 * (kernel.shape[1] - 1), kernel.shape[1] - 1
    pairs, weights = [], []
    for (down, off), weight in np.ndenumerate(kernel):
        if weight:
            middle = down * pitch + reach
            pairs += [middle - off, middle + off] if off else [middle, high * pitch]
            weights.append(weight)
    return np.array(weights, np.uint16).repeat(LANES), np.array(pairs, np.int32)


def _wide(plane: Plane) -> tuple[Plane, Plane, int]:
    """Return the plane, a new one, and as how wide both are taken: at least one group of samples."""
    height, width = plane.shape
    wide = max(width, GROUP)
    if wide > width:
        plane = np.pad(plane, ((0, 0), (0, wide - width)))
    return plane, np.empty((height, wide), np.uint8), wide


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
def _mirror_ends(row: Shorts, first: int, reach: int, width: int) -> None:
    """Fill in what lies before the first sample and after the last."""
    last = first + width - 1
    for x in range(1, reach + 1):
        at = min(x, width - 1)
        row[U(first - x)] = row[U(first + at)]
        row[U(last + x)] = row[U(last - at)]


@inlined
def _row_at(y: int, off: int, height: int) -> int:
    """Return a row, mirrored about the first and the last."""
    at = y + off
    at = -at if at < 0 else at
    at = 2 * (height - 1) - at if at >= height else at
    return min(max(at, 0), height - 1)


@compiled(PLANE, PLANE, PAIR, SHORTS, SHORTS, INTS, INTS, LONG)
def _soften(
    source_plane: Plane,
    target_plane: Plane,
    shape: Pair,
    weights: Shorts,
    row: Shorts,
    lines: Ints,
    pairs: Ints,
    wide: int,
) -> None:
    (source, step), (target, stride), (height, width) = memory(source_plane), memory(target_plane), shape
    reach = lines.size // 2
    for y in range(height):
        lines[0] = step * y
        for off in range(1, reach + 1):
            lines[U(2 * off - 1)] = step * _row_at(y, -off, height)
            lines[U(2 * off)] = step * _row_at(y, off, height)
        tapped_down(source, lines, weights, reach, row, reach, wide)
        _mirror_ends(row, reach, reach, width)
        tapped_beside(row, pairs, weights, reach + 1, target, stride * y, wide)


@compiled(PLANE, PLANE, PAIR, PAIR, SHORTS, INTS, SHORTS, LONG)
def _convolve(
    source_plane: Plane,
    target_plane: Plane,
    shape: Pair,
    kernel: Pair,
    rows: Shorts,
    pairs: Ints,
    weights: Shorts,
    wide: int,
) -> None:
    (source, step), (target, stride), (height, width) = memory(source_plane), memory(target_plane), shape
    high, reach = kernel
    for y in range(height):
        for down in range(high):
            one, other = U(step * _row_at(y, -down, height)), U(step * _row_at(y, down, height))
            first = reach + down * (wide + 2 * reach)
            for x in range(U(width)):
                below = source[other + x] if down else np.uint8(0)
                rows[U(first) + x] = add(source[one + x], below)
            _mirror_ends(rows, first, reach, width)
        tapped_beside(rows, pairs, weights, pairs.size // 2, target, stride * y, wide)
