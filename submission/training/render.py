"""From clips to crops as a detector would see them, all through the same law and the *public* recipe.

    python -m training.render --clips FOLDER --cache CACHE --recipe public.toml

Crops of single pictures lack what every video has been through: inter-frame coding, twice, and a
perturbation between. And clips of different repositories differ in size, rate and encoder, which tells their
label without a look at the face. So short runs of frames are scaled to a size of the face drawn from one law,
encoded, put through the engine's public recipe (the private kinds are never seen) and looked at as the entry
looks at any video: same decoding, same face finder. A real clip's runs get a forged twin; a generated clip's
go through alone. A real clip and the swap made from it draw the same numbers: they differ by the swap.

One .npz per clip in CACHE/rendered: `real` and `fake` (WebP, see album.py), FRAMES_KEPT crops of SIDE pixels
for each run, `methods` (runs,) and `perturbations` (runs,). Clips that are there are left as they are.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from detector.decoding import UndecodableVideoError, read_frames
from detector.faces import FaceFinder, cut, square_around
from numpy.typing import NDArray
from tqdm import tqdm

from harness.videos.perturb.recipes import Recipe, load_recipe, plan
from harness.videos.perturb.render import render
from harness.videos.probe import probe

from . import album
from .children import end_with
from .clips import Clip, read_clips
from .fakes import Crop, RealFace
from .forge import METHOD_SHARES, Person, forge, read_faces
from .places import PACKAGE
from .pool import FRAMES_KEPT, MARGIN, SIDE, donors
from .short_clips import CRF, RATES, Forge, encode, make_runs, read_source

RUNS = 7  # per clip


def look(video: Path, finder: FaceFinder) -> list[Crop] | None:
    """What the entry would see: FRAMES_KEPT crops, or None where it would find too few faces."""
    crops = []
    finder.start_video()
    try:
        for frame in read_frames(video, frames=FRAMES_KEPT, stretches=1):
            faces = finder.find(frame.picture)
            if not faces:
                return None
            crops.append(cut(frame.picture, square_around(faces[0].box, MARGIN), SIDE))
    except UndecodableVideoError:
        return None
    return crops if len(crops) == FRAMES_KEPT else None


def render_clip(
    clip: Clip, person: Person | None, others: Sequence[Person], recipe: Recipe, *, runs: int, seed: int
) -> dict[str, NDArray[np.generic]]:
    """Renders `runs` runs of one clip, fewer where faces are lost: the arrays of its file.

    Args:
        clip: real or generated.
        person: its faces, where it is real.
        others: donors of swaps.
        recipe: the public one.
        runs: how many to try.
        seed: of everything.
    """
    finder = FaceFinder(PACKAGE)  # remembers the last video; so the source has one of its own
    source = read_source(clip.video, FaceFinder(PACKAGE))
    key = zlib.crc32(f"{clip.repository} {clip.recording}".encode())
    shares = np.array(list(METHOD_SHARES.values()))
    sides: dict[str, list[Crop]] = {"real": [], "fake": []}
    methods, perturbations = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(runs):
            rng = np.random.default_rng([seed, key, number])
            method = str(rng.choice(list(METHOD_SHARES), p=shares / shares.sum()))
            rate, crf = int(rng.choice(RATES)), float(rng.uniform(*CRF))
            made = make_runs(source, _forger(person, others, method), rng)
            if made is None:
                continue
            crops, applied = [], ""
            for pictures in made:
                first, last = folder / "first.mp4", folder / "last.mp4"
                encode(pictures, first, rate=rate, crf=crf)
                info = probe(first)
                planned = plan(recipe, set_seed=seed, video_id=f"{key} {number}", info=info)
                render(first, info, planned, last)
                crops.append(look(last, finder))
                applied = " ".join(f"{p.name}:{p.severity}" for p in planned.applied)
            seen = [some for some in crops if some is not None]
            if len(seen) < len(made):
                continue
            for side, some in zip(("real", "fake") if clip.label == 0 else ("fake",), seen, strict=True):
                sides[side] += some
            methods.append(method if clip.label == 0 else clip.method)
            perturbations.append(applied)
    return {
        **album.pack("real", sides["real"]),
        **album.pack("fake", sides["fake"]),
        "methods": np.asarray(methods, np.str_),
        "perturbations": np.asarray(perturbations, np.str_),
    }


def _forger(person: Person | None, others: Sequence[Person], method: str) -> Forge | None:
    if person is None:
        return None

    def forged(face: RealFace, seed: int) -> Crop:
        return forge(person, face, others, method, np.random.default_rng(seed))

    return forged


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every clip is rendered by."""

    clips: tuple[Clip, ...]
    cache: Path
    recipe: Recipe
    runs: int
    seed: int
    always: tuple[str, ...]


_people = lru_cache(maxsize=1)(read_faces)  # once per process, not once per clip


def do(clip: Clip, job: Job) -> int:
    """Renders one clip unless it is there; returns the number of runs made."""
    cv2.setNumThreads(1)
    target = job.cache / "rendered" / f"{clip.name}.npz"
    if target.exists():
        return 0
    people = _people(job.cache, job.clips)
    allowed = donors(clip, job.clips, always=job.always)
    others = [person for name, person in people.items() if name in allowed]
    made = render_clip(clip, people.get(clip.name), others, job.recipe, runs=job.runs, seed=job.seed)
    album.save(target, made)
    return len(made["methods"])


def main(command_line: Sequence[str] | None = None) -> None:
    """Renders every clip of the folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="folders given to prepare.py")
    parser.add_argument("--cache", type=Path, required=True, help="the folder that prepare.py filled")
    parser.add_argument("--recipe", type=Path, required=True, help="the public recipe of the challenge")
    parser.add_argument("--always", nargs="+", default=[], help="repositories that are held out of no fold")
    parser.add_argument("--runs", type=int, default=RUNS, help="per clip")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes, of about 1 GB each")
    arguments = parser.parse_args(command_line)
    (arguments.cache / "rendered").mkdir(parents=True, exist_ok=True)
    job = Job(
        clips=tuple(read_clips(arguments.clips)),
        cache=arguments.cache,
        recipe=load_recipe(arguments.recipe),
        runs=arguments.runs,
        seed=arguments.seed,
        always=tuple(arguments.always),
    )
    made = 0
    with ProcessPoolExecutor(arguments.workers, initializer=end_with, initargs=(os.getpid(),)) as pool:
        waiting = [pool.submit(do, clip, job) for clip in job.clips]
        for done in (bar := tqdm(as_completed(waiting), total=len(waiting), unit="clip", desc="rendered")):
            made += done.result()
            bar.set_postfix(runs=made)


if __name__ == "__main__":
    main()
