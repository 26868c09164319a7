"""Plain statistics for the audit: ranks, AUCs and their intervals, exact tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.scoring.clusters import Unit
from harness.scoring.intervals import LEVEL, Interval

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]

_FEW_ROWS = 12
TOLERANCE = 1e-9  # relabelings that undo each other must tie in spite of rounding


def column_ranks(values: Floats) -> Floats:
    """Rank each column from 1 on; ties share their mean rank, and what is missing (NaN) has none."""
    if len(values) <= _FEW_ROWS:  # a fold of a small set, ten thousand times: pandas takes longer to begin
        below = (values[None, :, :] < values[:, None, :]).sum(axis=1)
        ties = (values[None, :, :] == values[:, None, :]).sum(axis=1)
        return np.where(np.isnan(values), np.nan, below + (ties + 1) / 2)
    return np.asarray(pd.DataFrame(values).rank(axis=0, method="average"), dtype=np.float64)


def standardised_ranks(values: Floats) -> Floats:
    """Rank each column and scale it to mean 0 and variance 1; what is missing (NaN) or constant becomes 0."""
    ranks = column_ranks(values)
    present = ~np.isnan(ranks)
    count = np.maximum(present.sum(axis=0), 1)
    centred = np.where(present, ranks - np.where(present, ranks, 0).sum(axis=0) / count, 0.0)
    scale = np.sqrt((centred**2).mean(axis=0))
    return np.where(scale > TOLERANCE, centred / np.maximum(scale, TOLERANCE), 0.0)


def auc_of_columns(values: Floats, labels: Bools) -> Floats:
    """AUC of every column of `values` (n, d) under every column of `labels` (n, b), as (d, b).

    The Mann-Whitney statistic: the share of (fake, real) pairs in which the fake is higher, ties counting
    half. Labels without both kinds give 0.5.
    """
    positives = labels.sum(axis=0).astype(np.float64)
    pairs = positives * (len(labels) - positives)
    wins = column_ranks(values).T @ labels.astype(np.float64) - positives * (positives + 1) / 2
    return np.where(pairs > 0, wins / np.maximum(pairs, 1), 0.5)


def auc_interval(auc: float, *, positives: float, negatives: float, unit: Unit = Unit.VIDEO) -> Interval:
    """Return the 95% interval of an AUC; right for a dozen videos, and at AUC 0 and 1.

    Newcombe 2006, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic.
    Part 2", method 5: all θ with |auc - θ| ≤ z·√V(θ), where
    V(θ) = θ(1-θ)·[1 + (N-1)·((1-θ)/(2-θ) + θ/(1+θ))] / (positives·negatives) and N is the mean of the two.
    DeLong's interval has length zero at AUC 1, which a dozen videos reach by chance.

    Args:
        auc: In [0, 1].
        positives: Number of fakes; less than counted, and no integer, if videos are not independent.
        negatives: The same of reals.
        unit: What the counts are counts of, for the record.
    """
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    extra = (positives + negatives) / 2 - 1

    def outside(theta: float) -> bool:
        shape = 1 + extra * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        variance = theta * (1 - theta) * shape / (positives * negatives)
        return abs(auc - theta) > z * math.sqrt(max(variance, 0.0))

    low, high = _edge(outside, 0.0, auc), _edge(outside, 1.0, auc)
    return Interval(low=low, high=high, unit=unit, method="Newcombe")


def _edge(outside: Callable[[float], bool], far: float, near: float) -> float:
    """Bisect for the last value, from `near` towards `far`, that is not outside."""
    if not outside(far):
        return far
    for _ in range(50):
        middle = (far + near) / 2
        far, near = (middle, near) if outside(middle) else (far, middle)
    return near


def fisher_exact(table: tuple[tuple[int, int], tuple[int, int]]) -> float:
    """Two-sided p of a 2x2 table: all tables with these margins that are no likelier (Fisher 1935)."""
    (a, b), (c, d) = table
    with_, fakes, total = a + b, a + c, a + b + c + d

    def log_likelihood(x: int) -> float:
        return _log_comb(with_, x) + _log_comb(total - with_, fakes - x) - _log_comb(total, fakes)

    own = log_likelihood(a)
    cells = range(max(0, fakes - (total - with_)), min(with_, fakes) + 1)
    return min(1.0, sum(math.exp(one) for x in cells if (one := log_likelihood(x)) <= own + 1e-7))


def _log_comb(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
