"""A challenge that asks one thing: what is a detector worth on people it was not trained on?

    python submission/training/people.py --videos CLIPS sample_videos/public --crops CROPS --trained a \
        --output CHALLENGE
    harness run submission --challenge CHALLENGE/challenge.toml

Set `public`: people that train.py with the same --fold and --trained learnt from. Set `private`: people it
held out. Both are made alike, from the same methods in the same shares, and both are re-encoded and not
perturbed; what differs is who is seen. Donors of swaps come from the same side. Labels name the person as
`identity`.

Not covered: other cameras or methods than those of training: the gap to those comes on top.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

PACKAGE = Path(__file__).resolve().parents[1]

from .data import FOLDS, METHOD_SHARES, Person, read_cache, split
from detector.faces import FaceFinder
from .render import find_clips
from .short_clips import CRF, RATES, encode, make_runs, read_source

FRAMES = 40  # of a clip
TRIES = 5  # for a run in which the face is never lost
SEED = 7
CHALLENGE = """\
# Made by submission/training/people.py: the same law for both sets, other people in each.
schema = 1
name = "people"
title = "People seen in training (public) and people held out (private)"

[sets.public]
videos = "seen"
labels = "seen/labels.csv"
recipe = "clean"
seed = 1

[sets.private]
videos = "held_out"
labels = "held_out/labels.csv"
recipe = "clean"
seed = 1
"""


def make_set(
    folder: Path, videos: Sequence[Path], persons: Sequence[Person], *, pairs: int, side: int
) -> None:
    """Writes `pairs` pairs of each identity into a folder, and its labels.

    Args:
        folder: made where it is not there.
        videos: of each person, in the same order.
        persons: of one side; donors come from them.
        pairs: per identity, dealt out over its clips.
        side: of the fold, for the seed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finder = FaceFinder(PACKAGE)
    rows: list[tuple[str, int, str, str, str]] = []
    clips_of = {
        identity: [i for i, p in enumerate(persons) if p.identity == identity]
        for identity in sorted({p.identity for p in persons})
    }
    methods, shares = list(METHOD_SHARES), np.array(list(METHOD_SHARES.values()))
    for identity, clips in tqdm(clips_of.items(), desc=folder.name, unit="person"):
        for number, index in enumerate(clips):
            share = pairs // len(clips) + (number < pairs % len(clips))
            if not share:
                continue
            person = persons[index]
            source = read_source(videos[index], person, finder)
            for pair in range(share):
                rng = np.random.default_rng([SEED, side, index, pair])
                method = str(rng.choice(methods, p=shares / shares.sum()))
                rate, crf = int(rng.choice(RATES)), float(rng.uniform(*CRF))
                runs = next(
                    filter(
                        None, (make_runs(source, persons, method, rng, frames=FRAMES) for _ in range(TRIES))
                    ),
                    None,
                )
                if runs is None:
                    continue
                for label, pictures in enumerate(runs):
                    name = f"{rng.integers(2**40):010x}.mp4"
                    encode(pictures, folder / name, rate=rate, crf=crf)
                    rows.append((name, label, method if label else "", f"{person.clip} {pair}", identity))
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("filename", "label", "method", "source", "identity"))
        writer.writerows(sorted(rows))


def main() -> None:
    """Makes both sets and the challenge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--videos", type=Path, nargs="+", required=True, help="folders given to prepare.py")
    parser.add_argument("--crops", type=Path, required=True, help="folder that prepare.py filled")
    parser.add_argument("--trained", nargs="+", default=[], help="as given to train.py")
    parser.add_argument("--fold", type=int, default=0, help="as given to train.py")
    parser.add_argument("--pairs", type=int, nargs=2, default=(5, 16), help="per person seen, and held out")
    parser.add_argument("--output", type=Path, required=True, help="a new folder, outside the repository")
    arguments = parser.parse_args()
    persons = read_cache(arguments.crops)
    sides = split(persons, fold=arguments.fold, folds=FOLDS, seed=0, trained=arguments.trained)
    for side, (name, some) in enumerate(zip(("seen", "held_out"), sides, strict=True)):
        make_set(
            arguments.output / name,
            find_clips(arguments.videos, some),
            some,
            pairs=arguments.pairs[side],
            side=side,
        )
    (arguments.output / "challenge.toml").write_text(CHALLENGE)


if __name__ == "__main__":
    main()
