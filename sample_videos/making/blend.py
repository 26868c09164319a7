"""Self-blended images: a face laid over itself after small changes (Shiohara and Yamasaki, CVPR 2022).

Nobody changes identity; what remains is what every blending leaves: a border, and two statistics in one face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from sample_videos.making.compose import BLENDS, feather_of, outline, polygon_mask
from sample_videos.making.geometry import Image
from sample_videos.making.layout import Points, interocular
from sample_videos.making.timeline import drift


@dataclass(frozen=True, kw_only=True)
class SelfBlendSettings:
    """What is done to the copy before it is laid over the original.

    Attributes:
        brightness: added to L of CIELAB (0-255).
        warmth: added to b of CIELAB; half of it to a.
        contrast: factor on L around its mean.
        shift: offset of the copy, in distances between the eyes, x then y.
        scale: size of the copy.
        turn_degrees: rotation of the copy.
        detail: below 1 the copy is scaled down and up again by this factor; above 1 it is sharpened.
        ratio: weight of the copy inside the mask.
        forehead: see `compose.outline`.
        shrink: see `compose.outline`.
        feather: width of the soft border in distances between the eyes.
        blend: a name in `compose.BLENDS`.
    """

    brightness: float
    warmth: float
    contrast: float
    shift: tuple[float, float]
    scale: float
    turn_degrees: float
    detail: float
    ratio: float
    forehead: float
    shrink: float
    feather: float
    blend: str


def draw_settings(rng: np.random.Generator, *, strength: float = 1.0) -> SelfBlendSettings:
    """Settings for one clip; `strength` about 0.5 is hard to see, 1 is visible to someone who looks."""

    def sign() -> float:
        return float(rng.choice([-1.0, 1.0]))

    softer = rng.random() < 0.6
    return SelfBlendSettings(
        brightness=sign() * float(rng.uniform(5, 11)) * strength,
        warmth=sign() * float(rng.uniform(4, 8)) * strength,
        contrast=1 + sign() * float(rng.uniform(0.05, 0.14)) * strength,
        shift=(
            sign() * float(rng.uniform(0.02, 0.06)) * strength,
            sign() * float(rng.uniform(0.02, 0.06)) * strength,
        ),
        scale=1 + sign() * float(rng.uniform(0.02, 0.05)) * strength,
        turn_degrees=sign() * float(rng.uniform(0.5, 2.0)) * strength,
        detail=1 - float(rng.uniform(0.4, 0.6)) * strength if softer else 1 + 0.9 * strength,
        ratio=float(rng.choice([0.75, 0.9, 1.0])),
        forehead=float(rng.uniform(0.2, 0.7)),
        shrink=float(rng.uniform(0.02, 0.15)),
        feather=float(rng.uniform(0.08, 0.25)),
        blend=str(rng.choice(["alpha", "multiband"])),
    )


def changed_copy(frame: Image, points: Points, settings: SelfBlendSettings) -> Image:
    """The whole frame after the colour, detail and placement changes of `settings`."""
    height, width = frame.shape[:2]
    lab = cv2.cvtColor(frame, cv2.COLOR_BGR2LAB).astype(np.float32)
    inside = polygon_mask(outline(points), height=height, width=width, feather=0) > 0.5
    mean = float(lab[..., 0][inside].mean()) if inside.any() else 128.0
    lab[..., 0] = (lab[..., 0] - mean) * settings.contrast + mean + settings.brightness
    lab[..., 1] += settings.warmth / 2
    lab[..., 2] += settings.warmth
    copy = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)
    if settings.detail < 1:
        small = cv2.resize(copy, None, fx=settings.detail, fy=settings.detail, interpolation=cv2.INTER_AREA)
        copy = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    elif settings.detail > 1:
        soft = cv2.GaussianBlur(copy, (0, 0), 2.0)
        copy = cv2.addWeighted(copy, settings.detail, soft, 1 - settings.detail, 0)
    centre = points.mean(axis=0)
    matrix = cv2.getRotationMatrix2D(
        (float(centre[0]), float(centre[1])), settings.turn_degrees, settings.scale
    )
    unit = interocular(points)
    matrix[0, 2] += settings.shift[0] * unit
    matrix[1, 2] += settings.shift[1] * unit
    moved = cv2.warpAffine(
        copy, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, dtype=np.uint8)


def self_blend(frame: Image, points: Points, settings: SelfBlendSettings) -> Image:
    """One frame with its own changed face laid over it."""
    copy = changed_copy(frame, points, settings)
    border = outline(points, forehead=settings.forehead, shrink=settings.shrink)
    mask = polygon_mask(
        border, height=frame.shape[0], width=frame.shape[1], feather=feather_of(points, settings.feather)
    )
    return BLENDS[settings.blend](copy, frame, (mask * settings.ratio).astype(np.float32))


def self_blend_clip(
    frames: Sequence[Image],
    track: Sequence[Points],
    settings: SelfBlendSettings,
    rng: np.random.Generator,
) -> list[Image]:
    """A clip under one set of settings, of which place and colour wander slowly around their values."""
    curves = [drift(rng, len(frames), sigma=12.0) for _ in range(4)]
    made = []
    for index, (frame, points) in enumerate(zip(frames, track, strict=True)):
        a, b, c, d = (float(curve[index]) for curve in curves)
        now = replace(
            settings,
            shift=(settings.shift[0] + 0.012 * a, settings.shift[1] + 0.012 * b),
            turn_degrees=settings.turn_degrees + 0.4 * c,
            brightness=settings.brightness * (1 + 0.2 * d),
        )
        made.append(self_blend(frame, points, now))
    return made
