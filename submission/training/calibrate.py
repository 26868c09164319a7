"""Makes the members' answers honest, by what judge.py recorded of clips that no member had seen.

    python -m training.calibrate --judged judged.json --kinds generated swapped --report c.json --write

Each member's logits are brought to one law: real clips about THRESHOLD below nothing, a spread of one (its
bias and temperature). Then the sum of detector/evidence.py is fitted: an offset, and a weight of at least
nothing for each kind of trace. Fitted on people, generators and
repositories that were held out: clean and publicly perturbed clips, and what was forged by hand of people
held out. The figures that are printed judge each fold by a fit to the other folds; the private recipe takes
no part in any fit.

What counts how much in a fit is a guess at what is to come, and stands in SHARES; within a share every
generator counts by the root of its number of clips, and every fold's real clips count the same.

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
from detector import evidence, models, pooling
from numpy.typing import NDArray
from scipy.optimize import minimize

from .figures import auc
from .judge import FORGED
from .members import RECIPES
from .places import PACKAGE

FITTED_ON = ("control", "public", FORGED)
SETS = (*FITTED_ON, "private")
# Of the weight of all fakes in a fit. Swaps by a trained swapper that was held out are found by no member:
# they teach a fit to say nothing of anything, so that they count for little.
SHARES = {"generated": 0.6, "swap": 0.1, "forged": 0.3}
THRESHOLD = 0.7  # how far above the mean of real clips a member's finding begins, in units of the spread
# How much of a fitted sum is believed: the next generator differs from those of a fit as these differ from
# each other, and confident mistakes cost most. Chosen with all folds in view, as THRESHOLD was.
TRUST = 0.7
STEEPEST = 8.0  # a kind's weight at most
RESAMPLES = 1000

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Clips of one set as some members see them: frames' logits, (members, clips), and what is known.

    `finds` (members,) is the kind of trace that each looks for; `weights` (clips,) is how much each counts.
    """

    finds: tuple[str, ...]
    logits: tuple[tuple[Floats, ...], ...]
    labels: Floats
    folds: NDArray[np.int64]
    generators: tuple[str, ...]
    identities: tuple[str, ...]
    weights: Floats

    def means(self) -> Floats:
        """The mean logit of each clip's frames, (members, clips); 0 where no face was found."""
        return np.array([[row.mean() if len(row) else 0.0 for row in member] for member in self.logits])


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What makes logits honest: each member's temperature and bias, and the sum of evidence."""

    temperatures: tuple[float, ...]
    biases: tuple[float, ...]
    evidence: evidence.Evidence


def share_of(generator: str) -> str:
    """The key of SHARES under which a fake counts."""
    if generator == FORGED:
        return "forged"
    return "swap" if "swap" in generator.lower() else "generated"


def read_judged(report: Mapping[str, Any], kinds: Sequence[str], name: str) -> Judged:
    """One set out of what judge.py wrote.

    Raises:
        KeyError: a kind was not judged.
    """
    clips = report["clips"]
    names = sorted(report[kinds[0]][name]["logits"])
    labels = np.array([clips[n]["label"] for n in names], np.float64)
    generators = tuple(clips[n]["generator"] for n in names)
    folds = np.array([clips[n]["fold"] for n in names])
    groups = [generator or int(fold) for generator, fold in zip(generators, folds, strict=True)]
    counts = Counter(groups)
    weights = np.array(
        [counts[g] ** -0.5 if isinstance(g, str) else 1 / counts[g] for g in groups], np.float64
    )
    return Judged(
        finds=tuple(RECIPES[kind].finds for kind in kinds),
        logits=tuple(
            tuple(np.array(report[kind][name]["logits"][n], np.float64) for n in names) for kind in kinds
        ),
        labels=labels,
        folds=folds,
        generators=generators,
        identities=tuple(clips[n]["identity"] for n in names),
        weights=weights,
    )


