"""From clips to weights in one command; whatever is done already is not done again.

    make train CLIPS="FOLDER FOLDER" ARGS="--imagenet WHEEL --cache CACHE --always REPOSITORY ..."
    make train ... ARGS="... --members generated"   # of members.py; others than those that ship, or fewer
    make train ARGS=--tiny          # made-up faces, less than a minute: is it wired up?

In order: faces of real clips, runs of all clips through the public recipe, a pool of forged pairs, the
autoencoders; every member for every fold and seed, and on everything; what they are worth on clips they never
saw; their calibration, and their place in weights/. Stop it anywhere: the next call goes on there.

On a GPU minutes, on two cores a day (the autoencoders alone take four hours): `--steps` makes it less.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from . import autoencoders, calibrate, frozen, judge, members, pool, prepare, render, train, unseen
from .clips import FOLDS
from .places import PACKAGE, ROOT

RECIPES = ROOT / "sample_videos" / "recipes"


def everything(arguments: argparse.Namespace) -> None:
    """Runs every step."""
    cache: Path = arguments.cache
    common = ["--clips", *map(str, arguments.clips), "--cache", str(cache)]
    always = ["--always", *arguments.always] if arguments.always else []
    prepare.main(common)
    render.main([*common, *always, "--recipe", str(RECIPES / "public.toml")])
    pool.main([*common, *always])
    autoencoders.main([*common, *always])
    place = ["--unseen", str(cache / "unseen_clips"), "--cache", str(cache)]
    unseen.main(
        ["--clips", *map(str, arguments.clips), *always, "--output", place[1], "--recipes", str(RECIPES)]
    )
    judge.main(["look", *place])
    runs: Path = cache / "runs"
    for name in arguments.members:
        for fold in (*range(FOLDS), None):
            for seed in members.RECIPES[name].seeds:
                run = members.run_of(runs, name, seed, fold)
                print(f"{name}, seed {seed}, {members.fold_name(fold)}: {run}")
                trained = frozen if members.RECIPES[name].frozen else train
                trained.main([*common, *always, *words_of(name, seed, fold, arguments), "--run", str(run)])
            members.average_seeds(runs, name, fold)
    kinds = ["--kinds", *arguments.members]
    judged = str(cache / "judged.json")
    judge.main(["score", *common, *always, *place[:2], "--runs", str(runs), *kinds, "--report", judged])
    for name in arguments.members:
        shutil.copy2(members.average_seeds(runs, name, None), arguments.weights)
    report = str(cache / "calibration.json")
    folder = ["--folder", str(arguments.weights)]
    calibrate.main(["--judged", judged, *kinds, "--report", report, "--write", *folder])


def words_of(name: str, seed: int, fold: int | None, arguments: argparse.Namespace) -> list[str]:
    """The command line of one training; what was given by hand comes last, and so counts."""
    recipe = members.RECIPES[name]
    held_out = ["--fold", str(fold)] if fold is not None else []
    words = ["--imagenet", str(arguments.imagenet)]
    if recipe.frozen:
        return [*words, *held_out]
    words += ["--kind", recipe.kind, "--seed", str(seed)]
    words += ["--steps", str(recipe.steps), "--pairs", str(recipe.pairs)]
    words += ["--learning-rate", str(recipe.learning_rate), "--without", *recipe.without]
    return [*words, *arguments.options, *held_out]


def main(command_line: Sequence[str] | None = None) -> None:
    """The command line; what it does not know goes to every training."""
    words = list(sys.argv[1:] if command_line is None else command_line)
    if "--tiny" in words:
        train.main(words)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="folders of clips: see clips.py")
    parser.add_argument("--cache", type=Path, required=True, help="outside the repository: some gigabytes")
    parser.add_argument("--always", nargs="+", default=[], help="repositories that are held out of no fold")
    parser.add_argument("--imagenet", type=Path, required=True, help="ImageNet weights (see imagenet.py)")
    parser.add_argument(
        "--members", nargs="+", choices=sorted(members.RECIPES), default=list(members.SHIPPED)
    )
    parser.add_argument("--weights", type=Path, default=PACKAGE / "weights", help="where they are put")
    arguments, options = parser.parse_known_args(words)
    arguments.options = options
    train.parse([*options, "--clips", ".", "--cache", "."])  # wrong options end here, not in an hour
    everything(arguments)


if __name__ == "__main__":
    main()
