"""The generators of `sample_videos/`, applied to single crops: fakes of another hand than those of fakes.py.

Those functions want 79 landmarks; from YuNet's five the rest is guessed, which is good enough for a face seen
from the front. Settings are drawn anew for each fake, over wider ranges than the sample clips used.

Not covered: their movement over time (a crop is one moment; a run of frames under one seed has one setting).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import cv2
import numpy as np

from sample_videos.making.blend import draw_settings, self_blend
from sample_videos.making.layout import from_five
from sample_videos.making.mean_face import MEAN_FACE
from sample_videos.making.resynthesis import FaceSpace, face_texture, fit_face_space, placed_texture
from sample_videos.making.swap import SwapSettings, lay_over, shared_shape, swap_face
from sample_videos.making.warp import draw_expression, warp_expression

from .fakes import Crop, Points, RealFace

TEXTURES = 32  # per person, to learn a face space from
COMPONENTS = (8, 21)  # kept of a face space


def dense(face: RealFace) -> Points:
    """The 79 landmarks guessed from the five of a face."""
    return from_five(face.landmarks, MEAN_FACE)


def draw_swap(rng: np.random.Generator) -> SwapSettings:
    """Settings of a swap."""
    return SwapSettings(
        shape=float(rng.uniform(0, 0.4)),
        colour=float(rng.uniform(0.7, 1)),
        blend=str(rng.choice(["poisson", "multiband", "alpha"], p=[0.45, 0.35, 0.2])),
        feather=float(rng.uniform(0.08, 0.3)),
        forehead=float(rng.uniform(0.2, 0.6)),
    )


class FaceSpaces:
    """One person's face as principal components; learnt when first asked for."""

    def __init__(self, faces: Sequence[RealFace]) -> None:
        step = max(1, len(faces) // TEXTURES)
        self.faces = tuple(faces[::step][:TEXTURES])

    @cached_property
    def whole(self) -> FaceSpace:
        """As many components as there are textures for, at most the largest number that is used."""
        textures = [face_texture(_bgr(face.crop), dense(face)) for face in self.faces]
        return fit_face_space(textures, components=min(COMPONENTS[1], len(textures) - 1))

    def of(self, components: int) -> FaceSpace:
        """The space cut down to its strongest components."""
        return replace(self.whole, components=self.whole.components[:components])


def studio_self_blend(face: RealFace, donor: RealFace, rng: np.random.Generator) -> Crop:
    """The face laid over itself. The donor is not used."""
    settings = draw_settings(rng, strength=float(rng.uniform(0.5, 1.15)))
    return _rgb(self_blend(_bgr(face.crop), dense(face), settings))


def studio_warp(face: RealFace, donor: RealFace, rng: np.random.Generator) -> Crop:
    """Mouth, eyes, brows and jaw moved, as in one moment of speech. The donor is not used."""
    change = draw_expression(rng, strength=float(rng.uniform(0.6, 1.3)))
    opened = replace(change, jaw_drop=float(rng.uniform(0, 0.12)))
    return _rgb(warp_expression(_bgr(face.crop), dense(face), opened))


def studio_swap(face: RealFace, donor: RealFace, rng: np.random.Generator) -> Crop:
    """The donor's face, bent, coloured and blended in."""
    made = swap_face(_bgr(face.crop), dense(face), _bgr(donor.crop), dense(donor), draw_swap(rng))
    return _rgb(made)


def studio_pca_swap(face: RealFace, donors: FaceSpaces, rng: np.random.Generator) -> Crop:
    """The donor's face, drawn from a few of its principal components."""
    donor = donors.faces[rng.integers(len(donors.faces))]
    return _painted(face, donor, donors.of(int(rng.integers(*COMPONENTS))), draw_swap(rng))


def studio_pca_resynthesis(face: RealFace, own: FaceSpaces, rng: np.random.Generator) -> Crop:
    """The face itself, sent through a few principal components of its own person."""
    settings = replace(draw_swap(rng), shape=0.0)
    return _painted(face, face, own.of(int(rng.integers(*COMPONENTS))), settings)


def _painted(face: RealFace, donor: RealFace, space: FaceSpace, settings: SwapSettings) -> Crop:
    frame, points = _bgr(face.crop), dense(face)
    texture = space.decode(space.encode(face_texture(_bgr(donor.crop), dense(donor), space.size)))
    goal = shared_shape(points, dense(donor), settings.shape)
    drawn = placed_texture(texture, goal, height=frame.shape[0], width=frame.shape[1])
    return _rgb(lay_over(frame, points, drawn, settings))


def _bgr(crop: Crop) -> Crop:
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), np.uint8)


def _rgb(crop: Crop) -> Crop:
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB), np.uint8)


# By name: those that take a donor's face, and those that take a person's space (the donor's, one's own).
WITH_FACE: dict[str, Callable[[RealFace, RealFace, np.random.Generator], Crop]] = {
    "studio_self_blend": studio_self_blend,
    "studio_warp": studio_warp,
    "studio_swap": studio_swap,
}
WITH_DONOR_SPACE: dict[str, Callable[[RealFace, FaceSpaces, np.random.Generator], Crop]] = {
    "studio_pca_swap": studio_pca_swap,
}
WITH_OWN_SPACE: dict[str, Callable[[RealFace, FaceSpaces, np.random.Generator], Crop]] = {
    "studio_pca_resynthesis": studio_pca_resynthesis,
}
