"""Colour and tone beyond the contest: all of them look-up tables, which cost next to nothing."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from harness.videos.perturb.drawing.planes import BLACK, MID, Plane, Planes
from harness.videos.perturb.registry import Family, LifeStage, perturbation
from harness.videos.perturb.steps import Canvas, Redraw, Step

AUGMENTER = Family.AUGMENTER
HALVES = 1 << 14


def _chroma(factor: float) -> Step:
    table = f"clip((val-128)*{factor}+128,16,240)"
    return Step(video=(f"lutyuv=u='{table}':v='{table}'",))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="saturation",
    unit="factor of colour",
    source="DeeperForensics 0.4 to 0, which grayscale covers; milder here",
    factor=(0.75, 0.65, 0.55, 0.45, 0.35),
)
def less_saturation(canvas: Canvas, rng: Generator, *, factor: float) -> Step:
    """Fade the colours, as an old camera or a muted filter does."""
    return _chroma(factor)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="saturation",
    unit="factor of colour",
    source="our own, by eye",
    factor=(1.25, 1.5, 1.85, 2.3, 3.0),
)
def more_saturation(canvas: Canvas, rng: Generator, *, factor: float) -> Step:
    """Make the colours loud, as a phone's vivid mode or a beauty filter does."""
    return _chroma(factor)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="hue",
    unit="degrees, either way",
    source="our own, by eye",
    degrees=(8.0, 16.0, 28.0, 44.0, 65.0),
)
def hue_shift(canvas: Canvas, rng: Generator, *, degrees: float) -> Step:
    """Turn every colour, as a wrong white balance or a colour filter does."""
    return Step(video=(f"hue=h={degrees if rng.random() < 0.5 else -degrees:g}",))


def _gamma(exponent: float) -> Step:
    return Step(video=(f"lutyuv=y='16+219*pow(clip((val-16)/219,0,1),{exponent})'",))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="brightness",
    unit="exponent of luma",
    source="our own, by eye",
    exponent=(0.85, 0.74, 0.64, 0.54, 0.45),
)
def lighter_gamma(canvas: Canvas, rng: Generator, *, exponent: float) -> Step:
    """Lift the shadows, as a display or a converter with the wrong tone curve does."""
    return _gamma(exponent)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="brightness",
    unit="exponent of luma",
    source="our own, by eye",
    exponent=(1.15, 1.3, 1.5, 1.75, 2.05),
)
def darker_gamma(canvas: Canvas, rng: Generator, *, exponent: float) -> Step:
    """Crush the shadows, as the other wrong tone curve does."""
    return _gamma(exponent)


@dataclass(frozen=True, kw_only=True)
class Vignette:
    """Darken towards the corners, colour along with luma."""

    strength: float  # share of light lost in the corners

    def start(self, canvas: Canvas) -> Redraw:
        """Mix with black, which has no colour: the further from the middle, the more."""
        from harness.videos.perturb.drawing.blending import faded  # noqa: PLC0415  (loads the compiler)

        blank = Planes.blank(canvas.width, canvas.height)
        luma, chroma = self._gain(blank.y), self._gain(blank.u)
        parts = [(luma, BLACK), (chroma, MID), (chroma, MID)]

        def draw(source: Planes, target: Planes, index: int) -> None:
            for before, after, (gain, colour) in zip(source.all, target.all, parts, strict=True):
                faded(before, after, gain, colour)

        return Redraw(draw, by_sample=True)

    def _gain(self, plane: Plane) -> Plane:
        height, width = plane.shape
        # Half the squared distance from the middle, of which the corners have `HALVES`, twice.
        sides = (np.round(np.linspace(-1, 1, size) ** 2 * HALVES) for size in (height, width))
        down, across = (side.astype(np.uint16) for side in sides)
        distances = np.minimum(np.arange(1 << 16) / (2 * HALVES), 1)
        gain = np.round(255 * (1 - self.strength * distances**1.2)).astype(np.uint8)
        return np.asarray(cv2.LUT(down[:, None] + across, gain), np.uint8)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.OPTICS,
    group="vignette",
    unit="share of light lost in the corners",
    source="our own, by eye",
    strength=(0.25, 0.42, 0.6, 0.78, 0.95),
)
def vignette(canvas: Canvas, rng: Generator, *, strength: float) -> Step:
    """Darken the corners, as a lens does, or the filter that imitates one."""
    return Step(operation=Vignette(strength=strength))
