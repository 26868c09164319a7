"""What a camera does by itself: exposure and white balance that hunt, lens, shutter and stabiliser."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from harness.videos.perturb.drawing.planes import Plane, Planes
from harness.videos.perturb.drawing.warp import Lens
from harness.videos.perturb.registry import Family, LifeStage, draw_seed, frame_generator, perturbation
from harness.videos.perturb.steps import Canvas, EditFrame, EditParts, Redraw, Step

AUGMENTER = Family.AUGMENTER
SINCE = 2  # the catalogue's version: recipes that ask for "all" kinds of an earlier one do not draw these


@dataclass(frozen=True, kw_only=True)
class ExposurePump:
    """Light that rises and falls, in stops, as two slow waves that do not fit each other."""

    stops: float
    seconds: float  # of the faster wave
    phase: float

    def start(self, canvas: Canvas) -> Redraw:
        """One table per frame: light is linear at about the square of luma."""
        levels = np.clip((np.arange(256) - 16) / 219, 0, 1)
        offset = np.arange(256) - 128.0

        def draw(source: Planes, target: Planes, index: int) -> None:
            turn = 2 * np.pi * index / canvas.frames_per_second / self.seconds + self.phase
            wave = 0.7 * np.sin(turn) + 0.3 * np.sin(turn * 0.37 + 1)
            gain = 2 ** (self.stops * wave / 2)
            luma = np.round(16 + 219 * np.clip(levels * gain, 0, 1)).astype(np.uint8)
            chroma = np.round(np.clip(128 + offset * min(1.3, gain), 16, 240)).astype(np.uint8)
            for before, after, table in zip(source.all, target.all, (luma, chroma, chroma), strict=True):
                cv2.LUT(before, table, dst=after)

        return Redraw(draw, by_sample=True)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="exposure",
    since=SINCE,
    unit="stops of light, up and down",
    source="our own: a phone's automatic exposure moves by up to two stops; by eye",
    stops=(0.35, 0.6, 0.9, 1.3, 1.8),
)
def exposure_pumping(canvas: Canvas, rng: Generator, *, stops: float) -> Step:
    """Hunt as an automatic exposure does: the picture grows lighter and darker every few seconds."""
    seconds, phase = round(float(rng.uniform(1.2, 2.4)), 3), round(float(rng.uniform(0, 6.28)), 3)
    return Step(operation=ExposurePump(stops=stops, seconds=seconds, phase=phase))


@dataclass(frozen=True, kw_only=True)
class WhiteDrift:
    """White that wanders between warm and cold; black and white points stay where they are."""

    reach: float  # levels of chroma
    seconds: float
    phase: float

    def start(self, canvas: Canvas) -> EditParts:
        """Shift both chroma planes."""
        from harness.videos.perturb.drawing.blending import lightened  # noqa: PLC0415  (loads the compiler)

        def edit(planes: Planes, index: int) -> None:
            turn = 2 * np.pi * index / canvas.frames_per_second / self.seconds + self.phase
            warm = self.reach * (0.75 * np.sin(turn) + 0.25 * np.sin(2.7 * turn))
            planes.keep(planes.u, planes.v)
            lightened(planes.u, round(-warm))
            lightened(planes.v, round(warm * 0.8))

        return EditParts(edit)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="hue",
    since=SINCE,
    unit="levels of chroma (0-255) between cold and warm, either way",
    source="our own, by eye: 8 levels are about 1,000 K at 6,500 K",
    reach=(7.0, 11.0, 16.0, 22.0, 30.0),
)
def white_balance_drift(canvas: Canvas, rng: Generator, *, reach: float) -> Step:
    """Waver as an automatic white balance that cannot decide: skin turns warm, then cold."""
    seconds, phase = round(float(rng.uniform(2.0, 4.0)), 3), round(float(rng.uniform(0, 6.28)), 3)
    return Step(operation=WhiteDrift(reach=reach, seconds=seconds, phase=phase))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.GEOMETRY,
    group="turn",
    since=SINCE,
    unit="share by which the corners move, inwards (barrel) or outwards (pincushion)",
    source="Brown's model with one coefficient; a webcam has about 0.1; by eye",
    strength=(0.05, 0.1, 0.16, 0.23, 0.32),
)
def lens_distortion(canvas: Canvas, rng: Generator, *, strength: float) -> Step:
    """Distort as a wide lens does: straight lines bend, faces at the border are stretched."""
    return Step(operation=Lens(strength=strength if rng.random() < 0.6 else -strength))


@dataclass(frozen=True, kw_only=True)
class Wobble:
    """Rows shifted sideways by a wave that runs down the picture, as in a shaken camera."""

    reach: float  # pixels
    waves: float  # in the height of the picture
    seconds: float  # of one shake
    phase: float

    def start(self, canvas: Canvas) -> Redraw:
        """Rows of one shift are moved together, by whole samples."""

        def draw(source: Planes, target: Planes, index: int) -> None:
            turn = 2 * np.pi * index / canvas.frames_per_second / self.seconds + self.phase
            strength = 0.6 + 0.4 * np.sin(turn * 0.31)
            for before, after, step in zip(source.all, target.all, (1, 2, 2), strict=True):
                rows = (np.arange(after.shape[0]) * step + step / 2) / canvas.height
                wave = np.sin(turn + 2 * np.pi * self.waves * rows)
                _shift_rows(before, after, np.rint(self.reach / step * strength * wave).astype(int))

        return Redraw(draw)


def _shift_rows(source: Plane, target: Plane, shifts: NDArray[np.int64]) -> None:
    """Move each row to the right by its shift; the border's sample is repeated."""
    edges = np.flatnonzero(np.diff(shifts)) + 1
    width = source.shape[1]
    for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(shifts)], strict=True):
        shift = max(1 - width, min(width - 1, int(shifts[first])))
        before, after = source[first:last], target[first:last]
        start, end = max(0, shift), width + min(0, shift)
        after[:, start:end] = before[:, start - shift : end - shift]
        after[:, :start] = before[:, :1]
        after[:, end:] = before[:, -1:]


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.GEOMETRY,
    group="shutter",
    since=SINCE,
    unit="sideways shift in pixels at 720 lines",
    source="our own, by eye: 8 pixels are a phone in a car",
    reach=(4.0, 7.0, 11.0, 16.0, 23.0),
)
def rolling_shutter(canvas: Canvas, rng: Generator, *, reach: float) -> Step:
    """Shake as a phone with a rolling shutter does: everything upright wobbles like jelly."""
    return Step(
        operation=Wobble(
            reach=round(max(2.0, reach * canvas.unit), 3),
            waves=round(float(rng.uniform(0.8, 1.6)), 3),
            seconds=round(float(rng.uniform(0.25, 0.5)), 3),
            phase=round(float(rng.uniform(0, 6.28)), 3),
        )
    )


