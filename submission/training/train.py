"""Trains one member of the ensemble on one fold, or on everything.

    python -m training.train --clips FOLDER --cache CACHE --imagenet FILE --kind plain --fold 0 --run RUN

The same seed, caches and arguments give the same run on the same machine. A run that was stopped goes on
where it was: its state is in --run. What is held out is scored as it goes; the log is a line of JSON per
scoring, and the curve a picture. On a machine with a GPU it runs there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from detector import models
from torch import nn
from tqdm import tqdm

from . import autoencoders, views
from .clips import FOLDS, Clip, read_clips, split
from .figures import auc, draw_curve
from .losses import loss_of
from .material import SHARES, Material
from .pool import Pairs, Rendered, forge_pair, read_pool, read_rendered
from .state import Start, State, begin
from .toy import toy_person

STEPS = 900
PAIRS = 64  # per step: 128 pictures
SCORE_EVERY = 150
SAVE_EVERY = 100
SCORED_AT_ONCE = 128
GRADIENT_NORM = 5.0
TINY = {"steps": 20, "pairs": 4, "input_size": 64, "score_every": 10}
TINY_BATCHES = 2  # the same few over and over: can they be learnt by heart?


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Clips that a run is judged by while it goes on: rendered crops, real and generated."""

    rendered: Rendered
    generators: dict[str, str]  # of each clip that is fake


def read_material(arguments: argparse.Namespace, device: torch.device) -> tuple[Material, HeldOut | None]:
    """Reads the caches, or makes up toy faces; splits by repository and person."""
    if arguments.tiny:
        return _toys(device), None
    clips = read_clips(arguments.clips)
    training, held_out = split(clips, arguments.fold, always=arguments.always)
    redrawers = None
    if "redrawn" not in arguments.without:
        redrawers = autoencoders.load(arguments.cache / "autoencoders.safetensors", device)
        redrawers = redrawers[: arguments.redrawers]
    material = Material(
        clips=training,
        pool=read_pool(arguments.cache),
        rendered=read_rendered(arguments.cache, training),
        redrawers=redrawers,
        device=device,
        without=arguments.without,
    )
    print(f"training on {len(training)} clips; held out: {len(held_out)}")
    if not held_out:
        return material, None
    rendered = read_rendered(arguments.cache, held_out)
    generators = {clip.name: clip.generator for clip in held_out if clip.label}
    return material, HeldOut(rendered=rendered, generators=generators)


def _toys(device: torch.device) -> Material:
    """A few forged pairs of made-up faces: whether a network can learn them is all that is asked."""
    toys = [toy_person(number) for number in range(3)]
    rng = np.random.default_rng(0)
    pairs = [forge_pair(toy, toys, rng) for toy in toys for _ in range(4)]
    clips = [
        Clip(video=Path(toy.clip), label=0, method="real", identity=toy.identity, repository=toy.clip,
             recording=toy.clip, licence="none")
        for toy in toys
    ]  # fmt: skip
    pool = Pairs(
        real=np.stack([real for real, _ in pairs]),
        fake=np.stack([fake for _, fake in pairs]),
        clips=np.array([toy.clip for toy in toys for _ in range(4)]),
    )
    return Material(clips=clips, pool=pool, rendered=None, redrawers=None, device=device)


@torch.inference_mode()
def score(model: models.Member, held_out: HeldOut, size: int) -> dict[str, float]:
    """Log loss and AUC per clip, the AUC of each generator against all real clips, and of what was forged."""
    device = next(model.parameters()).device
    rendered = held_out.rendered
    rows = np.arange(len(rendered.clips))
    logits = []
    for start in range(0, len(rows), SCORED_AT_ONCE):
        crops = torch.from_numpy(rendered.crops[rows[start : start + SCORED_AT_ONCE]]).to(device)
        pictures = views.centre(views.to_pictures(crops), size) * 2 - 1
        with torch.autocast(device.type, torch.float16, enabled=device.type == "cuda"):
            logits.append(model.predict(pictures).float().cpu())
    each = torch.cat(logits).double().numpy()
    forged = rendered.forged
    by_hand = {
        name: float(each[forged & (rendered.clips == name)].mean()) for name in set(rendered.clips[forged])
    }
    each, names, labels = each[~forged], rendered.clips[~forged], rendered.labels[~forged]
    clips = sorted(set(names))
    mean = np.array([each[names == clip].mean() for clip in clips])
    fake = np.array([labels[names == clip][0] == 1 for clip in clips])
    out = {
        "log_loss": float(np.logaddexp(0, np.where(fake, -mean, mean)).mean()),
        "auc": auc(mean[~fake], mean[fake]),
    }
    if by_hand:
        out["auc forged by hand"] = auc(mean[~fake], np.array(list(by_hand.values())))
    kinds = np.array([held_out.generators.get(clip, "") for clip in clips])
    return out | {f"auc {kind}": auc(mean[~fake], mean[kinds == kind]) for kind in sorted(set(kinds[fake]))}


