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


@dataclass(frozen=True, kw_only=True)
class Planes:
    """Views into one picture, which writing changes: `y` (height, width), `u` and `v` (height/2, width/2)."""

    y: Plane
    u: Plane
    v: Plane

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
    rows: Plane = np.frombuffer(content, np.uint8).reshape(-1, plane.line_size)
    return rows[:height, :width]


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

    planes: tuple[Plane, Plane, Plane]
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
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0))).astype(np.float32)
        red, green, blue, alpha = np.moveaxis(padded, 2, 0)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        weight = alpha / 255
        half = _halve(weight)
        # Colour is averaged with its alpha as weight, so that transparent black does not bleed into edges.
        shade = np.maximum(half, 1e-6)
        u = _halve((128 + (blue - luma) / 1.772 * 224 / 255) * weight) / shade
        v = _halve((128 + (red - luma) / 1.402 * 224 / 255) * weight) / shade
        return Sprite(
            planes=(_bytes(16 + luma * 219 / 255), _bytes(u), _bytes(v)),
            alpha=np.round(weight * opacity * 256).astype(np.uint16),
            alpha_half=np.round(half * opacity * 256).astype(np.uint16),
        )

    def paste(self, onto: Planes, left: int, top: int) -> None:
        """Lay it over a picture with its corner at (left, top), rounded to even; clipped at the borders."""
        from harness.videos.perturb.drawing.blending import laid  # noqa: PLC0415  (loads the compiler)

        left, top = left // 2 * 2, top // 2 * 2
        height, width = onto.y.shape
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(width, left + self.width), min(height, top + self.height)
        if x0 >= x1 or y0 >= y1:
            return
        alphas = (self.alpha, self.alpha_half, self.alpha_half)
        for index, (target, source, alpha) in enumerate(zip(onto.all, self.planes, alphas, strict=True)):
            step = 1 if index == 0 else 2
            place = np.s_[y0 // step : y1 // step, x0 // step : x1 // step]
            own = np.s_[(y0 - top) // step : (y1 - top) // step, (x0 - left) // step : (x1 - left) // step]
            laid(target[place], source[own], alpha[own])


def _halve(plane: NDArray[Any]) -> NDArray[np.float64]:
    halved: NDArray[np.float64] = (
        plane[0::2, 0::2] + plane[0::2, 1::2] + plane[1::2, 0::2] + plane[1::2, 1::2]
    ) / 4
    return halved


def _bytes(plane: NDArray[Any]) -> Plane:
    rounded: Plane = np.clip(np.round(plane), 0, 255).astype(np.uint8)
    return rounded
