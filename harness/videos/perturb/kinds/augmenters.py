"""DFDC's eleven augmenters: what the contest did to the picture, its timing, its sound and its coding."""

from __future__ import annotations

from dataclasses import replace

from numpy.random import Generator

from harness.videos.perturb.drawing.blur import SoftBlur
from harness.videos.perturb.drawing.warp import MirrorFrom, rotated
from harness.videos.perturb.registry import AudioEffect, Family, LifeStage, draw_seed, perturbation
from harness.videos.perturb.steps import Canvas, FinalEncode, Step, even, resized

AUGMENTER = Family.AUGMENTER


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.OPTICS,
    group="blur",
    in_contest=True,
    unit="σ, pixels at 720 lines",
    source="AugLy 0-10; DeeperForensics kernels 7-21",
    sigma=(1.0, 2.0, 3.5, 5.0, 7.0),
)
def gaussian_blur(canvas: Canvas, rng: Generator, *, sigma: float) -> Step:
    """Blur, as a lens slightly out of focus does, or a picture enlarged from a small one."""
    return Step(operation=SoftBlur(sigma=round(max(0.4, sigma * canvas.unit), 3)))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="brightness",
    in_contest=True,
    unit="change of luma, share of the range",
    source="AugLy -1 to 1, default 0.15",
    level=(0.06, 0.12, 0.18, 0.24, 0.30),
)
def brighter(canvas: Canvas, rng: Generator, *, level: float) -> Step:
    """Overexpose, as a camera does, or a video editor's brightness slider pushed up."""
    return Step(video=(f"lutyuv=y='clip(val+{level * 219:.2f},16,235)'",))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="brightness",
    in_contest=True,
    unit="change of luma, share of the range",
    source="AugLy -1 to 1, default 0.15",
    level=(0.05, 0.10, 0.15, 0.20, 0.25),
)
def darker(canvas: Canvas, rng: Generator, *, level: float) -> Step:
    """Underexpose, as a camera does, or a brightness slider pulled down."""
    return Step(video=(f"lutyuv=y='clip(val-{level * 219:.2f},16,235)'",))


