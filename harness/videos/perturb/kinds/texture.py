"""Sharpness, blocks and grain beyond the contest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from harness.videos.perturb.drawing.blur import blurred, halved
from harness.videos.perturb.drawing.planes import BLACK, MID, WHITE, Plane, Planes
from harness.videos.perturb.generations import motion_jpeg
from harness.videos.perturb.registry import Family, LifeStage, draw_seed, frame_generator, perturbation
from harness.videos.perturb.steps import Canvas, EditFrame, EditParts, Redraw, Step

AUGMENTER = Family.AUGMENTER
BANK_MARGIN = 64  # grain is one picture of noise, laid on at a new place in every frame


@dataclass(frozen=True, kw_only=True)
class Sharpen:
    """Unsharp mask on luma: value + amount × (value - blurred)."""

    amount: float
    sigma: float  # pixels

    def start(self, canvas: Canvas) -> Redraw:
        """Blur and combine."""
        from harness.videos.perturb.drawing.sharpening import sharpened  # noqa: PLC0415  (loads the compiler)

        def draw(source: Planes, target: Planes, index: int) -> None:
            sharpened(source.y, blurred(source.y, self.sigma), target.y, self.amount)
            target.u[:], target.v[:] = source.u, source.v

        return Redraw(draw)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="sharpness",
    unit="amount of unsharp mask, σ 1.2 pixels at 720 lines",
    source="our own, by eye",
    amount=(0.8, 1.6, 2.8, 4.5, 7.0),
)
def sharpening(canvas: Canvas, rng: Generator, *, amount: float) -> Step:
    """Sharpen as a phone or an editor does, with halos when harsh."""
    return Step(operation=Sharpen(amount=amount, sigma=round(max(0.8, 1.2 * canvas.unit), 3)))


@dataclass(frozen=True, kw_only=True)
class StraightBlur:
    """Average along one axis, as a moving camera does."""

    pixels: int
    upright: bool

    def start(self, canvas: Canvas) -> Redraw:
        """Colour at half length."""
        from harness.videos.perturb.drawing.averages import averaged  # noqa: PLC0415  (loads the compiler)

        def draw(source: Planes, target: Planes, index: int) -> None:
            for before, after, step in zip(source.all, target.all, (1, 2, 2), strict=True):
                averaged(before, after, max(1, self.pixels // step | 1), upright=self.upright)

        return Redraw(draw)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.OPTICS,
    group="blur",
    unit="length in pixels at 720 lines",
    source="our own, by eye",
    length=(5, 9, 14, 21, 30),
)
def motion_blur(canvas: Canvas, rng: Generator, *, length: int) -> Step:
    """Blur as a camera does that pans or shakes, sideways or up and down."""
    return Step(
        operation=StraightBlur(pixels=max(3, round(length * canvas.unit)), upright=bool(rng.random() < 0.3))
    )


@dataclass(frozen=True, kw_only=True)
class Defocus:
    """Convolve with a disc; large discs on a smaller picture, where they cost nothing."""

    radius: float  # pixels

    def start(self, canvas: Canvas) -> Redraw:
        """Apply a disc of about three pixels at the scale where it is that small."""
        # These load the compiler, for which nobody should wait who draws nothing.
        from harness.videos.perturb.drawing.scaling import enlarged  # noqa: PLC0415  (compiler)
        from harness.videos.perturb.drawing.softening import convolved  # noqa: PLC0415  (compiler)

        def convolve(plane: Plane, into: Plane, radius: float) -> None:
            shrink = 1 << min(3, max(0, math.ceil(math.log2(radius / 3))))
            soft = convolved(halved(plane, shrink), _disc(radius / shrink))
            if shrink == 1:
                into[:] = soft
            else:
                enlarged(soft, into, shrink)

        def draw(source: Planes, target: Planes, index: int) -> None:
            for before, after, step in zip(source.all, target.all, (1, 2, 2), strict=True):
                convolve(before, after, self.radius / step)

        return Redraw(draw)


@cache
def _disc(radius: float) -> NDArray[np.uint16]:
    """Return its lower right quarter, with the middle."""
    from harness.videos.perturb.drawing.softening import whole_numbers  # noqa: PLC0415  (loads the compiler)

    y, x = np.indices((int(np.ceil(radius)) + 1,) * 2)
    return whole_numbers(np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.OPTICS,
    group="blur",
    unit="radius in pixels at 720 lines",
    source="our own, by eye",
    radius=(2.0, 3.5, 5.5, 8.0, 11.0),
)
def defocus(canvas: Canvas, rng: Generator, *, radius: float) -> Step:
    """Blur as a lens focused elsewhere does: highlights become discs."""
    return Step(operation=Defocus(radius=round(max(1.0, radius * canvas.unit), 3)))


@dataclass(frozen=True, kw_only=True)
class Pixelate:
    """Averages over square blocks."""

    block: int  # pixels, even

    def start(self, canvas: Canvas) -> Redraw:
        """Plane by plane."""
        from harness.videos.perturb.drawing.averages import pixelated  # noqa: PLC0415  (loads the compiler)

        def draw(source: Planes, target: Planes, index: int) -> None:
            for before, after, step in zip(source.all, target.all, (1, 2, 2), strict=True):
                pixelated(before, after, self.block // step)

        return Redraw(draw)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.SENSOR,
    group="blocks",
    unit="block size in pixels at 720 lines",
    source="our own, by eye",
    block=(4, 6, 9, 12, 16),
)
def pixelation(canvas: Canvas, rng: Generator, *, block: int) -> Step:
    """Lay a mosaic over the whole picture, as for hiding somebody."""
    return Step(operation=Pixelate(block=max(2, round(block * canvas.unit / 2) * 2)))


@dataclass(frozen=True, kw_only=True)
class GreyBlocks:
    """Square blocks lost to grey, in new places every half second."""

    count: int
    side: int  # pixels, even
    seed: int

    def start(self, canvas: Canvas) -> EditParts:
        """Fill rectangles."""
        hold = max(1, round(canvas.frames_per_second / 2))
        free = np.array([max(1, canvas.width - self.side), max(1, canvas.height - self.side)])

        def edit(planes: Planes, index: int) -> None:
            places = frame_generator(self.seed, index // hold).random((self.count, 2)) * free
            for x, y in places.astype(int).tolist():
                half = np.s_[y // 2 : (y + self.side) // 2, x // 2 : (x + self.side) // 2]
                block = planes.y[y : y + self.side, x : x + self.side], planes.u[half], planes.v[half]
                planes.keep(*block)
                for part in block:
                    part[:] = MID

        return EditParts(edit)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.CODING,
    group="blocks",
    unit="blocks, each 1/32 of the shorter side",
    source="DeeperForensics 16, 32, 48, 64, 80; there they vanish in small videos",
    count=(16, 32, 48, 64, 80),
)
def grey_blocks(canvas: Canvas, rng: Generator, *, count: int) -> Step:
    """Leave blocks grey, as a decoder does that could not restore them."""
    side = max(4, round(min(canvas.width, canvas.height) / 64) * 2)
    return Step(operation=GreyBlocks(count=count, side=side, seed=draw_seed(rng)))


@dataclass(frozen=True, kw_only=True)
class SaltAndPepper:
    """Single pixels that are black or white, others in every frame."""

    share: float
    seed: int

    def start(self, canvas: Canvas) -> EditFrame:
        """Scatter by flat index."""
        count = max(2, round(self.share * canvas.width * canvas.height))

        def edit(planes: Planes, index: int) -> None:
            rng = frame_generator(self.seed, index)
            y = rng.integers(canvas.height, size=count)
            x = rng.integers(canvas.width, size=count)
            planes.y[y[: count // 2], x[: count // 2]] = BLACK
            planes.y[y[count // 2 :], x[count // 2 :]] = WHITE

        return edit


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.SENSOR,
    group="noise",
    unit="share of pixels",
    source="our own, by eye",
    share=(0.002, 0.005, 0.01, 0.02, 0.04),
)
def salt_and_pepper(canvas: Canvas, rng: Generator, *, share: float) -> Step:
    """Add dead and hot pixels, as a worn sensor or errors in transmission do."""
    return Step(operation=SaltAndPepper(share=share, seed=draw_seed(rng)))


@dataclass(frozen=True, kw_only=True)
class FilmGrain:
    """Soft grain on luma: one picture of noise, at a new place in every frame."""

    deviation: float  # of luma, 0..255
    sigma: float  # softness in pixels
    seed: int

    def start(self, canvas: Canvas) -> Redraw:
        """Make the noise once: drawing it anew for each frame would cost more than the encode."""
        rng = frame_generator(self.seed, 0)
        shape = (canvas.height + BANK_MARGIN, canvas.width + BANK_MARGIN)
        soft = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), self.sigma)
        bank = np.round(soft / soft.std() * self.deviation)
        light, dark = (np.clip(side, 0, 255).astype(np.uint8) for side in (bank, -bank))

        def draw(source: Planes, target: Planes, index: int) -> None:
            x, y = frame_generator(self.seed, index + 1).integers(BANK_MARGIN, size=2).tolist()
            part = np.s_[y : y + canvas.height, x : x + canvas.width]
            # One of the two is 0 at every sample; both are half of what one number with a sign would take.
            cv2.add(source.y, light[part], dst=target.y)
            cv2.subtract(target.y, dark[part], dst=target.y)
            target.u[:], target.v[:] = source.u, source.v

        return Redraw(draw, by_sample=True)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.SENSOR,
    group="noise",
    unit="standard deviation of luma (0-255)",
    source="our own, by eye",
    deviation=(3.0, 6.0, 9.5, 14.0, 19.0),
)
def film_grain(canvas: Canvas, rng: Generator, *, deviation: float) -> Step:
    """Add the soft grain of film, or of the filter that imitates it."""
    sigma = round(max(0.6, 1.1 * canvas.unit), 3)
    return Step(operation=FilmGrain(deviation=deviation, sigma=sigma, seed=draw_seed(rng)))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.CODING,
    group="blocks",
    unit="quantiser of motion JPEG",
    source="DeeperForensics' image counterpart; steps by eye, about JPEG qualities 30 to 8",
    quantiser=(8, 11, 15, 22, 31),
)
def jpeg_blocking(canvas: Canvas, rng: Generator, *, quantiser: int) -> Step:
    """Code as a motion-JPEG webcam does: blocks of eight pixels, and ringing at edges."""
    return Step(generations=(motion_jpeg(quantiser),))
