"""How places will move when the private set is opened, told from the public one alone.

A private score is the entry's own mean, which the public set only estimates, plus the private set's own
error: both are drawn, apart, from the joint replicates, the second scaled to the private set's size. It is a
predictive distribution under the assumption that private videos are of the public ones' kind. If they are
perturbed otherwise, places move more than this says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.contest.board.resample import Joint, ranks_of

LEVEL = 0.9


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Private ranks as far as public answers foretell them; tuples have an item per public place."""

    private_clusters: int
    level: float
    rank_low: tuple[int, ...]
    rank_high: tuple[int, ...]
    first: tuple[float, ...]  # probability of being first on the private board
    leader_stays: float
    kept_of_ten: float  # expected number of the public first ten that are among the private first ten
    median_move: float  # places, over entries and draws


def forecast_of(joint: Joint, *, private_clusters: int, seed: int) -> Forecast:
    """Forecast the private board."""
    replicates = joint.moved.shape[0]
    shuffled = np.random.default_rng([seed, 1]).permutation(replicates)
    scale = np.float32(math.sqrt(joint.sampling.clusters / private_clusters))
    # the estimate may be off either way: the mirrored replicate is the entry's own mean, given its score
    ranks = ranks_of(joint.means, scale * joint.moved[shuffled] - joint.moved)
    ordered = np.sort(ranks, axis=0)
    tail = (1.0 - LEVEL) / 2.0 * (replicates - 1)
    top = min(10, ranks.shape[1])
    moves = np.abs(ranks - np.arange(1, ranks.shape[1] + 1, dtype=np.int32))
    first = tuple(float(share) for share in (ranks == 1).mean(axis=0))
    return Forecast(
        private_clusters=private_clusters,
        level=LEVEL,
        rank_low=tuple(int(one) for one in ordered[math.floor(tail)]),
        rank_high=tuple(int(one) for one in ordered[math.ceil(replicates - 1 - tail)]),
        first=first,
        leader_stays=first[0],
        kept_of_ten=float((ranks[:, :top] <= top).sum(axis=1).mean()),
        median_move=float(np.median(moves)),
    )
