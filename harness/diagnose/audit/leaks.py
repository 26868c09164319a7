"""Does a table of features predict labels? Cross-validated classifiers and permutation tests, by source.

Everything here is about tables of numbers, never about videos. Two facts shape it:

* The videos of one source are not independent draws: a fake shares size, rate and length with its real video.
  `relabelings` moves labels only in ways the null hypothesis allows, inside a source and between whole
  sources of one size, and how much an AUC scatters under them is how much its interval is widened.
* The linear classifier is ridge regression on the labels, whose predictions are linear in the labels: its
  whole repeated cross-validation, under thousands of relabelings, is one matrix product per fold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

from harness.diagnose.audit.stats import (
    TOLERANCE,
    Bools,
    Floats,
    Integers,
    auc_interval,
    auc_of_columns,
    column_ranks,
    standardised_ranks,
)
from harness.scoring.clusters import Unit
from harness.scoring.intervals import Interval

RELABELINGS_MIN = 1000  # with fewer, no p-value can be small enough for a verdict
SOURCES_MIN = 6  # to hold out whole sources: with fewer, a fold would teach next to nothing
BOOSTED_VIDEOS_MIN = 200  # trees need this many to find what the linear classifier cannot
BOOSTED_RELABELINGS = 40  # a normal law is fitted to them
BOOSTED_EFFECT = 1.5  # cross-validation's excess variance, if no relabelings measure it
_CELLS = 2_000_000  # videos times relabelings at once: bounds a table to 16 MB


@dataclass(frozen=True, kw_only=True)
class LeakTest:
    """How labels are moved, and which videos are held out together.

    `labels` is (n, 1 + count): the truth first, then relabelings, which respected sources, or moved single
    videos if too few sources could be exchanged (`unit` says which). `groups` numbers what is held out
    together: sources, or single videos if there are fewer than six. A fake must not be held out while its
    real video is learnt from: they are alike in all but the label, and the classifier would be wrong on
    purpose.
    """

    labels: Bools
    groups: Integers
    unit: Unit
    smallest_p: float  # that any statistic of this set can have


@dataclass(frozen=True, kw_only=True)
class AucTest:
    """An AUC, its interval, and how often chance alone does as well; `p` is corrected as the maker says."""

    auc: float
    interval: Interval
    p: float


def make_plan(labels: Bools, groups: Integers, *, count: int, rng: np.random.Generator) -> LeakTest:
    """Draw relabelings that respect sources, or single videos if the sources allow fewer than 1,000."""
    own = np.arange(len(labels), dtype=np.int64)
    sources = len(np.unique(groups))
    exchanged, total, unit = groups, _log_relabelings(labels, groups), Unit.SOURCE
    if sources == len(labels) or total < math.log(RELABELINGS_MIN):
        exchanged, total, unit = own, _log_relabelings(labels, own), Unit.VIDEO
    moved = relabelings(labels, exchanged, count=count, rng=rng)
    return LeakTest(
        labels=np.hstack([labels[:, None], moved]),
        groups=groups if sources >= SOURCES_MIN else own,
        unit=unit,
        smallest_p=max(math.exp(-total), 1 / (count + 1)),
    )


def relabelings(labels: Bools, groups: Integers, *, count: int, rng: np.random.Generator) -> Bools:
    """Draw `count` labelings, (n, count), that are as likely as the truth if labels mean nothing.

    The labels of whole groups of one size are exchanged, then labels inside each group.
    """
    drawn = np.empty((len(labels), count), dtype=np.bool_)
    for table in _groups_by_size(groups):
        step = max(1, _CELLS // table.size)
        for start in range(0, count, step):
            columns = np.arange(start, min(start + step, count))
            whole = labels[table][rng.random((len(columns), len(table))).argsort(axis=1)]
            drawn[table.ravel()[:, None], columns] = rng.permuted(whole, axis=2).reshape(len(columns), -1).T
    return drawn


def _groups_by_size(groups: Integers) -> list[Integers]:
    """Return the members of all groups of one size as one table, (number of groups, size)."""
    members = [np.flatnonzero(groups == group).astype(np.int64) for group in np.unique(groups)]
    sizes = sorted({len(one) for one in members})
    return [np.stack([one for one in members if len(one) == size]) for size in sizes]


def _log_relabelings(labels: Bools, groups: Integers) -> float:
    """Return the logarithm of how many different labelings `relabelings` can draw."""
    total = 0.0
    for table in _groups_by_size(groups):
        fakes, size = labels[table].sum(axis=1), table.shape[1]
        total += math.lgamma(len(table) + 1)
        total -= sum(math.lgamma(int((fakes == one).sum()) + 1) for one in np.unique(fakes))
        total += sum(math.log(math.comb(size, int(one))) for one in fakes)
    return total


def judge_columns(values: Floats, plan: LeakTest) -> list[AucTest]:
    """Test every column alone, two-sided; `p` is corrected for the number of columns.

    Westfall and Young 1993 (max-T): how often the most extreme column of a relabeling, each in units of its
    own scatter, is as extreme as this one. Unlike Bonferroni, it uses that columns are correlated.
    """
    fakes = int(plan.labels[:, 0].sum())
    counts = fakes, len(plan.labels) - fakes
    aucs = auc_of_columns(values, plan.labels)
    null = aucs[:, 1:]
    scatter = null.std(axis=1)
    extremes = np.abs(aucs - null.mean(axis=1)[:, None]) / np.maximum(scatter, TOLERANCE)[:, None]
    extremes[scatter <= TOLERANCE] = 0.0
    most = np.sort(extremes[:, 1:].max(axis=0, initial=0.0))
    exceeding = len(most) - np.searchsorted(most, extremes[:, 0] - TOLERANCE)
    return [
        AucTest(auc=float(auc), interval=_interval(auc, variance, counts, plan.unit), p=float(p))
        for auc, variance, p in zip(aucs[:, 0], scatter**2, (1 + exceeding) / (1 + len(most)), strict=True)
    ]


def _interval(auc: float, null_variance: float, counts: tuple[int, int], unit: Unit) -> Interval:
    """Widen Newcombe's interval if relabelings scatter more than independent videos would.

    They do so if sources hold many videos of one label, and for a classifier that learns from the very
    videos it is then tried on in turn (1.4 to 1.7 times the variance). Never narrower than independence.
    """
    fakes, reals = counts
    effect = max(1.0, null_variance / _independent_variance(counts))
    return auc_interval(float(auc), positives=fakes / effect, negatives=reals / effect, unit=unit)


def _independent_variance(counts: tuple[int, int]) -> float:
    """Variance of the AUC of a meaningless feature of independent videos (Mann and Whitney 1947)."""
    fakes, reals = counts
    return (fakes + reals + 1) / (12 * fakes * reals)


def judge_linear(values: Floats, plan: LeakTest, rng: np.random.Generator) -> AucTest:
    """Cross-validate ridge regression on the ranks, one-sided, with its whole procedure under relabelings."""
    features = standardised_ranks(values)
    repeats = 10 if len(features) <= 200 else 3 if len(features) <= 2000 else 1
    tables = [make_folds(plan, rng) for _ in range(repeats)]
    aucs = cross_validated_aucs(features, plan.labels, tables)
    p = (1 + int((aucs[1:] >= aucs[0] - TOLERANCE).sum())) / len(aucs)
    fakes = int(plan.labels[:, 0].sum())
    interval = _interval(aucs[0], float(aucs[1:].var()), (fakes, len(features) - fakes), plan.unit)
    return AucTest(auc=float(aucs[0]), interval=interval, p=p)


def make_folds(plan: LeakTest, rng: np.random.Generator) -> Integers:
    """Deal whole groups into three to five folds of like size, without looking at the labels."""
    sizes = np.bincount(plan.groups)
    folds = max(3, min(5, len(plan.groups) // 6))
    load, fold_of = np.zeros(folds), np.zeros(len(sizes), dtype=np.int64)
    for group in rng.permutation(len(sizes)):
        fold_of[group] = np.argmin(load)
        load[fold_of[group]] += sizes[group]
    return fold_of[plan.groups]


def cross_validated_aucs(features: Floats, labels: Bools, fold_tables: Sequence[Integers]) -> Floats:
    """AUC of cross-validated ridge regression for every column of `labels`, (b,).

    Only videos of one fold are compared, since each fold has its own model; all folds and repeats are weighed
    by their pairs. The penalty is the number of features: strong for a dozen videos, nothing for thousands.
    """
    wins, pairs = np.zeros(labels.shape[1]), np.zeros(labels.shape[1])
    step = max(1, _CELLS // len(labels))
    blocks = [slice(start, start + step) for start in range(0, labels.shape[1], step)]
    for folds in fold_tables:
        for fold in range(int(folds.max()) + 1):
            test = folds == fold
            centre = features[~test].mean(axis=0)
            known, new = features[~test] - centre, features[test] - centre
            gram = known.T @ known + features.shape[1] * np.eye(features.shape[1])
            learn = np.linalg.solve(gram, known.T)  # times labels: the weights
            for block in blocks:
                fake = labels[test, block].astype(np.float64)
                # `known` is centred, and so the labels need not be.
                scores = new @ (learn @ labels[~test, block].astype(np.float64))
                ranks, fakes = column_ranks(np.round(scores, 9)), fake.sum(axis=0)
                wins[block] += (ranks * fake).sum(axis=0) - fakes * (fakes + 1) / 2
                pairs[block] += fakes * (len(fake) - fakes)
    return np.where(pairs > 0, wins / np.maximum(pairs, 1), 0.5)


def judge_boosted(values: Floats, plan: LeakTest, *, bar: float, rng: np.random.Generator) -> AucTest:
    """Cross-validate gradient-boosted trees, which find what only several features together reveal.

    Relabelings cost a training each, so there are 40, and `p` is the tail of a normal law fitted to them (the
    AUC of 200 videos and more is close to normal); if even an interval without them does not clear `bar`,
    there are none, and `p` is 1.
    """
    folds, seed = make_folds(plan, rng), int(rng.integers(2**31))
    fakes = int(plan.labels[:, 0].sum())
    counts = fakes, len(values) - fakes
    auc = _boosted_auc(values, plan.labels[:, 0], folds, seed)
    first = _interval(auc, BOOSTED_EFFECT * _independent_variance(counts), counts, plan.unit)
    if first.low <= bar:
        return AucTest(auc=auc, interval=first, p=1.0)
    null = [
        _boosted_auc(values, column, folds, seed) for column in plan.labels[:, 1 : 1 + BOOSTED_RELABELINGS].T
    ]
    scatter = max(float(np.std(null, ddof=1)), TOLERANCE)
    p = max(1e-6, 1 - NormalDist(float(np.mean(null)), scatter).cdf(auc))  # no tail is known better
    return AucTest(auc=auc, interval=_interval(auc, scatter**2, counts, plan.unit), p=p)


def _boosted_auc(values: Floats, labels: Bools, folds: Integers, seed: int) -> float:
    wins = pairs = 0.0
    for fold in range(int(folds.max()) + 1):
        test = folds == fold
        if len(np.unique(labels[~test])) < 2:
            continue
        trees = HistGradientBoostingClassifier(
            max_iter=60, max_depth=3, min_samples_leaf=10, early_stopping=False, random_state=seed
        )
        with threadpool_limits(limits=1):  # its threads wait for each other, minutes on a busy machine
            scores = trees.fit(values[~test], labels[~test]).decision_function(values[test])
        weight = float(labels[test].sum() * (~labels[test]).sum())
        wins += weight * float(auc_of_columns(scores[:, None], labels[test][:, None])[0, 0])
        pairs += weight
    return wins / pairs if pairs else 0.5


def judge_neighbours(order: Integers, plan: LeakTest) -> tuple[float, float, float]:
    """Test whether neighbours in an order share labels more or less often than chance has it.

    Returns:
        The share of neighbours with one label, the share expected, and the two-sided p.
    """
    sorted_labels = plan.labels[order]
    shares = (sorted_labels[1:] == sorted_labels[:-1]).mean(axis=0)
    expected = float(shares[1:].mean())
    far = np.abs(shares - expected)
    return float(shares[0]), expected, float((1 + (far[1:] >= far[0] - TOLERANCE).sum()) / len(far))
