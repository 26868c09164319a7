"""From clips to weights in one command; whatever is done already is not done again.

    make train CLIPS="FOLDER FOLDER" ARGS="--imagenet WHEEL --cache CACHE --always REPOSITORY ..."
    make train ARGS=--tiny          # made-up faces, less than a minute: is it wired up?

In order: faces of real clips, runs of all clips through the public recipe, a pool of forged pairs, the
autoencoders; a member for each fold; what those are worth on clips they never saw; the member trained on
everything, its calibration, and its place in weights/. Stop it anywhere: the next call goes on there.

On a GPU minutes, on two cores hours (the autoencoders alone take two): `--steps` and `--folds` make it less.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import models

from . import autoencoders, calibrate, judge, pool, prepare, render, train, unseen
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
    for kind in arguments.kinds:
        ours = [*common, *always, "--imagenet", str(arguments.imagenet), "--kind", kind]
        for fold in range(FOLDS):
            train.main(
                [*ours, *arguments.options, "--fold", str(fold), "--run", str(runs / kind / f"fold{fold}")]
            )
        train.main([*ours, *arguments.options, "--run", str(runs / kind / "all")])
    kinds = ["--kinds", *arguments.kinds]
    judged = str(cache / "judged.json")
    judge.main(["score", *place, "--runs", str(runs), *kinds, "--report", judged])
    for kind in arguments.kinds:
        shutil.copy2(runs / kind / "all" / f"{kind}.safetensors", PACKAGE / "weights")
    calibrate.main(["--judged", judged, *kinds, "--report", str(cache / "calibration.json"), "--write"])


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
    parser.add_argument("--kinds", nargs="+", choices=sorted(models.KINDS), default=["plain"])
    arguments, options = parser.parse_known_args(words)
    arguments.options = options
    train.parse([*options, "--clips", ".", "--cache", "."])  # wrong options end here, not in an hour
    everything(arguments)


if __name__ == "__main__":
    main()
