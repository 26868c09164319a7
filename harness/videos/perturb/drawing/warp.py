"""Turning, tilting and mirroring planes with maps that are computed once per video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from harness.videos.perturb.drawing.planes import Planes
from harness.videos.perturb.steps import Canvas, Redraw, RedrawTogether

Map = tuple[cv2.typing.MatLike, cv2.typing.MatLike]  # OpenCV's fixed points: whole samples, 32nds of one

TWO = 2  # pictures that are looked up together: places and weights are read once for both
FILL = (16, 128, 128)  # what comes in from outside: black


@dataclass(frozen=True, kw_only=True)
class Warp:
    """Move each pixel by a projective map; corners that come in from outside are black.

    `matrix` (row by row, 3x3) takes a point of the result to a point of the source, both as shares of the
    longer side measured from the centre, so that it fits any size and any plane.
    """

    matrix: tuple[float, ...]

    def start(self, canvas: Canvas) -> RedrawTogether:
        """Prepare one map per size of plane."""
        inverse = np.array(self.matrix, np.float64).reshape(3, 3)
        blank = Planes.blank(canvas.width, canvas.height)
        return _moving(_map(inverse, blank.y.shape), _map(inverse, blank.u.shape))


def _map(inverse: NDArray[np.float64], shape: tuple[int, ...]) -> Map:
    """For any matrix: a fixed-point map made once, then one look-up per pixel."""
    height, width = shape
    unit = max(height, width)
    x = (np.arange(width) + 0.5 - width / 2) / unit
    y = (np.arange(height) + 0.5 - height / 2)[:, None] / unit
    across, down, depth = (row[0] * x + (row[1] * y + row[2]) for row in inverse)
    return _fixed(across / depth * unit + width / 2 - 0.5, down / depth * unit + height / 2 - 0.5)


def _fixed(x: NDArray[np.float64], y: NDArray[np.float64]) -> Map:
    """From the place of the source's sample for each sample of the result."""
    return cv2.convertMaps(x.astype(np.float32), y.astype(np.float32), cv2.CV_16SC2)


def _moving(luma: Map, colour: Map) -> RedrawTogether:
    """Luma by the first map, colour by the second."""
    from harness.videos.perturb.drawing.lookup import LookUp  # noqa: PLC0415  (numba takes half a second)

    whole, half = LookUp.of(luma), LookUp.of(colour)

    def draw(sources: Sequence[Planes], targets: Sequence[Planes], first: int) -> None:
        for number, (one, fill) in enumerate(zip((whole, half, half), FILL, strict=True)):
            one.move([each.all[number] for each in sources], [each.all[number] for each in targets], fill)

    return RedrawTogether(draw=draw, at_once=TWO)


def rotated(degrees: float) -> Warp:
    """Return a clockwise turn about the centre."""
    angle = np.deg2rad(degrees)
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    return Warp(matrix=(cosine, sine, 0.0, -sine, cosine, 0.0, 0.0, 0.0, 1.0))


def tilted(corners: NDArray[np.float64], canvas: Canvas) -> Warp:
    """Pull the corners of the picture inwards.

    Args:
        corners: (4, 2) shares of width and height by which the top left, top right, bottom right and bottom
            left corner move towards the centre; negative moves outwards.
        canvas: Its shape.
    """
    unit = max(canvas.width, canvas.height)
    half = np.array([canvas.width, canvas.height]) / unit / 2
    directions = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    source = directions * half
    target = directions * (half - corners * 2 * half)
    matrix = cv2.getPerspectiveTransform(target.astype(np.float32), source.astype(np.float32))
    return Warp(matrix=tuple(round(float(value), 9) for value in matrix.ravel()))


@dataclass(frozen=True, kw_only=True)
class Lens:
    """Bend straight lines: radius × (1 + strength × radius²), the corner's radius being 1.

    A positive strength makes a barrel that fills the picture, a negative one a pincushion with black rims.
    """

    strength: float

    def start(self, canvas: Canvas) -> RedrawTogether:
        """One fixed-point map per size of plane."""
        blank = Planes.blank(canvas.width, canvas.height)
        return _moving(self._map(blank.y.shape), self._map(blank.u.shape))

    def _map(self, shape: tuple[int, ...]) -> Map:
        height, width = shape
        x, y = np.arange(width) + 0.5 - width / 2, (np.arange(height) + 0.5 - height / 2)[:, None]
        squared = (x**2 + y**2) / ((width / 2) ** 2 + (height / 2) ** 2)
        # A barrel is scaled so that the corners stay in place: nothing comes in from outside.
        scale = (1 + self.strength * squared) / (1 + max(0.0, self.strength))
        return _fixed(x * scale + width / 2 - 0.5, y * scale + height / 2 - 0.5)


@dataclass(frozen=True, kw_only=True)
class MirrorFrom:
    """Mirror the picture from one frame on: left to right, or top to bottom."""

    first_frame: int
    upside_down: bool = False

    def start(self, canvas: Canvas) -> Redraw:
        """Mirror, or copy what comes before."""
        code = 0 if self.upside_down else 1

        def draw(source: Planes, target: Planes, index: int) -> None:
            for before, after in zip(source.all, target.all, strict=True):
                if index >= self.first_frame:
                    cv2.flip(before, code, dst=after)
                else:
                    after[:] = before

        return Redraw(draw)