def _contrast(factor: float) -> Step:
    chroma = f"clip((val-128)*{factor}+128,16,240)"
    return Step(video=(f"lutyuv=y='clip((val-126)*{factor}+126,16,235)':u='{chroma}':v='{chroma}'",))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="contrast",
    in_contest=True,
    unit="factor",
    source="AugLy, as a gain about mid-grey",
    factor=(1.15, 1.3, 1.55, 1.85, 2.2),
)
def more_contrast(canvas: Canvas, rng: Generator, *, factor: float) -> Step:
    """Harden and clip the picture, as a cheap camera or an editor's slider does."""
    return _contrast(factor)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="contrast",
    in_contest=True,
    unit="factor",
    source="DeeperForensics 0.85, 0.725, 0.6, 0.475, 0.35",
    factor=(0.85, 0.725, 0.6, 0.475, 0.35),
)
def less_contrast(canvas: Canvas, rng: Generator, *, factor: float) -> Step:
    """Wash the picture out, as haze, a poor display or a flat colour profile does."""
    return _contrast(factor)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.TIME,
    group="rate",
    in_contest=True,
    unit="frames per second, at most",
    source="DFDC 15; AugLy 5-30",
    rate=(20.0, 15.0, 12.0, 8.0, 5.0),
)
def frame_rate(canvas: Canvas, rng: Generator, *, rate: float) -> Step:
    """Lower the frame rate, as a webcam in the dark or a video call does.
    At least a quarter of the frames go, even from a slow video.
    """  # noqa: D205  (one paragraph is the text of the table)
    lowered = min(rate, canvas.frames_per_second * 0.75)
    return Step(
        video=(f"fps=fps={lowered:.4f}",), canvas=replace(canvas, frames_per_second=round(lowered, 4))
    )


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.COLOUR,
    group="saturation",
    in_contest=True,
    unit="share of colour taken away",
    source="AugLy has all or nothing; a ramp to it",
    removed=(0.6, 0.7, 0.8, 0.9, 1.0),
)
def grayscale(canvas: Canvas, rng: Generator, *, removed: float) -> Step:
    """Make the picture black and white; below severity 5 a tint of colour is left."""
    chroma = f"(val-128)*{1 - removed:.2f}+128"
    return Step(video=(f"lutyuv=u='{chroma}':v='{chroma}'",))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.GEOMETRY,
    group="mirror",
    in_contest=True,
    unit="share of the video mirrored, its end",
    source="AugLy has all or nothing; a ramp to it",
    share=(0.2, 0.4, 0.6, 0.8, 1.0),
)
def horizontal_flip(canvas: Canvas, rng: Generator, *, share: float) -> Step:
    """Mirror the picture, as a front camera does; below severity 5 only from some time on."""
    if share == 1.0:
        return Step(video=("hflip",))
    frames = canvas.duration_seconds * canvas.frames_per_second
    return Step(operation=MirrorFrom(first_frame=round(frames * (1 - share))))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.AUDIO,
    group="audio",
    in_contest=True,
    audio=AudioEffect.REMOVED,
    unit="all of the sound",
    source="AugLy; there are no degrees: all severities are the same",
    removed=(1.0, 1.0, 1.0, 1.0, 1.0),
)
def audio_removal(canvas: Canvas, rng: Generator, *, removed: float) -> Step:
    """Mute the upload: leave no sound track at all."""
    return Step(canvas=replace(canvas, has_audio=False))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.SENSOR,
    group="noise",
    in_contest=True,
    unit="libavfilter noise strength, luma and half of it in colour",
    source="AugLy 0-50, default 25",
    strength=(8, 16, 26, 38, 55),
)
def noise(canvas: Canvas, rng: Generator, *, strength: int) -> Step:
    """Add the noise of a sensor in the dark, which changes from frame to frame."""
    seed = draw_seed(rng)
    colour = f"c1s={strength // 2}:c1f=t:c2s={strength // 2}:c2f=t"
    return Step(video=(f"noise=all_seed={seed}:c0s={strength}:c0f=t:{colour}",))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.FINAL,
    group="quality",
    in_contest=True,
    unit="x264 CRF of the final encode",
    source="DeeperForensics 30, 32, 35, 38, 40; AugLy 10-40",
    crf=(29.0, 33.0, 37.0, 41.0, 45.0),
)
def encoding_quality(canvas: Canvas, rng: Generator, *, crf: float) -> Step:
    """Compress hard, as an upload is: blocks and lost texture, made by the one final encode itself."""
    return Step(encode=FinalEncode(crf=crf))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.RESOLUTION,
    group="resolution",
    in_contest=True,
    unit="scale of each side; the video stays that small",
    source="AugLy 0.5; DeeperForensics down by 2-6",
    scale=(0.75, 0.6, 0.45, 0.33, 0.25),
)
def resolution(canvas: Canvas, rng: Generator, *, scale: float) -> Step:
    """Make the video smaller, as messengers do; never below 64 pixels on the shorter side."""
    factor = max(scale, min(1.0, 64 / min(canvas.width, canvas.height)))
    width, height = even(canvas.width * factor), even(canvas.height * factor)
    return Step(
        video=(f"scale={width}:{height}:flags=area",), canvas=resized(canvas, width=width, height=height)
    )


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.GEOMETRY,
    group="turn",
    in_contest=True,
    unit="degrees, either way",
    source="AugLy 0-180, default 15",
    degrees=(4.0, 9.0, 15.0, 25.0, 40.0),
)
def rotation(canvas: Canvas, rng: Generator, *, degrees: float) -> Step:
    """Turn the picture, as a phone held askew does; what turns in from outside is black."""
    return Step(operation=rotated(degrees if rng.random() < 0.5 else -degrees))
