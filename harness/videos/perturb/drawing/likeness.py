"""Where in a small picture a patch is most alike: correlation from sums of whole numbers, exact and quick.

Imports numba: see `compiled`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import types
from numpy.typing import NDArray

from harness.videos.perturb.drawing.compiled import (
    PAIR,
    PLANE,
    Bytes,
    Pair,
    U,
    called,
    compiled,
    memory,
    mul,
    narrow,
)
from harness.videos.perturb.drawing.planes import Plane

SUMS = types.Array(types.uint32, 2, "C")
FIRSTS, SECONDS = types.Array(types.int32, 2, "C"), types.Array(types.float64, 2, "C")  # as OpenCV makes them
ALIKE = SECONDS
Sums = NDArray[np.uint32]  # (places down, places across)
_add = narrow("add", types.uint32)


def likeness(around: Plane, patch: Plane) -> NDArray[np.float64]:
    """Return Pearson's correlation of a patch with each part of `around`; 0 where one of the two is flat.

    A patch of at most 2**16 samples; the result is of as many places as there are, down and across.
    """
    height, width = patch.shape
    places = around.shape[0] - height + 1, around.shape[1] - width + 1
    products, alike = np.zeros(places, np.uint32), np.zeros(places, np.float64)
    _multiply(around, patch, (height, width), products)
    first, second = cv2.integral2(around)
    own = patch.astype(np.int64)
    _correlate(
        products,
        np.asarray(first, np.int32),
        np.asarray(second, np.float64),
        (height, width),
        (int(own.sum()), int((own * own).sum())),
        alike,
    )
    return alike


@called
def _product(around: Bytes, here: int, patch: Bytes, own: int, width: int) -> Any:
    """Return the sum of a row's products."""
    total = np.uint32(0)
    for x in range(U(width)):
        total = _add(total, mul(around[U(here) + x], patch[U(own) + x]))
    return total


@compiled(PLANE, PLANE, PAIR, SUMS)
def _multiply(around_plane: Plane, patch_plane: Plane, shape: Pair, products: Sums) -> None:
    (around, step), (patch, every), (height, width) = memory(around_plane), memory(patch_plane), shape
    for down in range(products.shape[0]):
        for across in range(products.shape[1]):
            total = np.uint32(0)
            for y in range(height):
                total = _add(total, _product(around, (down + y) * step + across, patch, every * y, width))
            products[down, across] = total


@compiled(SUMS, FIRSTS, SECONDS, PAIR, PAIR, ALIKE)
def _correlate(
    products: Sums,
    first: NDArray[np.int32],
    second: NDArray[np.float64],
    shape: Pair,
    own: Pair,
    alike: NDArray[np.float64],
) -> None:
    """Divide what two have in common by how much each varies.

    `own` are the sums of the patch and of its squares, the others those of `cv2.integral2`.
    NumPy takes four times as long as all the sums for as few numbers.
    """
    (height, width), (whole, squares) = shape, own
    count = np.float64(height * width)
    varies = np.float64(count * squares - np.float64(whole) * whole)
    for y in range(products.shape[0]):
        for x in range(products.shape[1]):
            below, beside = y + height, x + width
            one = np.float64(first[below, beside] - first[y, beside] - first[below, x] + first[y, x])
            two = second[below, beside] - second[y, beside] - second[below, x] + second[y, x]
            spread = (count * two - one * one) * varies
            if spread > 0:
                alike[y, x] = (count * products[y, x] - one * whole) / np.sqrt(max(spread, 1.0))
