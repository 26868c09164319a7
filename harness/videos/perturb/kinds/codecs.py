"""Coding beyond the contest: what other encoders, networks and services did before the final encode."""

from __future__ import annotations

from numpy.random import Generator

from harness.videos.perturb.generations import h264
from harness.videos.perturb.registry import Family, LifeStage, draw_seed, perturbation
from harness.videos.perturb.steps import Canvas, FinalEncode, Generation, Step

AUGMENTER = Family.AUGMENTER


def _crf(codec: str, crf: float, **options: str) -> Step:
    return Step(generations=(Generation(codec=codec, options={"crf": f"{crf:g}", **options}),))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.CODING,
    group="codec",
    unit="CRF of x265 ultrafast",
    source="by eye, like DeeperForensics' CRF 30-40 of H.264",
    crf=(30.0, 33.0, 36.0, 39.0, 42.0),
)
def hevc(canvas: Canvas, rng: Generator, *, crf: float) -> Step:
    """Code as a phone's HEVC recording at low quality, converted to H.264 later."""
    quiet = "pools=none:frame-threads=1:log-level=none"
    return _crf("libx265", crf, preset="ultrafast", **{"x265-params": quiet})


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.CODING,
    group="codec",
    unit="CRF of libvpx-vp9, real-time",
    source="by eye",
    crf=(42.0, 48.0, 54.0, 59.0, 63.0),
)
def vp9(canvas: Canvas, rng: Generator, *, crf: float) -> Step:
    """Code as a web platform does that serves VP9."""
    fast = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "b": "0", "threads": "1"}
    return _crf("libvpx-vp9", crf, **fast)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.CODING,
    group="codec",
    unit="CRF of SVT-AV1, preset 11, real-time",
    source="by eye",
    crf=(45.0, 51.0, 56.0, 60.0, 63.0),
)
def av1(canvas: Canvas, rng: Generator, *, crf: float) -> Step:
    """Code as a platform does that serves AV1: smeared rather than blocky."""
    return _crf("libsvtav1", crf, preset="11", **{"svtav1-params": "lp=1:pred-struct=1:rtc=1"})


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.CODING,
    group="codec",
    unit="quantiser of MPEG-4 part 2",
    source="by eye; 31 is the coarsest there is",
    quantiser=(7, 11, 16, 23, 31),
)
def mpeg4(canvas: Canvas, rng: Generator, *, quantiser: int) -> Step:
    """Code as the MPEG-4 of an old camera or website, with no filter against blocks."""
    scale = str(quantiser)
    return Step(generations=(Generation(codec="mpeg4", options={"qmin": scale, "qmax": scale}),))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.CODING,
    group="codec",
    unit="generations; CRF of each",
    source="by eye",
    generations=(1, 2, 3, 4, 5),
    crf=(30.0, 32.0, 34.0, 36.0, 38.0),
)
def recompression(canvas: Canvas, rng: Generator, *, generations: int, crf: float) -> Step:
    """Code several times, as a video that was downloaded and uploaded again."""
    # Key frames fall elsewhere in each generation, as they do when every service cuts its own.
    coded = tuple(h264(crf, g=str(29 + 8 * turn)) for turn in range(generations))
    return Step(generations=coded)


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.FINAL,
    group="quality",
    unit="bits per pixel of the final encode, at most",
    source="by eye: 0.05 is 3 Mb/s at 1080p30",
    bits=(0.045, 0.03, 0.02, 0.0135, 0.009),
)
def low_bitrate(canvas: Canvas, rng: Generator, *, bits: float) -> Step:
    """Squeeze the stream into a narrow line: fine when still, falling apart when it moves."""
    return Step(encode=FinalEncode(bits_per_pixel=bits))


@perturbation(
    family=AUGMENTER,
    stage=LifeStage.CODING,
    group="codec",
    unit="share of slices lost, of eight in each frame",
    source="by eye; a key frame every two seconds repairs",
    share=(0.015, 0.03, 0.06, 0.1, 0.15),
)
def packet_loss(canvas: Canvas, rng: Generator, *, share: float) -> Step:
    """Damage it as a bad network does a live stream: bands of the picture smear until the next key frame."""
    every = str(max(2, round(2 * canvas.frames_per_second)))
    coded = h264(23, g=every, slices="8")
    lossy = Generation(codec=coded.codec, options=coded.options, slice_loss=share, loss_seed=draw_seed(rng))
    return Step(generations=(lossy,))
