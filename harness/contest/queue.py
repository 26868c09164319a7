"""Who is next, and when: an entry's place in the queue, and the time to its result with its error. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from harness.contest.accepted_shard import AcceptedShard
from harness.contest.state import UNFINISHED, Entry, EntryStatus, State
from harness.core.types import SetName
from harness.results.store.jobs import Job, JobState


@dataclass(frozen=True, kw_only=True)
class Queued:
    """Where an entry without a result is.

    Attributes:
        place: 0 if it runs, 1 if it is the next.
        of: How many entries have no result yet.
        seconds: Until its result, if nothing is added; None if there is nothing to tell it by.
        error_seconds: Of that: two standard errors, by how much entries have differed.
    """

    place: int
    of: int
    seconds: float | None
    error_seconds: float | None


def label_of(entry: Entry) -> str:
    """Return what the jobs of an entry's latest attempt are called; see `waiting_entries.Waiting.name`."""
    return entry.entry if entry.attempt == 1 else f"{entry.entry}.{entry.attempt}"


def queue_of(state: State, listed: Sequence[Job], *, now: datetime | None = None) -> dict[str, Queued]:
    """Return the place of every entry that waits or runs.

    Teams take turns, as the driver has them: every team's first open entry comes before any team's second.
    An entry is expected to take what finished ones took; what is done of it already is taken off. Before any
    has finished, it is what those that run will take if they go on as they have on the public set.

    Args:
        state: The contest.
        listed: Every job of it.
        now: The moment, for the pace of what runs; without it, only finished entries tell.
    """
    open_entries = [one for one in state.entries.values() if one.status in UNFINISHED]
    by_label: dict[str, list[Job]] = {}
    for job in listed:
        by_label.setdefault(job.entry or "", []).append(job)
    took = _took(listed) or ([] if now is None else _will_take(by_label.values(), now))
    mean = float(np.mean(took)) if took else None
    spread = float(np.std(took, ddof=1)) if len(took) > 1 else mean
    places = max(1, sum(job.state is JobState.CLAIMED for job in listed))
    ahead, found, waiting = 0.0, {}, 0
    for one in _in_order(open_entries, by_label):
        running = one.status is EntryStatus.RUNNING
        waiting += not running
        ahead += 1.0 - (_share_done(by_label.get(label_of(one), ())) if running else 0.0)
        found[one.entry] = Queued(
            place=0 if running else waiting,
            of=len(open_entries),
            seconds=None if mean is None else ahead * mean / places,
            error_seconds=None if spread is None else 2.0 * spread * math.sqrt(ahead) / places,
        )
    return found


def _in_order(entries: Sequence[Entry], by_label: Mapping[str, Sequence[Job]]) -> list[Entry]:
    turns: dict[str, int] = {}
    keyed = []
    for one in sorted(entries, key=lambda each: each.number):
        turn = turns.get(one.team, 0)
        turns[one.team] = turn + 1
        jobs = by_label.get(label_of(one))
        if jobs:
            turn = jobs[0].turn
        keyed.append(((one.status is not EntryStatus.RUNNING, turn, one.number), one))
    return [one for _, one in sorted(keyed, key=lambda pair: pair[0])]


def _took(listed: Sequence[Job]) -> list[float]:
    """Return the seconds of workers that each finished run took."""
    spent: dict[str, float] = {}
    unfinished = {job.run_id for job in listed if job.state is not JobState.DONE}
    for job in listed:
        accepted = AcceptedShard.of(job)
        if accepted is not None and job.run_id not in unfinished:
            spent[job.run_id] = spent.get(job.run_id, 0.0) + accepted.seconds
    return list(spent.values())


def _will_take(each: Iterable[Sequence[Job]], now: datetime) -> list[float]:
    """Return the seconds of workers that each begun run will take, all shards like its public ones."""
    found = []
    for jobs in each:
        begun = [job for job in jobs if job.set_name == SetName.PUBLIC.value and _job_done(job) > 0.0]
        if begun:
            seconds = sum(_seconds_so_far(job, now) for job in begun)
            found.append(seconds / sum(map(_job_done, begun)) * len(jobs))
    return found


def _seconds_so_far(job: Job, now: datetime) -> float:
    accepted = AcceptedShard.of(job)
    if accepted is not None:
        return accepted.seconds
    return (
        0.0 if job.claimed is None else max(0.0, (now - datetime.fromisoformat(job.claimed)).total_seconds())
    )


def _share_done(jobs: Sequence[Job]) -> float:
    return sum(map(_job_done, jobs)) / len(jobs) if jobs else 0.0


def _job_done(job: Job) -> float:
    """Return the share of a job that is done.

    Videos are counted of the public set alone: a time that is shown must not follow the private one.
    """
    if job.state is JobState.DONE:
        return 1.0
    public = job.set_name == SetName.PUBLIC.value and job.state is JobState.CLAIMED
    return min(1.0, (job.videos_done or 0) / job.videos) if public and job.videos else 0.0
