"""Jobs: what a driver wants done, who is at it, and what was accepted. Each change is a compare-and-set.

A job is one shard of one set of one run. Whoever claims it gets an attempt and a fencing token; only with
these can it be finished or given back. What a driver had claimed is given back as the next attempt by the
driver that follows it, and what is then delivered late is not accepted: for every (run, set, shard) one
outcome, once.

States go one way: waiting → claimed → done, failed or cancelled; claimed → waiting only as the next attempt,
and failed or cancelled → waiting only because the organiser says so (`requeue`).

Attempts are all that began; faults are those that failed by our own fault, and only these have an end. What
failed twice and more waits for a while: a store of files, an engine or a node may come back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from harness.results.job_key import JobKey
from harness.results.store.tables import JOBS


class JobState(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"  # given up: no attempt is left, or none would help
    CANCELLED = "cancelled"


PAUSES_SECONDS = (0.0, 10.0, 40.0, 160.0, 300.0)  # after the first fault, the second …; then the last one
OVER = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job to be done."""

    key: JobKey
    challenge: str
    entry: str | None = None
    team: str | None = None
    turn: int = 0  # lower ones first: its number within its team, if teams take turns
    videos: int | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job as it stands."""

    run_id: str
    set_name: str
    shard: int
    challenge: str
    entry: str | None
    team: str | None
    turn: int
    enqueued: str
    state: JobState
    attempt: int
    token: int
    worker: str | None
    claimed: str | None
    finished: str | None
    outcome: str | None
    note: str | None
    videos: int | None  # of the shard; None if an older release queued it
    videos_done: int | None  # so far, of the attempt that runs; None: nobody counts
    faults: int = 0  # attempts that failed by our own fault
    not_before: str | None = None  # a pause after a fault

    @property
    def key(self) -> JobKey:
        """Which one it is."""
        return JobKey(run_id=self.run_id, set_name=self.set_name, shard=self.shard)


def enqueue(connection: sa.Connection, jobs: Iterable[NewJob], *, now: datetime) -> int:
    """Add jobs; those that are there already stay as they are. Returns how many were new."""
    added = 0
    for job in jobs:
        there = connection.execute(sa.select(JOBS.c.state).where(_is(job.key))).first()
        if there is None:
            row = asdict(job) | asdict(job.key)
            del row["key"]
            connection.execute(
                sa.insert(JOBS).values(
                    **row, enqueued=moment_text(now), state=JobState.WAITING.value, attempt=1, token=0
                )
            )
            added += 1
    return added


def claim(
    connection: sa.Connection,
    *,
    worker: str,
    now: datetime,
    challenge: str | None = None,
    run_id: str | None = None,
) -> Job | None:
    """Take the next job that waits: the lowest turn first, then the one that waited longest.

    Returns:
        The job, with the attempt and the token that only this worker has; None if none waits.
    """
    query = sa.select(JOBS.c.run_id, JOBS.c.set_name, JOBS.c.shard).where(
        JOBS.c.state == JobState.WAITING.value,
        sa.or_(JOBS.c.not_before.is_(None), JOBS.c.not_before <= moment_text(now)),
    )
    if challenge is not None:
        query = query.where(JOBS.c.challenge == challenge)
    if run_id is not None:
        query = query.where(JOBS.c.run_id == run_id)
    public_first = JOBS.c.set_name.desc()
    order = (JOBS.c.turn, JOBS.c.enqueued, JOBS.c.run_id, public_first, JOBS.c.shard)
    found = connection.execute(query.order_by(*order).limit(1).with_for_update(skip_locked=True)).first()
    if found is None:
        return None
    key = JobKey(run_id=found.run_id, set_name=found.set_name, shard=found.shard)
    connection.execute(
        sa.update(JOBS)
        .where(_is(key))
        .values(
            state=JobState.CLAIMED.value,
            token=JOBS.c.token + 1,
            worker=worker,
            claimed=moment_text(now),
        )
    )
    return get(connection, key)


def holds(connection: sa.Connection, key: JobKey, *, attempt: int, token: int) -> bool:
    """Tell whether a claim is still one's own; if not, the work must be given up."""
    found = connection.execute(sa.select(JOBS.c.run_id).where(_is(key), *_claimed_by(attempt, token)))
    return found.first() is not None


def note_videos(connection: sa.Connection, key: JobKey, *, attempt: int, token: int, videos: int) -> bool:
    """Write down how many videos of a claimed job are done; false if the claim is no longer one's own."""
    return _swap(connection, key, attempt, token, {"videos_done": videos})


def complete(
    connection: sa.Connection, key: JobKey, *, attempt: int, token: int, now: datetime, outcome: str
) -> bool:
    """Deliver the outcome of a job; false if the claim is not one's own any more: nothing is changed."""
    done = {
        "state": JobState.DONE.value,
        "finished": moment_text(now),
        "outcome": outcome,
    }
    return _swap(connection, key, attempt, token, done)


