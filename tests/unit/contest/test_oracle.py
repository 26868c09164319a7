"""What public scores give away: the attack reads what it says, and the ladder stops it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from harness.contest.oracle import FULL, Oracle, attack_ladder, attack_rounded, conway_guy, labels_at_once


def truths(videos: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.random.default_rng(seed).random(videos) < 0.5


@pytest.mark.parametrize("count", range(1, 13))
def test_the_weights_have_subset_sums_that_are_all_distinct(count: int) -> None:
    weights = conway_guy(count)
    sums = [sum(chosen) for size in range(count + 1) for chosen in itertools.combinations(weights, size)]
    assert len(set(sums)) == 2**count
    assert max(weights) <= 2 ** (count - 1)


@pytest.mark.parametrize(
    ("videos", "epsilon", "decimals", "at_once"),
    [
        (16, 1e-15, 4, 16),  # a whole small set with one submission
        (4000, 1e-15, 4, 8),
        (4000, 1e-15, 3, 4),
        (4000, 1e-15, 2, 0),
        (4000, 0.01, 4, 4),  # a wider clip halves it
        (4000, 1e-15, FULL, 37),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_attacker_reads_these_many_labels_and_every_one_is_right(
    videos: int, epsilon: float, decimals: int, at_once: int, seed: int
) -> None:
    oracle = Oracle(videos=videos, epsilon=epsilon, decimals=decimals)
    found = attack_rounded(oracle, truths(videos, seed), submissions=20)
    assert labels_at_once(oracle) == at_once
    assert (found.labels, found.wrong) == (min(videos, 20 * at_once), 0)


def test_the_ladder_from_a_constant_gives_a_large_set_away_to_nobody_without_a_model() -> None:
    for seed in range(3):
        labels = truths(4000, seed)
        paper = Oracle(videos=4000, epsilon=1e-15, step=0.005, from_infinity=True)
        ours = Oracle(videos=4000, epsilon=1e-15, step=0.005)
        read = attack_ladder(paper, labels, submissions=100)
        assert (read.labels, read.wrong) == (99, 0)
        assert attack_ladder(ours, labels, submissions=100).labels == 0


def test_the_ladder_gives_a_tiny_set_away_one_label_a_submission() -> None:
    found = attack_ladder(Oracle(videos=16, epsilon=1e-15, step=0.005), truths(16, 0), submissions=100)
    assert (found.labels, found.wrong) == (16, 0)
    assert found.per_submission <= 1.0
