"""From videos of real people to pairs of real and fake clips, and to the crops a detector would see of them.

    python submission/training/render.py --videos FOLDER --crops FOLDER --cache FOLDER --recipe public.toml

Fakes made on single pictures lack what every video has been through: inter-frame coding, twice, and a
perturbation between. Here short runs of frames are forged, encoded, put through the engine's *public* recipe
(the private kinds are never seen) and looked at as the entry looks at any video: same decoding, same face
finder. Real and fake go through the same law.

One .npz per clip and round: `real` and `fake` (pairs, FRAMES_KEPT, CROP, CROP, 3) RGB uint8, `methods`
(pairs,), `perturbations` (pairs, 2). Rounds that exist are left as they are, so that a stopped run goes on.

Not covered: sound; more than one person; donors that move (one picture of the donor serves for a whole run).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

PACKAGE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PACKAGE), str(PACKAGE / "training"), str(PACKAGE.parent)]

from data import (  # noqa: E402  (the package is no installed module)
    FOLDS,
    METHOD_SHARES,
    Person,
    forge,
    read_cache,
    split,
)
from detector.decoding import UndecodableVideoError, read_frames  # noqa: E402
from detector.faces import Face, FaceFinder, cut, square_around  # noqa: E402
from fakes import Crop, RealFace, compress  # noqa: E402
from rendered import RENDERED_MARGIN  # noqa: E402

from harness.perturb.recipes import Recipe, load_recipe, plan  # noqa: E402
from harness.perturb.render import render  # noqa: E402
from harness.probe import probe  # noqa: E402

ROUNDS = 6
PAIRS = 6  # per clip and round
RUN_FRAMES = 14  # of a short clip
FRAMES_KEPT = 3
READ_AT_MOST = 300  # frames of a source clip
FACE_PIXELS = (48, 190)  # in the short clip
WINDOW = (1.7, 3.4)  # of the short clip, in units of the face
STEPS = (1, 1, 2, 2, 3)  # every n-th source frame
RATES = (12, 15, 20, 24, 25, 30)
CRF = (17.0, 27.0)
CROP = 160
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
    source: Source, others: Sequence[Person], method: str, rng: np.random.Generator
) -> tuple[list[Crop], list[Crop]] | None:
    """A run of real frames and its fake twin, or None where the face is lost on the way."""
    step = int(rng.choice(STEPS))
    if len(source.pictures) < RUN_FRAMES * step:
        step = 1
    first = int(rng.integers(max(1, len(source.pictures) - RUN_FRAMES * step)))
    numbers = range(first, min(first + RUN_FRAMES * step, len(source.pictures)), step)
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


def look(video: Path, finder: FaceFinder) -> Crop | None:
    """What the entry would see: (FRAMES_KEPT, CROP, CROP, 3), or None where it would find too few faces."""
    crops = []
    finder.start_video()
    try:
        for frame in read_frames(video, frames=FRAMES_KEPT, stretches=1):
            faces = finder.find(frame.picture)
            if not faces:
                return None
            crops.append(cut(frame.picture, square_around(faces[0].box, RENDERED_MARGIN), CROP))
    except UndecodableVideoError:
        return None
    return np.stack(crops) if len(crops) == FRAMES_KEPT else None


def make_round(
    source: Source,
    others: Sequence[Person],
    *,
    recipe: Recipe,
    finder: FaceFinder,
    key: Sequence[int],
) -> dict[str, NDArray[np.generic]]:
    """Makes `PAIRS` pairs of one clip; fewer where faces are lost."""
    rng = np.random.default_rng(list(key))
    shares = np.array(list(METHOD_SHARES.values()))
    real, fake, methods, perturbations = [], [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for pair in range(PAIRS):
            method = str(rng.choice(list(METHOD_SHARES), p=shares / shares.sum()))
            rate, crf = int(rng.choice(RATES)), float(rng.uniform(*CRF))
            runs = make_runs(source, others, method, rng)
            if runs is None:
                continue
            crops, applied = [], []
            for label, pictures in zip(("real", "fake"), runs, strict=True):
                first, last = folder / "first.mp4", folder / "last.mp4"
                encode(pictures, first, rate=rate, crf=crf)
                info = probe(first)
                planned = plan(
                    recipe,
                    set_seed=key[0],
                    video_id=f"{source.person.clip} {key[-1]} {pair} {label}",
                    info=info,
                )
                render(first, info, planned, last)
                crops.append(look(last, finder))
                applied.append(" ".join(f"{p.name}:{p.severity}" for p in planned.applied))
            if crops[0] is not None and crops[1] is not None:
                real.append(crops[0])
                fake.append(crops[1])
                methods.append(method)
                perturbations.append(applied)
    shape = (-1, FRAMES_KEPT, CROP, CROP, 3)
    return {
        "real": np.asarray(real, np.uint8).reshape(shape),
        "fake": np.asarray(fake, np.uint8).reshape(shape),
        "methods": np.asarray(methods, np.str_),
        "perturbations": np.asarray(perturbations, np.str_).reshape(-1, 2),
    }


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every clip is rendered by."""

    crops: Path
    cache: Path
    recipe: Recipe
    rounds: int
    seed: int
    fold: int
    trained: tuple[str, ...]


