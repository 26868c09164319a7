"""Small pictures on their way to planes are what plain NumPy makes of them, to the byte."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.videos.perturb.drawing.blending import pasted
from harness.videos.perturb.drawing.discs import Discs
from harness.videos.perturb.drawing.inks import lettered, shrunk
from harness.videos.perturb.drawing.planes import Planes, Sprite

SIZES = [(1, 1), (3, 5), (8, 6), (16, 17), (40, 61)]


def noise(*shape: int, seed: int = 1, most: int = 255) -> Any:
    return np.random.default_rng(seed).integers(0, most + 1, shape, np.uint8)


def planes(height: int, width: int, seed: int) -> Planes:
    """Part of a larger picture, so that rows do not follow each other in memory."""
    y, u, v = (
        noise(height // each + 3, width // each + 5, seed=seed + n) for n, each in enumerate((1, 2, 2))
    )
    return Planes(y=y[1:-2, 2:-3], u=u[1:-2, 2:-3], v=v[1:-2, 2:-3])


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("opacity", [1.0, 0.37])
def test_colours_are_converted_as_fractions_say(size: tuple[int, int], opacity: float) -> None:
    image = noise(*size, 4)
    image[: size[0] // 2, :, 3] = 0  # colour there counts for nothing
    image.flags.writeable = False
    sprite = Sprite.from_rgba(image, opacity)
    padded = np.pad(image, ((0, size[0] % 2), (0, size[1] % 2), (0, 0))).astype(np.float32)
    red, green, blue, alpha = np.moveaxis(padded, 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    weight = alpha / 255
    half = _mean(weight)
    assert np.array_equal(sprite.planes.y, np.round(16 + luma * 219 / 255).astype(np.uint8))
    assert np.array_equal(sprite.alpha, np.round(weight * opacity * 256).astype(np.uint16))
    assert np.array_equal(sprite.alpha_half, np.round(half * opacity * 256).astype(np.uint16))
    for plane, colour, span in ((sprite.planes.u, blue, 1.772), (sprite.planes.v, red, 1.402)):
        mean = _mean((128 + (colour - luma) / span * 224 / 255) * weight) / np.maximum(half, 1e-6)
        assert np.array_equal(plane, np.clip(np.round(mean), 0, 255).astype(np.uint8))


def _mean(plane: NDArray[Any]) -> Any:
    """Of two times two, added up row by row."""
    return (plane[::2, ::2] + plane[::2, 1::2] + plane[1::2, ::2] + plane[1::2, 1::2]) / 4


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_drawing_is_averaged_with_alpha_as_weight(size: tuple[int, int]) -> None:
    drawing = noise(4 * size[0], 4 * size[1], 4)
    drawing[::3, :, 3] = 0
    weight = drawing[..., 3:].astype(np.float32)
    blocks = (size[0], 4, size[1], 4, -1)
    colour = (drawing[..., :3] * weight).reshape(blocks).sum((1, 3)) / np.float32(16)
    alpha = weight.reshape(blocks).sum((1, 3)) / np.float32(16)
    colour /= np.maximum(alpha, np.float32(1e-3))
    expected = np.dstack([np.clip(colour, 0, 255), np.round(alpha)]).astype(np.uint8)
    assert np.array_equal(shrunk(drawing), expected)
    with pytest.raises(ValueError, match="4 times as large"):
        shrunk(drawing[:-1])


def test_letters_have_their_colour_and_a_rim() -> None:
    whole, inner = np.mgrid[:256, :256].astype(np.uint8)
    inner = np.minimum(inner, whole)
    image = lettered(inner, whole, (250, 9, 77), (3, 200, 255))
    share = inner[..., None] / np.maximum(whole, 1)[..., None]
    mixed = share * np.array((250, 9, 77)) + (1 - share) * np.array((3, 200, 255))
    assert np.array_equal(image, np.dstack([np.round(mixed), whole]).astype(np.uint8))


@pytest.mark.parametrize("place", [(4, 2), (-6, -4), (60, 30), (-80, 0), (0, 90), (-2, 34), (30, -18)])
def test_what_is_laid_over_a_picture_is_cut_off_at_its_borders(place: tuple[int, int]) -> None:
    onto, above = planes(48, 76, 1), planes(20, 34, 5)
    before = onto.copy()
    weights = [noise(20 // each, 34 // each, seed=9).astype(np.uint16) + 1 for each in (1, 2)]
    pasted(onto, above, (weights[0].ravel(), weights[1].ravel()), *place)
    for number, (result, under, sprite) in enumerate(zip(onto.all, before.all, above.all, strict=True)):
        step, share = min(number, 1) + 1, weights[min(number, 1)].astype(int)
        expected = under.copy()
        for (y, x), sample in np.ndenumerate(sprite):
            down, across = y + place[1] // step, x + place[0] // step
            if 0 <= down < under.shape[0] and 0 <= across < under.shape[1]:
                below = int(under[down, across]) * (256 - share[y, x])
                expected[down, across] = (below + int(sample) * share[y, x] + 128) >> 8
        assert np.array_equal(result, expected)


@pytest.mark.parametrize("radius", [1, 2, 5, 9, 24])
def test_discs_are_opencvs(radius: int) -> None:
    rng = np.random.default_rng(radius)
    for height, width in ((9, 7), (40, 51)):
        room = np.zeros((height + 2, width + 3), np.uint8)
        plane, expected = room[1:-1, 2:-1], np.zeros((height, width), np.uint8)
        centres = rng.integers(0, (width, height), (30, 2), np.int32)
        colours = rng.integers(1, 256, 30, np.uint8)
        for (x, y), colour in zip(centres.tolist(), colours.tolist(), strict=True):
            cv2.circle(expected, (x, y), radius, (colour,), cv2.FILLED)
        Discs(radius).draw(plane, centres, colours)
        assert np.array_equal(plane, expected)
        assert room.sum() == plane.sum(), "a sample beside the plane was written to"
