"""Loops over samples give what their formulas say, at sizes that no vector divides, in larger pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from harness.videos.perturb.drawing.averages import averaged, pixelated
from harness.videos.perturb.drawing.blending import faded, mixed
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.scaling import averaged_blocks, enlarged
from harness.videos.perturb.drawing.sharpening import sharpened, sharpened_by_mean
from harness.videos.perturb.drawing.softening import WHOLE, convolved, softened, whole_numbers

SIZES = [(1, 1), (2, 5), (7, 3), (9, 33), (37, 70)]


def noise(size: tuple[int, int], seed: int = 1) -> Plane:
    """Part of a larger picture, so that rows do not follow each other in memory."""
    height, width = size
    whole = np.random.default_rng(seed).integers(0, 256, (height + 2, width + 5), np.uint8)
    return whole[1:-1, 2:-3]


def apart(one: NDArray[np.uint8], other: ArrayLike) -> float:
    return float(np.abs(one.astype(float) - np.clip(np.asarray(other, float), 0, 255)).max())


@pytest.mark.parametrize("size", SIZES)
def test_mixtures_are_exact(size: tuple[int, int]) -> None:
    one, other, weight, target = noise(size), noise(size, 2), noise(size, 3), noise(size, 4)
    share = weight.astype(float) / 255
    faded(one, target, weight, 16)
    assert apart(target, one * share + 16 * (1 - share)) <= 0.5
    mixed(one, other, target, 77)
    assert apart(target, (77.0 * one + (256 - 77) * other.astype(float)) / 256) <= 0.5


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("amount", [0.4, 1.6, 7.0])
def test_sharpening_overshoots_as_far_as_it_should(size: tuple[int, int], amount: float) -> None:
    sample, soft, target = noise(size), noise(size, 2), noise(size, 3)
    sharpened(sample, soft, target, amount)
    steps = 1 / 16 if amount > 4 else 1 / 32  # to which the amount is rounded
    assert apart(target, sample + amount * (sample.astype(float) - soft)) <= 0.5 + 255 * steps / 2
    mean = cv2.blur(sample, (3, 3), borderType=cv2.BORDER_REPLICATE)
    again = noise(size, 4)
    sharpened(sample, np.asarray(mean, np.uint8), target, amount)
    sharpened_by_mean(sample, again, amount)
    assert apart(again, target.astype(float)) <= np.ceil(amount)  # the mean may be rounded otherwise


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("length", [1, 3, 11])
def test_averages_are_of_what_lies_around(size: tuple[int, int], length: int) -> None:
    plane, target = noise(size), noise(size, 2)
    for upright in (False, True):
        if length // 2 >= size[0 if upright else 1]:
            continue  # mirrored more than once, which OpenCV does not do
        averaged(plane, target, length, upright=upright)
        kernel = (1, length) if upright else (length, 1)
        assert apart(target, cv2.blur(plane.astype(np.float64), kernel)) <= 0.52


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("block", [2, 7, 64])
def test_mosaics_have_the_means_of_their_blocks(size: tuple[int, int], block: int) -> None:
    plane, target = noise(size), noise(size, 2)
    pixelated(plane, target, block)
    for top in range(0, size[0], block):
        for left in range(0, size[1], block):
            place = np.s_[top : top + block, left : left + block]
            assert apart(target[place], np.full(target[place].shape, plane[place].mean())) <= 0.5


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_what_is_shrunk_and_enlarged_stays_in_its_place(size: tuple[int, int], factor: int) -> None:
    plane, target = noise(size), noise(size, 2)
    small = averaged_blocks(plane, factor)
    enlarged(small, target, factor)
    whole = cv2.resize(small.astype(np.float64), (small.shape[1] * factor, small.shape[0] * factor))
    assert apart(target, whole[: size[0], : size[1]]) <= 0.51
    with pytest.raises(ValueError, match="is enlarged by"):
        enlarged(np.zeros((small.shape[0] + 1, small.shape[1]), np.uint8), target, factor)


@pytest.mark.parametrize("size", SIZES)
def test_a_blur_leaves_a_plain_picture_as_it_is(size: tuple[int, int]) -> None:
    plain = np.full(size, 255, np.uint8)
    assert (softened(plain, 2.0) == 255).all()
    kernel = whole_numbers(np.ones((3, 3)))
    assert (convolved(plain, kernel) == 255).all()
    assert (
        int(kernel[0, 0] + 2 * kernel[0, 1:].sum() + 2 * kernel[1:, 0].sum() + 4 * kernel[1:, 1:].sum())
        == WHOLE
    )


def test_a_blur_is_a_gaussians() -> None:
    plane = noise((40, 60))
    assert apart(softened(plane, 1.3), cv2.GaussianBlur(plane.astype(np.float64), (9, 9), 1.3)) <= 2.5
