"""Local warps: mouth, eyes and brows moved while the rest of the picture stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sample_videos.making.geometry import Image, mesh_map, remap, rimmed_triangles, with_rim
from sample_videos.making.layout import (
    JAW,
    LEFT_BROW,
    LEFT_EYE,
    MOUTH,
    RIGHT_BROW,
    RIGHT_EYE,
    Points,
    interocular,
)
from sample_videos.making.timeline import drift, pulses


@dataclass(frozen=True, kw_only=True)
class Expression:
    """A change of expression; all zeros change nothing. Lengths in distances between the eyes.

    Attributes:
        jaw_drop: how far the lower lip and chin go down (negative: up).
        mouth_width: relative change of the mouth's width.
        smile: how far the mouth's corners go up.
        mouth_size: relative change of the mouth's size.
        eye_size: relative change of the eyes' size.
        eye_tilt: how far the outer corners of the eyes go up.
        brow_raise: how far the brows go up.
        slim: how far the jaw is drawn in, as a share of its distance to the middle line.
    """

    jaw_drop: float = 0.0
    mouth_width: float = 0.0
    smile: float = 0.0
    mouth_size: float = 0.0
    eye_size: float = 0.0
    eye_tilt: float = 0.0
    brow_raise: float = 0.0
    slim: float = 0.0

    def scaled(self, amount: float) -> Expression:
        """The same change, `amount` times as strong."""
        return Expression(**{name: value * amount for name, value in vars(self).items()})


def moved_points(points: Points, change: Expression) -> Points:
    """The landmarks after a change of expression, in axes that turn with the face."""
    unit = interocular(points)
    left, right = points[LEFT_EYE].mean(axis=0), points[RIGHT_EYE].mean(axis=0)
    across = (right - left) / unit
    down = np.array([-across[1], across[0]], dtype=np.float32)
    moved = points.astype(np.float32).copy()

    mouth = points[MOUTH].mean(axis=0)
    local = points[MOUTH] - mouth
    x, y = local @ across, local @ down
    x = x * (1 + change.mouth_width + change.mouth_size)
    y = y * (1 + change.mouth_size)
    half = max(float(np.abs(x).max()), 1e-6)
    y = y - change.smile * unit * (np.abs(x) / half) ** 2
    moved[MOUTH] = mouth + x[:, None] * across + y[:, None] * down
    middle = np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1))
    lower = np.zeros(len(MOUTH), dtype=np.float32)
    lower[[55 - 48, 56 - 48, 57 - 48, 58 - 48, 59 - 48]] = 1.0
    lower[[65 - 48, 66 - 48, 67 - 48]] = 1.0
    moved[MOUTH] += (change.jaw_drop * unit * lower * middle)[:, None] * down

    chin = np.exp(-0.5 * ((np.arange(len(JAW)) - 8) / 2.5) ** 2)
    moved[JAW] += (0.7 * change.jaw_drop * unit * chin)[:, None] * down
    nose_line = left + (right - left) / 2
    sideways = (points[JAW] - nose_line) @ across
    low = np.clip((points[JAW] - nose_line) @ down / unit, 0, 1)
    moved[JAW] -= (change.slim * low * sideways)[:, None] * across

    for eye, outer in ((LEFT_EYE, 0), (RIGHT_EYE, 3)):
        centre = points[eye].mean(axis=0)
        moved[eye] = centre + (points[eye] - centre) * (1 + change.eye_size)
        moved[eye[outer]] -= change.eye_tilt * unit * down
    for brow in (LEFT_BROW, RIGHT_BROW):
        moved[brow] -= change.brow_raise * unit * down
    return moved


def warp_expression(frame: Image, points: Points, change: Expression) -> Image:
    """One frame after a change of expression; nothing beyond one and a half face sizes moves.

    The mouth is stretched, not opened: no teeth or tongue are made up.
    """
    goal = moved_points(points, change)
    unit = interocular(points)
    rim = with_rim(points)
    target = np.vstack([goal, rim[len(points) :]]).astype(np.float32)
    mapping = mesh_map(
        rim, target, rimmed_triangles(), height=frame.shape[0], width=frame.shape[1], smooth=0.05 * unit
    )
    return remap(frame, mapping)


def draw_expression(rng: np.random.Generator, *, strength: float = 1.0) -> Expression:
    """A lasting change of mouth and eyes for one clip; at `strength` 1 visible beside the original."""

    def sign() -> float:
        return float(rng.choice([-1.0, 1.0]))

    return Expression(
        mouth_width=sign() * float(rng.uniform(0.08, 0.16)) * strength,
        smile=sign() * float(rng.uniform(0.03, 0.07)) * strength,
        mouth_size=sign() * float(rng.uniform(0.06, 0.14)) * strength,
        eye_size=float(rng.uniform(0.12, 0.22)) * strength,
        eye_tilt=sign() * float(rng.uniform(0.02, 0.05)) * strength,
        brow_raise=float(rng.uniform(0.03, 0.09)) * strength,
        slim=float(rng.uniform(0.02, 0.06)) * strength,
    )


def warp_clip(
    frames: Sequence[Image],
    track: Sequence[Points],
    change: Expression,
    rng: np.random.Generator,
    *,
    speech: float = 0.08,
    frames_per_second: float = 25.0,
) -> list[Image]:
    """A clip with a lasting change that wanders by a quarter, and false mouth openings on top.

    Args:
        frames: H × W × 3 BGR each.
        track: landmarks of each frame.
        change: the lasting change.
        rng: draws the wandering and the openings.
        speech: depth of the openings in distances between the eyes.
        frames_per_second: of `frames`; an opening lasts about a third of a second.
    """
    wander = 1 + 0.25 * drift(rng, len(frames), sigma=10.0)
    openings = speech * pulses(rng, len(frames), period=frames_per_second / 3)
    made = []
    for frame, points, amount, opening in zip(frames, track, wander, openings, strict=True):
        now = change.scaled(float(amount))
        spoken = Expression(**{**vars(now), "jaw_drop": now.jaw_drop + float(opening)})
        made.append(warp_expression(frame, points, spoken))
    return made
