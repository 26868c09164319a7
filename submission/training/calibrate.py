"""Makes the members' answers honest, by what judge.py recorded of clips that no member had seen.

    python -m training.calibrate --judged judged.json --kinds plain noise --report calibration.json --write

Two numbers per member (Platt 1999), fitted on people, generators and repositories that were held out, on the
clean and the publicly perturbed clips; then two for the mean of the members, folded into theirs. Every
generator and every repository counts by the root of its number of clips. The figures that are printed judge
each fold by a fit to the other folds; the private recipe takes no part in any fit.

Not covered: sample_videos, on purpose: the harness judges those.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from detector import models, pooling
from numpy.typing import NDArray

from .figures import auc
from .places import PACKAGE

FITTED_ON = ("control", "public")
PRIOR = 2.0  # how much Platt's slope is held at 1, in clips: there are few
RESAMPLES = 1000

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Clips of one set as some members see them: frames' logits, (members, clips), and what is known.

    `weights` (clips,) is how much each counts in a fit.
    """

    logits: tuple[tuple[Floats, ...], ...]
    labels: Floats
    folds: NDArray[np.int64]
    generators: tuple[str, ...]
    identities: tuple[str, ...]
    weights: Floats

    def means(self) -> Floats:
        """The mean logit of each clip's frames, (members, clips); 0 where no face was found."""
        return np.array([[row.mean() if len(row) else 0.0 for row in member] for member in self.logits])


def read_judged(report: Mapping[str, Any], kinds: Sequence[str], name: str) -> Judged:
    """One set out of what judge.py wrote.

    Raises:
        KeyError: a kind was not judged.
    """
    clips = report["clips"]
    names = sorted(report[kinds[0]][name]["logits"])
    labels = np.array([clips[n]["label"] for n in names], np.float64)
    groups = [(clips[n]["label"], clips[n]["generator"] or clips[n]["repository"]) for n in names]
    counts = Counter(groups)
    weights = np.array([counts[group] ** -0.5 for group in groups])
    for label in (0.0, 1.0):
        weights[labels == label] /= weights[labels == label].sum()
    return Judged(
        logits=tuple(
            tuple(np.array(report[kind][name]["logits"][n], np.float64) for n in names) for kind in kinds
        ),
        labels=labels,
        folds=np.array([clips[n]["fold"] for n in names]),
        generators=tuple(clips[n]["generator"] for n in names),
        identities=tuple(clips[n]["identity"] for n in names),
        weights=weights / weights.mean(),
    )


def platt(logits: Floats, labels: Floats, weights: Floats | None = None) -> tuple[float, float]:
    """Slope and offset that make logits honest: least (weighted) log loss, the slope held near 1."""
    signs = 2 * labels - 1
    share = np.ones_like(labels) if weights is None else weights

    def cost(at: Floats) -> float:
        margin = signs * (at[0] * logits + at[1])
        return float((share * np.logaddexp(0, -margin)).sum() + PRIOR / 2 * (at[0] - 1) ** 2)

    at = np.array([1.0, 0.0])
    for _ in range(100):
        p = sigmoid(at[0] * logits + at[1])
        error, curve = share * (p - labels), share * p * (1 - p)
        gradient = np.array([(error * logits).sum() + PRIOR * (at[0] - 1), error.sum()])
        cross = (curve * logits).sum()
        hessian = np.array([[(curve * logits**2).sum() + PRIOR, cross], [cross, curve.sum() + 1e-6]])
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


def fit(sets: Sequence[Judged], rows: Sequence[NDArray[np.bool_]]) -> list[tuple[float, float]]:
    """Slope and offset of each member that make the mean of what they say honest on rows of the sets."""
    means = np.concatenate([one.means()[:, r] for one, r in zip(sets, rows, strict=True)], axis=1)
    labels = np.concatenate([one.labels[r] for one, r in zip(sets, rows, strict=True)])
    weights = np.concatenate([one.weights[r] for one, r in zip(sets, rows, strict=True)])
    weights = weights / weights.mean() / len(sets)  # a clip counts once, however many sets show it
    each = [platt(row, labels, weights) for row in means]
    together = np.mean([a * row + b for (a, b), row in zip(each, means, strict=True)], axis=0)
    slope, offset = platt(together, labels, weights)
    return [(slope * a, slope * b + offset) for a, b in each]


