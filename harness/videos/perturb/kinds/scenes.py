"""Whole situations: a service's pipeline, a filmed screen, subtitles, a logo, a picture in the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from harness.videos.perturb.drawing import pictures as drawing
from harness.videos.perturb.drawing.blur import Scaled
from harness.videos.perturb.drawing.planes import Planes, Sprite
from harness.videos.perturb.drawing.warp import Warp, tilted
from harness.videos.perturb.generations import h264
from harness.videos.perturb.registry import Family, LifeStage, draw_seed, frame_generator, perturbation
from harness.videos.perturb.steps import Canvas, EditParts, RedrawTogether, Step, even, resized

SUBTITLE_SECONDS = 2.0


@perturbation(
    family=Family.AUGMENTER,
    stage=LifeStage.CODING,
    group="codec",
    unit="lines, at most; share of the size, at most; CRF",
    source="by eye, after what messengers send",
    lines=(720, 540, 480, 400, 360),
    share=(0.85, 0.75, 0.66, 0.58, 0.5),
    crf=(28.0, 30.0, 32.0, 34.0, 36.0),
)
def social_media(canvas: Canvas, rng: Generator, *, lines: int, share: float, crf: float) -> Step:
    """Imitate a messenger's or platform's pipeline: made smaller, sharpened, squeezed, then downloaded."""
    shorter = min(canvas.width, canvas.height)
    scale = max(min(share, lines / shorter), min(1.0, 64 / shorter))
    width, height = even(canvas.width * scale), even(canvas.height * scale)
    return Step(
        operation=Scaled(sharpening=0.6),
        generations=(h264(crf),),
        canvas=resized(canvas, width=width, height=height),
    )


@dataclass(frozen=True, kw_only=True)
class FilmedScreen:
    """The picture on a display, seen by a phone: tilt, moiré, tone and a wandering band."""

    warp: Warp
    grating: float  # share of light that the moiré takes
    gamma: float
    angle: float  # radians between display and sensor
    period: float  # pixels of the moiré

    def start(self, canvas: Canvas) -> RedrawTogether:
        """Apply the moiré, one picture of gains; a dark band wanders over it as the two clocks drift."""
        from harness.videos.perturb.drawing import toning  # noqa: PLC0415  (numba is slow to load)

        tilt = self.warp.start(canvas)
        one = _wave(canvas, self.angle, self.period)
        other = _wave(canvas, self.angle + np.pi / 2, self.period * 1.3)
        one *= other
        one *= -127.5 * self.grating
        one += 255.5 - 127.5 * self.grating  # in place, as are the others: a new array costs more than a sum
        gain = one.astype(np.uint8)
        curve = toning.Curve.of(self._tone)
        rows = np.arange(canvas.height)

        def film(planes: Planes, index: int) -> None:
            phase = 2 * np.pi * (rows / canvas.height * 1.5 - index / canvas.frames_per_second * 0.7)
            share = 1 - self.grating * 0.5 * np.maximum(0, np.sin(phase)) ** 4
            band = np.round(toning.ALL_OF_A_ROW * share).astype(np.uint16)
            toning.toned_and_dimmed(planes.y, curve, gain, band)

        def draw(sources: Sequence[Planes], targets: Sequence[Planes], first: int) -> None:
            tilt.draw(sources, targets, first)
            for number, planes in enumerate(targets):
                film(planes, first + number)

        return replace(tilt, draw=draw)

    def _tone(self, level: float) -> float:
        """Blacks are grey, and what is dark becomes darker."""
        light = min(1.0, max(0.0, (level - 16) / 219))
        return float(16 + 219 * (0.05 + 0.95 * light**self.gamma))


def _wave(canvas: Canvas, angle: float, period: float) -> NDArray[np.float32]:
    """(h, w) sin(2π (x cos + y sin) / period), from sines along the borders only."""
    x = 2 * np.pi / period * np.cos(angle) * np.arange(canvas.width)
    y = 2 * np.pi / period * np.sin(angle) * np.arange(canvas.height)[:, None]
    along: NDArray[np.float32] = np.sin(x).astype(np.float32) * np.cos(y).astype(np.float32)
    along += np.cos(x).astype(np.float32) * np.sin(y).astype(np.float32)
    return along


@perturbation(
    family=Family.AUGMENTER,
    stage=LifeStage.OPTICS,
    group="turn",
    unit="tilt of a corner, share; light taken by the moiré; exponent of luma",
    source="by eye",
    tilt=(0.015, 0.03, 0.045, 0.06, 0.08),
    moire=(0.08, 0.14, 0.2, 0.28, 0.36),
    gamma=(1.1, 1.2, 1.3, 1.4, 1.5),
)
def filmed_screen(canvas: Canvas, rng: Generator, *, tilt: float, moire: float, gamma: float) -> Step:
    """Imitate a phone filming a display: tilted, moiré, dull blacks, a wandering band."""
    corners = tilt * (0.3 + 0.7 * rng.random((4, 2)))
    return Step(
        operation=FilmedScreen(
            warp=tilted(corners, canvas),
            grating=moire,
            gamma=gamma,
            angle=round(float(rng.uniform(0.05, 0.5)), 4),
            period=round(max(4.0, float(rng.uniform(7, 12)) * canvas.unit), 3),
        )
    )


@dataclass(frozen=True, kw_only=True)
class Subtitles:
    """Lines at the bottom, others every two seconds."""

    lines: int
    size: float  # height of a line as a share of the picture's
    seed: int

    def start(self, canvas: Canvas) -> EditParts:
        """Draw the lines when they change; keep only the current ones."""
        hold = max(1, round(SUBTITLE_SECONDS * canvas.frames_per_second))
        height = max(8, round(self.size * canvas.height))
        current: dict[int, list[Sprite]] = {}

        def edit(planes: Planes, index: int) -> None:
            number = index // hold
            if number not in current:
                current.clear()
                current[number] = self._draw(number, height, canvas)
            for place, sprite in enumerate(reversed(current[number])):
                top = canvas.height - round((place + 1.3) * height * 1.25)
                sprite.paste(planes, (canvas.width - sprite.width) // 2, top)

        return EditParts(edit)

    def _draw(self, number: int, height: int, canvas: Canvas) -> list[Sprite]:
        rng = frame_generator(self.seed, number)
        sprites = []
        for _ in range(self.lines):
            text = drawing.pick_words(rng, int(rng.integers(3, 6)))
            image = drawing.words(text, height, (250, 250, 250), cv2.FONT_HERSHEY_DUPLEX, (0, 0, 0))
            widest = canvas.width * 9 // 10
            if image.shape[1] > widest:
                shorter = (widest, max(2, image.shape[0] * widest // image.shape[1]))
                image = np.asarray(cv2.resize(image, shorter, interpolation=cv2.INTER_AREA), np.uint8)
            sprites.append(Sprite.from_rgba(image))
        return sprites


@perturbation(
    family=Family.DISTRACTOR,
    stage=LifeStage.OVERLAY,
    group="text",
    unit="lines; height of a line as a share of the picture's",
    source="broadcasters use 0.05-0.06; by eye",
    lines=(1, 1, 2, 2, 3),
    size=(0.045, 0.065, 0.065, 0.08, 0.085),
)
def subtitles(canvas: Canvas, rng: Generator, *, lines: int, size: float) -> Step:
    """Burn in subtitles: white with a black rim, at the bottom."""
    return Step(operation=Subtitles(lines=lines, size=size, seed=draw_seed(rng)))


@dataclass(frozen=True, kw_only=True)
class Logo:
    """A mark in one corner for the whole video."""

    size: float  # width as a share of the shorter side
    opacity: float
    right: bool
    bottom: bool
    seed: int

    def start(self, canvas: Canvas) -> EditParts:
        """Draw once."""
        rng = frame_generator(self.seed, 0)
        pixels = max(10, round(self.size * min(canvas.width, canvas.height)))
        colour = drawing.pick_colour(rng)
        mark = drawing.shape("ring", pixels // 2, colour)
        name = drawing.words(
            drawing.pick_words(rng, 1)[:5], max(6, pixels // 4), colour, cv2.FONT_HERSHEY_DUPLEX
        )
        sheet = np.zeros((mark.shape[0] + name.shape[0], max(mark.shape[1], name.shape[1]), 4), np.uint8)
        left = (sheet.shape[1] - mark.shape[1]) // 2
        sheet[: mark.shape[0], left : left + mark.shape[1]] = mark
        left = (sheet.shape[1] - name.shape[1]) // 2
        sheet[mark.shape[0] :, left : left + name.shape[1]] = name
        sprite = Sprite.from_rgba(sheet, self.opacity)
        margin = round(0.03 * min(canvas.width, canvas.height))
        x = canvas.width - sprite.width - margin if self.right else margin
        y = canvas.height - sprite.height - margin if self.bottom else margin

        def edit(planes: Planes, index: int) -> None:
            sprite.paste(planes, x, y)

        return EditParts(edit)


@perturbation(
    family=Family.DISTRACTOR,
    stage=LifeStage.OVERLAY,
    group="logo",
    unit="width as a share of the shorter side; opacity",
    source="by eye",
    size=(0.12, 0.16, 0.2, 0.26, 0.34),
    opacity=(0.6, 0.7, 0.8, 0.9, 1.0),
)
def logo(canvas: Canvas, rng: Generator, *, size: float, opacity: float) -> Step:
    """Put a station's or a tool's mark in a corner."""
    right, bottom = rng.random(2) < 0.5
    return Step(
        operation=Logo(
            size=size, opacity=opacity, right=bool(right), bottom=bool(bottom), seed=draw_seed(rng)
        )
    )


@dataclass(frozen=True, kw_only=True)
class PictureInPicture:
    """The video once more, small, in a white frame in a corner."""

    size: float  # share of each side
    right: bool
    bottom: bool

    def start(self, canvas: Canvas) -> EditParts:
        """Shrink and copy plane by plane."""
        width, height = even(canvas.width * self.size), even(canvas.height * self.size)
        gap = even(0.03 * min(canvas.width, canvas.height))
        x = canvas.width - width - gap if self.right else gap
        y = canvas.height - height - gap if self.bottom else gap
        x, y = max(2, x // 2 * 2), max(2, y // 2 * 2)
        rim = max(2, even(gap * 0.25))

        def edit(planes: Planes, index: int) -> None:
            for plane, step, white in zip(planes.all, (1, 2, 2), (235, 128, 128), strict=True):
                size = (width // step, height // step)
                half = cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
                small = cv2.resize(half, size, interpolation=cv2.INTER_LINEAR)
                left, top, edge = x // step, y // step, rim // step
                framed = plane[
                    max(0, top - edge) : top + size[1] + edge, max(0, left - edge) : left + size[0] + edge
                ]
                planes.keep(framed)
                framed[:] = white
                target = plane[top : top + size[1], left : left + size[0]]
                target[:] = small[: target.shape[0], : target.shape[1]]

        return EditParts(edit)


@perturbation(
    family=Family.DISTRACTOR,
    stage=LifeStage.OVERLAY,
    group="inset",
    unit="share of each side",
    source="by eye",
    size=(0.16, 0.21, 0.26, 0.31, 0.36),
)
def picture_in_picture(canvas: Canvas, rng: Generator, *, size: float) -> Step:
    """Add the small window of a reaction video or a call: the same person a second time, so two faces."""
    right, bottom = rng.random(2) < 0.5
    return Step(operation=PictureInPicture(size=size, right=bool(right), bottom=bool(bottom)))
