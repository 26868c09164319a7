"""Sharpness, blocks and grain beyond the contest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from harness.videos.perturb.drawing.blur import blurred, halved
from harness.videos.perturb.drawing.planes import BLACK, MID, WHITE, Plane, Planes
from harness.videos.perturb.generations import motion_jpeg
from harness.videos.perturb.registry import Family, LifeStage, draw_seed, frame_generator, perturbation
from harness.videos.perturb.steps import Canvas, EditFrame, Redraw, Step

AUGMENTER = Family.AUGMENTER
BANK_MARGIN = 64  # grain is one picture of noise, laid on at a new place in every frame


@dataclass(frozen=True, kw_only=True)
class Sharpen:
    """Unsharp mask on luma: value + amount × (value - blurred)."""

    amount: float
    sigma: float  # pixels

    def start(self, canvas: Canvas) -> Redraw:
        """Blur and combine."""

        def draw(source: Planes, target: Planes, index: int) -> None:
            soft = blurred(source.y, self.sigma)
            cv2.addWeighted(source.y, 1 + self.amount, soft, -self.amount, 0, dst=target.y)
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
        """Box filters; colour at half length."""

        def draw(source: Planes, target: Planes, index: int) -> None:
            for before, after, step in zip(source.all, target.all, (1, 2, 2), strict=True):
                length = max(1, self.pixels // step | 1)
                cv2.blur(before, (1, length) if self.upright else (length, 1), dst=after)

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

        def convolve(plane: Plane, into: Plane, radius: float) -> None:
            height, width = plane.shape
            shrink = 1 << max(0, math.ceil(math.log2(radius / 3)))  # halves: OpenCV averages them fastest
            small = halved(plane, shrink)
            soft = cv2.filter2D(small, -1, _disc(radius / shrink), borderType=cv2.BORDER_REFLECT)
            cv2.resize(soft, (width, height), dst=into, interpolation=cv2.INTER_LINEAR)

        def draw(source: Planes, target: Planes, index: int) -> None:
            for before, after, step in zip(source.all, target.all, (1, 2, 2), strict=True):
                convolve(before, after, self.radius / step)

        return Redraw(draw)


def _disc(radius: float) -> NDArray[np.float32]:
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    kernel: NDArray[np.float32] = (disc / disc.sum()).astype(np.float32)
    return kernel


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
        """Shrink and enlarge again."""

        def draw(source: Planes, target: Planes, index: int) -> None:
            for plane, after, step in zip(source.all, target.all, (1, 2, 2), strict=True):
                block = self.block // step
                height, width = plane.shape
                size = (-(-width // block), -(-height // block))
                # Padded to whole blocks, so that blocks lie on a grid of whole pixels.
                padded = cv2.copyMakeBorder(
                    plane, 0, size[1] * block - height, 0, size[0] * block - width, cv2.BORDER_REPLICATE
                )
                # Halves first, which OpenCV averages many times faster than other blocks.
                half = halved(np.asarray(padded, np.uint8), 2) if block % 2 == 0 else padded
                small = np.asarray(cv2.resize(half, size, interpolation=cv2.INTER_AREA), np.uint8)
                # A tenth of the time of OpenCV's enlargement without smoothing.
                after[:] = small.repeat(block, 1)[:, :width].repeat(block, 0)[:height]

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

    def start(self, canvas: Canvas) -> EditFrame:
        """Fill rectangles."""
        hold = max(1, round(canvas.frames_per_second / 2))
        free = np.array([max(1, canvas.width - self.side), max(1, canvas.height - self.side)])

        def edit(planes: Planes, index: int) -> None:
            places = frame_generator(self.seed, index // hold).random((self.count, 2)) * free
            for x, y in places.astype(int).tolist():
                planes.y[y : y + self.side, x : x + self.side] = MID
                half = np.s_[y // 2 : (y + self.side) // 2, x // 2 : (x + self.side) // 2]
                planes.u[half] = planes.v[half] = MID

        return edit


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

    def start(self, canvas: Canvas) -> EditFrame:
        """Make the noise once: drawing it anew for each frame would cost more than the encode."""
        rng = frame_generator(self.seed, 0)
        shape = (canvas.height + BANK_MARGIN, canvas.width + BANK_MARGIN)
        soft = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), self.sigma)
        bank = np.round(soft / soft.std() * self.deviation).astype(np.int16)

        def edit(planes: Planes, index: int) -> None:
            x, y = frame_generator(self.seed, index + 1).integers(BANK_MARGIN, size=2).tolist()
            part = bank[y : y + canvas.height, x : x + canvas.width]
            planes.y[:] = cv2.add(planes.y, part, dtype=cv2.CV_8U)

        return edit


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
