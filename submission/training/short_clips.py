"""Short runs of frames out of a real clip, each with a fake twin, and their first encode.

Not covered: sound; more than one person; donors that move (one picture of the donor serves for a whole run).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from data import Person, forge
from detector.faces import Face, FaceFinder, cut, square_around
from fakes import Crop, RealFace, compress
from numpy.typing import NDArray

RUN_FRAMES = 14  # of a short clip
READ_AT_MOST = 300  # frames of a source clip
FACE_PIXELS = (48, 190)  # in the short clip
WINDOW = (1.7, 3.4)  # of the short clip, in units of the face
STEPS = (1, 1, 2, 2, 3)  # every n-th source frame
RATES = (12, 15, 20, 24, 25, 30)
CRF = (17.0, 27.0)
FORGED_MARGIN = 1.9  # of the square that is forged
POOR_SOURCE = 0.4  # of the runs are forged on a recording made poorer first
FORGED_LARGER = (1.0, 2.0)  # half of the runs are forged at up to twice their size, and shrunk after


@dataclass(frozen=True, kw_only=True)
class Source:
    """A real clip: its pictures (RGB) and the largest face of each, None where there is none."""

    person: Person
    pictures: Sequence[Crop]
    faces: Sequence[Face | None]


def read_source(video: Path, person: Person, finder: FaceFinder) -> Source:
    """Decodes the beginning of a clip and finds its faces."""
    pictures: list[Crop] = []
    faces: list[Face | None] = []
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            finder.start_video()
            pictures.append(picture)
            faces.append(next(iter(finder.find(picture)), None))
            if len(pictures) == READ_AT_MOST:
                break
    return Source(person=person, pictures=pictures, faces=faces)


def make_runs(
    source: Source,
    others: Sequence[Person],
    method: str,
    rng: np.random.Generator,
    *,
    frames: int = RUN_FRAMES,
) -> tuple[list[Crop], list[Crop]] | None:
    """A run of `frames` real frames and its fake twin, or None where the face is lost on the way.

    Where the clip is shorter, so are they.
    """
    step = int(rng.choice(STEPS))
    if len(source.pictures) < frames * step:
        step = 1
    first = int(rng.integers(max(1, len(source.pictures) - frames * step)))
    numbers = range(first, min(first + frames * step, len(source.pictures)), step)
    seen = [source.faces[n] for n in numbers]
    if any(face is None for face in seen):
        return None
    boxes = np.array([face.box for face in seen if face is not None])
    side = float(boxes[:, 2:].max(axis=1).mean())
    pixels = float(np.exp(rng.uniform(*np.log(FACE_PIXELS))))
    scale = min(pixels / side, 1.2)
    height, width = source.pictures[0].shape[:2]
    window = [min(float(rng.uniform(*WINDOW)) * side, limit) for limit in (width, height)]
    centre = (boxes[:, :2] + boxes[:, 2:] / 2).mean(axis=0) + rng.uniform(-0.1, 0.1, 2) * side
    left, top = (
        int(np.clip(c - w / 2, 0, limit - w))
        for c, w, limit in zip(centre, window, (width, height), strict=True)
    )
    centres = boxes[:, :2] + boxes[:, 2:] / 2 - (left, top)
    if (centres < 0).any() or (centres > window).any():
        return None  # walked out of the window that stands still
    size = tuple(max(64, int(w * scale) // 2 * 2) for w in window)
    larger = float(rng.uniform(*FORGED_LARGER)) if rng.random() < 0.5 else 1.0
    work_size = tuple(round(s * larger) for s in size)
    to_small = np.array(work_size) / np.array(window)
    poorer = _draw_poorer(rng)
    forge_key = int(rng.integers(2**32))
    real: list[Crop] = []
    fake: list[Crop] = []
    for number, face in zip(numbers, seen, strict=True):
        part = source.pictures[number][top : top + int(window[1]), left : left + int(window[0])]
        small = poorer(np.asarray(cv2.resize(part, work_size, interpolation=cv2.INTER_AREA), np.uint8))
        if face is None:
            raise AssertionError("checked above")
        box = np.concatenate([(face.box[:2] - (left, top)) * to_small, face.box[2:] * to_small])
        points = (face.landmarks - (left, top)) * to_small
        # The same key for every frame: the same donor, mask, colours and sharpness throughout the run.
        forged = _forge_in(small, box, points, source.person, others, method, forge_key)
        for twin, run in ((small, real), (forged, fake)):
            run.append(np.asarray(cv2.resize(twin, size, interpolation=cv2.INTER_AREA), np.uint8))
    return real, fake


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


def _forge_in(  # noqa: PLR0917
    picture: Crop,
    box: NDArray[np.float64],
    points: NDArray[np.float64],
    person: Person,
    others: Sequence[Person],
    method: str,
    key: int,
) -> Crop:
    left, top, side = (round(v) for v in square_around(box, FORGED_MARGIN))
    before = cut(picture, (left, top, side), side)
    landmarks = (points - (left, top)).astype(np.float32)
    face = RealFace(crop=before, landmarks=landmarks)
    after = forge(person, face, others, method, np.random.default_rng(key))
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