def sigmoid(logits: Floats) -> Floats:
    """Logits to probabilities, without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -logits)))


def by_kind(finds: Sequence[str], calibrated: Floats) -> dict[str, Floats]:
    """The mean of the members of each kind of trace: (members, clips) to (clips,) by kind."""
    kinds = np.array(finds)
    return {kind: calibrated[kinds == kind].mean(axis=0) for kind in dict.fromkeys(finds)}


def fit(sets: Sequence[Judged], rows: Sequence[NDArray[np.bool_]]) -> Calibration:
    """Temperatures and evidence of the least weighted log loss on some rows of some sets."""
    means = np.concatenate([one.means()[:, r] for one, r in zip(sets, rows, strict=True)], axis=1)
    labels = np.concatenate([one.labels[r] for one, r in zip(sets, rows, strict=True)])
    weights = np.concatenate([one.weights[r] for one, r in zip(sets, rows, strict=True)])
    fakes = [
        share_of(g) if g else ""
        for one, r in zip(sets, rows, strict=True)
        for g, chosen in zip(one.generators, r, strict=True)
        if chosen
    ]
    weights = balanced(weights, np.array(fakes))
    real = labels == 0
    temperatures = means.std(axis=1).clip(1e-3)
    biases = -(means[:, real] @ weights[real]) / weights[real].sum() / temperatures - THRESHOLD
    found = by_kind(sets[0].finds, means / temperatures[:, None] + biases[:, None])
    columns = np.array([*(np.logaddexp(0, row) for row in found.values()), np.ones(len(labels))])
    signs = 2 * labels - 1

    def loss(numbers: Floats) -> tuple[float, Floats]:
        signed = signs * (numbers @ columns)
        return float(weights @ np.logaddexp(0, -signed)), -columns @ (weights * signs * sigmoid(-signed))

    bounds = [(0.0, STEEPEST)] * len(found) + [(None, None)]
    best = TRUST * minimize(loss, np.zeros(len(columns)), jac=True, bounds=bounds).x
    return Calibration(
        temperatures=tuple(map(float, temperatures)),
        biases=tuple(map(float, biases)),
        evidence=evidence.Evidence(
            offset=float(best[-1]), weights=dict(zip(found, map(float, best[:-1]), strict=True))
        ),
    )


def balanced(weights: Floats, fakes: NDArray[np.str_]) -> Floats:
    """Weights of which half is the real clips' (where `fakes` is empty), the rest dealt out by SHARES."""
    out: Floats = weights / weights[fakes == ""].sum() / 2
    there = {name: share for name, share in SHARES.items() if (fakes == name).any()}
    for name, share in there.items():
        mine = fakes == name
        out[mine] = weights[mine] / weights[mine].sum() * share / sum(there.values()) / 2
    return out


def answers(judged: Judged, calibration: Calibration) -> Floats:
    """P(fake) of each clip as the entry would answer; 0.5 where no face was found."""
    slopes, biases = 1 / np.array(calibration.temperatures), np.array(calibration.biases)
    found = by_kind(judged.finds, judged.means() * slopes[:, None] + biases[:, None])
    out = []
    for clip, frames in enumerate(judged.logits[0]):
        log_odds = calibration.evidence.log_odds({kind: float(row[clip]) for kind, row in found.items()})
        out.append(
            pooling.clip(float(sigmoid(np.asarray(log_odds, dtype=np.float64)))) if len(frames) else 0.5
        )
    return np.array(out)


def cross_calibrated(judged: Judged, fitted_on: Sequence[Judged]) -> Floats:
    """P(fake) of each clip, each fold's calibrated by a fit to the other folds."""
    out = np.empty(len(judged.labels))
    for fold in sorted(set(judged.folds.tolist())):
        calibration = fit(fitted_on, [one.folds != fold for one in fitted_on])
        mine = judged.folds == fold
        out[mine] = answers(judged, calibration)[mine]
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


def but_the_largest(judged: Judged) -> list[int]:
    """All folds but the one with most clips: a generator that is most of the fakes would stand for all."""
    counts = Counter(judged.folds.tolist())
    return sorted(fold for fold in counts if fold != counts.most_common(1)[0][0])