def train(arguments: argparse.Namespace) -> list[dict[str, float]]:
    """Trains and writes one member; returns the lines of the log."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    arguments.run.mkdir(parents=True, exist_ok=True)
    config = models.MemberConfig(
        kind=arguments.kind, backbone=arguments.backbone, input_size=arguments.input_size
    )
    output: Path = arguments.output or arguments.run / f"{config.kind}.safetensors"
    log = arguments.run / "log.jsonl"
    if output.exists() and log.exists() and not arguments.tiny:
        print(f"{output} is there already")
        return [json.loads(line) for line in log.read_text().splitlines()]
    material, held_out = read_material(arguments, device)
    state = begin(
        Start(
            config=config,
            steps=arguments.steps,
            seed=arguments.seed,
            imagenet=arguments.imagenet,
            member=arguments.start,
            tuned=arguments.tuned,
            learning_rate=arguments.learning_rate,
            device=device,
        )
    )
    state_file = arguments.run / "state.pt"
    if state_file.exists():
        state.restore(state_file)
        _forget_later_lines(log, state.step)
        print(f"going on at step {state.step}")
    else:
        log.unlink(missing_ok=True)
    losses = state.losses
    bar = tqdm(initial=state.step, total=arguments.steps, unit="step", mininterval=2)
    while state.step < arguments.steps:
        losses.append(_one_step(state, material, arguments))
        bar.update()
        bar.set_postfix(loss=f"{np.mean(losses[-50:]):.3f}", refresh=False)
        last = state.step == arguments.steps
        if state.step % arguments.score_every == 0 or last:
            line = {"step": state.step, "training_loss": float(np.mean(losses[-arguments.score_every :]))}
            if held_out:
                line |= score(state.average, held_out, config.input_size)
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            bar.write(json.dumps({k: round(v, 3) for k, v in line.items()}))
        if state.step % SAVE_EVERY == 0 and not last:
            state.save(state_file)
    bar.close()
    models.save(state.average, config, output)
    state_file.unlink(missing_ok=True)
    draw_curve(log, arguments.run / "curve.png")
    return [json.loads(line) for line in log.read_text().splitlines()]


def _forget_later_lines(log: Path, step: int) -> None:
    """Takes out of a log what was scored after the state was saved: it will be scored again."""
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    whole = [line for line in lines if line.endswith("\n")]  # a kill may have cut the last one
    log.write_text("".join(line for line in whole if json.loads(line)["step"] <= step))


def _one_step(state: State, material: Material, arguments: argparse.Namespace) -> float:
    step = state.step % TINY_BATCHES if arguments.tiny else state.step
    batch = material.batch(step, pairs=arguments.pairs, size=arguments.input_size, seed=arguments.seed)
    device = state.centres.device
    pictures = batch.pictures.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        loss = loss_of(state.model, pictures, batch.labels, state.centres, state.generator)
    state.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
    nn.utils.clip_grad_norm_(state.model.parameters(), GRADIENT_NORM)
    state.optimizer.step()
    state.schedule.step()
    state.step += 1
    state.follow()
    return float(loss.detach())


def parse(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; `--tiny` brings its own sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", default=[], help="folders of clips: see clips.py")
    parser.add_argument(
        "--cache", type=Path, help="the folder that prepare, render, pool and autoencoders filled"
    )
    parser.add_argument("--always", nargs="+", default=[], help="repositories that are held out of no fold")
    parser.add_argument("--imagenet", type=Path, help="ImageNet weights of the backbone (see imagenet.py)")
    parser.add_argument("--kind", choices=sorted(models.KINDS), default="plain")
    parser.add_argument("--backbone", choices=models.BACKBONES, default=models.BACKBONES[0])
    parser.add_argument("--start", type=Path, help="a member's weights to start from, where tensors fit")
    parser.add_argument("--tuned", choices=("all", "norms"), default="all", help="of the backbone")
    parser.add_argument("--learning-rate", type=float, help="at its highest; the kind's own where not given")
    parser.add_argument(
        "--without", nargs="+", default=[], choices=sorted(SHARES), help="material to leave out"
    )
    parser.add_argument("--redrawers", type=int, help="the first so many autoencoders; all where not given")
    parser.add_argument("--input-size", type=int, default=models.MemberConfig(kind="plain").input_size)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--score-every", type=int, default=SCORE_EVERY)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="held out; nothing where not given")
    parser.add_argument("--threads", type=int, default=1, help="of torch; one is best where cores are shared")
    parser.add_argument("--run", type=Path, default=Path("build/training"), help="state, log and curve")
    parser.add_argument("--output", type=Path, help="default: in --run")
    parser.add_argument("--tiny", action="store_true", help="made-up faces, a few steps: is it wired up?")
    arguments = parser.parse_args(command_line)
    if arguments.tiny:
        vars(arguments).update(TINY)
    elif not arguments.clips or arguments.cache is None:
        parser.error("--clips and --cache are needed (or --tiny)")
    return arguments


def check_tiny(arguments: argparse.Namespace, log: Sequence[dict[str, float]]) -> None:
    """Says whether the training loss fell by a fifth and the weights load again; leaves with 1 where not."""
    first, last = log[0]["training_loss"], log[-1]["training_loss"]
    path = arguments.output or arguments.run / f"{arguments.kind}.safetensors"
    loaded, _ = models.load(path)
    count = sum(p.numel() for p in loaded.parameters())
    print(f"training loss {first:.3f} -> {last:.3f}; {path.name} loads: {count:,} numbers")
    if not last < first * 0.8:
        sys.exit("training did not bring the loss down")


def main(command_line: Sequence[str] | None = None) -> None:
    """The command line."""
    arguments = parse(command_line)
    log = train(arguments)
    if arguments.tiny:
        check_tiny(arguments, log)


if __name__ == "__main__":
    main()
