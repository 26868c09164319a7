"""An entry is stopped only if it cannot reach a prize place: certainly, or but for a stated error."""

from __future__ import annotations

import math
from dataclasses import fields
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contest.early_stopping import hopeless, loss_bound, loss_floor, seconds_saved
from harness.contest.stopper import first_ones
from harness.results.store.jobs import Job, JobState

EPSILON = 0.01
LOSSES = st.lists(st.floats(-math.log1p(-EPSILON), -math.log(EPSILON)), min_size=1, max_size=60)


@given(losses=LOSSES, seen=st.integers(0, 60))
def test_the_certain_bound_never_exceeds_what_the_set_comes_to(losses: list[float], seen: int) -> None:
    bound = loss_floor(losses[:seen], videos=len(losses), epsilon=EPSILON)
    assert bound.at_least <= math.fsum(losses) / len(losses) + 1e-12


@given(losses=LOSSES)
def test_the_bound_of_a_finished_set_is_its_loss(losses: list[float]) -> None:
    expected = pytest.approx(math.fsum(losses) / len(losses))
    assert loss_floor(losses, videos=len(losses), epsilon=EPSILON).at_least == expected
    assert loss_bound(losses, videos=len(losses), epsilon=EPSILON, error=0.01, looks=5).at_least == expected


@given(losses=LOSSES, seen=st.integers(0, 60))
def test_the_sequential_bound_is_never_weaker_than_the_certain_one(losses: list[float], seen: int) -> None:
    seen = min(seen, len(losses))
    certain = loss_floor(losses[:seen], videos=len(losses), epsilon=EPSILON)
    other = loss_bound(losses[:seen], videos=len(losses), epsilon=EPSILON, error=0.01, looks=5)
    assert other.at_least >= certain.at_least


def test_over_many_contests_the_sequential_bound_errs_as_rarely_as_it_says() -> None:
    rng, videos, looks, error, wrong = np.random.default_rng(1), 1000, 10, 0.05, 0
    for _ in range(400):
        losses = np.clip(rng.gamma(0.5, 0.8, size=videos), 0.0101, -math.log(EPSILON))
        order = rng.permutation(losses)
        marks = [videos * number // (looks + 1) for number in range(1, looks + 1)]
        wrong += any(
            loss_bound(
                order[:seen].tolist(), videos=videos, epsilon=EPSILON, error=error, looks=looks
            ).at_least
            > losses.mean()
            for seen in marks
        )
    assert wrong <= 400 * error


def test_a_poor_entry_is_stopped_early_and_what_it_saves_is_known() -> None:
    rng = np.random.default_rng(2)
    poor = rng.uniform(0.9, 1.5, size=4000).tolist()
    leaders = [0.42, 0.43, 0.44, 0.45, 0.46]
    seen = next(
        count
        for count in range(200, 4001, 200)
        if hopeless(
            loss_bound(poor[:count], videos=4000, epsilon=EPSILON, error=0.001, looks=20),
            leaders,
            prizes=5,
            decimals=4,
        )
    )
    assert seen <= 1000
    bound = loss_floor(poor[:seen], videos=4000, epsilon=EPSILON)
    assert seconds_saved(bound, video_seconds=2.0) == (4000 - seen) * 2.0
    certain = next(
        count
        for count in range(200, 4001, 200)
        if hopeless(loss_floor(poor[:count], videos=4000, epsilon=EPSILON), leaders, prizes=5, decimals=4)
    )
    assert seen < certain < 4000


def test_with_a_place_left_nobody_is_stopped() -> None:
    bound = loss_floor([4.0] * 900, videos=1000, epsilon=EPSILON)
    assert not hopeless(bound, [0.1, 0.2], prizes=3, decimals=4)
    assert hopeless(bound, [0.1, 0.2, 0.3], prizes=3, decimals=4)


@pytest.mark.parametrize("prizes", [1, 2])
def test_who_is_stopped_as_certain_can_in_truth_reach_no_prize_and_who_is_not_can(
    prizes: int,
) -> None:
    """Every course of a small contest: every sequence of losses, every rest, every field of rivals."""
    best, videos, decimals = -math.log1p(-EPSILON), 4, 2
    levels = (best, 0.2, 0.2049, 1.5)
    rival_fields = [*product((0.05, 0.1, 0.15), repeat=2), (0.1,), ()]
    checked = stopped = 0
    for seen, rivals in product(range(1, videos), rival_fields):
        for losses in product(levels, repeat=seen):
            bound = loss_floor(losses, videos=videos, epsilon=EPSILON)
            told = hopeless(bound, rivals, prizes=prizes, decimals=decimals)
            places = [
                _place([*losses, *rest], rivals, decimals) for rest in product(levels, repeat=videos - seen)
            ]
            assert told == (min(places) > prizes)
            checked, stopped = checked + 1, stopped + told
    assert 0 < stopped < checked


def _place(losses: list[float], rivals: tuple[float, ...], decimals: int) -> int:
    own = round(sum(losses) / len(losses), decimals)
    return 1 + sum(round(loss, decimals) < own for loss in rivals)


def test_whoever_would_share_the_last_prize_place_by_the_rounded_score_is_not_stopped() -> None:
    bound = loss_floor([0.50004] * 1000, videos=1000, epsilon=EPSILON)
    assert not hopeless(bound, [0.50001], prizes=1, decimals=4)
    assert hopeless(bound, [0.50001], prizes=1, decimals=5)


def test_the_sequential_bound_looks_at_the_first_shards_alone_whichever_came_in_first() -> None:
    states = [JobState.DONE, JobState.DONE, JobState.CLAIMED, JobState.DONE]
    nothing: dict[str, Any] = dict.fromkeys(field.name for field in fields(Job))
    listed = [Job(**nothing | {"shard": number, "state": state}) for number, state in enumerate(states)]
    assert [one.shard for one in first_ones(listed[::-1])] == [0, 1]
