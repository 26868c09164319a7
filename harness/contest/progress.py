"""How far a contest is, what it cost so far, and when it will be done: pure functions of its jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import mean

from harness.contest.accepted_shard import AcceptedShard
from harness.contest.paces import pace_of
from harness.contest.plan import VIDEO_SECONDS, Pace
from harness.contest.shard_ledger import STOPPED
from harness.results.store.drivers import DriverRow
from harness.results.store.jobs import Job, JobState
from harness.sandbox.docker.owner import Owner

HOUR_SECONDS = 3600.0
OVER = frozenset({"done", "stopped", "failed", "cancelled"})


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
    shards_left: int  # of entries that were looked at
    unseen: int  # entries that wait, and whose package nobody has opened yet
    left_seconds: float | None  # until all is done with these places; None: nothing is done yet
    left_work_seconds: float = 0.0  # of places, in all
    saved_seconds: float = 0.0  # of a place, by entries that were stopped early

    def cost(self, price_per_hour: float) -> float:
        """Return what was spent so far, at this price of one worker's hour."""
        return self.worker_seconds / HOUR_SECONDS * price_per_hour

    def count(self, state: str) -> int:
        """Return how many runs are in a state."""
        return sum(run.state == state for run in self.runs)

    @property
    def over(self) -> int:
        """Return how many runs came to their end, whatever that was."""
        return sum(run.state in OVER for run in self.runs)


def progress_of(
    listed: Sequence[Job], *, places: int, unseen: int = 0, now: datetime | None = None
) -> ContestProgress:
    """Sum up a contest.

    A shard that is not done is expected to take what the accepted ones of its run took, by start-up and by
    video, or if there are none, what the mean of all runs took; an entry that nobody has looked at, what a
    run takes in the mean. It is done no sooner than its longest shard.

    Args:
        listed: Every job of it.
        places: How many shards run at a time.
        unseen: Entries that wait beyond these jobs.
        now: The moment: what a shard at work has been given so far is taken off.
    """
    accepted: Mapping[object, AcceptedShard] = {
        job.key: found for job in listed if (found := AcceptedShard.of(job)) is not None
    }
    usual = pace_of(list(accepted.values()))
    left: list[float] = []
    whole: list[float] = []  # seconds of each run, done and to come
    saved_seconds = 0.0
    runs = []
    for run_id, jobs in by_run(listed).items():
        own = [accepted[job.key] for job in jobs if job.key in accepted]
        pace = pace_of(own) or usual
        open_ = [job for job in jobs if job.state in {JobState.WAITING, JobState.CLAIMED}]
        seconds = sum(one.seconds for one in own)
        expected = [_expected(job, pace) for job in open_]
        left += [max(0.0, all_ - _given(job, now)) for job, all_ in zip(open_, expected, strict=True)]
        saved_seconds += sum(_expected(job, pace) for job in jobs if _was_stopped(job))
        whole.append(seconds + sum(expected))
        runs.append(_run_progress(run_id, jobs, own, seconds))
    work_seconds = sum(left) + unseen * (mean(whole) if whole else 0.0)
    return ContestProgress(
        runs=tuple(runs),
        worker_seconds=sum(one.seconds for one in accepted.values()),
        videos_done=sum(one.videos for one in accepted.values()),
        shards_left=len(left),
        unseen=unseen,
        left_seconds=None if usual is None else max([work_seconds / max(1, places), *left]),
        left_work_seconds=work_seconds,
        saved_seconds=saved_seconds,
    )


def _expected(job: Job, pace: Pace | None) -> float:
    """Return the seconds of a place that a shard takes in all."""
    if pace is None:
        return 0.0
    videos = (job.videos or 0) * (pace.video_seconds + VIDEO_SECONDS)
    return pace.startup_seconds + pace.overhead_seconds + videos


def _given(job: Job, now: datetime | None) -> float:
    """Return for how long a shard has been at work."""
    if now is None or job.state is not JobState.CLAIMED or job.claimed is None:
        return 0.0
    return max(0.0, (now - datetime.fromisoformat(job.claimed)).total_seconds())


def _run_progress(
    run_id: str, jobs: Sequence[Job], own: Sequence[AcceptedShard], seconds: float
) -> RunProgress:
    return RunProgress(
        run_id=run_id,
        team=jobs[0].team or "",
        entry=jobs[0].entry or "",
        state=state_of(jobs),
        shards_done=sum(job.state is JobState.DONE for job in jobs),
        shards=len(jobs),
        seconds=seconds,
        attempts=max(job.attempt for job in jobs),
        note=_note(jobs),
        disturbed=next((one.disturbed for one in own if one.disturbed), ""),
    )


def by_run(listed: Iterable[Job]) -> dict[str, list[Job]]:
    """Sort jobs by run, in the order in which they are given out."""
    found: dict[str, list[Job]] = {}
    for job in listed:
        found.setdefault(job.run_id, []).append(job)
    return found


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


def has_died(driver: DriverRow) -> bool:
    """Tell whether the driver that is written down is known to be gone: it was of this machine, say."""
    owner = Owner.parse(driver.driver or "")
    return owner is not None and owner.is_dead()
