"""8-bit 4:2:0 pictures as three NumPy planes, edited in place without a trip through RGB.

The conversion to RGB and back costs more than most perturbations, so colours are converted instead: once per
thing that is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import av
import numpy as np
from av.video.plane import VideoPlane
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
BLACK, MID, WHITE = 16, 128, 235  # limited range: black, no colour, white


def scalar(value: float) -> Any:
    """Return one number as OpenCV's arithmetic takes it beside a picture; its stubs know no such argument."""
    return (value,)


class Yuv(NamedTuple):
    """One colour, limited range, BT.601."""

    y: int
    u: int
    v: int


class Before:
    """What parts of a picture held that is drawn on: for one picture after another, in the same memory."""

    def __init__(self) -> None:
        self._parts: list[tuple[Plane, Plane]] = []
        self._room, self._used = np.empty(0, np.uint8), 0

    def keep(self, part: Plane) -> None:
        """Copy a view into the picture, and remember where it is."""
        if self._used + part.size > self._room.size:  # what is kept already keeps its own memory
            self._room, self._used = np.empty(2 * (self._used + part.size), np.uint8), 0
        begin, self._used = self._used, self._used + part.size
        content = self._room[begin : self._used].reshape(part.shape)
        content[:] = part
        self._parts.append((part, content))

    def put_back(self) -> None:
        """Give the picture back as it was; the last change is undone first."""
        while self._parts:
            part, content = self._parts.pop()
            part[:] = content
        self._used = 0


@dataclass(frozen=True, kw_only=True)
class Planes:
    """Views into one picture, which writing changes: `y` (height, width), `u` and `v` (height/2, width/2)."""

    y: Plane
    u: Plane
    v: Plane
    before: Before | None = None  # of a lent picture

    @property
    def all(self) -> tuple[Plane, Plane, Plane]:
        """The three planes, luma first."""
        return self.y, self.u, self.v

    @staticmethod
    def of(frame: av.VideoFrame) -> Planes:
        """Writable views into a yuv420p frame with even sizes; copies the frame first if it is shared."""
        frame.make_writable()
        width, height = frame.width, frame.height
        y, u, v = frame.planes
        return Planes(
            y=_view(y, width, height),
            u=_view(u, width // 2, height // 2),
            v=_view(v, width // 2, height // 2),
        )

    @staticmethod
    def reading(frame: av.VideoFrame) -> Planes:
        """Return views that must not be written to: the decoder may still refer to the frame. Any size."""
        width, height = frame.width, frame.height
        y, u, v = frame.planes
        half_width, half_height = (width + 1) // 2, (height + 1) // 2
        return Planes(
            y=_view(y, width, height),
            u=_view(u, half_width, half_height),
            v=_view(v, half_width, half_height),
        )

    @staticmethod
    def lent(frame: av.VideoFrame, before: Before) -> Planes:
        """Return views that may be written to, once `keep` knows where."""
        views = Planes.reading(frame)
        return Planes(y=views.y, u=views.u, v=views.v, before=before)

    def keep(self, *parts: Plane) -> None:
        """Keep what these views into the planes hold, which is about to change, if the picture is lent."""
        if self.before is not None:
            for part in parts:
                self.before.keep(part)

    @staticmethod
    def blank(width: int, height: int) -> Planes:
        """Make a black picture in its own memory."""
        return Planes(
            y=np.full((height, width), BLACK, np.uint8),
            u=np.full((height // 2, width // 2), MID, np.uint8),
            v=np.full((height // 2, width // 2), MID, np.uint8),
        )

    def copy(self) -> Planes:
        """Copy the picture into its own memory."""
        return Planes(y=self.y.copy(), u=self.u.copy(), v=self.v.copy())

    def assign(self, other: Planes) -> None:
        """Take over another picture of the same size."""
        for mine, theirs in zip(self.all, other.all, strict=True):
            mine[:] = theirs


def _view(plane: VideoPlane, width: int, height: int) -> Plane:
    content: Any = plane  # offers Python's buffer protocol, which its type stubs do not say
    return np.ndarray((height, width), np.uint8, content, 0, (plane.line_size, 1))


def yuv(red: float, green: float, blue: float) -> Yuv:
    """Convert a colour from RGB in 0..255 to limited-range BT.601 (ITU-R BT.601-7, 2.5.1 and 2.5.2)."""
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return Yuv(
        round(16 + luma * 219 / 255),
        round(128 + (blue - luma) / 1.772 * 224 / 255),
        round(128 + (red - luma) / 1.402 * 224 / 255),
    )


@dataclass(frozen=True, kw_only=True)
class Sprite:
    """A small picture with transparency, ready to be laid over planes.

    Sizes are even. Alpha is 0..256 in 16 bits: 256 is opaque, so that a shift by 8 is exact.
    """

    planes: Planes
    alpha: NDArray[np.uint16]
    alpha_half: NDArray[np.uint16]

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.alpha.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.alpha.shape[0])

    @staticmethod
    def from_rgba(image: NDArray[np.uint8], opacity: float = 1.0) -> Sprite:
        """Convert an (h, w, 4) RGBA picture; padded with transparency to even sizes."""
        from harness.videos.perturb.drawing.inks import converted  # noqa: PLC0415  (loads the compiler)

        height, width = (even_above(side) for side in image.shape[:2])
        planes = Planes.blank(width, height)
        alpha, half = (np.empty((height // step, width // step), np.uint16) for step in (1, 2))
        converted(image, opacity, planes, alpha, half)
        return Sprite(planes=planes, alpha=alpha, alpha_half=half)

    def paste(self, onto: Planes, left: int, top: int) -> None:
        """Lay it over a picture with its corner at (left, top), rounded to even; clipped at the borders."""
        from harness.videos.perturb.drawing.blending import pasted  # noqa: PLC0415  (loads the compiler)

        left, top = left // 2 * 2, top // 2 * 2
        for plane, step in zip(onto.all, (1, 2, 2), strict=True):
            first, above = max(0, left // step), max(0, top // step)
            onto.keep(
                plane[above : max(0, top + self.height) // step, first : max(0, left + self.width) // step]
            )
        weights = self.alpha.reshape(-1), self.alpha_half.reshape(-1)
        pasted(onto, self.planes, weights, left, top)


def even_above(size: int) -> int:
    """Return the nearest even number not below `size`."""
    return size + size % 2
