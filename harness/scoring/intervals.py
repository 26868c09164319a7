"""How sure a score is: studentised bootstrap intervals over clusters of related videos.

Every replicate draws whole clusters (see `clusters`), computes the score *and* its standard error, and the
interval is read off the quantiles of their ratio: the bootstrap-t of Efron and Tibshirani 1993, section 12.5.
A plain percentile interval is too short where there are few clusters or the losses are skewed. The standard
error is the linearised one of a ratio of sums over clusters drawn from strata (Cochran 1977, section 6.13).
`docs/statistics.md` has the coverage of each, measured. Seeded: the same input gives the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.scoring.clusters import (
    CLUSTERS_MIN,
    DRAWN_MIN,
    Bootstrap,
    Floats,
    Integers,
    Sampling,
    Unit,
    sampling_of,
)

__all__ = [
    "CLUSTERS_MIN",
    "DRAWN_MIN",
    "LEVEL",
    "Bootstrap",
    "Gap",
    "Interval",
    "Sampling",
    "Unit",
    "auc_interval",
    "auc_influence",
    "gap_of",
    "mean_interval",
    "proportion_interval",
    "sampling_of",
    "student_quantile",
    "variances",
]

LEVEL = 0.95
TAIL = (1.0 - LEVEL) / 2.0


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where the value would lie in 95 of 100 sets like this one."""

    low: float
    high: float
    level: Annotated[float, Field(gt=0, lt=1)] = LEVEL
    unit: Unit = Unit.VIDEO
    method: str = "percentile"  # what results of before bootstrap-t were made with; they do not say it
    clusters: Annotated[int, Field(ge=0)] = 0  # drawn from; 0 where a result does not say it


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A mean over some of the videos, as sums over clusters: `sizes[c]` videos add up to `excess[c]`.

    `excess` is what a cluster has more than its share: its sum less its size times the mean.
    """

    excess: Floats
    sizes: Floats
    sign: float


def mean_interval(
    values: Floats,
    sampling: Sampling,
    bootstrap: Bootstrap,
    *,
    lowest: float = -math.inf,
    highest: float = math.inf,
) -> Interval | None:
    """Return the interval of the mean of one value per video; none where there is too little to draw from.

    Args:
        values: One value per video, of shape (videos,).
        sampling: Which videos are drawn together.
        bootstrap: Replicates and seed.
        lowest: The interval is cut off below this.
        highest: The interval is cut off above this.
    """
    if not sampling.enough:
        return None
    sizes = np.bincount(sampling.cluster, minlength=sampling.clusters).astype(np.float64)
    mean = float(values.mean())
    part = _Part(excess=sampling.sums(values) - sizes * mean, sizes=sizes, sign=1.0)
    return _studentised(mean, (part,), sampling, bootstrap, lowest, highest)


def proportion_interval(hits: NDArray[np.bool_], sampling: Sampling) -> Interval | None:
    """Return the interval of a share of videos; none where there is too little to draw from.

    Clopper and Pearson's exact interval with the effective number of independent videos, the variance of the
    share over clusters against that of a plain one (Korn and Graubard 1998). It has a width where every video
    is a hit, as a bootstrap has not.
    """
    if not sampling.enough:
        return None
    from scipy.special import betaincinv  # noqa: PLC0415  (on use: the command line should start at once)

    share = float(hits.mean())
    influence = sampling.sums(hits - share) / hits.size
    variance, freedom = float(variances(influence[:, None], sampling)[0]), _freedom(influence, sampling)
    effective = share * (1.0 - share) / variance if variance > 0 else float(sampling.clusters)
    if variance > 0:
        plain = student_quantile(1.0 - TAIL, hits.size - 1.0) / student_quantile(1.0 - TAIL, freedom)
        effective = min(effective * plain**2, float(hits.size))
    found = share * effective
    low = float(betaincinv(found, effective - found + 1.0, TAIL)) if found > 0 else 0.0
    high = float(betaincinv(found + 1.0, effective - found, 1.0 - TAIL)) if found < effective else 1.0
    return _interval(low, high, sampling, "Korn-Graubard")


def auc_influence(fake: NDArray[np.bool_], probability: Floats) -> tuple[float, Floats]:
    """Return the ROC AUC, and what each video adds to it: its placement among the others, centred.

    DeLong, DeLong and Clarke-Pearson 1988: the placement of a fake is the share of reals below it, that of a
    real the share of fakes above it, ties counting half. Both classes must be there.
    """
    placement = np.empty(fake.size)
    for own, sign in ((fake, 1.0), (~fake, -1.0)):
        others = np.sort(probability[~own])
        below = np.searchsorted(others, probability[own], "left")
        upto = np.searchsorted(others, probability[own], "right")
        share = (below + upto) / (2.0 * others.size)
        placement[own] = share if sign > 0 else 1.0 - share
    auc = float(placement[fake].mean())
    counts = np.where(fake, fake.sum(), (~fake).sum())
    return auc, (placement - auc) / counts


def auc_interval(
    fake: NDArray[np.bool_], probability: Floats, sampling: Sampling
) -> Interval | None:
    """Return the interval of the ROC AUC; none where there is too little to draw from, or the AUC is 0 or 1.

    On the logit scale, with the variance of the placements summed over clusters (Obuchowski 1997; for
    independent videos it is DeLong's) and Student's t with Satterthwaite's degrees of freedom.
    """
    if not sampling.enough or fake.all() or not fake.any():
        return None
    auc, influence = auc_influence(fake, probability)
    by_cluster = sampling.sums(influence)
    error = math.sqrt(float(variances(by_cluster[:, None], sampling)[0]))
    if not 0.0 < auc < 1.0 or error == 0.0:
        return None  # no pair is out of order: how often one would be is not in these data
    middle = math.log(auc / (1.0 - auc))
    half = student_quantile(1.0 - TAIL, _freedom(by_cluster, sampling)) * error / (auc * (1.0 - auc))
    low, high = (1.0 / (1.0 + math.exp(-end)) for end in (middle - half, middle + half))
    return _interval(low, high, sampling, "logit")


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How much worse the second set went than the first: its log loss minus the other's."""

    first: str
    second: str
    value: float
    interval: Interval | None  # none where there is too little to draw from
    paired: bool  # the same source videos in both, drawn together


def gap_of(
    *,
    names: tuple[str, str],
    values: tuple[Floats, Floats],
    sources: tuple[Sequence[str], Sequence[str]],
    sampling: Sampling,
    bootstrap: Bootstrap,
) -> Gap:
    """Return the gap between the means of two sets with its interval.

    People, footage and source videos that are in both sets are drawn from both at once, so that what makes
    them hard cancels; where the sets share nothing, they are drawn apart.

    Args:
        names: Of the two sets.
        values: One value per video, of each set.
        sources: The source video of each; where both sets hold the same ones, the gap is paired.
        sampling: Of the videos of both sets, the first's before the second's.
        bootstrap: Replicates and seed.
    """
    paired = sorted(sources[0]) == sorted(sources[1])
    means = [float(one.mean()) for one in values]
    value = means[1] - means[0]
    interval = None
    if sampling.enough:
        second = np.repeat([False, True], [one.size for one in values])
        joined = np.concatenate(values)
        parts = []
        for own, mean, sign in ((~second, means[0], -1.0), (second, means[1], 1.0)):
            excess = sampling.sums(np.where(own, joined - mean, 0.0))
            parts.append(_Part(excess=excess, sizes=sampling.sums(own.astype(np.float64)), sign=sign))
        interval = _studentised(value, tuple(parts), sampling, bootstrap, -math.inf, math.inf)
    return Gap(first=names[0], second=names[1], value=value, interval=interval, paired=paired)


def variances(influence: Floats, sampling: Sampling) -> Floats:
    """Return the variance of each sum of influences: Σ over strata of g/(g-1) Σ (ψ_c - mean ψ)².

    Args:
        influence: What each cluster adds to each statistic, of shape (clusters, statistics).
        sampling: Its strata; each has at least two clusters.
    """
    found = np.zeros(influence.shape[1])
    for members in sampling.strata:
        own = influence[members]
        found += members.size / (members.size - 1.0) * ((own - own.mean(axis=0)) ** 2).sum(axis=0)
    return found


def student_quantile(probability: float, freedom: float) -> float:
    """Return a quantile of Student's t."""
    from scipy.special import stdtrit  # noqa: PLC0415  (on use: the command line should start at once)

    return float(stdtrit(freedom, probability))


def _freedom(influence: Floats, sampling: Sampling) -> float:
    """Return Satterthwaite's degrees of freedom of a variance that strata add up to (1946)."""
    parts, squares = 0.0, 0.0
    for members in sampling.strata:
        own = influence[members]
        one = members.size / (members.size - 1.0) * float(((own - own.mean()) ** 2).sum())
        parts += one
        squares += one**2 / (members.size - 1.0)
    return parts**2 / squares if squares > 0 else float(sampling.clusters - 1)


def _studentised(
    value: float,
    parts: tuple[_Part, ...],
    sampling: Sampling,
    bootstrap: Bootstrap,
    lowest: float,
    highest: float,
) -> Interval | None:
    influence = sum((part.sign / part.sizes.sum() * part.excess for part in parts), np.zeros(sampling.clusters))
    error = math.sqrt(float(variances(influence[:, None], sampling)[0]))
    ratios = np.concatenate([_ratios(counts, parts, sampling.strata) for counts in sampling.counts(bootstrap)])
    upper, lower = np.quantile(ratios, [1.0 - TAIL, TAIL]) if error > 0 else (0.0, 0.0)
    low, high = value - float(upper) * error, value - float(lower) * error
    if not math.isfinite(low) or not math.isfinite(high):
        return None  # too many replicates without any spread to tell how sure they are
    return _interval(max(low, lowest), min(high, highest), sampling, "bootstrap-t")


def _ratios(counts: Floats, parts: tuple[_Part, ...], strata: tuple[Integers, ...]) -> Floats:
    """Return, for each replicate, how far it is from the value in its own standard errors."""
    moved = np.zeros(counts.shape[0])
    influence = np.zeros_like(counts)
    for part in parts:
        sizes = np.maximum(counts @ part.sizes, 1.0)
        step = (counts @ part.excess) / sizes
        moved += part.sign * step
        influence += (part.sign / sizes)[:, None] * (part.excess - step[:, None] * part.sizes)
    variance = np.zeros_like(moved)
    for members in strata:
        own, drawn = influence[:, members], counts[:, members]
        weighted = drawn * own
        inside = (weighted * own).sum(axis=1) - weighted.sum(axis=1) ** 2 / members.size
        variance += members.size / (members.size - 1.0) * inside
    error = np.sqrt(np.maximum(variance, 0.0))
    with np.errstate(divide="ignore"):
        return np.where(np.abs(moved) > 1e-12, moved / error, 0.0)


def _interval(low: float, high: float, sampling: Sampling, method: str) -> Interval:
    return Interval(low=low, high=high, unit=sampling.unit, method=method, clusters=sampling.clusters)
