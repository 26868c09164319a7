"""How sure a score is: intervals over clusters of related videos, in closed form.

No resampling: a plain percentile bootstrap is too short if there are few clusters or the losses are
skewed, and one studentised by hand was no better than what stands here. `docs/statistics.md` has the coverage
of each, measured. Every standard error is the linearised one of a ratio of sums over clusters drawn from
strata (Cochran 1977, section 6.13), with Satterthwaite's degrees of freedom.

* the mean of a skewed loss: Hall's transformation of Student's t, which takes its skewness out (Hall 1992)
* a difference of two means: Student's t; what is skewed cancels, and guessing the rest costs coverage
* a share of videos: Korn and Graubard 1998
* the AUC: Obuchowski 1997 on the logit scale
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.scoring.clusters import Floats, Sampling, Unit

LEVEL = 0.95
TAIL = (1.0 - LEVEL) / 2.0


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where the value would be in 95 of 100 sets like this one."""

    low: float
    high: float
    level: Annotated[float, Field(gt=0, lt=1)] = LEVEL
    unit: Unit = Unit.VIDEO
    method: str = "percentile"  # what the first results were made with; they do not say it
    clusters: Annotated[int, Field(ge=0)] = 0  # drawn from; 0 if a result does not say it


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far statistics lie from what they estimate; each field has one value per statistic."""

    error: Floats  # standard error
    freedom: Floats  # Satterthwaite's degrees of freedom of its square
    skewness: Floats  # of the statistic itself: it falls with the root of the number of clusters


def spread_of(influence: Floats, sampling: Sampling) -> Spread:
    """Return the spread of sums over clusters.

    Args:
        influence: What each cluster adds to each statistic, of shape (clusters, statistics).
        sampling: Its strata; each has at least three clusters.
    """
    square, cube = np.zeros(influence.shape[1]), np.zeros(influence.shape[1])
    per_freedom = np.zeros(influence.shape[1])
    for members in sampling.strata:
        own = influence[members]
        own = own - own.mean(axis=0)
        size, squares = float(members.size), own**2
        part = size / (size - 1.0) * squares.sum(axis=0)
        square += part
        per_freedom += part**2 / (size - 1.0)
        cube += size**2 / ((size - 1.0) * (size - 2.0)) * (squares * own).sum(axis=0)
    safe = np.where(square > 0, square, 1.0)
    freedom = np.where(square > 0, safe**2 / np.where(square > 0, per_freedom, 1.0), sampling.clusters - 1.0)
    return Spread(
        error=np.sqrt(square), freedom=freedom, skewness=np.where(square > 0, cube / safe**1.5, 0.0)
    )


def excess_of(values: Floats, sampling: Sampling) -> Floats:
    """Return what each cluster adds to the error of a mean: its sum less its size times the mean, per video.

    Args:
        values: One value per video and statistic, of shape (videos, statistics).
        sampling: Which videos are one cluster.
    """
    sizes = np.bincount(sampling.cluster, minlength=sampling.clusters).astype(np.float64)
    return np.asarray((sampling.sums(values) - sizes[:, None] * values.mean(axis=0)) / values.shape[0])


def skewed_bounds(value: Floats, spread: Spread) -> tuple[Floats, Floats]:
    """Return the ends of intervals of means by Hall's transformation of Student's t.

    `g(T) = T + γT²/3 + γ²T³/27 + γ/6` is Student's t to the second order, where γ is the skewness of the
    mean (Hall 1992, formula for the studentised mean); it is inverted in closed form.
    """
    quantile = student_quantiles(spread.freedom)
    skew = np.where(np.abs(spread.skewness) > 1e-9, spread.skewness, 1e-9)

    def inverse(end: Floats) -> Floats:
        return np.asarray(3.0 / skew * (np.cbrt(1.0 + skew * (end - skew / 6.0)) - 1.0))

    return value - inverse(quantile) * spread.error, value - inverse(-quantile) * spread.error


def mean_interval(
    values: Floats, sampling: Sampling, *, lowest: float = -math.inf, highest: float = math.inf
) -> Interval | None:
    """Return the interval of the mean of one value per video; None if there is too little to draw from.

    Args:
        values: One value per video, of shape (videos,): losses.
        sampling: Which videos are drawn together.
        lowest: The interval is cut off below this.
        highest: The interval is cut off above this.
    """
    if not sampling.enough:
        return None
    low, high = skewed_bounds(
        values.mean(keepdims=True), spread_of(excess_of(values[:, None], sampling), sampling)
    )
    return interval_of(max(float(low[0]), lowest), min(float(high[0]), highest), sampling, "Hall")


def proportion_interval(hits: NDArray[np.bool_], sampling: Sampling) -> Interval | None:
    """Return the interval of a share of videos; None if there is too little to draw from.

    Clopper and Pearson's exact interval with the effective number of independent videos, the variance of the
    share over clusters against that of a plain one (Korn and Graubard 1998). It has a width if every video
    is a hit, as a bootstrap has not.
    """
    if not sampling.enough:
        return None
    from scipy.special import betaincinv  # noqa: PLC0415  (on use: the command line should start at once)

    share = float(hits.mean())
    spread = spread_of(excess_of(hits.astype(np.float64)[:, None], sampling), sampling)
    variance, effective = float(spread.error[0]) ** 2, float(sampling.clusters)
    if variance > 0:
        plain, own = student_quantiles(np.array([hits.size - 1.0, spread.freedom[0]]))
        effective = min(share * (1.0 - share) / variance * (plain / own) ** 2, float(hits.size))
    found = share * effective
    low = float(betaincinv(found, effective - found + 1.0, TAIL)) if found > 0 else 0.0
    high = float(betaincinv(found + 1.0, effective - found, 1.0 - TAIL)) if found < effective else 1.0
    return interval_of(low, high, sampling, "Korn-Graubard")


def auc_influence(fake: NDArray[np.bool_], probability: Floats) -> tuple[float, Floats]:
    """Return the ROC AUC, and what each video adds to it: its placement among the others, centred.

    DeLong, DeLong and Clarke-Pearson 1988: the placement of a fake is the share of reals below it, that of a
    real the share of fakes above it, ties counting half. Both classes must be there.
    """
    order = np.argsort(probability)
    values, fakes = probability[order], fake[order]
    last = np.append(np.flatnonzero(np.diff(values)), values.size - 1)  # of each run of ties
    shares = []
    for others in (~fakes, fakes):
        upto = np.cumsum(others)[last]
        middle = (upto + np.append(0, upto[:-1])) / (2.0 * upto[-1])
        shares.append(np.repeat(middle, np.diff(last, prepend=-1)))
    placement = np.empty(fake.size)
    placement[order] = np.where(fakes, shares[0], 1.0 - shares[1])
    auc = float(placement[fake].mean())
    counts = np.where(fake, fake.sum(), (~fake).sum())
    return auc, (placement - auc) / counts


def auc_interval(fake: NDArray[np.bool_], probability: Floats, sampling: Sampling) -> Interval | None:
    """Return the interval of the ROC AUC; None if there is too little to draw from, or the AUC is 0 or 1.

    On the logit scale, with the variance of the placements summed over clusters (Obuchowski 1997; for
    independent videos it is DeLong's) and Student's t with Satterthwaite's degrees of freedom.
    """
    if not sampling.enough or fake.all() or not fake.any():
        return None
    auc, influence = auc_influence(fake, probability)
    spread = spread_of(sampling.sums(influence[:, None]), sampling)
    error = float(spread.error[0])
    if not 0.0 < auc < 1.0 or error == 0.0:
        return None  # no pair is out of order: how often one would be is not in these data
    middle = math.log(auc / (1.0 - auc))
    half = float(student_quantiles(spread.freedom)[0]) * error / (auc * (1.0 - auc))
    low, high = (1.0 / (1.0 + math.exp(-end)) for end in (middle - half, middle + half))
    return interval_of(low, high, sampling, "logit")


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How much worse the second set went than the first: its log loss minus the other's."""

    first: str
    second: str
    value: float
    interval: Interval | None  # None if there is too little to draw from
    paired: bool  # the same source videos in both, drawn together


def gap_of(
    *,
    names: tuple[str, str],
    values: tuple[Floats, Floats],
    sources: tuple[Sequence[str], Sequence[str]],
    sampling: Sampling,
) -> Gap:
    """Return the gap between the means of two sets with its interval.

    People, footage and source videos that are in both sets are drawn from both at once, so that what makes
    them hard cancels; if the sets share nothing, they are drawn apart.

    Args:
        names: Of the two sets.
        values: One value per video, of each set.
        sources: The source video of each; if both sets hold the same ones, the gap is paired.
        sampling: Of the videos of both sets, the first's before the second's.
    """
    first, second = values
    means = float(first.mean()), float(second.mean())
    influence = np.concatenate([-(first - means[0]) / first.size, (second - means[1]) / second.size])
    value = means[1] - means[0]
    return Gap(
        first=names[0],
        second=names[1],
        value=value,
        interval=_student(value, sampling.sums(influence[:, None]), sampling) if sampling.enough else None,
        paired=sorted(sources[0]) == sorted(sources[1]),
    )


def student_quantiles(freedom: Floats, tail: float = TAIL) -> Floats:
    """Return the quantiles of Student's t that leave `tail` above them."""
    from scipy.special import stdtrit  # noqa: PLC0415  (on use: the command line should start at once)

    return np.asarray(stdtrit(freedom, 1.0 - tail), dtype=np.float64)


def _student(value: float, influence: Floats, sampling: Sampling) -> Interval:
    spread = spread_of(influence, sampling)
    half = float(student_quantiles(spread.freedom)[0] * spread.error[0])
    return interval_of(value - half, value + half, sampling, "Student")


def interval_of(low: float, high: float, sampling: Sampling, method: str) -> Interval:
    """Return an interval with what was drawn for it."""
    return Interval(low=low, high=high, unit=sampling.unit, method=method, clusters=sampling.clusters)
