"""Which members there are to train, what each learns from, and the mean of the weights of several seeds.

    python -m training.members --runs RUNS --name generated --fold 0     # averages RUNS/generated/seedN/fold0

Trainings that start from the same weights and differ in their seed end near each other: the mean of their
weights judges as well as the mean of their answers, at the price of one (Wortsman et al. 2022).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from detector import models

from . import autoencoders
from .clips import FOLDS


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one member is trained; `without` names material (see material.SHARES).

    `redrawers` is how many of the autoencoders redraw faces for it.
    Where it is `frozen` its backbone stays ImageNet's, and frozen.py fits the output: no step is made.
    """

    kind: str
    finds: str
    without: tuple[str, ...] = ()
    steps: int = 0
    learning_rate: float = 0.0
    frozen: bool = False
    pairs: int = 64
    redrawers: int = len(autoencoders.KINDS)
    seeds: tuple[int, ...] = (1,)


GENERATED = ("forged", "rendered")  # left out where the traces of generators are learnt
SWAPPED = ("redrawn", "generated")  # left out where seams and warps are
BLENDED = ("generated",)  # left out where seams, warps and redrawn faces within real ones are
RECIPES = {
    "generated": Recipe(
        kind="plain",
        finds="generated",
        without=GENERATED,
        steps=160,
        learning_rate=1.5e-4,
        redrawers=8,
        seeds=(1, 2),
    ),
    "generated_frozen": Recipe(kind="plain", finds="generated", frozen=True),
    # Judged, and not shipped: see MODEL_CARD.md.
    "swapped": Recipe(
        kind="plain", finds="swapped", without=BLENDED, steps=700, learning_rate=4e-4, pairs=128
    ),
    "generated_noise": Recipe(
        kind="noise", finds="generated", without=GENERATED, steps=200, learning_rate=3e-4
    ),
    "swapped_noise": Recipe(kind="noise", finds="swapped", without=SWAPPED, steps=280, learning_rate=5e-4),
    "swapped_wsdan": Recipe(
        kind="wsdan", finds="swapped", without=SWAPPED, steps=200, learning_rate=3e-4, pairs=32
    ),
}
SHIPPED = ("generated", "generated_frozen")


def average(files: Sequence[Path], output: Path) -> None:
    """Writes the member whose weights are the means of those of several files of one configuration.

    Raises:
        ValueError: the files are of different configurations.
    """
    loaded = [models.load(file) for file in files]
    configs = {config for _, config in loaded}
    if len(configs) != 1:
        raise ValueError(f"{', '.join(map(str, files))} are not of one configuration: they have no mean")
    states = [model.state_dict() for model, _ in loaded]
    mean = models.build(loaded[0][1])
    mean.load_state_dict(
        {
            key: torch.stack([state[key] for state in states]).mean(dim=0)
            if value.is_floating_point()
            else value
            for key, value in states[0].items()
        }
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    models.save(mean, loaded[0][1], output)


def fold_name(fold: int | None) -> str:
    """The folder of a fold's run; of the member trained on everything where it is None."""
    return "all" if fold is None else f"fold{fold}"


def run_of(runs: Path, name: str, seed: int, fold: int | None) -> Path:
    """Where one training keeps its state, log and weights."""
    return runs / name / f"seed{seed}" / fold_name(fold)


def average_seeds(runs: Path, name: str, fold: int | None) -> Path:
    """The mean of a member's seeds on one fold: RUNS/NAME/foldN/NAME.safetensors, made once."""
    recipe = RECIPES[name]
    output = runs / name / fold_name(fold) / f"{name}.safetensors"
    if not output.exists():
        average(
            [run_of(runs, name, seed, fold) / f"{recipe.kind}.safetensors" for seed in recipe.seeds], output
        )
    return output


def main(command_line: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--name", choices=sorted(RECIPES), required=True)
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="everything where not given")
    arguments = parser.parse_args(command_line)
    print(average_seeds(arguments.runs, arguments.name, arguments.fold))


if __name__ == "__main__":
    main()
