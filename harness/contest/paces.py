"""How fast entries are, by the shards that were accepted of them in an earlier contest or phase."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.contest.accepted_shard import AcceptedShard
from harness.contest.plan import Pace
from harness.contest.waiting_entries import Waiting
from harness.results.store.jobs import Job


def paces_of(waiting: Iterable[Waiting], listed: Iterable[Job]) -> Mapping[str, Pace | None]:
    """Return the pace of every entry that waits; none for one that no accepted shard is known of.

    An entry is known by its team and its package's name.
    """
    accepted: dict[tuple[str, str], list[AcceptedShard]] = {}
    for job in listed:
        found = AcceptedShard.of(job)
        if found is not None:
            accepted.setdefault((job.team or "", job.entry or ""), []).append(found)
    return {
        f"{one.team}/{one.name}": _pace(accepted.get((one.team[:64], one.name[:64]), [])) for one in waiting
    }


def _pace(shards: list[AcceptedShard]) -> Pace | None:
    videos = sum(one.videos for one in shards)
    if not videos:
        return None
    billed = sum(one.billed_seconds for one in shards)
    startups = sum(one.startup_seconds for one in shards)
    rest = sum(one.seconds for one in shards) - billed - startups
    return Pace(
        video_seconds=billed / videos,
        startup_seconds=startups / len(shards),
        overhead_seconds=max(0.0, rest) / len(shards),
    )