def within_folds(p: Floats, judged: Judged, folds: Sequence[int]) -> tuple[float, float, float]:
    """The mean of the folds' own AUCs, with its interval.

    95% by resampling identities. A fold that a resample leaves with one label does not count in it.
    """
    names = np.array(judged.identities)
    groups = [np.flatnonzero(names == name) for name in sorted(set(judged.identities))]

    def figure(rows: NDArray[np.int64]) -> float:
        areas = []
        for fold in folds:
            mine = rows[judged.folds[rows] == fold]
            real, fake = p[mine[judged.labels[mine] == 0]], p[mine[judged.labels[mine] == 1]]
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
        own = sorted(set(judged.folds[names == name].tolist()))
        real = (judged.labels == 0) & np.isin(judged.folds, own)
        by_generator[str(name)] = auc(p[real], p[names == name])
    folds = sorted(set(judged.folds.tolist()))
    rest = but_the_largest(judged)
    wholes = np.isin(judged.folds, rest)
    return {
        "log_loss": interval(log_loss, p, judged.labels, judged.identities),
        "log_loss_but_the_largest": interval(
            log_loss, p[wholes], judged.labels[wholes], np.array(judged.identities)[wholes].tolist()
        ),
        "auc": interval(area, p, judged.labels, judged.identities),
        "auc_by_generator": by_generator,
        "auc_by_fold": {str(f): within_folds(p, judged, [f]) for f in folds},
        "auc_within_folds": within_folds(p, judged, folds),
        "auc_within_folds_but_the_largest": within_folds(p, judged, rest),
        "clips": len(p),
        "identities": len(set(judged.identities)),
    }


def report_of(judged: Mapping[str, Judged]) -> dict[str, Any]:
    """The figures of an ensemble: each set's, cross-calibrated and as shipped, and what ships."""
    fitted_on = [judged[name] for name in FITTED_ON]
    rows: dict[str, Any] = {
        name: describe(cross_calibrated(one, fitted_on), one) for name, one in judged.items()
    }
    calibration = fit(fitted_on, [np.ones(len(one.labels), bool) for one in fitted_on])
    for name, one in judged.items():
        p = answers(one, calibration)
        rows[name]["log_loss_as_shipped"] = interval(log_loss, p, one.labels, one.identities)
    rows["calibration"] = {
        "temperatures": calibration.temperatures,
        "biases": calibration.biases,
        "offset": calibration.evidence.offset,
        "weights": dict(calibration.evidence.weights),
    }
    return rows


def write(kinds: Sequence[str], calibration: Mapping[str, Any], folder: Path) -> None:
    """Calibrates the weights of a folder in place, FOLDER/KIND.safetensors, and writes their sum."""
    for kind, temperature, bias in zip(
        kinds, calibration["temperatures"], calibration["biases"], strict=True
    ):
        path = folder / f"{kind}.safetensors"
        model, config = models.load(path)
        finds = RECIPES[kind].finds
        models.save(model, replace(config, temperature=temperature, bias=bias, finds=finds), path)
    evidence.save(evidence.Evidence(offset=calibration["offset"], weights=calibration["weights"]), folder)


def main(command_line: Sequence[str] | None = None) -> None:
    """Prints the figures, adds them to the report, and with --write the calibration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--judged", type=Path, required=True, help="what judge.py wrote")
    parser.add_argument("--kinds", nargs="+", required=True, help="members of the ensemble, as judged")
    parser.add_argument("--report", type=Path, required=True, help="JSON, a row for each ensemble")
    parser.add_argument("--write", action="store_true", help="calibrate FOLDER/KIND.safetensors in place")
    parser.add_argument("--folder", type=Path, default=PACKAGE / "weights", help="of the weights")
    arguments = parser.parse_args(command_line)
    report = json.loads(arguments.judged.read_text())
    rows = report_of({name: read_judged(report, arguments.kinds, name) for name in SETS})
    recorded = json.loads(arguments.report.read_text()) if arguments.report.exists() else {}
    recorded["+".join(arguments.kinds)] = rows
    arguments.report.write_text(json.dumps(recorded, indent=1) + "\n")
    for name in SETS:
        print(name, json.dumps(rows[name]))
    print(json.dumps(rows["calibration"]))
    if arguments.write:
        write(arguments.kinds, rows["calibration"], arguments.folder)


if __name__ == "__main__":
    main()