def give_back(
    connection: sa.Connection,
    key: JobKey,
    *,
    attempt: int,
    token: int,
    now: datetime,
    note: str,
    faults_max: int | None,
) -> JobState | None:
    """Give a claim back: it waits as the next attempt, or has failed if no attempt is left.

    Args:
        connection: Of a writing transaction.
        key: The job.
        attempt: That one has of it.
        token: That one has of it.
        now: The moment.
        note: Why.
        faults_max: How many faults a job may have until it has failed; None: this is no fault.

    Returns:
        Its state now; None if the claim was no longer one's own: nothing is changed.
    """
    job = get(connection, key)
    if job is None:
        return None
    changes = _given_back(job, attempt, now=now, faults_max=faults_max) | {"note": note}
    return JobState(changes["state"]) if _swap(connection, key, attempt, token, changes) else None


def cancel(connection: sa.Connection, *, run_id: str, now: datetime, note: str = "") -> int:
    """Cancel every job of a run that is not over; whoever works on one learns it when asking `holds`."""
    over = [state.value for state in OVER]
    done = connection.execute(
        sa.update(JOBS)
        .where(JOBS.c.run_id == run_id, JOBS.c.state.not_in(over))
        .values(
            state=JobState.CANCELLED.value,
            token=JOBS.c.token + 1,
            finished=moment_text(now),
            note=note,
        )
    )
    return int(done.rowcount)


def requeue(connection: sa.Connection, *, run_id: str, now: datetime, note: str = "") -> int:
    """Let a run's failed and cancelled jobs wait again, with no fault so far; what is done stays done."""
    again = [JobState.FAILED.value, JobState.CANCELLED.value]
    freed = dict.fromkeys(("worker", "claimed", "finished", "videos_done"))
    done = connection.execute(
        sa.update(JOBS)
        .where(JOBS.c.run_id == run_id, JOBS.c.state.in_(again))
        .values(
            state=JobState.WAITING.value,
            attempt=JOBS.c.attempt + 1,
            token=JOBS.c.token + 1,
            enqueued=moment_text(now),
            note=note,
            faults=0,
            not_before=None,
            **freed,
        )
    )
    return int(done.rowcount)


def get(connection: sa.Connection, key: JobKey) -> Job | None:
    """Return one job."""
    found = connection.execute(sa.select(JOBS).where(_is(key))).mappings().first()
    return None if found is None else _job(found)


def listed(
    connection: sa.Connection,
    *,
    challenge: str | None = None,
    run_id: str | None = None,
    state: JobState | None = None,
) -> tuple[Job, ...]:
    """Return jobs in the order in which they are given out."""
    query = sa.select(JOBS).order_by(
        JOBS.c.turn, JOBS.c.enqueued, JOBS.c.run_id, JOBS.c.set_name, JOBS.c.shard
    )
    for column, value in ((JOBS.c.challenge, challenge), (JOBS.c.run_id, run_id), (JOBS.c.state, state)):
        if value is not None:
            query = query.where(column == str(value))
    return tuple(_job(row) for row in connection.execute(query).mappings())


def _swap(connection: sa.Connection, key: JobKey, attempt: int, token: int, changes: dict[str, Any]) -> bool:
    """Change a claimed job exactly if attempt and token are still those: the compare-and-set."""
    mine = (_is(key), *_claimed_by(attempt, token))
    return connection.execute(sa.update(JOBS).where(*mine).values(**changes)).rowcount == 1


def _claimed_by(attempt: int, token: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (JOBS.c.state == JobState.CLAIMED.value, JOBS.c.attempt == attempt, JOBS.c.token == token)


def _given_back(job: Job, attempt: int, *, now: datetime, faults_max: int | None) -> dict[str, Any]:
    faults = job.faults + (faults_max is not None)
    if faults_max is not None and faults >= faults_max:
        return {"state": JobState.FAILED.value, "finished": moment_text(now), "faults": faults}
    pause = 0.0 if faults_max is None else PAUSES_SECONDS[min(faults, len(PAUSES_SECONDS)) - 1]
    freed = dict.fromkeys(("worker", "claimed", "videos_done"))
    return {
        "state": JobState.WAITING.value,
        "attempt": attempt + 1,
        "token": JOBS.c.token + 1,
        "faults": faults,
        "not_before": moment_text(now + timedelta(seconds=pause)) if pause else None,
        **freed,
    }


def _is(key: JobKey) -> sa.ColumnElement[bool]:
    return sa.and_(JOBS.c.run_id == key.run_id, JOBS.c.set_name == key.set_name, JOBS.c.shard == key.shard)


def _job(row: Any) -> Job:
    return Job(**{**row, "state": JobState(row["state"])})


def moment_text(moment: datetime) -> str:
    """Write a moment as the tables have it: text that sorts by time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
