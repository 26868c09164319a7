"""The picture and the sound of every torture clip, and how they are read back.

The picture is a grid of eight by eight cells. Its corners are the compass rose: red, green, blue and yellow,
clockwise from the top left, so that a turned or mirrored picture is told from an upright one. Two rows in the
middle are the clock: the frame's number in binary with a check. The rest is the colour chart. The sound is
silence with a short tone once in every period.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # (h, w, 3) RGB

CELLS = 8
Rgb = tuple[int, int, int]
COMPASS: dict[str, tuple[int, int, Rgb]] = {  # the corner's first row and column, two cells each way
    "red": (0, 0, (190, 50, 50)),
    "green": (0, 6, (60, 170, 70)),
    "blue": (6, 6, (60, 70, 190)),
    "yellow": (6, 0, (200, 190, 60)),
}
CHART: dict[str, tuple[int, int, Rgb]] = {  # row and column, two cells high and one wide
    "white": (0, 2, (235, 235, 235)),
    "black": (0, 3, (16, 16, 16)),
    "skin": (0, 4, (224, 172, 138)),
    "cyan": (0, 5, (60, 180, 190)),
    "grey": (6, 2, (128, 128, 128)),
    "magenta": (6, 3, (180, 70, 170)),
    "orange": (6, 4, (220, 140, 60)),
    "dark": (6, 5, (90, 60, 40)),
}
BITS = 12  # of the number, then four of its check: two rows of eight
LIGHT, SHADE = (235, 235, 235), (16, 16, 16)
RATE = 48_000
TONE_HERTZ, TONE_SECONDS = 1000, 0.06


def check(number: int) -> int:
    """Four bits that a wrongly read number does not match by chance."""
    return (number * 7 + (number >> 4) * 5 + (number >> 8) * 3 + 9) % 16


def draw(number: int, width: int, height: int) -> Picture:
    """The picture with this number."""
    cells = np.zeros((CELLS, CELLS, 3), np.uint8)
    for row, column, colour in COMPASS.values():
        cells[row : row + 2, column : column + 2] = colour
    for row, column, colour in CHART.values():
        cells[row : row + 2, column] = colour
    word = number | check(number) << BITS
    for bit in range(16):
        row, column = 2 + bit // 8 * 2, bit % 8
        cells[row : row + 2, column] = LIGHT if word >> bit & 1 else SHADE
    rows = np.minimum(np.arange(height) * CELLS // height, CELLS - 1)
    columns = np.minimum(np.arange(width) * CELLS // width, CELLS - 1)
    return cells[rows][:, columns]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read from a picture. `number` is None where the check does not fit."""

    number: int | None
    orientation: str | None  # "upright", or what was done to it; None where no corner is where one should be
    colours: dict[str, tuple[float, float, float]]


WAYS = {
    "upright": lambda picture: picture,
    "turned 90": lambda picture: np.rot90(picture, 1),
    "turned 180": lambda picture: np.rot90(picture, 2),
    "turned 270": lambda picture: np.rot90(picture, 3),
    "mirrored": lambda picture: picture[:, ::-1],
    "upside down": lambda picture: picture[::-1],
    "transposed": lambda picture: np.swapaxes(picture, 0, 1),
    "antitransposed": lambda picture: np.swapaxes(picture[::-1, ::-1], 0, 1),
}


def read(picture: Picture) -> Reading:
    """Read a picture back, whichever way up it lies."""
    for name, undo in WAYS.items():
        upright = undo(picture)
        if all(_near(patch(upright, place), place[2]) for place in COMPASS.values()):
            return _read_upright(upright, name)
    return Reading(number=_number(picture), orientation=None, colours={})


def _read_upright(picture: Picture, orientation: str) -> Reading:
    corners = {name: patch(picture, place) for name, place in COMPASS.items()}
    chart = {name: patch(picture, (row, column, (2, 1))) for name, (row, column, _) in CHART.items()}
    return Reading(number=_number(picture), orientation=orientation, colours={**corners, **chart})


def _number(picture: Picture) -> int | None:
    levels = [patch(picture, (2 + bit // 8 * 2, bit % 8, (2, 1))) for bit in range(16)]
    luma = [0.3 * red + 0.6 * green + 0.1 * blue for red, green, blue in levels]
    word = sum((level > 125) << bit for bit, level in enumerate(luma))
    number = word & (1 << BITS) - 1
    return number if word >> BITS == check(number) else None


def _near(found: tuple[float, float, float], wanted: Rgb) -> bool:
    """Told by which channel is large: colours may be off by far more than they should."""
    spread = np.array(found) - np.mean(found)
    ideal = np.array(wanted) - np.mean(wanted)
    norms = float(np.linalg.norm(spread) * np.linalg.norm(ideal))
    return norms > 0 and float(spread @ ideal) / norms > 0.8


def patch(picture: Picture, place: tuple[int, int, tuple[int, ...]]) -> tuple[float, float, float]:
    """The mean of the inner half of a cell; two by two cells where a colour is given as the third."""
    row, column, last = place
    down, across = (2, 2) if len(last) == 3 else last
    height, width = picture.shape[:2]
    rows = _inner(row * height / CELLS, down * height / CELLS, height)
    columns = _inner(column * width / CELLS, across * width / CELLS, width)
    red, green, blue = picture[rows, columns].reshape(-1, 3).mean(0).tolist()
    return red, green, blue


def _inner(start: float, length: float, limit: int) -> slice:
    # By the middles of the pixels, so that no pixel of a neighbour is taken even where a cell is two wide.
    first = min(limit - 1, math.ceil(start + length * 0.3 - 0.5))
    return slice(first, max(first + 1, min(limit, math.floor(start + length * 0.7 - 0.5) + 1)))


def tone(seconds: float, starts: tuple[float, ...], rate: int = RATE) -> NDArray[np.float32]:
    """(samples,) silence with a tone at each of these times."""
    wave = np.zeros(round(seconds * rate), np.float32)
    length = round(TONE_SECONDS * rate)
    beep = 0.6 * np.sin(2 * np.pi * TONE_HERTZ * np.arange(length) / rate)
    for start in starts:
        place = round(start * rate)
        part = wave[place : place + length]
        part += beep[: len(part)].astype(np.float32)
    return wave


def tones(wave: NDArray[np.float32], rate: int = RATE) -> list[float]:
    """The times at which tones start: where the level of two milliseconds passes a quarter of the loudest."""
    window = rate // 500
    count = len(wave) // window
    if not count:
        return []
    level = np.sqrt((wave[: count * window].reshape(count, window).astype(float) ** 2).mean(1))
    if level.max() < 0.02:
        return []
    loud = level > level.max() / 4
    starts = np.flatnonzero(loud & ~np.concatenate([[False], loud[:-1]]))
    found: list[float] = []
    for start in (starts * window / rate).tolist():
        if not found or start - found[-1] > 2 * TONE_SECONDS:
            found.append(start)
    return found
