"""How fast entries are, by the shards that were accepted of them in an earlier contest or phase."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.contest.accepted_shard import AcceptedShard
from harness.contest.plan import VIDEO_SECONDS, Pace
from harness.contest.waiting_entries import Waiting
from harness.results.store.jobs import Job


def paces_of(waiting: Iterable[Waiting], listed: Iterable[Job]) -> Mapping[str, Pace | None]:
    """Return the pace of every entry that waits; none for one that no accepted shard is known of.

    An entry is known by its team and its package's name.
    """
    accepted = _accepted(listed)
    return {
        f"{one.team}/{one.name}": pace_of(accepted.get((one.team[:64], one.name[:64]), [])) for one in waiting
    }


def known_paces(listed: Iterable[Job]) -> tuple[Pace, ...]:
    """Return the pace of every entry that any accepted shard is known of, whether it waits or not."""
    return tuple(pace for shards in _accepted(listed).values() if (pace := pace_of(shards)) is not None)


def _accepted(listed: Iterable[Job]) -> dict[tuple[str, str], list[AcceptedShard]]:
    found: dict[tuple[str, str], list[AcceptedShard]] = {}
    for job in listed:
        one = AcceptedShard.of(job)
        if one is not None:
            found.setdefault((job.team or "", job.entry or ""), []).append(one)
    return found


def pace_of(shards: Sequence[AcceptedShard]) -> Pace | None:
    """Return the mean pace of shards; None if no video was asked for in any."""
    videos = sum(one.videos for one in shards)
    if not videos:
        return None
    billed = sum(one.billed_seconds for one in shards)
    startups = sum(one.startup_seconds for one in shards)
    rest = sum(one.seconds for one in shards) - billed - startups - videos * VIDEO_SECONDS
    return Pace(
        video_seconds=billed / videos,
        startup_seconds=startups / len(shards),
        overhead_seconds=max(0.0, rest) / len(shards),
    )
