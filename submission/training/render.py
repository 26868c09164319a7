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
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
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
    read_identities,
    split,
)
from detector.decoding import UndecodableVideoError, read_frames  # noqa: E402
from detector.faces import Face, FaceFinder, cut, square_around  # noqa: E402
from fakes import Crop, RealFace  # noqa: E402

from harness.perturb.recipes import Recipe, load_recipe, plan  # noqa: E402
from harness.perturb.render import render  # noqa: E402
from harness.probe import probe  # noqa: E402

ROUNDS = 4
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
MARGIN = 1.65  # of the crops kept: room for squares of 1.2 to 1.55 around the face
FORGED_MARGIN = 1.9  # of the square that is forged


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
            picture = np.asarray(frame.to_ndarray(format="rgb24"))
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
    size = tuple(max(64, int(w * scale) // 2 * 2) for w in window)
    to_small = np.array(size) / np.array(window)
    donor_key = int(rng.integers(2**32))
    real, fake = [], []
    for number, face in zip(numbers, seen, strict=True):
        part = source.pictures[number][top : top + int(window[1]), left : left + int(window[0])]
        small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        real.append(small)
        if face is None:
            raise AssertionError("checked above")
        box = np.concatenate([(face.box[:2] - (left, top)) * to_small, face.box[2:] * to_small])
        points = (face.landmarks - (left, top)) * to_small
        # The same key for every frame: the same donor, mask, colours and sharpness throughout the run.
        fake.append(_forge_in(small, box, points, source.person, others, method, donor_key))
    return real, fake


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
            crops.append(cut(frame.picture, square_around(faces[0].box, MARGIN), CROP))
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


def main() -> None:
    """Renders every clip of a folder, round by round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--videos", type=Path, required=True, help="folder of real clips")
    parser.add_argument("--crops", type=Path, required=True, help="folder that prepare.py filled from them")
    parser.add_argument(
        "--cache", type=Path, required=True, help="where the pairs go: outside the repository"
    )
    parser.add_argument("--recipe", type=Path, required=True, help="the public recipe of the challenge")
    parser.add_argument("--identities", type=Path, help="JSON: clip name to identity, where clips share one")
    parser.add_argument("--fold", type=int, default=0, help=f"that train.py will hold out, of {FOLDS}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    arguments.cache.mkdir(parents=True, exist_ok=True)
    persons = read_cache(arguments.crops, read_identities(arguments.identities))
    # Donors come from the same side of the fold: a held-out face must not be seen as a part of a training
    # fake.
    sides = split(persons, fold=arguments.fold, folds=FOLDS, seed=0)
    recipe = load_recipe(arguments.recipe)
    finder = FaceFinder(PACKAGE)
    for round_number in range(arguments.rounds):
        for index, person in enumerate(tqdm(persons, desc=f"round {round_number}", unit="clip")):
            target = arguments.cache / f"{person.clip}.{round_number}.npz"
            if target.exists():
                continue
            source = read_source(arguments.videos / f"{person.clip}.mp4", person, finder)
            key = (arguments.seed, index, round_number)
            others = next(side for side in sides if person in side)
            made = make_round(source, others, recipe=recipe, finder=finder, key=key)
            partial = target.with_suffix(".part.npz")
            np.savez(partial, **made)  # type: ignore[arg-type]  # mypy reads ** as its other keywords
            partial.rename(target)


if __name__ == "__main__":
    main()
