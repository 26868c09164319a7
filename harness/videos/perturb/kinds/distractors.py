"""DFDC's distractors: text, shapes, dots and images laid over the picture, resting, drifting or jumping.

The face filters are in `faces`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from harness.videos.perturb.drawing import pictures as drawing
from harness.videos.perturb.drawing.planes import Planes, Sprite, yuv
from harness.videos.perturb.registry import (
    AudioEffect,
    Family,
    LifeStage,
    draw_seed,
    frame_generator,
    perturbation,
)
from harness.videos.perturb.steps import Canvas, EditFrame, EditParts, Step

DRIFT_PER_SECOND = 0.25  # of the picture's side; AugLy's 2% per frame is too fast to distract
SETUP = 2**32 - 1  # the frame number that stands for "before the first"


class Motion(StrEnum):
    """How a thing that is laid over the picture moves."""

    RESTING = "resting"
    DRIFTING = "drifting"
    JUMPING = "jumping"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a number of things are at each frame, as shares of the free width and height."""

    motion: Motion
    seed: int
    count: int
    frames_per_second: float

    def at(self, index: int) -> NDArray[np.float64]:
        """(count, 2) shares in [0, 1]."""
        if self.motion is Motion.JUMPING:
            return frame_generator(self.seed, index).random((self.count, 2))
        start, step = self._way
        if self.motion is Motion.RESTING:
            return start
        return 1 - np.abs((start + step * index) % 2 - 1)  # bounces off the borders

    @cached_property
    def _way(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(count, 2) shares at the first frame, and by how much they change to the next."""
        rng = frame_generator(self.seed, SETUP)
        start, angle = rng.random((self.count, 2)), rng.random(self.count) * 2 * np.pi
        step = DRIFT_PER_SECOND / self.frames_per_second * np.stack([np.cos(angle), np.sin(angle)], 1)
        return start, step


@dataclass(frozen=True, kw_only=True)
class Stickers:
    """Words, shapes or pictures laid over every frame."""

    content: str  # "text", "shapes" or "images"
    motion: Motion
    count: int
    size: float  # height (of text) or width, as a share of the shorter side
    seed: int

    def start(self, canvas: Canvas) -> EditParts:
        """Draw each thing once, then only paste."""
        rng = frame_generator(self.seed, SETUP - 1)
        pixels = max(8, round(self.size * min(canvas.width, canvas.height)))
        sprites = [self._draw(rng, pixels, canvas) for _ in range(self.count)]
        places = Places(
            motion=self.motion,
            seed=self.seed,
            count=self.count,
            frames_per_second=canvas.frames_per_second,
        )

        def edit(planes: Planes, index: int) -> None:
            for sprite, (across, down) in zip(sprites, places.at(index), strict=True):
                left = round(across * (canvas.width - sprite.width))
                top = round(down * (canvas.height - sprite.height))
                sprite.paste(planes, left, top)

        return EditParts(edit)

    def _draw(self, rng: Generator, pixels: int, canvas: Canvas) -> Sprite:
        colour = drawing.pick_colour(rng)
        if self.content == "text":
            outline = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
            font = drawing.FONTS[int(rng.integers(len(drawing.FONTS)))]
            text = drawing.pick_words(rng, int(rng.integers(1, 4)))
            image = drawing.words(text, pixels, colour, font, outline)
            return Sprite.from_rgba(image[:, : canvas.width])
        if self.content == "shapes":
            kind = drawing.SHAPES[int(rng.integers(len(drawing.SHAPES)))]
            return Sprite.from_rgba(drawing.shape(kind, pixels, colour))
        picture = drawing.PICTURES[int(rng.integers(len(drawing.PICTURES)))]
        return Sprite.from_rgba(picture(pixels))


@dataclass(frozen=True, kw_only=True)
class Dots:
    """Small filled discs over every frame."""

    motion: Motion
    count: int
    radius: float  # share of the shorter side
    seed: int

    def start(self, canvas: Canvas) -> EditFrame:
        """Colours once; discs are drawn straight into the planes."""
        from harness.videos.perturb.drawing.discs import Discs  # noqa: PLC0415  (loads the compiler)

        rng = frame_generator(self.seed, SETUP - 1)
        colours = np.array([yuv(*drawing.pick_colour(rng)) for _ in range(self.count)], np.uint8)
        luma, blue, red = np.ascontiguousarray(colours.T)
        radius = max(1, round(self.radius * min(canvas.width, canvas.height)))
        large, small = Discs(radius), Discs(max(1, radius // 2))
        extent = np.array([canvas.width - 1, canvas.height - 1])
        places = Places(
            motion=self.motion,
            seed=self.seed,
            count=self.count,
            frames_per_second=canvas.frames_per_second,
        )

        def edit(planes: Planes, index: int) -> None:
            centres = np.rint(places.at(index) * extent).astype(np.int32)
            large.draw(planes.y, centres, luma)
            small.draw(planes.u, centres // 2, blue)
            small.draw(planes.v, centres // 2, red)

        return edit


HOW = {
    Motion.RESTING: "at rest",
    Motion.DRIFTING: "drifting and bouncing off the borders",
    Motion.JUMPING: "at new places in every frame",
}


def _register(
    content: str, doc: str, make: Callable[..., Step], unit: str, **tables: tuple[float, ...]
) -> None:
    """One kind per motion, alike in everything else."""
    for motion in Motion:

        def step(canvas: Canvas, rng: Generator, _motion: Motion = motion, **strength: float) -> Step:
            return make(_motion, draw_seed(rng), **strength)

        step.__doc__ = f"{doc}, {HOW[motion]}."
        perturbation(
            name=f"{content}_{motion}",
            family=Family.DISTRACTOR,
            stage=LifeStage.OVERLAY,
            group=content,
            in_contest=True,
            unit=unit,
            source="AugLy's overlay of that name, scaled with the picture",
            audio=AudioEffect.KEPT,
            since=1,
            **tables,
        )(step)


def _stickers(content: str) -> Callable[..., Step]:
    def make(motion: Motion, seed: int, *, count: int, size: float) -> Step:
        return Step(operation=Stickers(content=content, motion=motion, count=count, size=size, seed=seed))

    return make


def _dots(motion: Motion, seed: int, *, count: int, radius: float) -> Step:
    return Step(operation=Dots(motion=motion, count=count, radius=radius, seed=seed))


_register(
    "text",
    "Put lines of text over the picture",
    _stickers("text"),
    "lines; height as a share of the shorter side",
    count=(1, 2, 3, 4, 6),
    size=(0.05, 0.06, 0.07, 0.08, 0.09),
)
_register(
    "shapes",
    "Draw filled discs, boxes, triangles and rings",
    _stickers("shapes"),
    "shapes; width as a share of the shorter side",
    count=(1, 2, 3, 5, 8),
    size=(0.08, 0.10, 0.11, 0.12, 0.13),
)
_register(
    "images",
    "Put small pictures and stickers over the picture",
    _stickers("images"),
    "pictures; width as a share of the shorter side",
    count=(1, 2, 3, 4, 6),
    size=(0.12, 0.14, 0.16, 0.18, 0.20),
)
_register(
    "dots",
    "Scatter small coloured dots over the picture",
    _dots,
    "dots; radius as a share of the shorter side",
    count=(30, 60, 120, 240, 400),
    radius=(0.003, 0.004, 0.005, 0.005, 0.006),
)
