"""Everything that a member learns from, as pictures of one size: forged pairs, rendered crops, their labels.

    python -m training.pool --clips FOLDER --cache CACHE

Forging is the slow half of training on a GPU, so a pool of pairs is forged once on all cores and reused by
every fold and member: CACHE/pool/*.npy. What was rendered is unpacked there too. Donors of swaps come from
the same side of every fold (`donors`).
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from . import album
from .augment import Disguise, cut_square, resize, wear_source
from .children import end_with
from .clips import Clip, fold_of, read_clips
from .fakes import Crop
from .forge import FACE_MARGIN, METHOD_SHARES, Person, forge, read_faces

SIDE = 224  # pixels of every picture of the pool
MARGIN = 1.75  # of the face box
FRAMES_KEPT = 3  # of a rendered run
PAIRS = 100  # forged per real clip
DISGUISED = 0.7  # of the pairs show somebody who does not exist
POOR_SOURCE = 0.5  # of the pairs are forged on a recording made poorer first
MIX = 0.1  # of the pairs: the fake is a mixture with its real twin
MIXED = (0.55, 0.9)  # and how much of it is the fake
RENDERED = ("crops", "clips", "labels", "forged", "moments")  # fields of Rendered


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """real and fake are (n, SIDE, SIDE, 3) RGB uint8, row by row of the same moment; `clips` (n,) names."""

    real: NDArray[np.uint8]
    fake: NDArray[np.uint8]
    clips: NDArray[np.str_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rendered:
    """Crops through the public recipe: (n, SIDE, SIDE, 3), of which clip, which run and frame of it.

    `labels` 1 for fake; `forged` where a fake was forged here rather than made by a generator.
    """

    crops: NDArray[np.uint8]
    clips: NDArray[np.str_]
    labels: NDArray[np.int64]
    forged: NDArray[np.bool_]
    moments: NDArray[np.int64]


def donors(clip: Clip, clips: Sequence[Clip], *, always: Sequence[str]) -> set[str]:
    """Names of the clips whose faces may be put on this one.

    They are of the same side of every fold, and of people seen in one repository only: a face that is held
    out must not be part of a training fake.
    """
    dealt = fold_of(clips, always=always)
    homes = Counter(identity for identity, _ in {(c.identity, c.repository) for c in clips})
    return {
        other.name
        for other in clips
        if other.label == 0
        and dealt.get(other.repository) == dealt.get(clip.repository)
        and homes[other.identity] == 1
        and other.identity != clip.identity
    }


def forge_pair(person: Person, others: Sequence[Person], rng: np.random.Generator) -> tuple[Crop, Crop]:
    """A real picture and its forged twin, SIDE pixels each."""
    names, shares = list(METHOD_SHARES), np.array(list(METHOD_SHARES.values()))
    face = person.faces[rng.integers(len(person.faces))]
    if rng.random() < DISGUISED:
        face = Disguise.draw(rng).put_on_face(face)
    if rng.random() < POOR_SOURCE:
        face = replace(face, crop=wear_source(face.crop, rng))
    fake = forge(person, face, others, str(rng.choice(names, p=shares / shares.sum())), rng)
    if rng.random() < MIX:
        share = float(rng.uniform(*MIXED))
        fake = np.asarray(cv2.addWeighted(fake, share, face.crop, 1 - share, 0), np.uint8)
    real, fake = (
        resize(cut_square(crop, MARGIN, np.zeros(2), of=FACE_MARGIN), SIDE) for crop in (face.crop, fake)
    )
    return real, fake


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every clip is forged by."""

    clips: tuple[Clip, ...]
    cache: Path
    pairs: int
    seed: int
    always: tuple[str, ...]


_people = lru_cache(maxsize=1)(read_faces)  # once per process, not once per clip


def forge_clip(clip: Clip, job: Job) -> list[tuple[Crop, Crop]]:
    """The pairs of one clip; none where it has too few faces."""
    cv2.setNumThreads(1)
    people = _people(job.cache, job.clips)
    if clip.name not in people:
        return []
    allowed = donors(clip, job.clips, always=job.always)
    others = [person for name, person in people.items() if name in allowed]
    rng = np.random.default_rng([job.seed, 5, *clip.name.encode()])
    return [forge_pair(people[clip.name], others, rng) for _ in range(job.pairs)]


