"""Laying a made face over a frame: masks, colour transfer and three ways to blend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from sample_videos.making.geometry import Image
from sample_videos.making.layout import FOREHEAD, JAW, LEFT_BROW, RIGHT_BROW, Points, interocular

Mask = npt.NDArray[np.float32]
"""H × W in [0, 1]; 1 where the made face replaces the frame."""


def outline(points: Points, *, forehead: float = 0.45, shrink: float = 0.06) -> Points:
    """The border of the face: the jaw, and the forehead up to a share of the way from brows to hairline.

    Args:
        points: 79 landmarks.
        forehead: 0 stops at the brows, 1 goes up to the hairline.
        shrink: how far the border is drawn towards the centre, as a share, to stay off hair and background.
    """
    brows = np.vstack([points[LEFT_BROW], points[RIGHT_BROW]])
    along = np.linspace(0, 1, len(FOREHEAD))
    brow_line = np.stack(
        [np.interp(along, np.linspace(0, 1, len(brows)), brows[:, axis]) for axis in (0, 1)], axis=1
    )
    top = brow_line + (points[FOREHEAD] - brow_line) * forehead
    border = np.vstack([points[JAW], top[::-1]])
    centre = points.mean(axis=0)
    return np.asarray(border + (centre - border) * shrink, dtype=np.float32)


def polygon_mask(border: Points, *, height: int, width: int, feather: float) -> Mask:
    """1 inside the convex hull of `border`, falling to 0 within about `feather` pixels inside its edge."""
    mask = np.zeros((height, width), dtype=np.uint8)
    hull = cv2.convexHull(border)
    cv2.fillConvexPoly(mask, np.round(hull * 16).astype(np.int32), 255, shift=4, lineType=cv2.LINE_AA)
    if feather < 0.5:
        return np.asarray(mask / 255, dtype=np.float32)
    radius = max(1, round(feather))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    soft = cv2.GaussianBlur(cv2.erode(mask, kernel), (0, 0), feather / 2)
    return np.asarray(soft / 255, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class ColourStatistics:
    """Mean and standard deviation of a face's three CIELAB planes (OpenCV's 8-bit scaling)."""

    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]


def colour_statistics(image: Image, mask: Mask) -> ColourStatistics:
    """Statistics of the pixels under the mask."""
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)[mask > 0.5].astype(np.float64)
    return ColourStatistics(mean=lab.mean(axis=0), deviation=lab.std(axis=0) + 1e-3)


def smooth_statistics(statistics: Sequence[ColourStatistics], sigma: float) -> list[ColourStatistics]:
    """Statistics of a clip, smoothed over time with a Gaussian of `sigma` frames."""
    means = smooth_over_time(np.stack([item.mean for item in statistics]), sigma)
    deviations = smooth_over_time(np.stack([item.deviation for item in statistics]), sigma)
    return [ColourStatistics(mean=m, deviation=d) for m, d in zip(means, deviations, strict=True)]


def smooth_over_time(values: npt.NDArray[np.floating], sigma: float) -> npt.NDArray[np.float64]:
    """Gaussian smoothing along the first axis, the ends mirrored."""
    series = np.asarray(values, dtype=np.float64)
    if sigma <= 0 or len(series) < 2:
        return series
    reach = min(int(4 * sigma) + 1, len(series) - 1)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    padded = np.concatenate([series[reach:0:-1], series, series[-2 : -reach - 2 : -1]])
    return np.apply_along_axis(lambda column: np.convolve(column, weights, mode="valid"), 0, padded)


def transfer_colour(
    image: Image, source: ColourStatistics, target: ColourStatistics, *, amount: float = 1.0
) -> Image:
    """`image` with its CIELAB statistics moved from `source` to `target` (Reinhard et al., 2001).

    `amount` 0 leaves the image as it is. Contrast changes by no more than a factor of 1.6 either way.
    """
    gain = 1 + (np.clip(target.deviation / source.deviation, 0.625, 1.6) - 1) * amount
    mean = source.mean + (target.mean - source.mean) * amount
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB).astype(np.float64)
    moved = np.clip((lab - source.mean) * gain + mean, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(moved, cv2.COLOR_LAB2BGR), dtype=np.uint8)


def alpha_blend(face: Image, frame: Image, mask: Mask) -> Image:
    """`face` over `frame`, weighted by the mask."""
    weight = mask[..., None]
    return np.round(face * weight + frame * (1 - weight)).astype(np.uint8)


def multiband_blend(face: Image, frame: Image, mask: Mask, *, levels: int = 4) -> Image:
    """Burt and Adelson's blend: coarse bands join over wide seams, fine bands over narrow ones."""
    step = 2**levels
    height, width = mask.shape
    pad = ((0, -height % step), (0, -width % step))
    a = np.pad(face.astype(np.float32), (*pad, (0, 0)), mode="edge")
    b = np.pad(frame.astype(np.float32), (*pad, (0, 0)), mode="edge")
    weight = np.pad(mask, pad, mode="edge")
    weights = [weight]
    bands: list[npt.NDArray[np.float32]] = []
    for _ in range(levels):
        small_a, small_b = cv2.pyrDown(a), cv2.pyrDown(b)
        high_a, high_b = a - cv2.pyrUp(small_a), b - cv2.pyrUp(small_b)
        bands.append(high_a * weights[-1][..., None] + high_b * (1 - weights[-1][..., None]))
        weights.append(np.asarray(cv2.pyrDown(weights[-1]), dtype=np.float32))
        a, b = np.asarray(small_a, dtype=np.float32), np.asarray(small_b, dtype=np.float32)
    blended = a * weights[-1][..., None] + b * (1 - weights[-1][..., None])
    for band in reversed(bands):
        blended = np.asarray(cv2.pyrUp(blended), dtype=np.float32) + band
    return np.clip(np.round(blended[:height, :width]), 0, 255).astype(np.uint8)


def poisson_blend(face: Image, frame: Image, mask: Mask) -> Image:
    """Seamless cloning (Pérez et al., 2003): the face's gradients, the frame's colours at the border.

    Where the mask is soft the result is faded into the frame, so that a border on hair does not bleed.
    A mask that is empty leaves the frame as it is.
    """
    pad = 8  # OpenCV needs room around the mask
    binary = cv2.copyMakeBorder((mask > 0.05).astype(np.uint8) * 255, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    x, y, w, h = cv2.boundingRect(binary)
    if w < 8 or h < 8:
        return frame.copy()
    padded_face = cv2.copyMakeBorder(face, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    padded_frame = cv2.copyMakeBorder(frame, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    cloned = cv2.seamlessClone(padded_face, padded_frame, binary, (x + w // 2, y + h // 2), cv2.NORMAL_CLONE)[
        pad:-pad, pad:-pad
    ]
    return alpha_blend(np.asarray(cloned, dtype=np.uint8), frame, np.clip(mask * 2, 0, 1).astype(np.float32))


Blend = Callable[[Image, Image, Mask], Image]
BLENDS: dict[str, Blend] = {"alpha": alpha_blend, "multiband": multiband_blend, "poisson": poisson_blend}


def feather_of(points: Points, share: float) -> float:
    """A feather in pixels, given as a share of the distance between the eyes."""
    return share * interocular(points)
