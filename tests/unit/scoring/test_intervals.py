"""How sure a score is: what is drawn together, and what the intervals promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scoring.against_rest import against_rest
from harness.scoring.clusters import CLUSTERS_MIN, DRAWN_MIN, Bootstrap, Sampling, Unit, sampling_of
from harness.scoring.comparison import Comparison, compared
from harness.scoring.curves import weighted_auc
from harness.scoring.intervals import (
    auc_influence,
    auc_interval,
    gap_of,
    mean_interval,
    proportion_interval,
)
from harness.scoring.metrics import log_losses

FEW = Bootstrap(samples=200, seed=3)


def plain(fake: list[bool]) -> Sampling:
    return sampling_of(fake=fake, identities=[""] * len(fake), sources=[""] * len(fake))


HALF = [index % 2 == 0 for index in range(100)]


# --- what is drawn together --------------------------------------------------------------------------------


def test_a_person_is_one_cluster_across_labels_and_a_source_across_its_copies() -> None:
    people = [f"p{index % 20}" for index in range(100)]
    by_person = sampling_of(
        fake=[index % 3 == 0 for index in range(100)], identities=people, sources=[""] * 100
    )
    assert (by_person.unit, by_person.clusters) == (Unit.IDENTITY, 20)
    copies = [f"v{index // 20}.mp4" for index in range(800)]  # 40 source videos, 20 perturbed copies of each
    fake = [index // 20 % 2 == 0 for index in range(800)]
    by_source = sampling_of(fake=fake, identities=[""] * 800, sources=[""] * 800, videos=copies)
    assert (by_source.unit, by_source.clusters, len(by_source.strata)) == (Unit.VIDEO, 40, 2)


def test_what_is_linked_through_others_is_one_cluster() -> None:
    identities = [f"p{index}" for index in range(40)]
    sources = [f"s{index}" for index in range(40)]
    identities[1] = ""  # footage 0 shows person 0; a video of that footage does not say who it is
    sources[1] = "s0"
    sources[3] = "s2"  # footage 2 shows persons 2 and 3
    found = sampling_of(fake=[index % 2 == 0 for index in range(40)], identities=identities, sources=sources)
    assert (found.unit, found.clusters) == (Unit.IDENTITY, 38)
    assert found.cluster[0] == found.cluster[1]
    assert found.cluster[2] == found.cluster[3]


@pytest.mark.parametrize(
    ("people", "unit"), [(CLUSTERS_MIN - 1, Unit.VIDEO), (CLUSTERS_MIN, Unit.IDENTITY), (50, Unit.IDENTITY)]
)
def test_too_few_people_are_not_drawn(people: int, unit: Unit) -> None:
    names = [f"p{index % people}" for index in range(100)]
    assert sampling_of(fake=HALF, identities=names, sources=[""] * 100).unit is unit


def test_one_source_for_all_does_not_hide_the_people() -> None:
    people = [f"p{index % 20}" for index in range(100)]
    found = sampling_of(fake=HALF, identities=people, sources=["the actors"] * 100)
    assert (found.unit, found.clusters) == (Unit.IDENTITY, 20)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 30)), min_size=30, max_size=80))
def test_clusters_and_strata_count_from_zero_without_holes(rows: list[tuple[bool, int, int]]) -> None:
    found = sampling_of(
        fake=[row[0] for row in rows],
        identities=[f"p{row[1]}" if row[1] else "" for row in rows],
        sources=[""] * len(rows),
        videos=[f"v{row[2]}" for row in rows],
    )
    assert sorted(set(found.cluster.tolist())) == list(range(found.clusters))
    assert sorted(np.concatenate(found.strata).tolist()) == list(range(found.clusters))
    values = np.arange(2.0 * len(rows)).reshape(-1, 2)
    by_hand = [values[found.cluster == one].sum(axis=0) for one in range(found.clusters)]
    assert np.allclose(found.sums(values), by_hand)


def test_each_replicate_keeps_the_balance_of_the_classes() -> None:
    sampling = plain([True] * 3 + [False] * 7)
    for chunk in sampling.counts(FEW):
        by_video = chunk[:, sampling.cluster]
        assert (by_video[:, :3].sum(axis=1) == 3).all()
        assert (by_video[:, 3:].sum(axis=1) == 7).all()


# --- means, differences, shares ----------------------------------------------------------------------------


def test_an_interval_agrees_with_the_normal_one_if_that_holds() -> None:
    values = np.random.default_rng(0).normal(1.0, 0.5, 2000)
    found = mean_interval(values, plain([True, False] * 1000))
    half = 1.96 * values.std() / math.sqrt(2000)
    assert found is not None
    assert found.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_the_interval_of_a_skewed_loss_reaches_further_up_than_down() -> None:
    values = np.random.default_rng(0).lognormal(0.0, 1.0, 100)
    found = mean_interval(values, plain(HALF))
    assert found is not None
    assert found.high - values.mean() > 1.2 * (values.mean() - found.low)


def test_videos_of_one_source_are_drawn_together_and_make_the_interval_wider() -> None:
    sources = [f"s{index // 20}" for index in range(400)]  # 20 sources of 20 identical videos
    values = np.repeat(np.random.default_rng(0).normal(size=20), 20)
    fake = [index // 20 % 2 == 0 for index in range(400)]
    grouped = sampling_of(fake=fake, identities=[""] * 400, sources=sources)
    wide, narrow = (mean_interval(values, one) for one in (grouped, plain(fake)))
    assert wide is not None
    assert narrow is not None
    assert (wide.unit, narrow.unit) == (Unit.SOURCE, Unit.VIDEO)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_a_constant_half_is_never_better_or_worse_than_a_constant_half() -> None:
    """Its interval has no width, and the sum of its losses is off by rounding in two of five sets."""
    for videos in range(10, 300, 2):
        fake = np.arange(videos) % 2 == 0
        losses = log_losses(fake, np.full(videos, 0.5), 1e-15)
        interval = mean_interval(losses, plain(fake.tolist()), lowest=0.0)
        assert interval is not None
        assert compared(interval, math.log(2.0)) is Comparison.UNDECIDED, videos


def test_a_part_in_which_nothing_differs_but_rounding_is_not_told_from_the_rest() -> None:
    for videos in range(20, 300, 2):
        fake = np.arange(videos) % 2 == 0
        losses = log_losses(fake, np.where(np.arange(videos) % 4 < 2, 0.3, 0.7), 1e-15)[:, None]
        losses[::3] += 1e-17
        part = np.flatnonzero(np.arange(videos) % 4 < 2)
        found = against_rest(losses, part, plain(fake.tolist()), comparisons=1)
        assert found is not None
        assert found.told.tolist() == [0], videos


@pytest.mark.parametrize(
    ("fakes", "given"), [(0, True), (1, False), (DRAWN_MIN - 1, False), (DRAWN_MIN, True)]
)
def test_a_class_with_too_few_videos_gives_no_interval_instead_of_a_narrow_one(
    fakes: int, given: bool
) -> None:
    sampling = plain([True] * fakes + [False] * 50)
    values = np.random.default_rng(0).random(50 + fakes)
    assert (mean_interval(values, sampling) is not None) is given
    assert (proportion_interval(values > 0.5, sampling) is not None) is given


def test_a_constant_answer_is_known_exactly() -> None:
    found = mean_interval(np.full(100, math.log(2.0)), plain(HALF))
    assert found is not None
    assert found.low == found.high == pytest.approx(math.log(2.0))


def test_a_share_of_all_videos_still_has_a_width() -> None:
    found = proportion_interval(np.ones(100, dtype=np.bool_), plain(HALF))
    assert found is not None
    assert found.high == 1.0
    assert found.low == pytest.approx(0.025 ** (1 / 100))  # Clopper and Pearson, by hand


def test_a_share_among_independent_videos_is_close_to_clopper_and_pearson() -> None:
    found = proportion_interval(np.arange(100) % 4 == 0, plain(HALF))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.169, 0.347), abs=0.01)


# --- AUC ---------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0])), min_size=2, max_size=40)
)
def test_what_each_video_adds_to_the_auc_is_its_placement(rows: list[tuple[bool, float]]) -> None:
    fake = np.array([row[0] for row in rows])
    probability = np.array([row[1] for row in rows])
    if fake.all() or not fake.any():
        return
    auc, influence = auc_influence(fake, probability)
    assert auc == pytest.approx(weighted_auc(fake, probability)(np.ones(fake.size)))
    assert influence[fake].sum() == pytest.approx(0.0, abs=1e-9)
    assert influence[~fake].sum() == pytest.approx(0.0, abs=1e-9)


def test_the_interval_of_an_auc_is_within_its_range_and_none_if_no_pair_is_out_of_order() -> None:
    fake = np.array(HALF)
    nearly = np.where(fake, 0.9, 0.1)
    assert auc_interval(fake, nearly, plain(HALF)) is None
    nearly[0] = 0.05
    found = auc_interval(fake, nearly, plain(HALF))
    assert found is not None
    assert 0.5 < found.low < 0.98 < found.high < 1.0


# --- gaps --------------------------------------------------------------------------------------------------


def test_a_paired_gap_knows_what_the_two_sets_share() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(1.0, 1.0, 200)  # what makes a video hard, in both sets
    second = hard + 0.2 + rng.normal(0, 0.05, 200)
    sources = [f"s{index}" for index in range(200)]
    fake, blank = [True, False] * 100, [""] * 400
    both, parts = [*fake, *fake[::-1]], [0] * 200 + [1] * 200
    paired = gap_of(
        names=("control", "private"),
        values=(hard, second[::-1]),
        sources=(sources, sources[::-1]),  # in another order
        sampling=sampling_of(
            fake=both, identities=blank, sources=blank, videos=[*sources, *sources[::-1]], parts=parts
        ),
    )
    other = [f"t{index}" for index in range(200)]
    apart = gap_of(
        names=("public", "private"),
        values=(hard, second[::-1]),
        sources=(sources, other),
        sampling=sampling_of(
            fake=both, identities=blank, sources=blank, videos=[*sources, *other], parts=parts
        ),
    )
    assert (paired.paired, apart.paired) == (True, False)
    assert paired.value == pytest.approx(apart.value) == pytest.approx(0.2, abs=0.02)
    assert paired.interval is not None
    assert apart.interval is not None
    assert 0 < paired.interval.low < 0.2 < paired.interval.high
    width = paired.interval.high - paired.interval.low
    assert apart.interval.high - apart.interval.low > 10 * width
