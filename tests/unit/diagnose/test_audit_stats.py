"""AUCs, their intervals, relabelings and classifiers, on tables of numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from harness.diagnose.audit.leaks import (
    LeakTest,
    cross_validated_aucs,
    judge_boosted,
    judge_columns,
    judge_linear,
    judge_neighbours,
    make_folds,
    make_plan,
    relabelings,
)
from harness.diagnose.audit.stats import (
    Bools,
    Floats,
    Integers,
    auc_interval,
    auc_of_columns,
    column_ranks,
    fisher_exact,
    standardised_ranks,
)
from harness.scoring.clusters import Unit

pytestmark = pytest.mark.slow


def singles(count: int) -> Integers:
    return np.arange(count, dtype=np.int64)


def balanced(count: int) -> Bools:
    return np.asarray(np.arange(count) % 2 == 1)


def plan_of(labels: Bools, groups: Integers, *, seed: int = 0, count: int = 499) -> LeakTest:
    return make_plan(labels, groups, count=count, rng=np.random.default_rng(seed))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auc_counts_pairs(rows: list[tuple[int, bool]]) -> None:
    fakes = [value for value, fake in rows if fake]
    reals = [value for value, fake in rows if not fake]
    wins = [1.0 if f > r else 0.5 if f == r else 0.0 for f in fakes for r in reals]
    values = np.asarray([[value] for value, _ in rows], dtype=np.float64)
    labels = np.asarray([[fake] for _, fake in rows], dtype=np.bool_)
    assert auc_of_columns(values, labels)[0, 0] == pytest.approx(np.mean(wins) if wins else 0.5)


@pytest.mark.parametrize(("fakes", "reals"), [(6, 6), (12, 12), (50, 50), (20, 80)])
@pytest.mark.parametrize("truth", [0.5, 0.75, 0.9, 0.97])
def test_interval_covers_the_true_auc(fakes: int, reals: int, truth: float) -> None:
    # Two normal laws a distance apart have AUC Φ(distance/√2).
    distance = {0.5: 0.0, 0.75: 0.9539, 0.9: 1.8124, 0.97: 2.6599}[truth]
    rng = np.random.default_rng([fakes, reals, int(100 * truth)])
    labels = np.repeat([True, False], [fakes, reals])
    draws = rng.normal(size=(fakes + reals, 600)) + distance * labels[:, None]
    aucs = auc_of_columns(draws, labels[:, None])[:, 0]
    intervals = [auc_interval(float(auc), positives=fakes, negatives=reals) for auc in aucs]
    covered = np.mean([one.low <= truth <= one.high for one in intervals])
    assert 0.92 <= covered <= 1.0


@pytest.mark.parametrize("auc", [0.0, 0.3, 0.5, 1.0])
def test_interval_holds_its_auc_and_mirrors(auc: float) -> None:
    own, mirror = (auc_interval(one, positives=12, negatives=12) for one in (auc, 1 - auc))
    assert own.low <= auc <= own.high
    assert own.high - own.low > 0.1
    assert (own.low, own.high) == pytest.approx((1 - mirror.high, 1 - mirror.low), abs=1e-6)


@pytest.mark.parametrize(
    ("table", "p"),
    [
        (((3, 1), (1, 3)), 34 / 70),
        (((1, 9), (11, 3)), 0.002759456),
        (((0, 5), (0, 5)), 1.0),
        (((5, 0), (0, 5)), 2 / 252),
    ],
)
def test_fisher_known_answers(table: tuple[tuple[int, int], tuple[int, int]], p: float) -> None:
    assert fisher_exact(table) == pytest.approx(p, rel=1e-6)


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, 2.0, math.nan]), min_size=3, max_size=3), min_size=1))
def test_few_rows_are_ranked_as_many_are(rows: list[list[float]]) -> None:
    """The same values over and over have the ranks of one copy, scaled: both ways of ranking say so."""
    values, copies = np.asarray(rows), 13
    many = column_ranks(np.repeat(values, copies, axis=0))[::copies]
    assert column_ranks(values) == pytest.approx((many - (copies + 1) / 2) / copies + 1, nan_ok=True)


def test_missing_numbers_rank_in_the_middle() -> None:
    ranks = standardised_ranks(np.asarray([[1.0], [math.nan], [3.0]]))[:, 0]
    assert ranks[1] == 0
    assert ranks[0] == -ranks[2] < 0


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=4, max_size=40), st.integers(0, 99))
def test_relabelings_exchange_only_sources_of_one_size(rows: list[tuple[int, bool]], seed: int) -> None:
    groups = np.asarray([group for group, _ in rows], dtype=np.int64)
    labels = np.asarray([fake for _, fake in rows], dtype=np.bool_)
    drawn = relabelings(labels, groups, count=20, rng=np.random.default_rng(seed))

    def fakes_by_size(one: Bools) -> list[tuple[int, int]]:
        members = [groups == group for group in np.unique(groups)]
        return sorted((int(member.sum()), int(one[member].sum())) for member in members)

    assert all(fakes_by_size(column) == fakes_by_size(labels) for column in drawn.T)


def test_relabelings_are_all_as_likely() -> None:
    labels, groups = np.asarray([True, False, True, False, False]), np.asarray([0, 0, 1, 1, 2])
    drawn = relabelings(labels, groups, count=4000, rng=np.random.default_rng(0))
    shares = np.unique(drawn, axis=1, return_counts=True)[1] / 4000
    assert shares == pytest.approx([0.25] * 4, abs=0.04)


def test_few_sources_fall_back_to_videos() -> None:
    labels = balanced(24)
    assert plan_of(labels, np.repeat([0, 1], 12)).unit is Unit.SOURCE  # 12 choose 6 inside each: plenty
    assert plan_of(labels, np.repeat(singles(12), 2)).unit is Unit.SOURCE  # 2 to the 12th
    assert plan_of(labels[:16], np.repeat(singles(8), 2)).unit is Unit.VIDEO  # 2 to the 8th


def test_linear_classifier_is_ridge_regression_done_the_slow_way() -> None:
    rng = np.random.default_rng(4)
    features, labels = standardised_ranks(rng.normal(size=(40, 7))), balanced(40)
    folds = make_folds(plan_of(labels, singles(40)), rng)
    wins = pairs = 0.0
    for fold in range(folds.max() + 1):
        test = folds == fold
        model = Ridge(alpha=7.0).fit(features[~test], labels[~test].astype(float))
        weight = labels[test].sum() * (~labels[test]).sum()
        wins += weight * roc_auc_score(labels[test], model.predict(features[test]))
        pairs += weight
    assert cross_validated_aucs(features, labels[:, None], [folds])[0] == pytest.approx(wins / pairs)


def test_folds_keep_sources_whole() -> None:
    groups = np.repeat(singles(10), 3)
    folds = make_folds(plan_of(np.arange(30) % 3 == 0, groups), np.random.default_rng(0))
    assert all(len(np.unique(folds[groups == group])) == 1 for group in range(10))
    assert len(np.unique(folds)) == 5


def table(
    count: int, rng: np.random.Generator, *, shift: float, pairs: bool, width: int = 20
) -> tuple[Floats, Bools, Integers]:
    """Features of which the first is moved by `shift` for fakes; pairs share all but a third of the rest."""
    labels = balanced(count)
    values = rng.normal(size=(count, width))
    if pairs:
        values = np.repeat(rng.normal(size=(count // 2, width)), 2, axis=0) + 0.3 * values
    values[:, 0] += shift * labels
    return values, labels, np.repeat(singles(count // 2), 2) if pairs else singles(count)


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("count", [24, 60])
def test_chance_is_found_at_its_rate(count: int, *, pairs: bool) -> None:
    """Without a leak, p ≤ 0.1 comes one time in ten, for the classifier and for the family of features."""
    rng = np.random.default_rng([count, pairs])
    linear, columns = [], []
    for _ in range(150):
        values, labels, groups = table(count, rng, shift=0.0, pairs=pairs)
        plan = make_plan(labels, groups, count=99, rng=rng)
        linear.append(judge_linear(values, plan, rng).p)
        columns.append(min(one.p for one in judge_columns(values, plan)))
    for found in (linear, columns):
        assert 0.03 <= np.mean(np.asarray(found) <= 0.1) <= 0.18  # 3 standard errors: 0.027 to 0.173


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("count", [24, 60])
def test_classifier_interval_covers_what_such_a_classifier_achieves(count: int, shift: float) -> None:
    """The interval is for the AUC, on new videos, of the classifier that sets of this size teach."""
    rng = np.random.default_rng([count, int(shift)])
    kept = count * 4 // 5  # what a fold learns from
    achieved = []
    for _ in range(60):
        values, labels, _ = table(kept + 2000, rng, shift=shift, pairs=False)
        features = standardised_ranks(values)
        model = Ridge(alpha=20.0).fit(features[:kept], labels[:kept].astype(float))
        achieved.append(roc_auc_score(labels[kept:], model.predict(features[kept:])))
    truth = float(np.mean(achieved))
    covered = []
    for _ in range(120):
        values, labels, groups = table(count, rng, shift=shift, pairs=False)
        interval = judge_linear(values, make_plan(labels, groups, count=99, rng=rng), rng).interval
        covered.append(interval.low <= truth <= interval.high)
    assert np.mean(covered) >= 0.89  # 3 standard errors below 0.95


def test_a_leak_in_one_feature_of_twenty_is_blamed_on_it() -> None:
    rng = np.random.default_rng(5)
    values, labels, groups = table(24, rng, shift=4.0, pairs=False)
    plan = plan_of(labels, groups, count=4999)
    tests = judge_columns(values, plan)
    assert tests[0].p <= 0.001
    assert min(one.p for one in tests[1:]) > 0.05
    assert tests[0].interval.low > 0.7


def test_many_weak_features_are_found_together() -> None:
    """Forty features, each of AUC 0.56: the best of them tells far less than all together."""
    rng = np.random.default_rng(10)
    labels = balanced(200)
    values = rng.normal(size=(200, 40)) + 0.22 * labels[:, None]
    plan = plan_of(labels, singles(200), count=999)
    together = judge_linear(values, plan, rng)
    assert together.p == 0.001
    assert together.auc > 0.05 + max(one.auc for one in judge_columns(values, plan))


def test_pairs_do_not_teach_the_classifier_to_be_wrong() -> None:
    """A fake learnt from beside its held-out real video would push the AUC of a clean set far below 0.5."""
    rng = np.random.default_rng(6)
    aucs = []
    for _ in range(30):
        values, labels, groups = table(24, rng, shift=0.0, pairs=True)
        aucs.append(judge_linear(values, plan_of(labels, groups, count=20), rng).auc)
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.05)


def test_trees_find_what_only_two_features_together_tell() -> None:
    rng = np.random.default_rng(7)
    values = rng.normal(size=(240, 4))
    labels = (values[:, 0] > 0) ^ (values[:, 1] > 0)
    plan = plan_of(labels, singles(240), count=60)
    assert judge_linear(values, plan, rng).auc < 0.65
    boosted = judge_boosted(values, plan, bar=0.52, rng=rng)
    assert boosted.auc > 0.9
    assert boosted.p < 1e-3


def test_trees_find_nothing_in_noise() -> None:
    rng = np.random.default_rng(8)
    test = judge_boosted(rng.normal(size=(300, 6)), plan_of(balanced(300), singles(300)), bar=0.52, rng=rng)
    assert test.p == 1.0
    assert test.interval.low < 0.5 < test.interval.high


@pytest.mark.parametrize("block", [1, 4, 12])
def test_blocks_of_one_label_are_found_in_an_order(block: int) -> None:
    labels = np.arange(48) // block % 2 == 1
    _, expected, p = judge_neighbours(singles(48), plan_of(labels, singles(48), count=999))
    assert p <= 0.002
    assert expected == pytest.approx(23 / 47, abs=0.02)


def test_a_shuffled_order_reveals_nothing() -> None:
    order = np.random.default_rng(9).permutation(48)
    assert judge_neighbours(order, plan_of(balanced(48), singles(48), count=999))[2] > 0.05
