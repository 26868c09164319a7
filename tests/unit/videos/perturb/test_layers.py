"""What is enlarged and laid under a picture in one pass is what two passes make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.videos.perturb.drawing.layers import laid_behind
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.scaling import enlarged


def noise(size: tuple[int, int], seed: int) -> Plane:
    """Part of a larger picture, so that rows do not follow each other in memory."""
    height, width = size
    whole = np.random.default_rng(seed).integers(0, 256, (height + 2, width + 5), np.uint8)
    return whole[1:-1, 2:-3]


def grown(small: Plane, shape: tuple[int, ...], factor: int) -> NDArray[Any]:
    large = np.empty(shape, np.uint8)
    enlarged(small, large, factor)
    return large.astype(int)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (3, 9), (16, 8), (41, 70), (37, 131)])
def test_a_layer_behind_is_enlarged_and_mixed_exactly(size: tuple[int, int], factor: int) -> None:
    small = (-(-size[0] // factor), -(-size[1] // factor))
    behind, weight, front = noise(small, 1), noise(small, 2), noise(size, 3)
    weight[weight < 90], weight[weight > 170] = 0, 255  # most of it is one or the other, as with a person
    share, soft = grown(weight, size, factor), grown(behind, size, factor)
    expected = (2 * (front.astype(int) * share + soft * (255 - share)) + 255) // 510
    around = np.full((size[0] + 2, size[1] + 2), 7, np.uint8)
    target = around[1:-1, 1:-1]
    laid_behind(behind, weight, front, target, factor)
    assert np.array_equal(target, expected)
    laid_behind(behind, weight, front, front, factor)
    assert np.array_equal(front, expected), "the target may be the front"
    target[:] = 7
    assert (around == 7).all(), "something beside the plane was written to"


def test_planes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(8, 8\) is made by 4 of \(2, 2\)"):
        laid_behind(noise((2, 2), 1), noise((2, 3), 2), noise((8, 8), 3), noise((8, 8), 4), 4)
