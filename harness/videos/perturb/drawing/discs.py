"""Compiled: many small discs of one size, drawn at once; as OpenCV draws each."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from harness.videos.perturb.drawing.compiled import BYTES, INTS, PLANE, Bytes, Ints, U, compiled, memory
from harness.videos.perturb.drawing.planes import Plane


class Discs:
    """Filled discs of one radius."""

    def __init__(self, radius: int) -> None:
        side = 2 * radius + 1
        disc: Any = np.zeros((side, side), np.uint8)
        cv2.circle(disc, (radius, radius), radius, (1,), cv2.FILLED)
        self._reach = (disc.sum(1, dtype=np.int32) - 1) // 2  # of each row, to both sides; -1 for none

    def draw(self, plane: Plane, centres: NDArray[np.int32], colours: Bytes) -> None:
        """Draw one after another, at (n, 2) places x and y; cut off at the borders."""
        _draw(plane, centres.reshape(-1), colours, self._reach)


@compiled(PLANE, INTS, BYTES, INTS)
def _draw(plane: Plane, centres: Ints, colours: Bytes, reaches: Ints) -> None:
    (samples, step), (height, width), radius = memory(plane), plane.shape, reaches.size // 2
    for number in range(U(colours.size)):
        x, y = np.int64(centres[U(2) * number]), np.int64(centres[U(2) * number + U(1)])
        for row in range(max(0, int(y) - radius), min(height, int(y) + radius + 1)):
            reach = np.int64(reaches[U(row - y + radius)])
            for at in range(U(row * step + max(0, x - reach)), U(row * step + min(width, x + reach + 1))):
                samples[at] = colours[number]
