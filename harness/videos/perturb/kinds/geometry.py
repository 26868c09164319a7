"""Shape and framing beyond the contest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from harness.videos.perturb.drawing.framed import Framed
from harness.videos.perturb.drawing.planes import BLACK, MID, Planes
from harness.videos.perturb.drawing.warp import MirrorFrom, tilted
from harness.videos.perturb.registry import Family, LifeStage, perturbation
from harness.videos.perturb.steps import Canvas, EditParts, Step, even, resized

AUGMENTER = Family.AUGMENTER
SMALLEST = 48  # pixels on a side that no shrinking goes below


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.GEOMETRY,
    group="shape",
    unit="factor of one side, width or height",
    source="AugLy 0.5-2",
    factor=(0.9, 0.8, 0.72, 0.64, 0.56),
)
def aspect_ratio(canvas: Canvas, rng: Generator, *, factor: float) -> Step:
    """Squeeze the picture, as a player or an upload form does that does not keep its shape."""
    width, height = canvas.width, canvas.height
    if rng.random() < 0.5:
        width = max(min(SMALLEST, width), even(width * factor))
    else:
        height = max(min(SMALLEST, height), even(height * factor))
    return Step(
        video=(f"scale={width}:{height}:flags=bilinear", "setsar=1"),
        canvas=resized(canvas, width=width, height=height),
    )


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.GEOMETRY,
    group="shape",
    unit="share of each side that is kept",
    source="our own, by eye",
    keep=(0.94, 0.87, 0.8, 0.72, 0.64),
)
def crop(canvas: Canvas, rng: Generator, *, keep: float) -> Step:
    """Crop to a tighter frame, off its centre by up to half of what is cut."""
    width, height = even(canvas.width * keep), even(canvas.height * keep)
    shares = 0.25 + 0.5 * rng.random(2)
    x = even((canvas.width - width) * shares[0]) if canvas.width > width else 0
    y = even((canvas.height - height) * shares[1]) if canvas.height > height else 0
    x, y = min(x, canvas.width - width), min(y, canvas.height - height)
    return Step(
        video=(f"crop={width}:{height}:{x}:{y}:exact=1",), canvas=resized(canvas, width=width, height=height)
    )


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.GEOMETRY,
    group="frame",
    unit="scale of the picture within its frame",
    source="our own, by eye",
    scale=(0.92, 0.84, 0.74, 0.64, 0.54),
)
def padding(canvas: Canvas, rng: Generator, *, scale: float) -> Step:
    """Set the picture small into a coloured frame, as templates for social media do."""
    width, height = even(canvas.width * scale), even(canvas.height * scale)
    x, y = (
        min(canvas.width - width, even((canvas.width - width) * 0.5)),
        even((canvas.height - height) * rng.random()),
    )
    red, green, blue = rng.integers(30, 226, 3).tolist()
    y = min(y, canvas.height - height)
    frame = (red, green, blue)
    return Step(operation=Framed(left=x, top=y, width=width, height=height, colour=frame))


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Black over the first and last lines."""

    height: int  # pixels, even

    def start(self, canvas: Canvas) -> EditParts:
        """Fill slices: libavfilter's drawbox takes twelve times as long."""

        def edit(planes: Planes, index: int) -> None:
            for plane, step, black in zip(planes.all, (1, 2, 2), (BLACK, MID, MID), strict=True):
                for bar in (plane[: self.height // step], plane[-(self.height // step) :]):
                    planes.keep(bar)
                    bar[:] = black

        return EditParts(edit)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.OVERLAY,
    group="frame",
    unit="share of the height under each bar",
    source="our own: 16:9 to 2.39:1 is 0.13",
    share=(0.05, 0.09, 0.13, 0.16, 0.19),
)
def letterbox(canvas: Canvas, rng: Generator, *, share: float) -> Step:
    """Lay black bars over the top and bottom, for a cinema look."""
    return Step(operation=Bars(height=even(canvas.height * share)))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.GEOMETRY,
    group="mirror",
    unit="share of the video turned over, its end",
    source="AugLy has all or nothing; a ramp to it",
    share=(0.2, 0.4, 0.6, 0.8, 1.0),
)
def vertical_flip(canvas: Canvas, rng: Generator, *, share: float) -> Step:
    """Turn the picture upside down, as a badly hung camera does; below severity 5 only from some time on."""
    if share == 1.0:
        return Step(video=("vflip",))
    frames = canvas.duration_seconds * canvas.frames_per_second
    return Step(operation=MirrorFrom(first_frame=round(frames * (1 - share)), upside_down=True))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.GEOMETRY,
    group="turn",
    unit="share of the side by which a corner moves inwards, at most",
    source="our own, by eye",
    reach=(0.04, 0.07, 0.11, 0.15, 0.2),
)
def perspective(canvas: Canvas, rng: Generator, *, reach: float) -> Step:
    """Show the picture as a screen or a poster seen from the side."""
    return Step(operation=tilted(reach * (0.25 + 0.75 * rng.random((4, 2))) * np.ones((4, 2)), canvas))
