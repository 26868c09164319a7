"""Where a score comes from: the same set cut by perturbation, by severity, by both, and by fake method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from harness.scoring.curves import weighted_auc
from harness.scoring.intervals import Bootstrap, Interval, mean_interval
from harness.scoring.metrics import THRESHOLD
from harness.scoring.scored import ScoredVideo, losses_of, probabilities_of, sampling, truths_of

UNPERTURBED = "none"
REAL = "real"


class SliceKind(StrEnum):
    """By what a set is cut.

    A video with several perturbations is in the slice of each of them, and under the strongest of its
    severities. By method, the videos are the fakes made with it; the reals are a slice of their own.
    """

    PERTURBATION = "perturbation"
    SEVERITY = "severity"
    PERTURBATION_SEVERITY = "perturbation_severity"
    METHOD = "method"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The score of some of a set's videos. Values are none where the set is not scored."""

    kind: SliceKind
    name: str
    severity: int | None
    videos: int
    fakes: int
    failed: int
    log_loss: float | None = None
    interval: Interval | None = None
    accuracy: float | None = None
    roc_auc: float | None = None  # by method: its fakes against all reals; none where a class is missing


def slices_of(rows: Sequence[ScoredVideo], *, scored: bool, bootstrap: Bootstrap) -> tuple[Slice, ...]:
    """Cut a set in every way of `SliceKind`, each sorted by name and severity."""
    reals = [row for row in rows if not row.label.fake]
    found = []
    for kind, keys_of in _KEYS.items():
        inside: dict[_Key, list[ScoredVideo]] = {}
        for row in rows:
            for key in keys_of(row):
                inside.setdefault(key, []).append(row)
        for (name, severity), members in sorted(inside.items()):
            cut = _counts(kind, name, severity, members)
            against = reals if kind is SliceKind.METHOD and name != REAL else []
            found.append(_with_scores(cut, members, against, bootstrap) if scored else cut)
    return tuple(found)


def _counts(kind: SliceKind, name: str, severity: int, rows: Sequence[ScoredVideo]) -> Slice:
    return Slice(
        kind=kind,
        name=name,
        severity=None if severity == _ANY else severity,
        videos=len(rows),
        fakes=sum(row.label.fake for row in rows),
        failed=sum(row.failed for row in rows),
    )


def _with_scores(
    cut: Slice, rows: Sequence[ScoredVideo], against: Sequence[ScoredVideo], bootstrap: Bootstrap
) -> Slice:
    losses, fake, probability = losses_of(rows), truths_of(rows), probabilities_of(rows)
    ranked = [*rows, *against]
    auc = weighted_auc(truths_of(ranked), probabilities_of(ranked))(np.ones(len(ranked)))
    return replace(
        cut,
        log_loss=float(losses.mean()),
        interval=mean_interval(losses, sampling(rows), bootstrap),
        accuracy=float(np.mean((probability >= THRESHOLD) == fake)),
        roc_auc=None if np.isnan(auc) else auc,
    )


_ANY = -1
_Key = tuple[str, int]


def _by_perturbation(row: ScoredVideo) -> frozenset[_Key]:
    return frozenset((one.name, _ANY) for one in row.perturbations) or frozenset({(UNPERTURBED, _ANY)})


def _by_severity(row: ScoredVideo) -> frozenset[_Key]:
    strongest = max((one.severity for one in row.perturbations), default=0)
    return frozenset({(f"severity {strongest}", strongest)})


def _by_both(row: ScoredVideo) -> frozenset[_Key]:
    return frozenset((one.name, one.severity) for one in row.perturbations) or frozenset({(UNPERTURBED, 0)})


def _by_method(row: ScoredVideo) -> frozenset[_Key]:
    return frozenset({((row.label.method or "unnamed method") if row.label.fake else REAL, _ANY)})


_KEYS: dict[SliceKind, Callable[[ScoredVideo], frozenset[_Key]]] = {
    SliceKind.PERTURBATION: _by_perturbation,
    SliceKind.SEVERITY: _by_severity,
    SliceKind.PERTURBATION_SEVERITY: _by_both,
    SliceKind.METHOD: _by_method,
}