@dataclass(frozen=True, kw_only=True)
class SteadyCrop:
    """A moving cut-out, enlarged to the whole picture."""

    margin: float  # share of each side that is given up
    seed: int

    def start(self, canvas: Canvas) -> Redraw:
        """Slow drift and a small tremble that the stabiliser left; whole pixels, then one enlargement."""
        from harness.videos.perturb.drawing.shrinking import shrunk  # noqa: PLC0415  (loads the compiler)

        free = np.array([canvas.width, canvas.height]) * self.margin
        width, height = (np.array([canvas.width, canvas.height]) - free).astype(int).tolist()
        first, second = frame_generator(self.seed, 0).uniform(2.0, 5.0, 2)

        def corner(index: int) -> tuple[int, int]:
            seconds = index / canvas.frames_per_second
            drift = np.array([np.sin(2 * np.pi * seconds / first), np.cos(2 * np.pi * seconds / second)])
            tremble = frame_generator(self.seed, index + 1).uniform(-1, 1, 2)
            left, top = (free * np.clip(0.5 + 0.4 * drift + 0.05 * tremble, 0, 1)).astype(int).tolist()
            return left, top

        def draw(source: Planes, target: Planes, index: int) -> None:
            left, top = corner(index)
            for before, after, step in zip(source.all, target.all, (1, 2, 2), strict=True):
                x, y = left // step, top // step
                across, down = max(1, width // step), max(1, height // step)
                part = before[y : y + down, x : x + across]
                shrunk(part, (after.shape[1], after.shape[0]), into=after)

        return Redraw(draw)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.GEOMETRY,
    group="shape",
    since=SINCE,
    unit="share of each side that is cut away",
    source="phones give up 0.1 for electronic stabilisation; by eye",
    margin=(0.05, 0.09, 0.14, 0.2, 0.28),
)
def stabilisation_crop(canvas: Canvas, rng: Generator, *, margin: float) -> Step:
    """Stabilise electronically: a smaller cut-out swims over the picture, enlarged again."""
    return Step(operation=SteadyCrop(margin=margin, seed=draw_seed(rng)))


@dataclass(frozen=True, kw_only=True)
class JitteryTime:
    """Each frame is the present one or one of a few before it, never going back in time."""

    depth: int  # frames
    seed: int

    def start(self, canvas: Canvas) -> EditFrame:
        """Keep `depth` pictures."""
        past: deque[Planes] = deque(maxlen=self.depth + 1)
        lag = [0]

        def edit(planes: Planes, index: int) -> None:
            past.append(planes.copy())
            wanted = int(frame_generator(self.seed, index).integers(self.depth + 1))
            # One frame passes in every step, so a picture can be held, and made up for later.
            lag[0] = min(max(wanted, 0), lag[0] + 1, len(past) - 1)
            if lag[0]:
                planes.assign(past[-1 - lag[0]])

        return edit


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.TIME,
    group="freeze",
    since=SINCE,
    unit="frames by which a picture is late, at most",
    source="our own, by eye",
    depth=(1, 2, 3, 5, 8),
)
def temporal_jitter(canvas: Canvas, rng: Generator, *, depth: int) -> Step:
    """Stream through an uneven network: pictures are held and caught up, the sound goes on."""
    return Step(operation=JitteryTime(depth=depth, seed=draw_seed(rng)))
