"""The board: each entry's score, how sure it is, its possible ranks, and what tells it from others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.contest.board.answers import Absent, BoardEntry, BoardInput
from harness.contest.board.forecast import Forecast, forecast_of
from harness.contest.board.resample import Joint, joint_of, ranks_of
from harness.contest.board.set_size import Separation, separation_of
from harness.contest.board.tie_groups import tie_groups
from harness.core.types import SetName
from harness.scoring.clusters import CLUSTERS_MIN, Floats, Unit
from harness.scoring.comparison import Comparison, compared
from harness.scoring.intervals import (
    TAIL,
    Interval,
    auc_influence,
    interval_of,
    skewed_bounds,
    spread_of,
    student_quantiles,
)

PAIRS_MAX = 40  # entries of which every pair's difference is given
RANKS_SHOWN = 20  # entries, and ranks, whose probabilities are given
_BLOCK = 256  # statistics at a time


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much higher one entry's log loss is than another's. It is worse only if the interval excludes 0."""

    entry: int  # places on the board, counted from 0
    other: int
    value: float
    interval: Interval | None

    @property
    def told(self) -> bool:
        """Whether the two can be told apart."""
        return compared(self.interval, 0.0) is not Comparison.UNDECIDED


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One entry's line of the board."""

    entry: BoardEntry
    place: int  # 1 is the best; entries of equal rounded scores share one
    log_loss: float
    interval: Interval | None
    roc_auc: float | None
    roc_auc_interval: Interval | None
    failed: int
    group: int | None  # tie group; None if there is too little to draw from
    rank_low: int | None  # 95 of 100 replicates have it between these ranks
    rank_high: int | None
    best: float | None  # share of replicates in which it is first
    to_first: Difference | None  # none for the first
    to_next: Difference | None  # none for the last
    column: int  # of the input


@dataclass(frozen=True, kw_only=True)
class Board:
    """A ranking with what can and cannot be told apart."""

    challenge: str
    set_name: SetName
    videos: int
    fakes: int
    clusters: int
    unit: Unit
    people: int
    decimals: int
    replicates: int
    seed: int
    standings: tuple[Standing, ...]
    absent: tuple[Absent, ...]
    pairs: tuple[Difference, ...]  # of the first entries, each with each after it
    rank_shares: Floats  # (entries shown, ranks shown): how often each had each rank
    forecast: Forecast | None
    separation: Separation | None  # of places 1 and 2
    warnings: tuple[str, ...]

    @property
    def first_group(self) -> tuple[Standing, ...]:
        """The entries that may be the best."""
        return tuple(one for one in self.standings if one.group == 1)


def board_of(given: BoardInput, *, whole: bool = True) -> Board:
    """Rank the entries of a set and say how sure that is.

    Args:
        given: The answers of all.
        whole: False leaves out what no published board shows: AUCs, and differences of pairs.
    """
    order = _order(given)
    losses = given.losses[:, order]
    enough = given.sampling.enough
    joint = joint_of(losses, given.sampling, given.bootstrap) if enough else None
    ranks = ranks_of(joint.means, joint.moved) if joint else None
    means = losses.mean(axis=0)
    standings = _standings(given, order, means, joint, ranks, whole=whole)
    return Board(
        challenge=given.challenge,
        set_name=given.set_name,
        videos=given.fake.size,
        fakes=int(given.fake.sum()),
        clusters=given.sampling.clusters,
        unit=given.sampling.unit,
        people=given.facts.people,
        decimals=given.decimals,
        replicates=given.bootstrap.samples,
        seed=given.bootstrap.seed,
        standings=standings,
        absent=given.absent,
        pairs=_pairs(joint) if joint and whole else (),
        rank_shares=_rank_shares(ranks) if ranks is not None else np.zeros((0, 0)),
        forecast=_forecast(joint, given),
        separation=separation_of(joint) if joint and order.size > 1 else None,
        warnings=tuple(_warnings(given)),
    )


def _order(given: BoardInput) -> NDArray[np.int64]:
    """Sort by rounded score; of equal ones the earlier stands first."""
    means = np.round(given.losses.mean(axis=0), given.decimals)
    keys = [(means[column], one.submitted, one.run_id) for column, one in enumerate(given.entries)]
    return np.array(sorted(range(len(keys)), key=lambda column: keys[column]), dtype=np.int64)


def _standings(
    given: BoardInput,
    order: NDArray[np.int64],
    means: Floats,
    joint: Joint | None,
    ranks: NDArray[np.int32] | None,
    *,
    whole: bool,
) -> tuple[Standing, ...]:
    rounded = [round(float(one), given.decimals) for one in means]
    intervals = _score_intervals(joint)
    aucs = _aucs(given, order) if whole else [(None, None)] * order.size
    groups = tie_groups(joint) if joint else None
    sorted_ranks = np.sort(ranks, axis=0) if ranks is not None else None
    to_first, to_next = _neighbours(joint if whole else None)
    first = {one: place for place, one in reversed(list(enumerate(rounded, start=1)))}
    standings = []
    for place, column in enumerate(order):
        low, high = (None, None)
        if sorted_ranks is not None:
            ends = np.array([TAIL, 1.0 - TAIL]) * (sorted_ranks.shape[0] - 1)
            low = int(sorted_ranks[math.floor(ends[0]), place])
            high = int(sorted_ranks[math.ceil(ends[1]), place])
        standings.append(
            Standing(
                entry=given.entries[column],
                place=first[rounded[place]],
                log_loss=float(means[place]),
                interval=intervals[place] if intervals else None,
                roc_auc=aucs[place][0],
                roc_auc_interval=aucs[place][1],
                failed=int(given.failed[column]),
                group=int(groups[place]) if groups is not None else None,
                rank_low=low,
                rank_high=high,
                best=float(np.mean(ranks[:, place] == 1)) if ranks is not None else None,
                to_first=to_first.get(place),
                to_next=to_next.get(place),
                column=int(column),
            )
        )
    return tuple(standings)