_people = lru_cache(maxsize=1)(read_cache)  # once per process, not once per clip


def render_clip(video: Path, job: Job) -> int:
    """Renders the rounds of one clip that are not there yet; returns the number of pairs made."""
    cv2.setNumThreads(1)
    targets = [job.cache / f"{video.stem}.{number}.npz" for number in range(job.rounds)]
    if all(target.exists() for target in targets):
        return 0
    persons = _people(job.crops)
    index = next(i for i, p in enumerate(persons) if p.clip == video.stem)
    # Donors come from the same side of the fold: a held-out face must not be seen as a part of a training
    # fake.
    sides = split(persons, fold=job.fold, folds=FOLDS, seed=0, trained=job.trained)
    others = next(side for side in sides if persons[index] in side)
    finder = FaceFinder(PACKAGE)
    source = read_source(video, persons[index], finder)
    pairs = 0
    for number, target in enumerate(targets):
        if target.exists():
            continue
        key = (job.seed, index, number)
        made = make_round(source, others, recipe=job.recipe, finder=finder, key=key)
        part = target.with_suffix(".part.npz")
        np.savez(part, allow_pickle=False, **made)
        part.rename(target)
        pairs += len(made["real"])
    return pairs


def find_clips(folders: Sequence[Path], persons: Sequence[Person]) -> list[Path]:
    """The video of each person, in their order.

    Raises:
        FileNotFoundError: a clip of the cache is in none of the folders.
    """
    videos = {path.stem: path for folder in folders for path in sorted(folder.iterdir())}
    missing = [p.clip for p in persons if p.clip not in videos]
    if missing:
        raise FileNotFoundError(f"no video in --videos for the crops of {', '.join(missing)}")
    return [videos[p.clip] for p in persons]


def main() -> None:
    """Renders every clip whose crops are in the cache."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--videos", type=Path, nargs="+", required=True, help="folders given to prepare.py")
    parser.add_argument("--crops", type=Path, required=True, help="folder that prepare.py filled from them")
    parser.add_argument(
        "--cache", type=Path, required=True, help="where the pairs go: outside the repository"
    )
    parser.add_argument("--recipe", type=Path, required=True, help="the public recipe of the challenge")
    parser.add_argument("--trained", nargs="+", default=[], help="identities held out of no fold")
    parser.add_argument("--fold", type=int, default=0, help=f"that train.py will hold out, of {FOLDS}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of {PAIRS} pairs per clip")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes, of about 2 GB each")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    job = Job(
        crops=arguments.crops,
        cache=arguments.cache,
        recipe=load_recipe(arguments.recipe),
        rounds=arguments.rounds,
        seed=arguments.seed,
        fold=arguments.fold,
        trained=tuple(arguments.trained),
    )
    clips = find_clips(arguments.videos, read_cache(arguments.crops))
    pairs = 0
    with ProcessPoolExecutor(arguments.workers) as pool:
        waiting = [pool.submit(render_clip, video, job) for video in clips]
        for done in (bar := tqdm(as_completed(waiting), total=len(waiting), unit="clip")):
            pairs += done.result()
            bar.set_postfix(pairs=pairs)


if __name__ == "__main__":
    main()
