"""Where a score comes from: the same set cut by perturbation, by severity, by both, and by fake method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from harness.scoring.curves import weighted_auc
from harness.scoring.intervals import Interval, mean_interval
from harness.scoring.metrics import THRESHOLD
from harness.scoring.scored import ScoredVideo, losses_of, probabilities_of, sampling, truths_of

UNPERTURBED = "none"
REAL = "real"
SUBGROUP_MIN = 10
SUBGROUPS_MAX = 40


class SliceKind(StrEnum):
    """By what a set is cut.

    A video with several perturbations is in the slice of each of them, and under the strongest of its
    severities. By method, the videos are the fakes made with it; the reals are their own slice. By
    subgroup, they have the same cell in a column that the organiser added to the labels.
    """

    PERTURBATION = "perturbation"
    SEVERITY = "severity"
    PERTURBATION_SEVERITY = "perturbation_severity"
    METHOD = "method"
    SUBGROUP = "subgroup"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The score of some of a set's videos. Values are None if the set is not scored."""

    kind: SliceKind
    name: str
    severity: int | None
    videos: int
    fakes: int
    failed: int
    log_loss: float | None = None
    interval: Interval | None = None
    accuracy: float | None = None
    column: str = ""  # of the labels, by subgroup
    roc_auc: float | None = None  # by method: its fakes against all reals; None if a class is missing


def slices_of(rows: Sequence[ScoredVideo], *, scored: bool) -> tuple[Slice, ...]:
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
            found.append(_with_scores(cut, members, against) if scored else cut)
    for column, groups in subgroups([dict(row.label.columns) for row in rows]).items():
        for name, places in groups.items():
            inside_group = [rows[index] for index in places]
            cut = replace(_counts(SliceKind.SUBGROUP, name, _ANY, inside_group), column=column)
            found.append(_with_scores(cut, inside_group, []) if scored else cut)
    return tuple(found)


def subgroups(cells: Sequence[Mapping[str, str]]) -> dict[str, dict[str, list[int]]]:
    """Return the videos of each subgroup, by column and cell.

    Cells with fewer than `SUBGROUP_MIN` videos are one group, named after their number, so that no score of
    a handful of videos looks like a finding. A column with one group only, or with more than `SUBGROUPS_MAX`
    (a column of remarks), cuts nothing.
    """
    found: dict[str, dict[str, list[int]]] = {}
    for column in dict.fromkeys(name for row in cells for name in row):
        groups: dict[str, list[int]] = {}
        for index, row in enumerate(cells):
            groups.setdefault(row.get(column, "") or "not given", []).append(index)
        shown = {name: groups[name] for name in sorted(groups) if len(groups[name]) >= SUBGROUP_MIN}
        small = [name for name in groups if name not in shown]
        if small:
            name = small[0] if len(small) == 1 else f"{len(small)} small groups"
            shown[name] = sorted(index for one in small for index in groups[one])
        if 2 <= len(shown) <= SUBGROUPS_MAX:
            found[column] = shown
    return found


def _counts(kind: SliceKind, name: str, severity: int, rows: Sequence[ScoredVideo]) -> Slice:
    return Slice(
        kind=kind,
        name=name,
        severity=None if severity == _ANY else severity,
        videos=len(rows),
        fakes=sum(row.label.fake for row in rows),
        failed=sum(row.failed for row in rows),
    )


def _with_scores(cut: Slice, rows: Sequence[ScoredVideo], against: Sequence[ScoredVideo]) -> Slice:
    losses, fake, probability = losses_of(rows), truths_of(rows), probabilities_of(rows)
    ranked = [*rows, *against]
    auc = weighted_auc(truths_of(ranked), probabilities_of(ranked))(np.ones(len(ranked)))
    return replace(
        cut,
        log_loss=float(losses.mean()),
        interval=mean_interval(losses, sampling(rows), lowest=0.0),
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
    if not row.label.fake:
        return frozenset({(REAL, _ANY)})
    method = row.label.method or "unnamed method"
    return frozenset({(f"{REAL} (a method)" if method == REAL else method, _ANY)})


_KEYS: dict[SliceKind, Callable[[ScoredVideo], frozenset[_Key]]] = {
    SliceKind.PERTURBATION: _by_perturbation,
    SliceKind.SEVERITY: _by_severity,
    SliceKind.PERTURBATION_SEVERITY: _by_both,
    SliceKind.METHOD: _by_method,
}
