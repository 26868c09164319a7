"""Stickers, words and shapes, drawn by ourselves: RGBA pictures for `Sprite.from_rgba`.

Everything is drawn at four times its size and shrunk, for smooth edges and the same pixels on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]  # RGB

OVERSAMPLE = 4
WORDS = (
    "amber",
    "basin",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "harbor",
    "island",
    "juniper",
    "kettle",
    "lagoon",
    "meadow",
    "nickel",
    "orchard",
    "pebble",
    "quartz",
    "river",
    "saffron",
    "timber",
    "umbra",
    "velvet",
    "willow",
    "xenon",
    "yonder",
    "zephyr",
)
BRIGHT: tuple[Colour, ...] = (
    (236, 64, 52),
    (250, 190, 30),
    (60, 180, 75),
    (40, 130, 240),
    (150, 70, 200),
    (245, 245, 245),
    (20, 20, 20),
    (20, 190, 190),
)
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
)


def pick_colour(rng: Generator) -> Colour:
    """One of a few strong colours."""
    return BRIGHT[int(rng.integers(len(BRIGHT)))]


def shrink(canvas: Image) -> Image:
    """From the oversampled canvas to its real size."""
    from harness.videos.perturb.drawing.inks import shrunk  # noqa: PLC0415  (loads the compiler)

    return shrunk(canvas)


def blank(height: int, width: int) -> Image:
    """Make a transparent oversampled canvas for a picture of this size."""
    return np.zeros((max(2, height) * OVERSAMPLE, max(2, width) * OVERSAMPLE, 4), np.uint8)


def opaque(colour: Colour) -> tuple[int, int, int, int]:
    """With full alpha."""
    return (*colour, 255)


def words(text: str, height: int, colour: Colour, font: int, outline: Colour | None = None) -> Image:
    """Draw a line of text whose capitals are about `height` pixels high, tight to its box."""
    from harness.videos.perturb.drawing.inks import lettered  # noqa: PLC0415  (loads the compiler)

    big = height * OVERSAMPLE
    scale = cv2.getFontScaleFromHeight(font, max(4, big * 2 // 3), max(1, big // 12))
    thickness = max(1, big // 10)
    (width, above), below = cv2.getTextSize(text, font, scale, thickness)
    margin = thickness * 2
    size = (above + below + 2 * margin, width + 2 * margin)
    # Two masks instead of a picture in colours: a quarter of the samples.
    letters = np.zeros([-(-side // OVERSAMPLE) * OVERSAMPLE for side in size], np.uint8)
    origin = (margin, margin + above)
    cv2.putText(letters, text, origin, font, scale, (255,), thickness)
    inner = whole = _mask(letters)
    if outline is not None:
        cv2.putText(letters, text, origin, font, scale, (255,), thickness * 2)
        whole = _mask(letters)
    return lettered(inner, whole, colour, outline or colour)


def _mask(oversampled: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = oversampled.shape
    size = (width // OVERSAMPLE, height // OVERSAMPLE)
    return np.asarray(cv2.resize(oversampled, size, interpolation=cv2.INTER_AREA), np.uint8)


def shape(kind: str, size: int, colour: Colour) -> Image:
    """Draw a filled circle, square, triangle or ring."""
    canvas = blank(size, size)
    end, fill = canvas.shape[0] - 1, opaque(colour)
    middle = (end // 2, end // 2)
    if kind == "circle":
        cv2.circle(canvas, middle, end // 2, fill, cv2.FILLED)
    elif kind == "rectangle":
        cv2.rectangle(canvas, (0, end // 5), (end, end * 4 // 5), fill, cv2.FILLED)
    elif kind == "triangle":
        cv2.fillPoly(canvas, [np.array([[end // 2, 0], [end, end], [0, end]])], fill)
    else:
        cv2.circle(canvas, middle, end * 2 // 5, fill, max(1, end // 6))
    return shrink(canvas)


SHAPES = ("circle", "rectangle", "triangle", "ring")


def smiley(size: int) -> Image:
    """Draw a yellow smiling face."""
    canvas = blank(size, size)
    end = canvas.shape[0] - 1

    def at(across: float, down: float) -> tuple[int, int]:
        return round(across * end), round(down * end)

    cv2.circle(canvas, at(0.5, 0.5), end // 2, opaque((190, 130, 20)), cv2.FILLED)
    cv2.circle(canvas, at(0.5, 0.5), end * 47 // 100, opaque((252, 208, 60)), cv2.FILLED)
    for across in (0.33, 0.67):
        cv2.ellipse(canvas, at(across, 0.38), at(0.06, 0.1), 0, 0, 360, opaque((60, 40, 20)), cv2.FILLED)
    cv2.ellipse(canvas, at(0.5, 0.55), at(0.28, 0.26), 0, 10, 170, opaque((60, 40, 20)), max(1, end // 18))
    return shrink(canvas)


def star(size: int) -> Image:
    """Draw a five-pointed star."""
    canvas = blank(size, size)
    end = canvas.shape[0] - 1
    angles = np.arange(10) * np.pi / 5 - np.pi / 2
    radii = np.where(np.arange(10) % 2, 0.2, 0.5) * end
    points = np.stack([end / 2 + radii * np.cos(angles), end / 2 + radii * np.sin(angles)], 1)
    cv2.fillPoly(canvas, [points.astype(np.int32)], opaque((255, 170, 30)))
    return shrink(canvas)


def heart(size: int) -> Image:
    """Draw a red heart."""
    canvas = blank(size, size)
    end = canvas.shape[0] - 1
    t = np.linspace(0, 2 * np.pi, 120)
    across = 16 * np.sin(t) ** 3
    down = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    points = np.stack([(across / 34 + 0.5) * end, (down / 34 + 0.46) * end], 1)
    cv2.fillPoly(canvas, [points.astype(np.int32)], opaque((225, 35, 60)))
    return shrink(canvas)


def ball(size: int) -> Image:
    """Draw a beach ball: something with several colours at once."""
    canvas = blank(size, size)
    end = canvas.shape[0] - 1
    middle, radius = (end // 2, end // 2), end // 2
    for index in range(6):
        colour = BRIGHT[index % 4] if index % 2 else (245, 245, 245)
        cv2.ellipse(
            canvas, middle, (radius, radius), 20, index * 60, index * 60 + 60, opaque(colour), cv2.FILLED
        )
    cv2.circle(canvas, middle, radius // 5, opaque((245, 245, 245)), cv2.FILLED)
    return shrink(canvas)


def postcard(size: int) -> Image:
    """Draw a small landscape in a white frame: a picture rather than a sign."""
    canvas = blank(size * 3 // 4, size)
    height, width = canvas.shape[:2]
    canvas[:] = opaque((250, 250, 250))
    edge = width // 24
    sky, hill = np.array([90, 160, 230]), np.array([220, 235, 250])
    ramp = np.linspace(0, 1, height - 2 * edge)[:, None, None]
    canvas[edge:-edge, edge:-edge, :3] = (sky + (hill - sky) * ramp).astype(np.uint8)
    cv2.circle(canvas, (width * 3 // 4, height // 3), width // 12, opaque((255, 230, 120)), cv2.FILLED)
    land = np.array(
        [[0.04, 0.95], [0.04, 0.7], [0.3, 0.35], [0.5, 0.66], [0.7, 0.5], [0.96, 0.75], [0.96, 0.95]]
    )
    points = (land * [width - 1, height - 1]).astype(np.int32)
    cv2.fillPoly(canvas, [points], opaque((60, 130, 70)))
    return shrink(canvas)


PICTURES: Sequence[Callable[[int], Image]] = (smiley, star, heart, ball, postcard)


def pick_words(rng: Generator, count: int) -> str:
    """Choose a few words that mean nothing here."""
    return " ".join(WORDS[int(index)] for index in rng.integers(len(WORDS), size=count))
