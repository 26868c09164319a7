"""From videos of real people to pairs of real and fake clips, and to the crops a detector would see of them.

    python submission/training/render.py --videos FOLDER --crops FOLDER --cache FOLDER --recipe public.toml

Fakes made on single pictures lack what every video has been through: inter-frame coding, twice, and a
perturbation between. Here short runs of frames are forged, encoded, put through the engine's *public* recipe
(the private kinds are never seen) and looked at as the entry looks at any video: same decoding, same face
finder. Real and fake go through the same law.

One .npz per clip and round: `real` and `fake` (pairs, FRAMES_KEPT, CROP, CROP, 3) RGB uint8, `methods`
(pairs,), `perturbations` (pairs, 2). Rounds that exist are left as they are, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

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
    read_cache,
    split,
)
from detector.decoding import UndecodableVideoError, read_frames  # noqa: E402
from detector.faces import FaceFinder, cut, square_around  # noqa: E402
from fakes import Crop  # noqa: E402
from rendered import RENDERED_MARGIN  # noqa: E402
from short_clips import CRF, RATES, Source, encode, make_runs, read_source  # noqa: E402

from harness.videos.perturb.recipes import Recipe, load_recipe, plan  # noqa: E402
from harness.videos.perturb.render import render  # noqa: E402
from harness.videos.probe import probe  # noqa: E402

ROUNDS = 6
PAIRS = 6  # per clip and round
FRAMES_KEPT = 3
CROP = 160


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
