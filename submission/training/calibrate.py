"""Makes the members' answers honest, by what judge.py recorded of clips that no member had seen.

    python -m training.calibrate --judged judged.json --kinds generated swapped --report c.json --write

Each member's logits are brought to one law: real clips about THRESHOLD below nothing, a spread of one (its
bias and temperature). Then the sum of detector/evidence.py is fitted: an offset, and a weight of at least
nothing for each kind of trace. Fitted on people, generators and
repositories that were held out: clean and publicly perturbed clips, and what was forged by hand of people
held out. The figures that are printed judge each fold by a fit to the other folds, and each kind of fake by a
fit to the other kinds; the private recipe takes no part in any fit.

What counts how much in a fit is a guess at what is to come, and stands in SHARES; within a share real and
fake clips count the same, every generator by the root of its number of clips, and every fold's real clips
the same.

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

from . import worth
from .judge import FORGED
from .members import RECIPES
from .places import PACKAGE

FITTED_ON = ("control", "public", FORGED)
SETS = (*FITTED_ON, "private")
# Of a fit's weight: nobody knows which kind of fake will come, so that none counts more than another.
SHARES = {"generated": 1 / 3, "swap": 1 / 3, "forged": 1 / 3}
THRESHOLD = 0.7  # how far above the mean of real clips a member's finding begins, in units of the spread
# How much of a fitted sum is believed: the next generator differs from those of a fit as these differ from
# each other, and confident mistakes cost most. Chosen with all folds in view, as THRESHOLD was.
TRUST = 0.5
STEEPEST = 8.0  # a kind's weight at most

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Clips of one set as some members see them: frames' logits, (members, clips), and what is known.

    `finds` (members,) is the kind of trace that each looks for; `weights` (clips,) is how much each counts
    among those of its kind and label.
    """

    finds: tuple[str, ...]
    logits: tuple[tuple[Floats, ...], ...]
    seen: worth.Seen
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


def kinds_of(folds: Sequence[int], generators: Sequence[str]) -> list[str]:
    """The key of SHARES of each clip; a real one's is that of most of the fakes of its fold."""
    beside: dict[int, Counter[str]] = {}
    for fold, generator in zip(folds, generators, strict=True):
        if generator:
            beside.setdefault(fold, Counter())[share_of(generator)] += 1
    most = {fold: counts.most_common(1)[0][0] for fold, counts in beside.items()}
    return [
        share_of(generator) if generator else most.get(fold, "generated")
        for fold, generator in zip(folds, generators, strict=True)
    ]


