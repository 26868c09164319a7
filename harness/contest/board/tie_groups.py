"""Tie groups: the entries that cannot be told from the best of their group.

An entry is told from the best when some other entry is better by more than chance would make it *look*
better, over all comparisons with that entry: the largest of the studentised differences against its own
bootstrap law (max-t, as Romano and Wolf 2005; the set that is left is a confidence set for the best as of
Hsu 1981 and of Mogstad, Romano, Shaikh and Wilhelm 2024). Opponents that are clearly worse are left out of
that law first, at a tenth of the level, which is then taken off it (the two steps of Romano, Shaikh and Wolf
2014). So the first group holds the truly best entry in at least 95 of 100 contests. Further groups are made
the same way from what is left.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from harness.contest.board.resample import Joint
from harness.scoring.comparison import ROUNDING
from harness.scoring.intervals import student_quantiles

LEVEL = 0.05
SCREEN = LEVEL / 10.0
_WORK_MAX = 4e9  # differences × replicates of one group; above it, fewer replicates are looked at
_REPLICATES_MIN = 500
_BLOCK = 64

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class _Opponents:
    entry: int
    others: Integers
    errors: NDArray[np.float64]
    largest: float  # studentised difference: how much better the best opponent looks


def tie_groups(joint: Joint, *, workers: int = 2) -> Integers:
    """Return the number of each entry's group, 1 being the best's.

    Groups need not be runs of ranks: an entry whose answers vary much can be in the group of the first while
    one before it is not.
    """
    order = np.argsort(joint.means, kind="stable")
    moved = np.ascontiguousarray(joint.moved.T)
    group = np.zeros(joint.means.size, dtype=np.int64)
    number = 0
    while order.size:
        number += 1
        tied = _not_told_from_best(joint, moved, order, workers)
        group[tied] = number
        order = order[~np.isin(order, tied)]
    return group


def _not_told_from_best(joint: Joint, moved: NDArray[np.float32], order: Integers, workers: int) -> Integers:
    """Return the entries of `order` (sorted by score) that may be the best of it."""
    if order.size == 1:
        return order
    screen = float(student_quantiles(np.array([joint.freedom]), SCREEN / (order.size - 1))[0])
    first = order[0]
    errors = joint.errors_of_differences(first, order)
    behind = _studentised(joint.means[order] - joint.means[first], errors)
    asked = [_opponents(joint, entry, order, screen) for entry in order[behind <= screen]]
    work = sum(one.others.size for one in asked) * moved.shape[1]
    replicates = moved.shape[1]
    if work > _WORK_MAX:
        replicates = max(_REPLICATES_MIN, int(replicates * _WORK_MAX / work))
    drawn = np.ascontiguousarray(moved[:, :replicates])

    def stays(one: _Opponents) -> bool:
        return one.largest <= 0 or one.largest <= _critical(drawn, one, joint.freedom)

    with ThreadPoolExecutor(workers) as pool:
        kept = list(pool.map(stays, asked))
    return np.array([one.entry for one, keep in zip(asked, kept, strict=True) if keep], dtype=np.int64)


def _opponents(joint: Joint, entry: int, order: Integers, screen: float) -> _Opponents:
    """Return whom an entry is compared with: all that are not clearly worse, copies of itself left out.

    Where a difference has no error at all, as between two constants, there is no law to hold it against: it
    counts as it is.
    """
    errors = joint.errors_of_differences(entry, order)
    ahead = _studentised(joint.means[entry] - joint.means[order], errors)
    chosen = (order != entry) & (ahead >= -screen) & (errors > 0)
    return _Opponents(
        entry=int(entry),
        others=order[chosen],
        errors=errors[chosen],
        largest=float(ahead[order != entry].max(initial=-np.inf)),
    )


def _critical(moved: NDArray[np.float32], one: _Opponents, freedom: float) -> float:
    """Return how much better the best opponent may look by chance, with Student's tails for few clusters."""
    largest = np.full(moved.shape[1], -np.inf, dtype=np.float32)
    own = moved[one.entry]
    inverse = (1.0 / one.errors).astype(np.float32)
    for start in range(0, one.others.size, _BLOCK):
        block = own - moved[one.others[start : start + _BLOCK]]
        block *= inverse[start : start + _BLOCK, None]
        np.maximum(largest, block.max(axis=0), out=largest)
    normal = float(np.quantile(largest, 1.0 - (LEVEL - SCREEN)))
    tail = max(NormalDist().cdf(-normal), 1e-12)
    return float(student_quantiles(np.array([freedom]), tail)[0])


def _studentised(difference: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return differences in units of their errors; without an error, none or infinitely many."""
    safe = np.where(errors > 0, errors, 1.0)
    sure = np.where(np.abs(difference) > ROUNDING, np.copysign(np.inf, difference), 0.0)
    return np.where(errors > 0, difference / safe, sure)
