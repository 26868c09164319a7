"""Figures of answers to clips that no member had seen: by kind of fake, with intervals, and differences.

Clips are of three kinds: "generated" (a whole face by a trained generator), "swap" (another face by a trained
swapper) and "forged" (by hand). A real clip is of the kind that it was judged beside. Each kind counts the
same in a mean, whatever its number of clips, and within it real and fake clips: a constant 0.5 has ln 2
everywhere, and an answer that only leans to what there is more of gains nothing. Intervals are of resampled
people, who take all of their clips in all sets with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .figures import auc

RESAMPLES = 1000

Floats = NDArray[np.float64]
Figure = tuple[float, float, float]  # a value and its 95% interval


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What is known of the clips of all sets, a row for each clip in each set; arrays are (rows,).

    `kinds` as above, `generators` is empty for a real clip.
    """

    sets: NDArray[np.str_]
    kinds: NDArray[np.str_]
    folds: NDArray[np.int64]
    labels: Floats
    identities: NDArray[np.str_]
    generators: NDArray[np.str_]

    def where(self, *, of_set: str | None = None, kind: str | None = None) -> NDArray[np.bool_]:
        """The rows of a set, of a kind, or of both."""
        chosen = np.ones(len(self.labels), bool)
        if of_set is not None:
            chosen &= self.sets == of_set
        if kind is not None:
            chosen &= self.kinds == kind
        return chosen


def losses(p: Floats, labels: Floats) -> Floats:
    """The log loss of each answer."""
    return np.asarray(-np.log(np.where(labels == 1, p, 1 - p)), np.float64)


def _times(identities: NDArray[np.str_]) -> tuple[Floats, NDArray[np.int64]]:
    """How often each person is drawn, (1 + RESAMPLES, people), first once each; and who each row is."""
    people, who = np.unique(identities, return_inverse=True)
    drawn = np.random.default_rng(0).multinomial(
        len(people), np.full(len(people), 1 / len(people)), size=RESAMPLES
    )
    return np.vstack([np.ones(len(people)), drawn]), who


def mean_loss(loss: Floats, seen: Seen) -> Figure:
    """The mean over kinds, of each over its sets, of each over its labels, of a loss or a difference of two.

    A cell that a resample leaves empty does not count in it.
    """
    times, who = _times(seen.identities)
    by_kind = []
    for kind in sorted(set(seen.kinds.tolist())):
        by_set = []
        for name in sorted(set(seen.sets[seen.kinds == kind].tolist())):
            for label in (0, 1):
                rows = np.flatnonzero(seen.where(of_set=name, kind=kind) & (seen.labels == label))
                weights = times[:, who[rows]]
                with np.errstate(invalid="ignore"):
                    by_set.append((weights @ loss[rows]) / weights.sum(axis=1))
        values = np.array(by_set)
        with np.errstate(invalid="ignore"):  # nothing of this kind was drawn
            by_kind.append(np.nansum(values, axis=0) / (~np.isnan(values)).sum(axis=0))
    return _figure(np.mean(by_kind, axis=0))


def _figure(values: Floats) -> Figure:
    low, high = np.nanpercentile(values[1:], [2.5, 97.5])
    return float(values[0]), float(low), float(high)


def within_folds(p: Floats, seen: Seen) -> Figure:
    """The mean of the folds' own AUCs. A fold that a resample leaves with one label does not count in it."""
    people = np.unique(seen.identities)
    groups = [np.flatnonzero(seen.identities == name) for name in people]
    folds = sorted(set(seen.folds.tolist()))

    def figure(rows: NDArray[np.int64]) -> float:
        areas = []
        for fold in folds:
            mine = rows[seen.folds[rows] == fold]
            real, fake = p[mine[seen.labels[mine] == 0]], p[mine[seen.labels[mine] == 1]]
            if len(real) and len(fake):
                areas.append(auc(real, fake))
        return float(np.mean(areas)) if areas else float("nan")

    rng = np.random.default_rng(0)
    drawn = [
        figure(np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))]))
        for _ in range(RESAMPLES)
    ]
    return _figure(np.array([figure(np.arange(len(p))), *drawn]))


def part(seen: Seen, rows: NDArray[np.bool_]) -> Seen:
    """Some of the rows."""
    return Seen(**{name: getattr(seen, name)[rows] for name in Seen.__dataclass_fields__})


def by_generator(p: Floats, seen: Seen) -> dict[str, float]:
    """AUC of each generator against the real clips of its fold, of one set."""
    out = {}
    for name in sorted(set(seen.generators[seen.labels == 1].tolist())):
        own = np.unique(seen.folds[seen.generators == name])
        real = (seen.labels == 0) & np.isin(seen.folds, own)
        if not real.any():  # few clips: nothing to tell it from
            continue
        out[name] = auc(p[real], p[seen.generators == name])
    return out


def describe(p: Floats, left_out: Floats, seen: Seen) -> dict[str, object]:
    """The figures of one ensemble.

    Args:
        p: P(fake) of each row, its fold's calibration fitted on the other folds.
        left_out: the same, fitted on the other kinds.
        seen: what the rows are.
    """
    out: dict[str, object] = {"mean_log_loss": mean_loss(losses(p, seen.labels), seen)}
    out["mean_log_loss_kind_left_out"] = mean_loss(losses(left_out, seen.labels), seen)
    for name in dict.fromkeys(seen.sets.tolist()):
        kinds: dict[str, object] = {}
        for kind in sorted(set(seen.kinds[seen.sets == name].tolist())):
            rows = seen.where(of_set=name, kind=kind)
            some = part(seen, rows)
            kinds[kind] = {
                "clips": int(rows.sum()),
                "people": len(set(some.identities.tolist())),
                "log_loss": mean_loss(losses(p[rows], some.labels), some),
                "log_loss_kind_left_out": mean_loss(losses(left_out[rows], some.labels), some),
                "auc": within_folds(p[rows], some),
                "auc_by_generator": by_generator(p[rows], some),
            }
        out[name] = kinds
    return out


def differences(p: Floats, others: Mapping[str, Floats], seen: Seen) -> dict[str, Figure]:
    """The mean log loss less that of others, on the same clips: below nothing is better."""
    own = losses(p, seen.labels)
    return {name: mean_loss(own - losses(other, seen.labels), seen) for name, other in others.items()}


def together(parts: Sequence[Seen]) -> Seen:
    """The rows of several sets, one after the other."""
    return Seen(
        **{name: np.concatenate([getattr(one, name) for one in parts]) for name in Seen.__dataclass_fields__}
    )
