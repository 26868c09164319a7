"""Smoothing between edges: what differs much from a sample counts little in its mean.

Imports numba: see `compiled`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from harness.videos.perturb.drawing.compiled import (
    BYTES,
    PAIR,
    PLANE,
    SHORTS,
    Bytes,
    Pair,
    Shorts,
    U,
    called,
    compiled,
    memory,
)
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.vector_rows import Row
from harness.videos.perturb.drawing.vectors import LANES, PAIRS, Vectors

REACH = 2  # samples: the mean is over those that are so many steps away, along rows and columns
FAR = 96  # levels from which on a sample does not count
BITS = 3  # a weight is what is left to `FAR`, over 8: 12 at most, so that the sums of 13 samples fit 16 bits


def evened(plane: Plane) -> Plane:
    """Return the means of 13 samples, weighted by their likeness; the rim repeats beyond the ends."""
    height, width = plane.shape
    large = (height + 2 * REACH, width + 2 * REACH)
    # The last vector reads more than there is, and what it makes of that is left out.
    source = np.zeros(large[0] * large[1] + 2 * LANES, np.uint8)
    padded = source[: large[0] * large[1]].reshape(large)
    cv2.copyMakeBorder(plane, REACH, REACH, REACH, REACH, cv2.BORDER_REPLICATE, dst=padded)
    result = np.empty(plane.shape, np.uint8)
    sums, weights = np.empty((2, -(-width // (2 * LANES)) * 2 * LANES), np.uint16)
    _even(source, result, (height, width), sums, weights)
    return result


def _counted(_: Any, source: Any, first: Any, step: Any, sums: Any, weights: Any, count: Any) -> Any:
    """Write for 16 samples, so many times, the sums of those about each, weighted, and of the weights."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        row = Row(context, builder, signature, values)
        with cgutils.for_range(builder, values[5]) as loop:
            here = row.moved(values[1], loop.index, 2 * LANES)
            there = row.moved(ir.Constant(here.type, 0), loop.index, 2 * LANES)
            own = row.read(0, here, PAIRS)
            around = [
                row.read(0, row.after(row.moved(here, values[2], down), across), PAIRS)
                for down in range(-REACH, REACH + 1)
                for across in range(abs(down) - REACH, REACH - abs(down) + 1)
                if down or across
            ]
            halves, whole = _weighted_sums(row.vectors, own, around)
            for number, numbers in enumerate((halves, _wide(row.vectors, whole)), 3):
                for half, vector in enumerate(numbers):
                    row.write(vector, number, row.after(there, half * LANES))
        return context.get_dummy_value()

    return types.void(source, first, step, sums, weights, count), generate


_count: Any = intrinsic(_counted)


def _weighted_sums(vectors: Vectors, own: Any, around: list[Any]) -> tuple[list[Any], Any]:
    """Return the sums for 16 samples in two vectors, and the sums of the weights in one of bytes."""
    builder = vectors.builder
    far, bits, most = (ir.Constant(PAIRS, [value] * 2 * LANES) for value in (FAR, BITS, FAR >> BITS))
    # A sample counts most for itself.
    times = vectors.numbers(FAR >> BITS)
    sums, whole = [builder.mul(half, times) for half in _wide(vectors, own)], most
    for pair in zip(around[::2], around[1::2], strict=True):
        weights = []
        for other in pair:
            apart = builder.or_(vectors.above_0(own, other), vectors.above_0(other, own))
            weights.append(builder.lshr(vectors.above_0(far, apart), bits))
            whole = builder.add(whole, weights[-1])
        both = zip(sums, vectors.zipped(*pair), vectors.zipped(*weights), strict=True)
        sums = [builder.add(half, vectors.weighted(samples, own)) for half, samples, own in both]
    return sums, whole


def _wide(vectors: Vectors, samples: Any) -> list[Any]:
    """Return 16 bytes as numbers in two vectors."""
    parts = (list(range(first, first + LANES)) for first in (0, LANES))
    return [vectors.widened(vectors.shuffled(samples, samples, part)) for part in parts]


@called
def _divide(sums: Shorts, weights: Shorts, width: int, target: Bytes, there: int) -> None:
    for x in range(U(width)):
        mean = np.float32(sums[x]) / np.float32(weights[x])
        target[U(there) + x] = np.uint8(np.int32(mean + np.float32(0.5)))


@compiled(BYTES, PLANE, PAIR, SHORTS, SHORTS)
def _even(samples: Bytes, target_plane: Plane, shape: Pair, sums: Shorts, weights: Shorts) -> None:
    (target, stride), (height, width) = memory(target_plane), shape
    step = width + 2 * REACH
    for y in range(height):
        _count(samples, (y + REACH) * step + REACH, step, sums, weights, sums.size // (2 * LANES))
        _divide(sums, weights, width, target, stride * y)
