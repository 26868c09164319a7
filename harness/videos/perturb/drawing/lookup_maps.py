"""Compiled: where each sample of a plane comes from, in 32nds of a sample; once for a video."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from harness.videos.perturb.drawing.compiled import BYTES, Bytes, U, compiled, inlined
from harness.videos.perturb.drawing.lookup_rows import PLACES, WHOLE, Shorts

FURTHEST = 30_000.0  # samples: what is further away, or nowhere, is outside of every picture


@inlined
def _steps(place: Any) -> Any:
    """Round a place as OpenCV does: to single precision, and then to 32nds."""
    near = place if abs(place) < FURTHEST else -FURTHEST
    return np.int32(np.rint(np.float64(np.float32(near)) * WHOLE))


@compiled(types.Array(types.float64, 1, "C"), PLACES, PLACES, BYTES, BYTES)
def project(matrix: NDArray[np.float64], columns: Shorts, rows: Shorts, across: Bytes, down: Bytes) -> None:
    """Fill a map with a projective one: `matrix` (9,) as in `Warp`."""
    height, width = columns.shape
    unit = np.float64(max(height, width))
    share, middle, centre = 1 / unit, width / 2, height / 2
    right, lower, away = matrix[0], matrix[3], matrix[6]  # not read in the loop: it would be no vector
    for y in range(height):
        below = (y + 0.5 - centre) / unit
        first = matrix[1] * below + matrix[2]
        second = matrix[4] * below + matrix[5]
        third = matrix[7] * below + matrix[8]
        for x in range(U(width)):
            beside = (np.float64(np.int32(x)) + 0.5 - middle) * share
            far = unit / (away * beside + third)
            place = (right * beside + first) * far + middle - 0.5
            line = (lower * beside + second) * far + centre - 0.5
            sideways, downwards = _steps(place), _steps(line)
            own = U(y) * U(width) + x
            columns[U(y), x], rows[U(y), x] = np.int16(sideways >> 5), np.int16(downwards >> 5)
            across[own], down[own] = np.uint8(sideways & 31), np.uint8(downwards & 31)


@compiled(types.float64, PLACES, PLACES, BYTES, BYTES)
def bend(strength: float, columns: Shorts, rows: Shorts, across: Bytes, down: Bytes) -> None:
    """Fill a map with a lens's, as in `Lens`."""
    height, width = columns.shape
    middle, centre = width / 2, height / 2
    corner, whole = middle * middle + centre * centre, 1 + max(0.0, strength)
    for y in range(height):
        below = y + 0.5 - centre
        for x in range(U(width)):
            beside = np.float64(np.int32(x)) + 0.5 - middle
            scale = (1 + strength * ((beside * beside + below * below) / corner)) / whole
            sideways, downwards = _steps(beside * scale + middle - 0.5), _steps(below * scale + centre - 0.5)
            own = U(y) * U(width) + x
            columns[U(y), x], rows[U(y), x] = np.int16(sideways >> 5), np.int16(downwards >> 5)
            across[own], down[own] = np.uint8(sideways & 31), np.uint8(downwards & 31)
