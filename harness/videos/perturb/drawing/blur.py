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
    """Blur by a Gaussian of this deviation in pixels, nearly.

    On pictures a sample differs from the exact one by 11 of 255 at most, and by 0.6 on average.

    `into` is a plane of the same size to write to; it may be `plane` itself.
    """
    if (shrink := _shrink(plane, sigma)) == 1:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, dst=into), np.uint8)
    from harness.videos.perturb.drawing.scaling import enlarged  # noqa: PLC0415  (loads the compiler)

    soft, _ = coarsely_blurred(plane, sigma)
    result = np.empty(plane.shape, np.uint8) if into is None else into
    enlarged(soft, result, shrink)
    return result


def _shrink(plane: Plane, sigma: float) -> int:
    shrink = next((k for k in (8, 4, 2) if sigma >= FROM_SIGMA[k]), 1)
    return 1 if min(plane.shape) < 4 * shrink else shrink


def coarsely_blurred(plane: Plane, sigma: float) -> tuple[Plane, int]:
    """Return what `blurred` enlarges, and how many times."""
    from harness.videos.perturb.drawing.softening import softened  # noqa: PLC0415  (loads the compiler)

    if (shrink := _shrink(plane, sigma)) == 1:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.uint8), 1
    rest = float(np.sqrt(sigma**2 - OWN_VARIANCE[shrink])) / shrink
    return softened(halved(plane, shrink), rest), shrink


def halved(plane: Plane, shrink: int) -> Plane:
    """Averages over blocks of 1, 2, 4 or 8 pixels a side; what a last block lacks repeats its end."""
    from harness.videos.perturb.drawing.scaling import averaged_blocks  # noqa: PLC0415  (loads the compiler)

    return averaged_blocks(plane, shrink)


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """The picture in the size of the canvas, and luma sharpened."""

    sharpening: float = 0.0  # how much of what a 3x3 mean takes away is added

    def start(self, canvas: Canvas) -> Redraw:
        """Plane by plane; libavfilter's scaler takes four times as long."""
        from harness.videos.perturb.drawing.shrinking import shrunk  # noqa: PLC0415  (loads the compiler)

        def draw(source: Planes, target: Planes, index: int) -> None:
            for before, after, amount in zip(source.all, target.all, (self.sharpening, 0, 0), strict=True):
                shrunk(before, (after.shape[1], after.shape[0]), into=after, sharpening=amount)

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
