"""Where in a small picture a patch is most alike: correlation from sums of whole numbers, exact and quick.

Imports numba: see `compiled`.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from harness.videos.perturb.drawing.compiled import FLAT, PAIR, Flat, Pair, U, compiled, flat, mul, narrow
from harness.videos.perturb.drawing.planes import Plane

SUMS = types.Array(types.uint32, 3, "C")
Sums = NDArray[np.uint32]  # (places down, places across, 3)
_add = narrow("add", types.uint32)


def likeness(around: Plane, patch: Plane) -> NDArray[np.float64]:
    """Return Pearson's correlation of a patch with each part of `around`; 0 where one of the two is flat.

    A patch of at most 2**16 samples; the result is of as many places as there are, down and across.
    """
    places = tuple(whole - part + 1 for whole, part in zip(around.shape, patch.shape, strict=True))
    sums = np.zeros((*places, 3), np.uint32)
    _add_up(flat(around), flat(patch), (patch.shape[0], patch.shape[1]), sums)
    count, (products, firsts, squares) = patch.size, np.moveaxis(sums.astype(np.float64), 2, 0)
    own = patch.astype(np.float64)
    spread = (count * squares - firsts**2) * (count * (own**2).sum() - own.sum() ** 2)
    common = count * products - firsts * own.sum()
    return np.where(spread > 0, common / np.sqrt(np.maximum(spread, 1)), 0.0)


@compiled(FLAT, FLAT, PAIR, SUMS)
def _add_up(around_plane: Flat, patch_plane: Flat, shape: Pair, sums: Sums) -> None:
    """For each place: the sum of products, of samples, and of their squares."""
    (around, step), (patch, every), (height, width) = around_plane, patch_plane, shape
    for down in range(sums.shape[0]):
        for across in range(sums.shape[1]):
            products, first, squares = np.uint32(0), np.uint32(0), np.uint32(0)
            for y in range(height):
                here, own = U((down + y) * step + across), U(every * y)
                for x in range(U(width)):
                    sample = around[here + x]
                    products = _add(products, mul(sample, patch[own + x]))
                    first = _add(first, sample)
                    squares = _add(squares, mul(sample, sample))
            sums[down, across, 0], sums[down, across, 1], sums[down, across, 2] = products, first, squares
