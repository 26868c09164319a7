"""A picture made small and set into a plain frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.videos.perturb.drawing.planes import Plane, Planes, yuv
from harness.videos.perturb.steps import Canvas, Redraw


@dataclass(frozen=True, kw_only=True)
class Framed:
    """The picture in a part of the canvas, all round it one colour; luma may be sharpened."""

    left: int  # of the part, in pixels, even as all four are
    top: int
    width: int
    height: int
    colour: tuple[int, int, int]  # RGB
    sharpening: float = 0.0  # how much of what a 3x3 mean takes away is added

    def start(self, canvas: Canvas) -> Redraw:
        """Plane by plane; libavfilter's scaler takes three times as long."""
        from harness.videos.perturb.drawing.sharpening import sharpened_by_mean  # noqa: PLC0415  (compiler)
        from harness.videos.perturb.drawing.shrinking import shrunk  # noqa: PLC0415  (loads the compiler)

        colour = yuv(*self.colour)
        room = np.empty((self.height, self.width), np.uint8)

        def draw(source: Planes, target: Planes, index: int) -> None:
            for number, (before, after) in enumerate(zip(source.all, target.all, strict=True)):
                part = self._part(after, 2 if number else 1)
                _fill_around(after, part, colour[number])
                inside = after[part]
                sharpen = number == 0 and self.sharpening
                shrunk(before, (inside.shape[1], inside.shape[0]), into=room if sharpen else inside)
                if sharpen:
                    sharpened_by_mean(room, inside, self.sharpening)

        return Redraw(draw)

    def _part(self, plane: Plane, step: int) -> tuple[slice, slice]:
        rows = slice(self.top // step, (self.top + self.height) // step)
        return rows, slice(self.left // step, (self.left + self.width) // step)


def _fill_around(plane: Plane, part: tuple[slice, slice], value: int) -> None:
    rows, columns = part
    plane[: rows.start] = plane[rows.stop :] = value
    plane[rows, : columns.start] = plane[rows, columns.stop :] = value
