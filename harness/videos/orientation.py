"""Which way up a picture is: what a display matrix asks a player to do, in two words."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

QUARTER_TOLERANCE_DEGREES = 1.0  # players round; a phone writes whole quarters
MATRIX_BYTES = 36


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """First the mirror, left to right, then the clockwise turn: together all eight ways a picture can lie."""

    mirrored: bool = False
    degrees: int = 0  # clockwise: 0, 90, 180 or 270

    @property
    def is_upright(self) -> bool:
        """Whether nothing is to be done."""
        return not self.mirrored and not self.degrees

    @property
    def swaps_sides(self) -> bool:
        """Whether width becomes height."""
        return self.degrees in {90, 270}

    @property
    def filters(self) -> tuple[str, ...]:
        """As libavfilter filters."""
        turns = {0: (), 90: ("transpose=clock",), 180: ("hflip", "vflip"), 270: ("transpose=cclock",)}
        mirror = {
            0: ("hflip",),
            90: ("transpose=clock_flip",),
            180: ("vflip",),
            270: ("transpose=cclock_flip",),
        }
        return (mirror if self.mirrored else turns)[self.degrees]


def read_display_matrix(content: bytes) -> Orientation:
    """Read the turn from the 3x3 matrix of a track header or a frame's side data (ISO/IEC 14496-12, 6.2.2).

    A point (x, y) of the picture, y downwards, is shown at (a x + c y, b x + d y); the rest of the matrix
    moves and scales, which no player does.

    Raises:
        ValueError: It turns the picture by what is not a quarter turn, or flattens it to a line; says which.
    """
    if len(content) < MATRIX_BYTES:
        return Orientation()
    numbers = [value / 65536 for value in struct.unpack("<9i", content[:MATRIX_BYTES])]
    a, b, c, d = numbers[0], numbers[1], numbers[3], numbers[4]
    if not any((a, b, c, d)):
        return Orientation()  # all zero: nothing was written there
    if abs(a * d - b * c) < 1e-6:
        raise ValueError("its display matrix flattens the picture to a line")
    # The mirror leaves the y axis alone, so where that axis goes is the turn.
    angle = float(np.rad2deg(np.arctan2(-c, d))) % 360
    quarter = round(angle / 90) * 90
    across = float(np.rad2deg(np.arctan2(b, a))) - (180 if a * d - b * c < 0 else 0)
    skew = abs((across - angle + 180) % 360 - 180)
    if skew > QUARTER_TOLERANCE_DEGREES:
        raise ValueError("its display matrix slants the picture")
    if abs(angle - quarter) > QUARTER_TOLERANCE_DEGREES:
        raise ValueError(f"its display matrix turns the picture by {angle:.1f}°, not by a quarter turn")
    return Orientation(mirrored=a * d - b * c < 0, degrees=quarter % 360)