def answers(judged: Judged, calibration: Sequence[tuple[float, float]], rule: str) -> Floats:
    """P(fake) of each clip as the entry would answer: members' mean per frame, frames pooled, clipped."""
    out = []
    for clip in range(len(judged.labels)):
        frames = np.mean(
            [a * member[clip] + b for (a, b), member in zip(calibration, judged.logits, strict=True)], axis=0
        )
        out.append(pooling.clip(pooling.pool_frames(sigmoid(frames).tolist(), rule)) if len(frames) else 0.5)
    return np.array(out)


def cross_calibrated(judged: Judged, fitted_on: Sequence[Judged], rule: str = "mean") -> Floats:
    """P(fake) of each clip, each fold's calibrated by a fit to the other folds."""
    out = np.empty(len(judged.labels))
    for fold in sorted(set(judged.folds.tolist())):
        calibration = fit(fitted_on, [one.folds != fold for one in fitted_on])
        mine = judged.folds == fold
        out[mine] = answers(judged, calibration, rule)[mine]
    return out


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
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return figure(p, labels), float(low), float(high)


def area(p: Floats, labels: Floats) -> float:
    """AUC."""
    return auc(p[labels == 0], p[labels == 1])


def describe(p: Floats, judged: Judged) -> dict[str, object]:
    """The figures of one row of the table."""
    names = np.array(judged.generators)
    by_generator = {}
    for name in sorted(set(names[judged.labels == 1])):
        folds = set(judged.folds[names == name].tolist())
        real = (judged.labels == 0) & np.isin(judged.folds, list(folds))
        by_generator[str(name)] = auc(p[real], p[names == name])
    return {
        "log_loss": interval(log_loss, p, judged.labels, judged.identities),
        "auc": interval(area, p, judged.labels, judged.identities),
        "auc_by_generator": by_generator,
        "clips": len(p),
        "identities": len(set(judged.identities)),
    }


def main(command_line: Sequence[str] | None = None) -> None:
    """Prints the figures, writes the report, and with --write the calibration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--judged", type=Path, required=True, help="what judge.py wrote")
    parser.add_argument("--kinds", nargs="+", required=True, help="members of the ensemble, as judged")
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--rule", choices=sorted(pooling.RULES), default="mean", help="of pooling frames")
    parser.add_argument("--write", action="store_true", help="calibrate weights/KIND.safetensors in place")
    arguments = parser.parse_args(command_line)
    report = json.loads(arguments.judged.read_text())
    sets = {name: read_judged(report, arguments.kinds, name) for name in ("control", "public", "private")}
    fitted_on = [sets[name] for name in FITTED_ON]
    rows: dict[str, object] = {}
    for name, judged in sets.items():
        rows[name] = describe(cross_calibrated(judged, fitted_on, arguments.rule), judged)
        print(name, json.dumps(rows[name]))
    calibration = fit(fitted_on, [np.ones(len(one.labels), bool) for one in fitted_on])
    rows["calibration"] = dict(zip(arguments.kinds, calibration, strict=True))
    arguments.report.write_text(json.dumps(rows, indent=1) + "\n")
    for kind, (slope, offset) in zip(arguments.kinds, calibration, strict=True):
        print(f"{kind}: temperature {1 / slope:.2f}, bias {offset:.2f}")
        if arguments.write:
            path = PACKAGE / "weights" / f"{kind}.safetensors"
            model, config = models.load(path)
            models.save(model, replace(config, temperature=1 / slope, bias=offset), path)


if __name__ == "__main__":
    main()
