"""What programs do on the way: few or coarse colours, virtual cameras, screenshots, neural codecs, marks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from harness.videos.perturb.drawing import pictures as drawing
from harness.videos.perturb.drawing.blur import halved
from harness.videos.perturb.drawing.framed import Framed
from harness.videos.perturb.drawing.planes import MID, Plane, Planes, Sprite
from harness.videos.perturb.generations import motion_jpeg
from harness.videos.perturb.registry import Family, LifeStage, draw_seed, frame_generator, perturbation
from harness.videos.perturb.steps import Canvas, EditParts, Redraw, Step, even

AUGMENTER = Family.AUGMENTER
SINCE = 2
NEARLY = 1.05  # a scale is taken for a whole one, which costs less, if it is so close
MARK_LUMA = 225  # of the words of a watermark


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="quantisation",
    since=SINCE,
    unit="levels of luma and of each colour difference",
    source="our own, by eye: a GIF has about six of each",
    levels=(28, 18, 12, 8, 5),
)
def colour_quantisation(canvas: Canvas, rng: Generator, *, levels: int) -> Step:
    """Reduce the picture to few colours: bands on skin and sky, as in a GIF or a cheap display."""
    step, colour = 219 / (levels - 1), 224 / (2 * levels)
    luma = f"clip(16+round((val-16)/{step:.4f})*{step:.4f},16,235)"
    chroma = f"clip(128+round((val-128)/{colour:.4f})*{colour:.4f},16,240)"
    return Step(video=(f"lutyuv=y='{luma}':u='{chroma}':v='{chroma}'",))


@dataclass(frozen=True, kw_only=True)
class CoarseColour:
    """Colour at a fraction of its resolution; luma stays."""

    factor: int

    def start(self, canvas: Canvas) -> EditParts:
        """Averages of blocks, enlarged without smoothing, as a cheap decoder does."""

        def edit(planes: Planes, index: int) -> None:
            planes.keep(planes.u, planes.v)
            for plane in (planes.u, planes.v):
                height, width = plane.shape
                size = (max(1, round(width / self.factor)), max(1, round(height / self.factor)))
                small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
                cv2.resize(small, (width, height), dst=plane, interpolation=cv2.INTER_NEAREST)

        return EditParts(edit)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.RESOLUTION,
    group="subsampling",
    since=SINCE,
    unit="samples of 4:2:0 colour that become one, each way, at 720 lines",
    source="our own: 2 is 4:1:0; by eye",
    factor=(3, 5, 8, 12, 18),
)
def chroma_subsampling(canvas: Canvas, rng: Generator, *, factor: int) -> Step:
    """Make the colour far coarser than the picture: it bleeds over lips, eyes and the rim of the face."""
    return Step(operation=CoarseColour(factor=max(2, round(factor * canvas.unit))))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.CODING,
    group="codec",
    since=SINCE,
    unit="lines, at most; share of the size, at most; quantiser of motion JPEG",
    source="by eye, after what virtual cameras of conference tools deliver",
    lines=(720, 540, 480, 360, 240),
    share=(0.85, 0.7, 0.58, 0.46, 0.36),
    quantiser=(5, 7, 9, 12, 16),
)
def virtual_camera(canvas: Canvas, rng: Generator, *, lines: int, share: float, quantiser: int) -> Step:
    """Imitate a virtual camera: made small, coded as motion JPEG, and enlarged again."""
    shorter = min(canvas.width, canvas.height)
    scale = max(min(share, lines / shorter), min(1.0, 48 / shorter))
    width, height = even(canvas.width * scale), even(canvas.height * scale)
    return Step(generations=(motion_jpeg(quantiser, (width, height)),))


@dataclass(frozen=True, kw_only=True)
class Window:
    """The picture sharpened in a window with a title bar, on a plain desktop."""

    inside: Framed
    bar: int  # height of the title bar, above the picture or over it

    def start(self, canvas: Canvas) -> Redraw:
        """Draw the bar once."""
        framed, sprite = self.inside.start(canvas), Sprite.from_rgba(self._bar())
        top = max(0, self.inside.top - self.bar)

        def draw(source: Planes, target: Planes, index: int) -> None:
            framed.draw(source, target, index)
            sprite.paste(target, self.inside.left, top)

        return Redraw(draw)

    def _bar(self) -> Plane:
        bar = np.full((self.bar, self.inside.width, 4), (222, 224, 228, 255), np.uint8)
        size = max(2, self.bar * 2 // 5)
        for number, colour in enumerate(((236, 96, 86), (240, 190, 60), (100, 196, 90))):
            light = drawing.shape("circle", size, colour)
            x, y = self.bar // 3 + number * size * 3 // 2, (self.bar - size) // 2
            part = bar[y : y + light.shape[0], x : x + light.shape[1]]
            cut = light[: part.shape[0], : part.shape[1]]
            alpha = cut[..., 3:].astype(np.uint16)
            part[..., :3] = (part[..., :3] * (255 - alpha) + cut[..., :3] * alpha) // 255
        return bar


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.RESOLUTION,
    group="frame",
    since=SINCE,
    unit="scale of the picture in its window; amount of sharpening",
    source="our own, by eye",
    scale=(0.9, 0.82, 0.72, 0.62, 0.52),
    amount=(0.4, 0.7, 1.0, 1.3, 1.6),
)
def screenshot(canvas: Canvas, rng: Generator, *, scale: float, amount: float) -> Step:
    """Imitate a recorded screen: the video resized and sharpened in a window, on a flat desktop."""
    width, height = even(canvas.width * scale), even(canvas.height * scale)
    bar = max(4, even(0.04 * canvas.height))
    x = min(canvas.width - width, even((canvas.width - width) * rng.random()))
    y = min(canvas.height - height, max(bar, even((canvas.height - height) * rng.random())))
    shade = int(rng.integers(40, 110))
    desktop = (shade, shade + 20, shade + 50)
    inside = Framed(left=x, top=y, width=width, height=height, colour=desktop, sharpening=amount)
    return Step(operation=Window(inside=inside, bar=bar))


@dataclass(frozen=True, kw_only=True)
class Smear:
    """Texture melts and moves late, edges stay: a median at low resolution, held over time."""

    shrink: float
    hold: float  # weight of the picture before

    def start(self, canvas: Canvas) -> Redraw:
        """Keep one small picture for each plane."""
        from harness.videos.perturb.drawing.scaling import enlarged  # noqa: PLC0415  (loads the compiler)
        from harness.videos.perturb.drawing.shrinking import shrunk  # noqa: PLC0415  (loads the compiler)

        past: list[Plane] = []

        def draw(source: Planes, target: Planes, index: int) -> None:
            for number, (plane, after) in enumerate(zip(source.all, target.all, strict=True)):
                # To a whole fraction of the picture first: from there on it takes a third.
                factor = next(k for k in (8, 4, 2, 1) if k <= max(1, self.shrink))
                small = self._melted(plane, factor, 3 if number else 5)
                if len(past) <= number:
                    past.append(small)
                else:
                    past[number] = _held(past[number], small, self.hold)
                if factor > 1:
                    enlarged(shrunk(past[number], _fraction(after, factor)), after, factor)
                else:
                    shrunk(past[number], after.shape[::-1], into=after)

        return Redraw(draw)

    def _melted(self, plane: Plane, factor: int, across: int) -> Plane:
        """Take the median of what is `across` samples wide and high when the plane is small.

        Colour is made as small as luma, so that a sample of it stands for twice as much of the picture.
        """
        from harness.videos.perturb.drawing.shrinking import shrunk  # noqa: PLC0415  (loads the compiler)

        height, width = plane.shape
        if self.shrink <= NEARLY * factor:
            small = halved(plane, factor)
        else:
            size = (max(1, round(width / self.shrink)), max(1, round(height / self.shrink)))
            small = shrunk(plane, size)
        return np.asarray(cv2.medianBlur(small, across), np.uint8)


def _fraction(plane: Plane, factor: int) -> tuple[int, int]:
    """Return width and height of a plane at a fraction of its size."""
    height, width = (-(-side // factor) for side in plane.shape)
    return width, height


def _held(old: NDArray[np.uint8], new: NDArray[np.uint8], hold: float) -> NDArray[np.uint8]:
    return np.asarray(cv2.addWeighted(old, hold, new, 1 - hold, 0), np.uint8)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.CODING,
    group="blocks",
    since=SINCE,
    unit="scale at which texture melts, at 720 lines; weight of the picture before",
    source="our own, by eye, after published samples of neural codecs at low rates",
    shrink=(1.5, 2.0, 2.7, 3.6, 4.8),
    hold=(0.2, 0.3, 0.4, 0.5, 0.6),
)
def neural_smearing(canvas: Canvas, rng: Generator, *, shrink: float, hold: float) -> Step:
    """Imitate a neural codec at a low rate: waxy skin, texture that melts and moves late."""
    return Step(operation=Smear(shrink=round(max(1.2, shrink * canvas.unit), 3), hold=hold))


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """Words repeated over the whole picture, on a slant."""

    opacity: float
    size: float  # height of the letters as a share of the shorter side
    seed: int

    def start(self, canvas: Canvas) -> Redraw:
        """Draw once what is left of the video."""
        from harness.videos.perturb.drawing.blending import faded  # noqa: PLC0415  (loads the compiler)

        alpha = self._alpha(canvas)
        half = cv2.resize(alpha, (canvas.width // 2, canvas.height // 2), interpolation=cv2.INTER_AREA)
        kept, kept_half = 255 - alpha, 255 - np.asarray(half, np.uint8)
        parts = ((kept, MARK_LUMA), (kept_half, MID), (kept_half, MID))

        def draw(source: Planes, target: Planes, index: int) -> None:
            for before, after, (weights, colour) in zip(source.all, target.all, parts, strict=True):
                faded(before, after, weights, colour)

        return Redraw(draw)

    def _alpha(self, canvas: Canvas) -> NDArray[np.uint8]:
        rng = frame_generator(self.seed, 0)
        height = max(6, round(self.size * min(canvas.width, canvas.height)))
        mark = drawing.words(drawing.pick_words(rng, 2), height, (255, 255, 255), cv2.FONT_HERSHEY_DUPLEX)
        tile = np.pad(mark[..., 3], ((height, height), (height * 2, height * 2)))
        side = int(np.hypot(canvas.width, canvas.height)) + 2
        rows = []
        for number in range(-(-side // tile.shape[0])):
            row = np.tile(tile, (1, -(-side // tile.shape[1]) + 1))
            rows.append(np.roll(row, number % 2 * tile.shape[1] // 2, axis=1)[:, :side])
        sheet = np.vstack(rows)[:side]
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), 30, 1)
        turn[:, 2] -= np.array([(side - canvas.width) / 2, (side - canvas.height) / 2])
        slanted = cv2.warpAffine(sheet, turn, (canvas.width, canvas.height))
        alpha: NDArray[np.uint8] = np.round(slanted * self.opacity).astype(np.uint8)
        return alpha


@perturbation(
    family=Family.DISTRACTOR,
    stage=LifeStage.OVERLAY,
    group="logo",
    since=SINCE,
    unit="opacity; height of the letters as a share of the shorter side",
    source="our own, by eye: agencies' previews have about 0.3",
    opacity=(0.12, 0.2, 0.3, 0.45, 0.65),
    size=(0.03, 0.035, 0.04, 0.045, 0.05),
)
def watermark_tiling(canvas: Canvas, rng: Generator, *, opacity: float, size: float) -> Step:
    """Lay an agency's mark, repeated on a slant over the whole picture."""
    return Step(operation=Tiles(opacity=opacity, size=size, seed=draw_seed(rng)))