def read_judged(report: Mapping[str, Any], kinds: Sequence[str], name: str) -> Judged:
    """One set out of what judge.py wrote.

    Raises:
        KeyError: a kind was not judged.
    """
    names = sorted(report[kinds[0]][name]["logits"])
    clips = [report["clips"][n] for n in names]
    generators = [one["generator"] for one in clips]
    folds = [int(one["fold"]) for one in clips]
    groups = [generator or fold for generator, fold in zip(generators, folds, strict=True)]
    counts = Counter(groups)
    return Judged(
        finds=tuple(RECIPES[kind].finds for kind in kinds),
        logits=tuple(
            tuple(np.array(report[kind][name]["logits"][n], np.float64) for n in names) for kind in kinds
        ),
        seen=worth.Seen(
            sets=np.full(len(names), name),
            kinds=np.array(kinds_of(folds, generators)),
            folds=np.array(folds),
            labels=np.array([one["label"] for one in clips], np.float64),
            identities=np.array([one["identity"] for one in clips]),
            generators=np.array(generators, np.str_),
        ),
        weights=np.array([counts[g] ** -0.5 if isinstance(g, str) else 1 / counts[g] for g in groups]),
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
    pairs = list(zip(sets, rows, strict=True))
    means = np.concatenate([one.means()[:, r] for one, r in pairs], axis=1)
    seen = worth.together([worth.part(one.seen, r) for one, r in pairs])
    labels = seen.labels
    weights = balanced(np.concatenate([one.weights[r] for one, r in pairs]), labels, seen.kinds)
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


def balanced(weights: Floats, labels: Floats, kinds: NDArray[np.str_]) -> Floats:
    """Weights dealt out by SHARES to the kinds that are there, half of a share to each label."""
    out: Floats = np.zeros(len(weights))
    there = {name: share for name, share in SHARES.items() if (kinds == name).any()}
    for name, share in there.items():
        for label in (0, 1):
            mine = (kinds == name) & (labels == label)
            if mine.any():
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


def cross_calibrated(
    judged: Judged, fitted_on: Sequence[Judged], by: Callable[[worth.Seen], NDArray[Any]]
) -> Floats:
    """P(fake) of each clip, by a fit to those clips for which `by` gives another value."""
    own = by(judged.seen)
    out = np.empty(len(own))
    for value in sorted(set(own.tolist())):
        calibration = fit(fitted_on, [by(one.seen) != value for one in fitted_on])
        mine = own == value
        out[mine] = answers(judged, calibration)[mine]
    return out


def folds_of(seen: worth.Seen) -> NDArray[Any]:
    """For `cross_calibrated`: people, generators and repositories are other ones."""
    return seen.folds


def sorts_of(seen: worth.Seen) -> NDArray[Any]:
    """For `cross_calibrated`: the kind of fake is another one."""
    return seen.kinds


def all_answers(judged: Mapping[str, Judged], by: Callable[[worth.Seen], NDArray[Any]]) -> Floats:
    """The answers to all sets, one after the other, each by a fit to others."""
    fitted_on = [judged[name] for name in FITTED_ON]
    return np.concatenate([cross_calibrated(one, fitted_on, by) for one in judged.values()])


def report_of(judged: Mapping[str, Judged], against: Mapping[str, Mapping[str, Judged]]) -> dict[str, Any]:
    """The figures of an ensemble, cross-calibrated; its differences to others; and what ships."""
    fitted_on = [judged[name] for name in FITTED_ON]
    seen = worth.together([one.seen for one in judged.values()])
    p = all_answers(judged, folds_of)
    rows: dict[str, Any] = worth.describe(p, all_answers(judged, sorts_of), seen)
    others = {name: all_answers(other, folds_of) for name, other in against.items()}
    rows["less_than"] = worth.differences(p, {"constant 0.5": np.full(len(p), 0.5), **others}, seen)
    calibration = fit(fitted_on, [np.ones(len(one.weights), bool) for one in fitted_on])
    shipped = np.concatenate([answers(one, calibration) for one in judged.values()])
    rows["mean_log_loss_as_shipped"] = worth.mean_loss(worth.losses(shipped, seen.labels), seen)
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
    parser.add_argument("--against", nargs="*", default=[], help="ensembles to compare with")
    parser.add_argument("--write", action="store_true", help="calibrate FOLDER/KIND.safetensors in place")
    parser.add_argument("--folder", type=Path, default=PACKAGE / "weights", help="of the weights")
    arguments = parser.parse_args(command_line)
    report = json.loads(arguments.judged.read_text())

    def read(kinds: Sequence[str]) -> dict[str, Judged]:
        return {name: read_judged(report, kinds, name) for name in SETS}

    against = {name: read(name.split("+")) for name in arguments.against}
    rows = report_of(read(arguments.kinds), against)
    recorded = json.loads(arguments.report.read_text()) if arguments.report.exists() else {}
    recorded["+".join(arguments.kinds)] = rows
    arguments.report.write_text(json.dumps(recorded, indent=1) + "\n")
    for name in ("mean_log_loss", "mean_log_loss_kind_left_out", "mean_log_loss_as_shipped"):
        value, low, high = rows[name]
        print(f"{'+'.join(arguments.kinds)}: {name} {value:.4f} ({low:.4f}-{high:.4f}), a constant 0.6931")
    if arguments.write:
        write(arguments.kinds, rows["calibration"], arguments.folder)


if __name__ == "__main__":
    main()
