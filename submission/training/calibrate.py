"""Makes the members' answers honest, by what judge.py recorded of clips that no member had seen.

    python -m training.calibrate --judged judged.json --kinds plain noise --report calibration.json --write

One slope per member, fitted on people, generators and repositories that were held out, on the clean and the
publicly perturbed clips; then one for the mean of the members, folded into theirs; and half of that is taken
(TRUST). No offset: one that was fitted on some repositories made others worse. Every generator and every
repository counts by the root of its number of clips. The figures that are printed judge
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
# How much of a fitted slope is believed. The next generator differs from those of a fit as these differ from
# each other, and for one of the five folds the members say nothing at all: a slope fitted on the other four
# made its log loss worse than a constant 0.5 would be, and half of it less so. Chosen with all five in view.
TRUST = 0.5
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


def sigmoid(logits: Floats) -> Floats:
    """Logits to probabilities, without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -logits)))


def slope_of(logits: Floats, labels: Floats, weights: Floats) -> float:
    """The slope, within [0, 4], at which logits have the least weighted log loss, without an offset."""
    signed = (2 * labels - 1) * logits
    low, high = 0.0, 4.0
    for _ in range(50):  # the loss is convex: halve where its derivative changes sign
        middle = (low + high) / 2
        rising = -(weights * signed * sigmoid(-middle * signed)).sum() > 0
        low, high = (low, middle) if rising else (middle, high)
    return (low + high) / 2


def fit(sets: Sequence[Judged], rows: Sequence[NDArray[np.bool_]]) -> list[tuple[float, float]]:
    """Slope and offset (none) of each member that make their mean honest, as far as it is to be trusted."""
    means = np.concatenate([one.means()[:, r] for one, r in zip(sets, rows, strict=True)], axis=1)
    labels = np.concatenate([one.labels[r] for one, r in zip(sets, rows, strict=True)])
    weights = np.concatenate([one.weights[r] for one, r in zip(sets, rows, strict=True)])
    each = [slope_of(row, labels, weights) for row in means]
    together = np.mean([a * row for a, row in zip(each, means, strict=True)], axis=0)
    slope = TRUST * slope_of(together, labels, weights)
    return [(slope * a, 0.0) for a in each]


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


def _but_the_largest(judged: Judged) -> list[int]:
    """All folds but the one with most clips: a generator that is most of the fakes would stand for all."""
    counts = Counter(judged.folds.tolist())
    return sorted(fold for fold in counts if fold != counts.most_common(1)[0][0])


def within_folds(judged: Judged, folds: Sequence[int]) -> tuple[float, float, float]:
    """The mean of the folds' own AUCs by the mean logit, with its interval: no slope changes it.

    95% by resampling identities. A fold that a resample leaves with one label does not count in it.
    """
    score = judged.means().mean(axis=0)
    names = np.array(judged.identities)
    groups = [np.flatnonzero(names == name) for name in sorted(set(judged.identities))]

    def figure(rows: NDArray[np.int64]) -> float:
        areas = []
        for fold in folds:
            mine = rows[judged.folds[rows] == fold]
            real, fake = score[mine[judged.labels[mine] == 0]], score[mine[judged.labels[mine] == 1]]
            if len(real) and len(fake):
                areas.append(auc(real, fake))
        return float(np.mean(areas)) if areas else float("nan")

    rng = np.random.default_rng(0)
    drawn = [
        figure(np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return figure(np.arange(len(names))), float(low), float(high)


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
        "auc_by_fold": {str(f): within_folds(judged, [f]) for f in sorted(set(judged.folds.tolist()))},
        "auc_within_folds": within_folds(judged, sorted(set(judged.folds.tolist()))),
        "auc_within_folds_but_the_largest": within_folds(judged, _but_the_largest(judged)),
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
    rows: dict[str, Any] = {}
    for name, judged in sets.items():
        rows[name] = describe(cross_calibrated(judged, fitted_on, arguments.rule), judged)
        print(name, json.dumps(rows[name]))
    calibration = fit(fitted_on, [np.ones(len(one.labels), bool) for one in fitted_on])
    for name, judged in sets.items():
        p = answers(judged, calibration, arguments.rule)
        rows[name]["log_loss_as_shipped"] = interval(log_loss, p, judged.labels, judged.identities)
    rows["calibration"] = dict(zip(arguments.kinds, calibration, strict=True))
    arguments.report.write_text(json.dumps(rows, indent=1) + "\n")
    for kind, (slope, offset) in zip(arguments.kinds, calibration, strict=True):
        print(f"{kind}: temperature {1 / max(slope, 1e-3):.2f}, bias {offset:.2f}")
        if arguments.write:
            path = PACKAGE / "weights" / f"{kind}.safetensors"
            model, config = models.load(path)
            models.save(model, replace(config, temperature=1 / max(slope, 1e-3), bias=offset), path)


if __name__ == "__main__":
    main()
