"""A set cut into shards: which videos run together in their own container, in which order, under what.

Pure: a cut depends on the set's videos, the seed and the number of shards and on nothing else, so that every
driver, before and after a kill, comes to the same one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.core.types import Mode, Outcome, OutcomeKind, PreparedVideo, SetName, Terms
from harness.gateway.set_run import SetRun, merged, verdict_of, verdict_of_kind, worst

COSTS_A_CONTAINER = frozenset(
    {
        OutcomeKind.VIDEO_TIMEOUT,
        OutcomeKind.MEMORY_LIMIT,
        OutcomeKind.GPU_MEMORY_LIMIT,
        OutcomeKind.OUTPUT_LIMIT,
        OutcomeKind.PROTOCOL_ERROR,
        OutcomeKind.RUNTIME_ERROR,
    }
)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One part of a set. Its budget is the set's budget per video times the videos it has."""

    number: int  # from 0
    of: int
    order_seed: int  # shuffles within the shard
    videos: tuple[PreparedVideo, ...]


def cut(name: SetName, videos: Sequence[PreparedVideo], *, shards: int, order_seed: int) -> tuple[Shard, ...]:
    """Cut a set into parts whose sizes differ by one video at most.

    Which part a video comes to is drawn: neither the names nor the sources decide it. A set in one part is
    shown in the order in which a run without shards shows it.

    Args:
        name: The set's.
        videos: The prepared set, at least one.
        shards: How many parts; never more than there are videos.
        order_seed: Of the run.

    Raises:
        ValueError: there is no video, or less than one shard.
    """
    if not videos or shards < 1:
        raise ValueError(f"{len(videos)} videos cannot be cut into {shards} shards")
    count = min(shards, len(videos))
    if count == 1:
        return (Shard(number=0, of=1, order_seed=order_seed, videos=tuple(videos)),)
    key = f"{order_seed}/{name}/shards"
    drawn = sorted(videos, key=lambda video: _digest(f"{key}/{video.video_id}"))
    bounds = [number * len(drawn) // count for number in range(count + 1)]
    return tuple(
        Shard(
            number=number,
            of=count,
            order_seed=int(_digest(f"{key}/{number}")[:15], 16),
            videos=tuple(drawn[bounds[number] : bounds[number + 1]]),
        )
        for number in range(count)
    )


def shards_of(videos: int, *, mode: Mode, shard_videos: int | None) -> int:
    """Say into how many parts a set is cut.

    Args:
        videos: In the set.
        mode: Batch packages see all videos at once, and are never cut.
        shard_videos: How many videos a part has at most; None: sets are not cut.
    """
    if mode is Mode.BATCH or shard_videos is None:
        return 1
    return max(1, math.ceil(videos / max(1, shard_videos)))


def together(parts: Mapping[int, SetRun], shards: Sequence[Shard], *, terms: Terms) -> SetRun:
    """Judge the parts of a set as a whole: outcomes in the order of the set, verdict rules over all of it.

    Beyond `merged`, which adds up what is counted, the limit on replaced containers holds for the whole:
    parts that each stayed below it may not exceed it together.

    Args:
        parts: The run of each shard, by number.
        shards: All of them.
        terms: Those of the whole.

    Raises:
        ValueError: a shard has no run, or one of other videos.
    """
    if sorted(parts) != [shard.number for shard in shards]:
        raise ValueError(f"runs of shards {sorted(parts)}, and there are {len(shards)} shards")
    for shard in shards:
        if {one.video_id for one in parts[shard.number].outcomes} != {one.video_id for one in shard.videos}:
            raise ValueError(f"the run of shard {shard.number} is of other videos")
    whole = merged([parts[shard.number] for shard in shards], terms=terms)
    if len(shards) == 1:
        return replace(whole, outcomes=parts[0].outcomes)
    if whole.ending is None and whole.restarts > terms.limits.restarts:
        whole = _worn_out(whole, terms)
    place = {
        one.video_id: number for number, one in enumerate(one for shard in shards for one in shard.videos)
    }
    return replace(whole, outcomes=tuple(sorted(whole.outcomes, key=lambda one: place[one.video_id])))


def _worn_out(whole: SetRun, terms: Terms) -> SetRun:
    """Judge a set whose parts together lost more containers than are replaced."""
    kinds = [outcome.kind for outcome in whole.outcomes]
    ending = worst(verdict_of_kind(kind) for kind in kinds if kind in COSTS_A_CONTAINER)
    return replace(
        whole,
        ending=ending,
        verdict=verdict_of(kinds, terms=terms, ending=ending, blemishes=whole.blemishes),
        detail=f"{whole.detail}; its containers were lost {whole.restarts} times,"
        f" {terms.limits.restarts} are replaced",
    )


@dataclass(frozen=True, kw_only=True)
class ShardingEffect:
    """Whether a set's answers in shards are those of the set run whole."""

    compared: int  # videos that both runs reached
    differing: tuple[str, ...]  # videos that were answered otherwise, or that failed in one run only
    largest_difference: float | None  # between two answers to one video; None if none has two
    tolerance: float

    def in_words(self) -> str:
        """Say it in one line."""
        if not self.differing:
            return f"sharding changes none of {self.compared} answers"
        named = ", ".join(self.differing[:5]) + (" …" if len(self.differing) > 5 else "")
        return f"sharding changes {len(self.differing)} of {self.compared} answers: {named}"


def comparison(shards: Sequence[Outcome], whole: Sequence[Outcome], *, tolerance: float) -> ShardingEffect:
    """Compare the outcomes of a set's shards with those of the set run whole."""
    reached = {one.video_id: one for one in whole if one.kind is not OutcomeKind.NOT_REACHED}
    both = [one for one in shards if one.kind is not OutcomeKind.NOT_REACHED and one.video_id in reached]
    apart = [
        abs(one.probability - other)
        for one in both
        if one.probability is not None and (other := reached[one.video_id].probability) is not None
    ]
    return ShardingEffect(
        compared=len(both),
        differing=differing(both, list(reached.values()), tolerance=tolerance),
        largest_difference=max(apart, default=None),
        tolerance=tolerance,
    )


def differing(one: Sequence[Outcome], other: Sequence[Outcome], *, tolerance: float) -> tuple[str, ...]:
    """Name the videos that two runs of the same package answered otherwise, by more than a tolerance.

    A video that failed in one run and not in the other is among them.
    """
    answers = {outcome.video_id: outcome.probability for outcome in other}
    return tuple(
        outcome.video_id
        for outcome in one
        if outcome.video_id in answers
        and not _same(outcome.probability, answers[outcome.video_id], tolerance)
    )


def _same(one: float | None, other: float | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= tolerance


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
