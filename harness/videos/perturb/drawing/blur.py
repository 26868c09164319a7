"""Blur at the resolution where it costs little: what a wide blur leaves fits a smaller picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from harness.videos.perturb.drawing.planes import Plane, Planes
from harness.videos.perturb.steps import Canvas, Redraw

# Averaging blocks of k pixels and enlarging in straight lines blur by themselves: variances, pixels squared.
OWN_VARIANCE = {k: (k * k - 1) / 12 + k * k / 6 for k in (2, 4, 8)}
FROM_SIGMA = {2: 1.3, 4: 4.0, 8: 8.5}  # below, the straight lines would show


def blurred(plane: Plane, sigma: float, *, into: Plane | None = None) -> Plane:
    """Blur by a Gaussian of this deviation in pixels; on pictures, within 6 of 255 of the exact one.

    `into` is a plane of the same size to write to; it may be `plane` itself.
    """
    shrink = next((k for k in (8, 4, 2) if sigma >= FROM_SIGMA[k]), 1)
    if shrink == 1 or min(plane.shape) < 4 * shrink:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, dst=into), np.uint8)
    height, width = plane.shape
    small = halved(plane, shrink)
    rest = float(np.sqrt(sigma**2 - OWN_VARIANCE[shrink])) / shrink
    soft = cv2.GaussianBlur(small, (0, 0), rest)
    return np.asarray(cv2.resize(soft, (width, height), dst=into, interpolation=cv2.INTER_LINEAR), np.uint8)


def halved(plane: Plane, shrink: int) -> Plane:
    """Averages over blocks of 2, 4 or 8 pixels; OpenCV has a fast way for halves only."""
    while shrink > 1:
        size = (max(1, plane.shape[1] // 2), max(1, plane.shape[0] // 2))
        plane = np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
        shrink //= 2
    return plane


def shrunk(plane: Plane, size: tuple[int, int], *, into: Plane | None = None) -> Plane:
    """Shrink to (width, height) by halves, and by straight lines for the rest, which is less than a half.

    A plane that is smaller is enlarged. `into` is a plane of that size to write to.
    """
    height, width = plane.shape
    shrink = next(k for k in (8, 4, 2, 1) if k == 1 or (k * size[0] <= width and k * size[1] <= height))
    small = halved(plane[: height // shrink * shrink, : width // shrink * shrink], shrink)
    if height % shrink == 0 and width % shrink == 0:
        return np.asarray(cv2.resize(small, size, dst=into, interpolation=cv2.INTER_LINEAR), np.uint8)
    # What is left over at the far ends is no whole sample, but counts in where everything else belongs.
    across, down = width / shrink / size[0], height / shrink / size[1]
    places = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5]])
    look_up, rim = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(small, places, size, dst=into, flags=look_up, borderMode=rim), np.uint8)


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """The picture in the size of the canvas, and luma sharpened."""

    sharpening: float = 0.0  # how much of what a 3x3 mean takes away is added

    def start(self, canvas: Canvas) -> Redraw:
        """Plane by plane; libavfilter's scaler takes four times as long."""

        def draw(source: Planes, target: Planes, index: int) -> None:
            for before, after in zip(source.all, target.all, strict=True):
                shrunk(before, (after.shape[1], after.shape[0]), into=after)
            if self.sharpening:
                soft = cv2.blur(target.y, (3, 3))
                cv2.addWeighted(target.y, 1 + self.sharpening, soft, -self.sharpening, 0, dst=target.y)

        return Redraw(draw)


@dataclass(frozen=True, kw_only=True)
class SoftBlur:
    """A Gaussian blur of the whole picture."""

    sigma: float  # pixels

    def start(self, canvas: Canvas) -> Redraw:
        """Colour has half the resolution, so half the blur."""

        def draw(source: Planes, target: Planes, index: int) -> None:
            for before, after, step in zip(source.all, target.all, (1, 2, 2), strict=True):
                blurred(before, self.sigma / step, into=after)

        return Redraw(draw)
