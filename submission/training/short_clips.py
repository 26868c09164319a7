"""Short runs of frames out of a clip, real ones with a fake twin, and their first encode.

Real and generated clips go through the same law: the same sizes of the face, the same windows, rates and
encoder. What a repository's own size, rate and encoder were cannot be read off what comes out.

Not covered: sound; more than one person; donors that move (one picture of the donor serves for a whole run).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from detector.faces import Face, FaceFinder, cut, square_around
from numpy.typing import NDArray

from .fakes import Crop, RealFace, compress

RUN_FRAMES = 10  # of a short clip
READ_AT_MOST = 240  # frames of a source clip
LOOKED_AT = (
    180  # long side of the picture in which a source's face is looked for: large faces, and many frames
)
FACE_PIXELS = (52, 170)  # in the short clip
WINDOW = (1.9, 3.4)  # of the short clip, in units of the face
STEPS = (1, 1, 2, 2, 3)  # every n-th source frame
RATES = (12, 15, 20, 24, 25, 30)
CRF = (16.0, 29.0)
FORGED_MARGIN = 1.9  # of the square that is forged
POOR_SOURCE = 0.4  # of the runs are forged on a recording made poorer first
FORGED_LARGER = (1.0, 2.0)  # half of the runs are forged at up to twice their size, and shrunk after

Forge = Callable[[RealFace, int], Crop]  # a face and a seed; the same seed for all frames of a run


@dataclass(kw_only=True)
class Source:
    """A clip's pictures (RGB); the largest face of each is looked for when it is first asked for."""

    pictures: Sequence[Crop]
    finder: FaceFinder
    _faces: dict[int, Face | None] = field(default_factory=dict)

    def face(self, number: int) -> Face | None:
        """The largest face of a picture, None where there is none."""
        if number not in self._faces:
            picture = self.pictures[number]
            share = min(1.0, LOOKED_AT / max(picture.shape[:2]))
            to = (round(picture.shape[1] * share), round(picture.shape[0] * share))
            small = np.asarray(cv2.resize(picture, to, interpolation=cv2.INTER_AREA), np.uint8)
            seen = next(iter(self.finder.find(small)), None)
            self._faces[number] = seen and Face(
                box=seen.box / share, landmarks=seen.landmarks / share, score=seen.score
            )
        return self._faces[number]


def read_source(video: Path, finder: FaceFinder) -> Source:
    """Decodes the beginning of a clip."""
    pictures: list[Crop] = []
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            pictures.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            if len(pictures) == READ_AT_MOST:
                break
    finder.start_video()
    return Source(pictures=pictures, finder=finder)


def make_runs(
    source: Source, forge: Forge | None, rng: np.random.Generator, *, frames: int = RUN_FRAMES
) -> list[list[Crop]] | None:
    """A run of `frames` frames, and its forged twin where `forge` is given.

    None where the face is lost on the way, or walks out of the window. Where the clip is shorter, so are
    the runs.
    """
    step = int(rng.choice(STEPS))
    if len(source.pictures) < frames * step:
        step = 1
    first = int(rng.integers(max(1, len(source.pictures) - frames * step)))
    numbers = range(first, min(first + frames * step, len(source.pictures)), step)
    seen = [face for number in numbers if (face := source.face(number)) is not None]
    if len(seen) < len(numbers):
        return None
    boxes = np.array([face.box for face in seen])
    side = float(boxes[:, 2:].max(axis=1).mean())
    scale = min(float(np.exp(rng.uniform(*np.log(FACE_PIXELS)))) / side, 1.1)
    height, width = source.pictures[0].shape[:2]
    window = [min(float(rng.uniform(*WINDOW)) * side, limit) for limit in (width, height)]
    centre = (boxes[:, :2] + boxes[:, 2:] / 2).mean(axis=0) + rng.uniform(-0.1, 0.1, 2) * side
    left, top = (
        int(np.clip(c - w / 2, 0, limit - w))
        for c, w, limit in zip(centre, window, (width, height), strict=True)
    )
    centres = boxes[:, :2] + boxes[:, 2:] / 2 - (left, top)
    if (centres < 0).any() or (centres > window).any():
        return None
    size = tuple(max(64, int(w * scale) // 2 * 2) for w in window)
    larger = float(rng.uniform(*FORGED_LARGER)) if rng.random() < 0.5 else 1.0
    work_size = tuple(round(s * larger) for s in size)
    to_small = np.array(work_size) / np.array(window)
    poorer = _draw_poorer(rng)
    seed = int(rng.integers(2**32))
    runs: list[list[Crop]] = [[], []] if forge else [[]]
    for number, face in zip(numbers, seen, strict=True):
        part = source.pictures[number][top : top + int(window[1]), left : left + int(window[0])]
        twins = [poorer(np.asarray(cv2.resize(part, work_size, interpolation=cv2.INTER_AREA), np.uint8))]
        if forge:
            box = np.concatenate([(face.box[:2] - (left, top)) * to_small, face.box[2:] * to_small])
            points = (face.landmarks - (left, top)) * to_small
            twins.append(_forge_in(twins[0], box, points, lambda real: forge(real, seed)))
        for twin, run in zip(twins, runs, strict=True):
            run.append(np.asarray(cv2.resize(twin, size, interpolation=cv2.INTER_AREA), np.uint8))
    return runs


def _draw_poorer(rng: np.random.Generator) -> Callable[[Crop], Crop]:
    """A poorer recording, the same for each frame of a run: small, compressed, enlarged again; or nothing."""
    share, quality = float(rng.uniform(0.35, 0.8)), int(rng.integers(50, 95))
    how = int(rng.choice([cv2.INTER_LANCZOS4, cv2.INTER_CUBIC, cv2.INTER_LINEAR]))
    if rng.random() >= POOR_SOURCE:
        return lambda picture: picture

    def poorer(picture: Crop) -> Crop:
        height, width = picture.shape[:2]
        to = (max(16, round(width * share)), max(16, round(height * share)))
        small = compress(np.asarray(cv2.resize(picture, to, interpolation=cv2.INTER_AREA), np.uint8), quality)
        return np.asarray(cv2.resize(small, (width, height), interpolation=how), np.uint8)

    return poorer


def _forge_in(
    picture: Crop, box: NDArray[np.float64], points: NDArray[np.float64], forge: Callable[[RealFace], Crop]
) -> Crop:
    left, top, side = (round(v) for v in square_around(box, FORGED_MARGIN))
    before = cut(picture, (left, top, side), side)
    after = forge(RealFace(crop=before, landmarks=(points - (left, top)).astype(np.float32)))
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + side), min(height, top + side)
    out = picture.copy()
    out[y0:y1, x0:x1] = after[y0 - top : y1 - top, x0 - left : x1 - left]
    return out


def encode(pictures: Sequence[Crop], path: Path, *, rate: int, crf: float) -> None:
    """Writes H.264, one thread."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, rate)
        stream.options = {"crf": f"{crf:.1f}", "preset": "veryfast"}
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
