"""Turning, tilting and mirroring planes with maps that are computed once per video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from harness.videos.perturb.drawing.planes import Planes
from harness.videos.perturb.steps import Canvas, Redraw, RedrawTogether

if TYPE_CHECKING:
    from harness.videos.perturb.drawing.lookup import LookUp

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
        from harness.videos.perturb.drawing.lookup import LookUp  # noqa: PLC0415  (numba is slow to load)

        return _moving(*(LookUp.projective(self.matrix, shape) for shape in _shapes(canvas)))


def _shapes(canvas: Canvas) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of luma, and of colour."""
    return (canvas.height, canvas.width), (canvas.height // 2, canvas.width // 2)


def _moving(whole: LookUp, half: LookUp) -> RedrawTogether:
    """Luma by the first map, colour by the second."""

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
        """One map per size of plane. A barrel is scaled so that the corners stay where they are."""
        from harness.videos.perturb.drawing.lookup import LookUp  # noqa: PLC0415  (numba is slow to load)

        return _moving(*(LookUp.bent(self.strength, shape) for shape in _shapes(canvas)))


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
