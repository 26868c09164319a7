"""From clips to weights in one command; whatever is done already is not done again.

    make train CLIPS="FOLDER FOLDER" ARGS="--imagenet WHEEL --cache CACHE --always REPOSITORY ..."
    make train ... ARGS="... --members generated"   # of members.py; others than those that ship, or fewer
    make train ... ARGS="... --small"  # a few clips, minutes: does the whole of it go through?
    make train ARGS=--tiny          # made-up faces, less than a minute: is training wired up?

In order: faces of real clips, runs of all clips through the public recipe, a pool of forged pairs, the
autoencoders; every member for every fold and seed, and on everything; what they are worth on clips they never
saw; their calibration, and their place in weights/. Stop it anywhere: the next call goes on there.

On a GPU minutes, on two cores days (the autoencoders alone take eight hours): `--steps` makes it less.
`--stages forge train` does what needs a GPU where there is one, without videos or the harness: CACHE and the
tables of the clips go there (the clips themselves may be empty files), and CACHE/runs comes back.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import calibrate, judge, members, pool, train
from .clips import FOLDS
from .places import PACKAGE, ROOT

RECIPES = ROOT / "sample_videos" / "recipes"
STAGES = ("look", "forge", "train", "judge")
# Next to nothing of each step: does the whole go through, go on where it stopped, and give the same twice?
SMALL = {"render": ["--runs", "1"], "pool": ["--pairs", "2"], "autoencoders": ["--steps", "2"]}
SMALL_TRAINING = ("--steps", "4", "--pairs", "4", "--score-every", "2")


def everything(arguments: argparse.Namespace) -> None:
    """Runs the stages that were asked for, in their order."""
    common = ["--clips", *map(str, arguments.clips), "--cache", str(arguments.cache)]
    always = ["--always", *arguments.always] if arguments.always else []
    for stage in STAGES:
        if stage in arguments.stages:
            {"look": look, "forge": forge, "train": train_members, "judge": judge_members}[stage](
                arguments, common, always
            )


def look(arguments: argparse.Namespace, common: list[str], always: list[str]) -> None:
    """All that decodes videos: faces, runs through the public recipe, what members will be judged on."""
    from . import prepare, render, unseen  # noqa: PLC0415  (PyAV and the harness are needed here alone)

    prepare.main(common)
    render.main(
        [*common, *always, "--recipe", str(RECIPES / "public.toml"), *arguments.small.get("render", [])]
    )
    place = ["--unseen", str(arguments.cache / "unseen_clips"), "--cache", str(arguments.cache)]
    unseen.main([*common[:-2], *always, "--output", place[1], "--recipes", str(RECIPES)])
    judge.main(["look", *place])


def forge(arguments: argparse.Namespace, common: list[str], always: list[str]) -> None:
    """The pool of forged pairs on the CPU's cores, and beside it the autoencoders."""
    words = [sys.executable, "-m", f"{__package__}.autoencoders", *common, *always]
    words += arguments.small.get("autoencoders", [])
    with ThreadPoolExecutor(1) as beside:
        drawn = beside.submit(subprocess.run, words, check=False)
        pool.main([*common, *always, *arguments.small.get("pool", [])])
        if drawn.result().returncode:
            sys.exit("the autoencoders could not be trained: see above")


def trainings(arguments: argparse.Namespace, common: list[str], always: list[str]) -> list[list[str]]:
    """Python's arguments for every member, seed and fold, and for everything; last the folder of the run."""
    runs: Path = arguments.cache / "runs"
    each = [(seed, name) for name in arguments.members for seed in members.RECIPES[name].seeds]
    out = []
    for seed, name in sorted(each, key=lambda one: one[0]):  # first seeds first: folds can be judged by them
        module = "frozen" if members.RECIPES[name].frozen else "train"
        for fold in (None, *range(FOLDS)):
            run = ["--run", str(members.run_of(runs, name, seed, fold))]
            words = [*common, *always, *words_of(name, seed, fold, arguments), *run]
            out.append(["-m", f"{__package__}.{module}", *words])
    return out


def train_members(arguments: argparse.Namespace, common: list[str], always: list[str]) -> None:
    """Runs all trainings, some at once; then the means over the seeds."""
    commands = trainings(arguments, common, always)

    def run(words: list[str]) -> int:
        return subprocess.run([sys.executable, *words], check=False).returncode  # noqa: S603  (our own program)

    with ThreadPoolExecutor(arguments.at_once) as executor:
        for number, (words, code) in enumerate(zip(commands, executor.map(run, commands), strict=True)):
            if code:
                executor.shutdown(cancel_futures=True)
                sys.exit(f"a training failed, those that had not begun were left: {' '.join(words)}")
            print(f"trained {number + 1} of {len(commands)}: {words[-1]}", flush=True)
    for name in arguments.members:
        for fold in (None, *range(FOLDS)):
            members.average_seeds(arguments.cache / "runs", name, fold)


def judge_members(arguments: argparse.Namespace, common: list[str], always: list[str]) -> None:
    """What the members are worth on what they have not seen; their calibration, and their place."""
    runs: Path = arguments.cache / "runs"
    kinds = ["--kinds", *arguments.members]
    judged = str(arguments.cache / "judged.json")
    unseen = ["--unseen", str(arguments.cache / "unseen_clips")]
    judge.main(["score", *common, *always, *unseen, "--runs", str(runs), *kinds, "--report", judged])
    for name in arguments.members:
        shutil.copy2(members.average_seeds(runs, name, None), arguments.weights)
    report = str(arguments.cache / "calibration.json")
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
    words += ["--learning-rate", str(recipe.learning_rate), "--redrawers", str(recipe.redrawers)]
    words += ["--without", *recipe.without]
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
    parser.add_argument("--at-once", type=int, default=1, help="trainings; on a GPU as many as memory holds")
    parser.add_argument(
        "--stages", nargs="+", choices=STAGES, default=list(STAGES), help="to do some on another machine"
    )
    parser.add_argument("--weights", type=Path, default=PACKAGE / "weights", help="where they are put")
    parser.add_argument("--small", action="store_true", help="a few minutes of everything, on a few clips")
    arguments, options = parser.parse_known_args(words)
    arguments.options = [*(SMALL_TRAINING if arguments.small else ()), *options]
    arguments.small = SMALL if arguments.small else {}
    train.parse([*options, "--clips", ".", "--cache", "."])  # wrong options end here, not in an hour
    everything(arguments)


if __name__ == "__main__":
    main()
