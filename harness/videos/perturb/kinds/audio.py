"""Sound beyond the contest. If a video has none, nothing happens."""

from __future__ import annotations

from numpy.random import Generator

from harness.videos.perturb.registry import AudioEffect, Family, LifeStage, draw_seed, perturbation
from harness.videos.perturb.steps import Canvas, Step

AUGMENTER = Family.AUGMENTER


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.AUDIO,
    group="audio",
    audio=AudioEffect.CHANGED,
    unit="amplitude of white noise, share of full scale",
    source="by ear",
    amplitude=(0.006, 0.012, 0.025, 0.05, 0.1),
)
def audio_noise(canvas: Canvas, rng: Generator, *, amplitude: float) -> Step:
    """Add hiss, as a bad microphone, a fan or a bad line does."""
    seed = draw_seed(rng) % 1_000_000
    channels = "|".join(
        # The expression's own random numbers, their state set once: the first term is always 0.
        f"0*if(eq(n,0),st({index},{seed + index}))+val({index})+{amplitude}*(2*random({index})-1)"
        for index in (0, 1)
    )
    return Step(audio=("aformat=channel_layouts=stereo", f"aeval=exprs='{channels}':c=same"))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.AUDIO,
    group="audio",
    audio=AudioEffect.CHANGED,
    unit="cut-off, Hz",
    source="3,400 is a telephone's; by ear",
    hertz=(7000, 4800, 3400, 2000, 1000),
)
def audio_low_pass(canvas: Canvas, rng: Generator, *, hertz: int) -> Step:
    """Muffle the sound, as a wall or a telephone does."""
    return Step(audio=(f"lowpass=f={hertz}", f"lowpass=f={hertz}"))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.AUDIO,
    group="audio",
    audio=AudioEffect.CHANGED,
    unit="milliseconds against the picture, either way; at most half the video",
    source="ITU-R BT.1359: noticed from 45 and 125 ms; by eye beyond it",
    milliseconds=(60, 130, 250, 450, 800),
)
def audio_shift(canvas: Canvas, rng: Generator, *, milliseconds: int) -> Step:
    """Put lips and sound out of step."""
    shift = min(milliseconds, round(canvas.duration_seconds * 500))
    if rng.random() < 0.5:
        return Step(audio=(f"adelay={shift}:all=1", f"atrim=end={canvas.duration_seconds:.3f}"))
    return Step(audio=(f"atrim=start={shift / 1000:.3f}", "asetpts=PTS-STARTPTS"))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.AUDIO,
    group="audio",
    audio=AudioEffect.CHANGED,
    unit="samples per second, brought back to 48,000 afterwards",
    source="8,000 is a telephone's; by ear",
    rate=(22050, 16000, 11025, 8000, 4000),
)
def audio_rate(canvas: Canvas, rng: Generator, *, rate: int) -> Step:
    """Store the sound at a low rate."""
    return Step(audio=(f"aresample={rate}",))
