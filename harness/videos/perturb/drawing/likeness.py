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
Sums = NDArray[np.uint32]  # (places down, places across)
_add = narrow("add", types.uint32)


def likeness(around: Plane, patch: Plane) -> NDArray[np.float64]:
    """Return Pearson's correlation of a patch with each part of `around`; 0 where one of the two is flat.

    A patch of at most 2**16 samples; the result is of as many places as there are, down and across.
    """
    height, width = patch.shape
    products = np.zeros((around.shape[0] - height + 1, around.shape[1] - width + 1), np.uint32)
    _multiply(around, patch, (height, width), products)
    firsts, squares = (
        np.asarray(
            sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width],
            np.float64,
        )
        for sums in cv2.integral2(around)
    )
    count, own = patch.size, patch.astype(np.int64)
    whole = int(own.sum())
    spread = (count * squares - firsts * firsts) * (count * int((own * own).sum()) - whole * whole)
    common = count * products.astype(np.float64) - firsts * whole
    return np.where(spread > 0, common / np.sqrt(np.maximum(spread, 1)), 0.0)


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
