"""Time beyond the contest: speed, lost, frozen, blended and interlaced frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from numpy.random import Generator

from harness.videos.perturb.drawing.planes import Plane, Planes
from harness.videos.perturb.registry import AudioEffect, Family, LifeStage, perturbation
from harness.videos.perturb.steps import Canvas, EditFrame, Redraw, Step

AUGMENTER = Family.AUGMENTER
DROP_GROUP, DROP_GROUPS = 10, 4  # of each ten frames the same number is lost; the pattern repeats after forty


def _speed(canvas: Canvas, factor: float) -> Step:
    """Faster or slower at the same frame rate, sound along with it and at its own pitch."""
    return Step(
        video=(f"setpts=PTS/{factor}", f"fps=fps={canvas.frames_per_second:.4f}"),
        audio=(f"atempo={factor}",),
        canvas=replace(canvas, duration_seconds=canvas.duration_seconds / factor),
    )


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.TIME,
    group="rate",
    audio=AudioEffect.CHANGED,
    unit="factor of speed",
    source="our own, by eye",
    factor=(1.1, 1.25, 1.45, 1.7, 2.0),
)
def faster(canvas: Canvas, rng: Generator, *, factor: float) -> Step:
    """Speed the video up, as for hiding that it was copied."""
    return _speed(canvas, factor)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.TIME,
    group="rate",
    audio=AudioEffect.CHANGED,
    unit="factor of speed",
    source="our own, by eye",
    factor=(0.92, 0.84, 0.75, 0.65, 0.55),
)
def slower(canvas: Canvas, rng: Generator, *, factor: float) -> Step:
    """Slow the video down by repeating frames."""
    return _speed(canvas, factor)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.TIME,
    group="rate",
    unit="share of frames lost, at random places",
    source="our own, by eye",
    share=(0.1, 0.2, 0.3, 0.4, 0.5),
)
def dropped_frames(canvas: Canvas, rng: Generator, *, share: float) -> Step:
    """Drop frames, as a camera or a network that does not keep up: their time is a gap."""
    lost = [
        group * DROP_GROUP + 1 + int(place)
        for group in range(DROP_GROUPS)
        for place in sorted(rng.permutation(DROP_GROUP - 1)[: round(share * DROP_GROUP)])
    ]
    period = DROP_GROUP * DROP_GROUPS
    terms = "+".join(f"eq(mod(n,{period}),{place})" for place in lost)
    return Step(
        video=(f"select='not({terms})'",),
        canvas=replace(canvas, frames_per_second=round(canvas.frames_per_second * (1 - share), 4)),
    )


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """Hold one picture for the last part of every period."""

    share: float

    def start(self, canvas: Canvas) -> EditFrame:
        """Keep a single picture."""
        period = max(2, round(canvas.frames_per_second))
        moving = max(1, round(period * (1 - self.share)))
        held: list[Planes] = []

        def edit(planes: Planes, index: int) -> None:
            place = index % period
            if place < moving - 1:
                return
            if place == moving - 1:
                held[:] = [planes.copy()]
            elif held:
                planes.assign(held[0])

        return edit


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.TIME,
    group="freeze",
    unit="share of each second in which the picture stands",
    source="our own, by eye",
    share=(0.15, 0.3, 0.45, 0.6, 0.75),
)
def frozen_frames(canvas: Canvas, rng: Generator, *, share: float) -> Step:
    """Stutter as a video call does: the picture stands, the sound goes on."""
    return Step(operation=Freeze(share=share))


@dataclass(frozen=True, kw_only=True)
class Trail:
    """Each picture mixed with what was shown before."""

    weight: float  # of the past

    def start(self, canvas: Canvas) -> Redraw:
        """Keep a single picture: the last one that was drawn, which nobody writes to any more."""
        from harness.videos.perturb.drawing.blending import mixed  # noqa: PLC0415  (loads the compiler)

        past: deque[Planes] = deque(maxlen=1)
        share = round(256 * self.weight)

        def draw(source: Planes, target: Planes, index: int) -> None:
            before = past[0] if past else source
            for old, new, after in zip(before.all, source.all, target.all, strict=True):
                mixed(old, new, after, share)
            past.append(target)

        return Redraw(draw, keeps=True)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.TIME,
    group="mixing",
    unit="weight of the frames before",
    source="our own, by eye",
    weight=(0.4, 0.55, 0.68, 0.78, 0.86),
)
def frame_blending(canvas: Canvas, rng: Generator, *, weight: float) -> Step:
    """Leave ghosts of earlier frames, as a converter between frame rates or heavy noise reduction does."""
    return Step(operation=Trail(weight=weight))


@dataclass(frozen=True, kw_only=True)
class Interlace:
    """Odd lines from an earlier frame."""

    lag: int  # frames

    def start(self, canvas: Canvas) -> EditFrame:
        """Keep the odd lines of `lag` pictures."""
        past: deque[list[Plane]] = deque(maxlen=self.lag)

        def edit(planes: Planes, index: int) -> None:
            odd = [plane[1::2].copy() for plane in planes.all]
            if past:
                for plane, lines in zip(planes.all, past[0], strict=True):
                    plane[1::2] = lines
            past.append(odd)

        return edit


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.TIME,
    group="mixing",
    unit="frames between the two fields",
    source="our own: 1 is what a camera does, more is what a bad converter does",
    lag=(1, 2, 3, 4, 6),
)
def interlacing(canvas: Canvas, rng: Generator, *, lag: int) -> Step:
    """Comb everything that moves, as interlaced video shown as progressive does."""
    return Step(operation=Interlace(lag=lag))
