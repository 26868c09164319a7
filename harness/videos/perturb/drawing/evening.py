"""Smoothing between edges: what differs much from a sample counts little in its mean.

Imports numba: see `compiled`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from harness.videos.perturb.drawing.compiled import (
    BYTES,
    FLAT,
    PAIR,
    SHORTS,
    Bytes,
    Flat,
    Pair,
    Shorts,
    U,
    add,
    called,
    compiled,
    flat,
    mul,
    shr,
    sub,
)
from harness.videos.perturb.drawing.planes import Plane

REACH = 2  # samples: the mean is over those that are so many steps away, along rows and columns
FAR = 96  # levels from which on a sample does not count
BITS = 3  # a weight is what is left to `FAR`, over 8: 12 at most, so that the sums of 13 samples fit 16 bits


def evened(plane: Plane) -> Plane:
    """Return the means of 13 samples, weighted by their likeness; the rim repeats beyond the ends."""
    height, width = plane.shape
    padded = cv2.copyMakeBorder(plane, REACH, REACH, REACH, REACH, cv2.BORDER_REPLICATE)
    result = np.empty(plane.shape, np.uint8)
    source = np.asarray(padded, np.uint8).reshape(-1)
    _even(source, flat(result), (height, width), *np.empty((2, width), np.uint16))
    return result


@called
def _count_in(samples: Bytes, here: Any, there: Any, sums: Shorts, weights: Shorts) -> None:
    """Add to each sum another sample of the plane, weighted, and its weight."""
    for x in range(U(sums.size)):
        own, other = samples[U(here) + x], samples[U(there) + x]
        apart = sub(own, other) if own > other else sub(other, own)
        weight = shr(sub(FAR, apart), BITS) if apart < np.uint16(FAR) else np.uint16(0)
        weights[x] = add(weights[x], weight)
        sums[x] = add(sums[x], mul(weight, other))


@called
def _divide(sums: Shorts, weights: Shorts, target: Bytes, there: Any) -> None:
    for x in range(U(sums.size)):
        mean = np.float32(sums[x]) / np.float32(weights[x])
        target[U(there) + x] = np.uint8(np.int32(mean + np.float32(0.5)))


@compiled(BYTES, FLAT, PAIR, SHORTS, SHORTS)
def _even(samples: Bytes, target_plane: Flat, shape: Pair, sums: Shorts, weights: Shorts) -> None:
    (target, stride), (height, width) = target_plane, shape
    step = width + 2 * REACH
    for y in range(height):
        here = (y + REACH) * step + REACH
        for x in range(U(width)):
            sums[x], weights[x] = np.uint16(0), np.uint16(0)
        for down in range(-REACH, REACH + 1):
            aside = REACH - abs(down)
            for across in range(-aside, aside + 1):
                _count_in(samples, here, here + down * step + across, sums, weights)
        _divide(sums, weights, target, stride * y)
