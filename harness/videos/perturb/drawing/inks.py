"""Compiled: small pictures in colours with transparency, on their way from a drawing to planes.

Fractions are of the width that is written here, and in this order: the same bytes on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from harness.videos.perturb.drawing.compiled import (
    PLANE,
    Shorts,
    U,
    compiled,
    inlined,
)
from harness.videos.perturb.drawing.planes import Plane, Planes

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]  # RGB

OVERSAMPLE = 4  # samples of a drawing's side for one of the picture's
RED, GREEN, BLUE, ALPHA = 0, 1, 2, 3
IMAGE, GIVEN = (types.Array(types.uint8, 3, "C", readonly=readonly) for readonly in (False, True))
TWO_SHORTS, ROWS = types.Array(types.uint16, 2, "C"), types.Array(types.float32, 2, "C")
Rows = NDArray[np.float32]
COLOUR: Any = types.UniTuple(types.float64, 3)  # type: ignore[no-untyped-call]  # numba has no types
F = np.float32
_WEIGHTS = F(0.299), F(0.587), F(0.114)  # of luma, BT.601
_BLUE_SPAN, _RED_SPAN = F(1.772), F(1.402)
_LUMA, _COLOUR, _ALL = F(219), F(224), F(255)
_BLACK, _MID, _NONE, _FOUR, _WHOLE = F(16), F(128), F(0), F(4), F(256)
_LEAST, _SPECK = F(1e-6), F(1e-3)  # alpha that colour is divided by, at least
_SHARE = F(1 / OVERSAMPLE**2)


def shrunk(drawing: Image) -> Image:
    """Average an (4h, 4w, 4) RGBA drawing over blocks of 4 x 4, colour with alpha as its weight.

    Raises:
        ValueError: A side is not divided by 4.
    """
    height, width = drawing.shape[0] // OVERSAMPLE, drawing.shape[1] // OVERSAMPLE
    if drawing.shape != (height * OVERSAMPLE, width * OVERSAMPLE, 4):
        raise ValueError(f"a drawing of {drawing.shape} is not {OVERSAMPLE} times as large as a picture")
    picture = np.empty((height, width, 4), np.uint8)
    _shrink(np.ascontiguousarray(drawing), picture)
    return picture


@inlined
def _shade(total: Any, alpha: Any) -> Any:
    return np.uint8(min(F(total) * _SHARE / max(alpha, _SPECK), _ALL))


@compiled(GIVEN, IMAGE)
def _shrink(drawing: Image, picture: Image) -> None:
    for y in range(U(picture.shape[0])):
        for x in range(U(picture.shape[1])):
            red = green = blue = whole = np.int64(0)
            for down in range(U(OVERSAMPLE)):
                row = U(OVERSAMPLE) * y + down
                for across in range(U(OVERSAMPLE)):
                    column = U(OVERSAMPLE) * x + across
                    weight = np.int64(drawing[row, column, U(ALPHA)])
                    red += weight * np.int64(drawing[row, column, U(RED)])
                    green += weight * np.int64(drawing[row, column, U(GREEN)])
                    blue += weight * np.int64(drawing[row, column, U(BLUE)])
                    whole += weight
            alpha = F(whole) * _SHARE
            picture[y, x, U(RED)] = _shade(red, alpha)
            picture[y, x, U(GREEN)] = _shade(green, alpha)
            picture[y, x, U(BLUE)] = _shade(blue, alpha)
            picture[y, x, U(ALPHA)] = np.uint8(np.rint(alpha))


def lettered(inner: Plane, whole: Plane, colour: Colour, outline: Colour) -> Image:
    """Colour letters: `whole` of 255 is their alpha with the outline, `inner` without it."""
    image = np.empty((*whole.shape, 4), np.uint8)
    colours = [tuple(float(part) for part in each) for each in (colour, outline)]
    _letter(inner, whole, image, *colours)
    return image


@compiled(PLANE, PLANE, IMAGE, COLOUR, COLOUR)
def _letter(inner: Plane, whole: Plane, image: Image, colour: Any, outline: Any) -> None:
    for y in range(U(image.shape[0])):
        for x in range(U(image.shape[1])):
            alpha = whole[y, x]
            share = np.float64(inner[y, x]) / np.float64(max(alpha, np.uint8(1)))
            for part in range(3):
                mixed = share * colour[part] + (1.0 - share) * outline[part]
                image[y, x, part] = np.uint8(np.rint(mixed))
            image[y, x, ALPHA] = alpha


def converted(image: Image, opacity: float, planes: Planes, alpha: Shorts, half: Shorts) -> None:
    """Convert an (h, w, 4) RGBA picture to limited-range BT.601 and alphas of 256: of luma, of colour.

    Planes and alphas have even sizes; what the picture lacks is transparent.
    """
    rooms = np.empty((2, 3, planes.y.shape[1]), np.float32)
    _convert(np.ascontiguousarray(image), opacity, *planes.all, alpha, half, *rooms)


@inlined
def _byte(value: Any) -> Any:
    return np.uint8(min(max(np.rint(value), _NONE), _ALL))


@inlined
def _mean(room: Rows, other: Rows, row: Any, x: Any) -> Any:
    """Return the mean of two times two numbers, of a row of each."""
    one, beside = U(2) * x, U(2) * x + U(1)
    return (room[row, one] + room[row, beside] + other[row, one] + other[row, beside]) / _FOUR


@compiled(GIVEN, types.float64, PLANE, PLANE, PLANE, TWO_SHORTS, TWO_SHORTS, ROWS, ROWS)
def _convert(
    image: Image,
    opacity: float,
    luma: Plane,
    u: Plane,
    v: Plane,
    alpha: Shorts,
    half: Shorts,
    upper: Rows,
    lower: Rows,
) -> None:
    """Write two rows at once; `upper` and `lower` have room for both colours and the weight of each."""
    share, (height, width) = F(opacity), image.shape[:2]
    for y in range(luma.shape[0]):
        room = lower if y % 2 else upper
        for x in range(U(luma.shape[1])):
            red = green = blue = weight = _NONE
            if y < height and x < U(width):
                red, green = F(image[U(y), x, U(RED)]), F(image[U(y), x, U(GREEN)])
                blue = F(image[U(y), x, U(BLUE)])
                weight = F(image[U(y), x, U(ALPHA)]) / _ALL
            light = _WEIGHTS[0] * red + _WEIGHTS[1] * green + _WEIGHTS[2] * blue
            luma[U(y), x] = _byte(_BLACK + light * _LUMA / _ALL)
            alpha[U(y), x] = np.uint16(np.rint(weight * share * _WHOLE))
            room[U(0), x] = (_MID + (blue - light) / _BLUE_SPAN * _COLOUR / _ALL) * weight
            room[U(1), x] = (_MID + (red - light) / _RED_SPAN * _COLOUR / _ALL) * weight
            room[U(2), x] = weight
        if y % 2:
            for x in range(U(half.shape[1])):
                weight = _mean(upper, lower, U(2), x)
                shade = max(weight, _LEAST)
                u[U(y // 2), x] = _byte(_mean(upper, lower, U(0), x) / shade)
                v[U(y // 2), x] = _byte(_mean(upper, lower, U(1), x) / shade)
                half[U(y // 2), x] = np.uint16(np.rint(weight * share * _WHOLE))