def make_pool(job: Job, *, workers: int) -> Pairs:
    """Forges the pairs of every real clip."""
    reals = [clip for clip in job.clips if clip.label == 0]
    with ProcessPoolExecutor(workers, initializer=end_with, initargs=(os.getpid(),)) as executor:
        waiting = [(clip, executor.submit(forge_clip, clip, job)) for clip in reals]
        made = [(clip, task.result()) for clip, task in tqdm(waiting, unit="clip", desc="pool")]
    pairs = [(clip.name, pair) for clip, some in made for pair in some]
    return Pairs(
        real=np.stack([pair[0] for _, pair in pairs]),
        fake=np.stack([pair[1] for _, pair in pairs]),
        clips=np.array([name for name, _ in pairs]),
    )


def read_pool(cache: Path) -> Pairs:
    """What `main` wrote.

    Raises:
        FileNotFoundError: the pool was not made.
    """
    folder = cache / "pool"
    if not (folder / "clips.npy").is_file():
        raise FileNotFoundError(f"{folder} holds no pool: run training.pool first")
    return Pairs(
        real=np.load(folder / "real.npy", mmap_mode="r"),
        fake=np.load(folder / "fake.npy", mmap_mode="r"),
        clips=np.load(folder / "clips.npy"),
    )


def unpack_rendered(cache: Path, clips: Sequence[Clip]) -> Rendered:
    """What render.py wrote of these clips.

    Raises:
        FileNotFoundError: a clip was not rendered.
    """
    crops: list[Crop] = []
    names, labels, forged, moments = [], [], [], []
    for clip in clips:
        path = cache / "rendered" / f"{clip.name}.npz"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: run training.render on the folder of {clip.video.name} first")
        with np.load(path) as file:
            for side, label in (("real", 0), ("fake", 1)):
                some = album.unpack(side, file)
                crops += some
                names += [clip.name] * len(some)
                labels += [label] * len(some)
                forged += [clip.label == 0 and label == 1] * len(some)
                moments += list(range(len(some)))
    return Rendered(
        crops=np.stack(crops),
        clips=np.array(names),
        labels=np.array(labels),
        forged=np.array(forged),
        moments=np.array(moments),
    )


def read_rendered(cache: Path, clips: Sequence[Clip]) -> Rendered:
    """The part of what `main` unpacked that is of these clips.

    Raises:
        FileNotFoundError: the pool was not made.
    """
    folder = cache / "pool"
    if not (folder / "clips.npy").is_file():
        raise FileNotFoundError(f"{folder} holds no pool: run training.pool first")
    arrays = {name: np.load(folder / f"rendered_{name}.npy", mmap_mode="r") for name in RENDERED}
    kept = np.flatnonzero(np.isin(arrays["clips"], [clip.name for clip in clips]))
    return Rendered(**{name: np.asarray(array[kept]) for name, array in arrays.items()})


def main(command_line: Sequence[str] | None = None) -> None:
    """Forges the pool, unless it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="folders given to prepare.py")
    parser.add_argument("--cache", type=Path, required=True, help="the folder that prepare.py filled")
    parser.add_argument("--always", nargs="+", default=[], help="repositories that are held out of no fold")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="per real clip")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args(command_line)
    folder = arguments.cache / "pool"
    if (folder / "clips.npy").is_file():
        print(f"{folder} is there already")
        return
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(
        clips=tuple(read_clips(arguments.clips)),
        cache=arguments.cache,
        pairs=arguments.pairs,
        seed=arguments.seed,
        always=tuple(arguments.always),
    )
    rendered = unpack_rendered(arguments.cache, job.clips)
    for name in RENDERED:
        np.save(folder / f"rendered_{name}.npy", getattr(rendered, name))
    pairs = make_pool(job, workers=arguments.workers)
    np.save(folder / "real.npy", pairs.real)
    np.save(folder / "fake.npy", pairs.fake)
    np.save(folder / "clips.part.npy", pairs.clips)
    (folder / "clips.part.npy").rename(folder / "clips.npy")  # last: says that the others are whole


if __name__ == "__main__":
    main()