def _score_intervals(joint: Joint | None) -> list[Interval]:
    if joint is None:
        return []
    found = []
    for start in range(0, joint.means.size, _BLOCK):
        inside = slice(start, start + _BLOCK)
        lows, highs = skewed_bounds(joint.means[inside], spread_of(joint.excess[:, inside], joint.sampling))
        found += [
            interval_of(max(float(low), 0.0), float(high), joint.sampling, "Hall")
            for low, high in zip(lows, highs, strict=True)
        ]
    return found


def _aucs(given: BoardInput, order: NDArray[np.int64]) -> list[tuple[float | None, Interval | None]]:
    """Return each entry's AUC and its interval, as `auc_interval` has them for one."""
    if given.fake.all() or not given.fake.any():
        return [(None, None)] * order.size
    found: list[tuple[float | None, Interval | None]] = []
    for start in range(0, order.size, _BLOCK):
        columns = order[start : start + _BLOCK]
        with ThreadPoolExecutor() as pool:  # sorting lets go of the interpreter
            placed = list(pool.map(lambda one: auc_influence(given.fake, given.probability[:, one]), columns))
        values = np.array([auc for auc, _ in placed])
        if not given.sampling.enough:
            found += [(float(value), None) for value in values]
            continue
        influence = given.sampling.sums(np.column_stack([one for _, one in placed]))
        spread = spread_of(influence, given.sampling)
        inside = (values > 0) & (values < 1) & (spread.error > 0)
        safe = np.where(inside, values, 0.5)
        half = student_quantiles(spread.freedom) * spread.error / (safe * (1.0 - safe))
        middle = np.log(safe / (1.0 - safe))
        lows, highs = 1.0 / (1.0 + np.exp(half - middle)), 1.0 / (1.0 + np.exp(-half - middle))
        found += [
            (float(value), interval_of(float(low), float(high), given.sampling, "logit") if ok else None)
            for value, low, high, ok in zip(values, lows, highs, inside, strict=True)
        ]
    return found


def differences(joint: Joint, first: NDArray[np.int64], second: NDArray[np.int64]) -> Iterator[Difference]:
    """Yield by how much the log loss of each of `first` is above that of each of `second`, pair by pair.

    Student's t over the clusters' differences, as for the gap of two sets.
    """
    for start in range(0, first.size, _BLOCK):
        ones, others = first[start : start + _BLOCK], second[start : start + _BLOCK]
        spread = spread_of(joint.excess[:, ones] - joint.excess[:, others], joint.sampling)
        values = joint.means[ones] - joint.means[others]
        halves = student_quantiles(spread.freedom) * spread.error
        for one, other, value, half in zip(ones, others, values, halves, strict=True):
            interval = interval_of(float(value - half), float(value + half), joint.sampling, "Student")
            yield Difference(entry=int(one), other=int(other), value=float(value), interval=interval)


def _neighbours(joint: Joint | None) -> tuple[dict[int, Difference], dict[int, Difference]]:
    if joint is None:
        return {}, {}
    places = np.arange(joint.means.size)
    to_first = {one.entry: one for one in differences(joint, places[1:], np.zeros_like(places[1:]))}
    to_next = {one.other: one for one in differences(joint, places[1:], places[:-1])}
    return to_first, to_next


def _pairs(joint: Joint) -> tuple[Difference, ...]:
    shown = min(joint.means.size, PAIRS_MAX)
    better, worse = np.triu_indices(shown, 1)
    return tuple(differences(joint, worse, better))


def _rank_shares(ranks: NDArray[np.int32]) -> Floats:
    shown = min(ranks.shape[1], RANKS_SHOWN)
    table = np.arange(1, shown + 1)
    return np.stack([(ranks[:, entry, None] == table).mean(axis=0) for entry in range(shown)])


def _forecast(joint: Joint | None, given: BoardInput) -> Forecast | None:
    if joint is None or given.private_clusters is None or given.set_name is not SetName.PUBLIC:
        return None
    return forecast_of(joint, private_clusters=given.private_clusters, seed=given.bootstrap.seed)


def _warnings(given: BoardInput) -> Iterator[str]:
    sampling = given.sampling
    if not sampling.enough:
        yield "There is too little to draw from: no intervals, no tie groups. Every place is only a score."
    elif sampling.clusters < 2 * CLUSTERS_MIN:
        yield f"Only {sampling.clusters} independent units: 95% intervals hold in about 94 of 100 contests."
    if sampling.unit is not Unit.IDENTITY:
        known = (
            "labels.csv names nobody"
            if not given.facts.people
            else "only one person is named"
            if given.facts.people == 1
            else f"only {given.facts.people} people are named"
        )
        yield (
            f"Intervals speak of further videos of the same people ({known}). If videos share people, what "
            "they would be with other people is much less sure: add the column `identity`."
        )
