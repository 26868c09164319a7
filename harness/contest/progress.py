"""How far a contest is, what it cost so far, and when it will be done: pure functions of its jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.contest.accepted_shard import AcceptedShard
from harness.contest.shard_ledger import STOPPED, by_run
from harness.results.store.jobs import Job, JobState

HOUR_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class RunProgress:
    """One entry's run."""

    run_id: str
    team: str
    entry: str
    state: str  # waiting, running, done, stopped (early), failed, cancelled
    shards_done: int
    shards: int
    seconds: float  # of workers, so far
    attempts: int  # the most that any of its shards needed
    note: str = ""  # of a shard that failed or was cancelled, or else of one that waits to be tried again
    disturbed: str = ""  # in words


@dataclass(frozen=True, kw_only=True)
class ContestProgress:
    """A whole contest."""

    runs: tuple[RunProgress, ...]
    worker_seconds: float  # accepted so far
    videos_done: int
    shards_left: int
    left_seconds: float | None  # until all is done with these places; None: nothing is done yet
    saved_seconds: float = 0.0  # of a place, by entries that were stopped early

    def cost(self, price_per_hour: float) -> float:
        """Return what was spent so far, at this price of one worker's hour."""
        return self.worker_seconds / HOUR_SECONDS * price_per_hour

    def count(self, state: str) -> int:
        """Return how many runs are in a state."""
        return sum(run.state == state for run in self.runs)


def progress_of(listed: Sequence[Job], *, places: int) -> ContestProgress:
    """Sum up a contest.

    A shard that waits is expected to take what the accepted ones of its run took, or if there are none, what
    those of all runs took.

    Args:
        listed: Every job of it.
        places: How many shards run at a time.
    """
    accepted: Mapping[object, AcceptedShard] = {
        job.key: found for job in listed if (found := AcceptedShard.of(job)) is not None
    }
    spent = [one.seconds for one in accepted.values()]
    mean = sum(spent) / len(spent) if spent else None
    left_seconds = saved_seconds = 0.0
    runs = []
    for run_id, jobs in by_run(listed).items():
        own = [accepted[job.key].seconds for job in jobs if job.key in accepted]
        own_mean = sum(own) / len(own) if own else mean
        open_ = [job for job in jobs if job.state in {JobState.WAITING, JobState.CLAIMED}]
        left_seconds += len(open_) * (own_mean or 0.0)
        saved_seconds += sum(map(_was_stopped, jobs)) * (own_mean or 0.0)
        runs.append(
            RunProgress(
                run_id=run_id,
                team=jobs[0].team or "",
                entry=jobs[0].entry or "",
                state=state_of(jobs),
                shards_done=sum(job.state is JobState.DONE for job in jobs),
                shards=len(jobs),
                seconds=sum(own),
                attempts=max(job.attempt for job in jobs),
                note=_note(jobs),
                disturbed=next(
                    (
                        accepted[j.key].disturbed
                        for j in jobs
                        if j.key in accepted and accepted[j.key].disturbed
                    ),
                    "",
                ),
            )
        )
    return ContestProgress(
        runs=tuple(runs),
        worker_seconds=sum(spent),
        videos_done=sum(one.videos for one in accepted.values()),
        shards_left=sum(job.state in {JobState.WAITING, JobState.CLAIMED} for job in listed),
        left_seconds=None if mean is None else left_seconds / max(1, places),
        saved_seconds=saved_seconds,
    )


def state_of(jobs: Sequence[Job]) -> str:
    """Say in one word where a run is."""
    states = {job.state for job in jobs}
    if states == {JobState.DONE}:
        return "done"
    if JobState.CLAIMED in states:
        return "running"
    if JobState.WAITING in states:
        return "running" if JobState.DONE in states else "waiting"
    if JobState.FAILED in states:
        return "failed"
    return "stopped" if any(map(_was_stopped, jobs)) else "cancelled"


def _note(jobs: Sequence[Job]) -> str:
    """Return why a run is not done: the gravest reason first."""
    for state in (JobState.FAILED, JobState.CANCELLED, JobState.WAITING):
        for job in jobs:
            if job.state is state and job.note:
                return job.note
    return ""


def _was_stopped(job: Job) -> bool:
    return job.state is JobState.CANCELLED and (job.note or "").startswith(STOPPED)
