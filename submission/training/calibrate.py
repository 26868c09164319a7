"""Judges trained members on rendered pairs of held-out identities, and calibrates them.

    python submission/training/calibrate.py --rendered PAIRS --crops CROPS --members A.safetensors
    B.safetensors \
        --report figures.json [--write]

For each member, and for their mean, log loss and AUC per short clip, with 95% intervals over identities
(bootstrap), on held-out identities and, beside it, in sample. Calibration (two numbers per member, Platt
1999) is fitted on held-out identities, each judged by a fit to the others; with --write it goes into the
members' headers. Pooling rules are compared on the same clips.

Not covered: the private perturbations and sample_videos, on purpose: the harness judges those.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PACKAGE = Path(__file__).resolve().parents[1]

XXDEL shim
import torch
from .data import FOLDS, METHOD_SHARES, read_cache, split
from detector import models, pooling
from .figures import auc, logits_of
from .rendered import Rendered, finish, read_rendered

PRIOR = 2.0  # how much Platt's slope is held at 1, in clips: there are few
RESAMPLES = 1000

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Short clips as one member sees them: `logits` (clips, frames), `labels` (clips,), whose they are."""

    logits: Floats
    labels: Floats
    methods: tuple[str, ...]
    identities: tuple[str, ...]


def judge(
    model: models.Member, size: int, rendered: Sequence[Rendered], identities: dict[str, str]
) -> Judged:
    """Runs a member over every rendered clip, cut as the entry cuts."""
    logits, labels, methods, names = [], [], [], []
    for one in rendered:
        for label, crops in ((0.0, one.real), (1.0, one.fake)):
            clips, frames = crops.shape[:2]
            flat = [
                finish(np.asarray(crop, np.uint8), size=size) for crop in crops.reshape(-1, *crops.shape[2:])
            ]
            logits.append(logits_of(model, np.stack(flat)).reshape(clips, frames))
            labels += [label] * clips
            methods += ["real"] * clips if label == 0 else list(one.methods)
            names += [identities.get(one.clip, one.clip)] * clips
    return Judged(
        logits=np.concatenate(logits),
        labels=np.array(labels),
        methods=tuple(methods),
        identities=tuple(names),
    )


def platt(logits: Floats, labels: Floats) -> tuple[float, float]:
    """Slope and offset that make logits honest: least log loss, the slope held near 1."""
    signs = 2 * labels - 1

    def cost(at: Floats) -> float:
        margin = signs * (at[0] * logits + at[1])
        return float(np.logaddexp(0, -margin).sum() + PRIOR / 2 * (at[0] - 1) ** 2)

    at = np.array([1.0, 0.0])
    for _ in range(100):
        p = sigmoid(at[0] * logits + at[1])
        error, weight = p - labels, p * (1 - p)
        gradient = np.array([(error * logits).sum() + PRIOR * (at[0] - 1), error.sum()])
        cross = (weight * logits).sum()
        hessian = np.array([[(weight * logits**2).sum() + PRIOR, cross], [cross, weight.sum() + 1e-6]])
        move = np.linalg.solve(hessian, gradient)
        while cost(at - move) > cost(at) and np.abs(move).max() > 1e-9:
            move = move / 2  # Newton's full step overshoots where logits are large
        at = at - move
        if np.abs(move).max() < 1e-8:
            break
    return float(at[0]), float(at[1])


def sigmoid(logits: Floats) -> Floats:
    """Logits to probabilities, without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -logits)))


def cross_calibrated(judged: Judged) -> Floats:
    """Logits (clips, frames), each identity's calibrated by a fit to all the others."""
    out = np.empty_like(judged.logits)
    names = np.array(judged.identities)
    for name in set(judged.identities):
        mine = names == name
        slope, offset = platt(judged.logits[~mine].mean(axis=1), judged.labels[~mine])
        out[mine] = slope * judged.logits[mine] + offset
    return out


def pooled(logits: Floats, rule: str) -> Floats:
    """Probability per clip, clipped as the entry's answers are."""
    p = sigmoid(logits)
    return np.array([pooling.clip(pooling.pool_frames(list(row), rule)) for row in p])


def log_loss(p: Floats, labels: Floats) -> float:
    """Mean log loss."""
    return float(-np.where(labels == 1, np.log(p), np.log(1 - p)).mean())


def interval(
    figure: Callable[[Floats, Floats], float], p: Floats, labels: Floats, identities: Sequence[str]
) -> tuple[float, float, float]:
    """(value, low, high): 95% by resampling identities, not clips, of which one person has many alike."""
    rng = np.random.default_rng(0)
    groups = [np.flatnonzero(np.array(identities) == name) for name in sorted(set(identities))]
    values = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
        values.append(figure(p[rows], labels[rows]))
    low, high = np.percentile(values, [2.5, 97.5])
    return figure(p, labels), float(low), float(high)


def describe(p: Floats, judged: Judged) -> dict[str, object]:
    """The figures of one row of the table."""
    real = p[judged.labels == 0]
    names = np.array(judged.methods)

    def area(p: Floats, labels: Floats) -> float:
        return auc(p[labels == 0], p[labels == 1])

    return {
        "log_loss": interval(log_loss, p, judged.labels, judged.identities),
        "auc": interval(area, p, judged.labels, judged.identities),
        "auc_by_method": {m: auc(real, p[names == m]) for m in METHOD_SHARES if (names == m).any()},
        "clips": len(p),
        "identities": len(set(judged.identities)),
    }


def main() -> None:
    """Prints the table, writes the report, and with --write the calibration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rendered", type=Path, required=True)
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--trained", nargs="+", default=[], help="identities held out of no fold")
    parser.add_argument("--members", type=Path, nargs="+", required=True)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="calibrate the members' files in place")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    persons = read_cache(arguments.crops)
    identities = {p.clip: p.identity for p in persons}
    _, held_out = split(persons, fold=arguments.fold, folds=FOLDS, seed=0, trained=arguments.trained)
    out = {p.clip for p in held_out}
    rendered = read_rendered(arguments.rendered)
    sides = {
        "held_out": [r for r in rendered if r.clip in out],
        "in_sample": [r for r in rendered if r.clip not in out],
    }
    rows: dict[str, object] = {}
    ensembles: dict[str, list[Floats]] = {side: [] for side in sides}
    for path in arguments.members:
        model, config = models.load(path)
        judged = {side: judge(model, config.input_size, some, identities) for side, some in sides.items()}
        slope, offset = platt(judged["held_out"].logits.mean(axis=1), judged["held_out"].labels)
        calibrated = {
            "held_out": cross_calibrated(judged["held_out"]),
            "in_sample": slope * judged["in_sample"].logits + offset,
        }
        for side, logits in calibrated.items():
            rows[f"{path.stem} {side}"] = describe(pooled(logits, "mean"), judged[side])
            ensembles[side].append(logits)
        if arguments.write:
            model.train()
            models.save(model, replace(config, temperature=1 / slope, bias=offset), path)
        print(f"{path.stem}: temperature {1 / slope:.2f}, bias {offset:.2f}")
    for side, members in ensembles.items():
        mean = np.mean(members, axis=0)
        for rule in pooling.RULES if side == "held_out" else ("mean",):
            rows[f"ensemble {side} {rule}"] = describe(pooled(mean, rule), judged[side])
    arguments.report.write_text(json.dumps(rows, indent=1) + "\n")
    for name, row in rows.items():
        print(name, json.dumps(row))


if __name__ == "__main__":
    main()
