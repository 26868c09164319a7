"""From a planned fake to its frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sample_videos.making.blend import draw_settings, self_blend_clip
from sample_videos.making.geometry import Image
from sample_videos.making.layout import Points
from sample_videos.making.plan import Fake
from sample_videos.making.resynthesis import (
    face_texture,
    fit_driver,
    fit_face_space,
    paint_clip,
    resynthesise_clip,
)
from sample_videos.making.swap import SwapSettings, swap_clip
from sample_videos.making.warp import draw_expression, warp_clip


@dataclass(frozen=True, kw_only=True)
class Footage:
    """Frames of one person, H × W × 3 BGR, and their landmarks; frame sizes may differ."""

    frames: Sequence[Image]
    track: Sequence[Points]


def make_fake(
    clip: Footage,
    fake: Fake,
    *,
    donor: Footage | None,
    frames_per_second: float,
    rng: np.random.Generator,
) -> list[Image]:
    """The frames of the fake clip; pixels far from the face are those of the real one.

    Args:
        clip: the real frames.
        fake: method and settings.
        donor: footage of the person whose face is borrowed: somebody else's for `face_swap` and `pca_swap`,
            the same person's for `pca_resynthesis`; the other methods need none.
        frames_per_second: of the clip.
        rng: draws what the plan leaves open.

    Raises:
        ValueError: an unknown method, or a method that needs a donor and has none.
    """
    left, top, right, bottom = face_region(clip)
    shift = np.array([left, top], dtype=np.float32)
    near = Footage(
        frames=[frame[top:bottom, left:right] for frame in clip.frames],
        track=[points - shift for points in clip.track],
    )
    made = []
    faces = _make_near(near, fake, donor=donor, frames_per_second=frames_per_second, rng=rng)
    for frame, face in zip(clip.frames, faces, strict=True):
        whole = frame.copy()
        whole[top:bottom, left:right] = face
        made.append(whole)
    return made


def face_region(clip: Footage) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what a fake can touch in any frame: the face and 0.3 of it on each side.

    A warp dies away at 1.5 half sizes from the centre, that is 0.25 of the face beyond it.
    """
    height, width = clip.frames[0].shape[:2]
    low = np.min([points.min(axis=0) - 0.3 * np.ptp(points, axis=0) for points in clip.track], axis=0)
    high = np.max([points.max(axis=0) + 0.3 * np.ptp(points, axis=0) for points in clip.track], axis=0)
    left, top = np.maximum(low, 0).astype(int)
    right, bottom = np.minimum(high + 1, (width, height)).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _make_near(
    clip: Footage,
    fake: Fake,
    *,
    donor: Footage | None,
    frames_per_second: float,
    rng: np.random.Generator,
) -> list[Image]:
    settings = SwapSettings(shape=fake.shape, colour=fake.colour, blend=fake.blend, feather=fake.feather)
    if fake.method == "self_blend":
        return self_blend_clip(clip.frames, clip.track, draw_settings(rng, strength=fake.strength), rng)
    if fake.method == "warp":
        change = draw_expression(rng, strength=fake.strength)
        return warp_clip(
            clip.frames,
            clip.track,
            change,
            rng,
            speech=0.1 * fake.strength,
            frames_per_second=frames_per_second,
        )
    if donor is None:
        raise ValueError(f"{fake.method!r} is unknown, or needs footage of a donor")
    if fake.method == "face_swap":
        return swap_clip(clip.frames, clip.track, donor.frames, donor.track, settings)
    textures = [face_texture(frame, points) for frame, points in zip(donor.frames, donor.track, strict=True)]
    space = fit_face_space(textures, components=fake.components)
    if fake.method == "pca_resynthesis":
        return resynthesise_clip(clip.frames, clip.track, space, settings)
    if fake.method == "pca_swap":
        driver = fit_driver(donor.track, [space.encode(texture) for texture in textures])
        shape = np.mean(np.stack(list(donor.track)), axis=0).astype(np.float32)
        return paint_clip(
            clip.frames, clip.track, driver.drive(clip.track), space, settings, donor_shape=shape
        )
    raise ValueError(f"unknown method {fake.method!r}")
