"""What the database holds of a contest's work: jobs, and its driver. Every change is a compare-and-set.

A database that is away for a while is waited for; what a driver holds in its hands meanwhile is written down
once it is back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa

from harness.contest.accepted_shard import AcceptedShard
from harness.contest.patience import PATIENCE_SECONDS, patiently
from harness.contest.private_score import PrivateScore
from harness.core.errors import ConfigError
from harness.results.job_key import JobKey
from harness.results.run_folder import RunFolder
from harness.results.run_row import enter
from harness.results.store import Store, drivers, jobs, runs
from harness.results.store.drivers import DriverRow, Wish
from harness.results.store.jobs import Job, JobState, NewJob, moment_text
from harness.sandbox.docker.owner import Owner

BEAT_SECONDS = 5.0
SILENT_SECONDS = 60.0  # a driver on another machine that was silent for so long is followed
FAULTS_MAX = 5
STOPPED = "stopped early"  # how the note of a job begins that an announced rule has stopped

_T = TypeVar("_T")
Say = Callable[[str], None]


class FollowedError(ConfigError):
    """Another driver has taken over: this one must end."""


class ShardLedger:
    """The jobs of one contest, as its one driver sees them.

    Args:
        store: The database.
        challenge: The contest's name.
        say: Told when the database is away, and when it is back.
        faults_max: How often a shard may fail by our own fault before it is given up.
        patience_seconds: For how long a database that is away is waited for.
    """

    def __init__(
        self,
        store: Store,
        challenge: str,
        *,
        say: Say = lambda _: None,
        faults_max: int = FAULTS_MAX,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.store = store
        self.challenge = challenge
        self.faults_max = faults_max
        self.token = 0
        self.places = 1  # shards at a time; the driver says so with every heartbeat, for `contest status`
        self.unseen = 0  # entries that wait and have no job yet; likewise
        self._say = say
        self._patience_seconds = patience_seconds
        self._me = str(Owner.current())

    def refuse_a_second(self) -> None:
        """Say before any long work that another driver is at work; `drive` has the last word.

        Raises:
            ConfigError: another driver is at work.
            StoreError: the database stays away.
        """
        row = self.driver()
        if row is None or row.driver is None or row.driver == self._me:
            return
        owner = Owner.parse(row.driver)
        silent = row.heartbeat is None or row.heartbeat < moment_text(
            _now() - timedelta(seconds=SILENT_SECONDS)
        )
        if not silent and not (owner is not None and owner.is_dead()):
            raise self._another()

    def drive(self) -> Wish:
        """Become the contest's driver, and give out again what a dead one had.

        Raises:
            ConfigError: another driver is at work.
            StoreError: the database stays away.
        """

        def work(connection: sa.Connection) -> DriverRow | None:
            before = drivers.get(connection, self.challenge)
            owner = Owner.parse(before.driver or "") if before else None
            return drivers.take(
                connection,
                self.challenge,
                driver=self._me,
                now=_now(),
                silent_seconds=SILENT_SECONDS,
                dead=owner is not None and owner.is_dead(),
            )

        row = self._patiently(work)
        if row is None:
            raise self._another()
        self.token = row.token
        self._patiently(self._take_back)
        return row.wish

    def _beat(self, connection: sa.Connection) -> Wish | None:
        return drivers.beat(
            connection, self.challenge, token=self.token, now=_now(), places=self.places, unseen=self.unseen
        )

    def make_haste(self) -> None:
        """From now on, do not wait for a database that is away."""
        self._patience_seconds = 0.0

    def patience(self) -> float:
        """Return for how long a database that is away is waited for, in seconds."""
        return self._patience_seconds

    def leave(self) -> None:
        """End being the driver."""
        self._patiently(lambda connection: drivers.leave(connection, self.challenge, token=self.token))

    def beat(self, held: Iterable[tuple[JobKey, int, int]]) -> tuple[Wish, tuple[JobKey, ...]]:
        """Say that the driver is alive, and ask which claims it has lost.

        Args:
            held: Key, attempt and token of each claim.

        Returns:
            The organiser's wish, and the claims that are no longer the driver's.

        Raises:
            FollowedError: another driver has taken over.
        """
        claims = tuple(held)

        def work(connection: sa.Connection) -> tuple[Wish | None, tuple[JobKey, ...]]:
            wish = self._beat(connection)
            lost = tuple(
                key
                for key, attempt, token in claims
                if not jobs.holds(connection, key, attempt=attempt, token=token)
            )
            return wish, lost

        wish, lost = self._patiently(work)
        if wish is None:
            raise self._followed()
        return wish, lost

    def admit(self, new: Iterable[NewJob]) -> int:
        """Add the jobs of an entry; those that are there stay as they are."""
        listed = tuple(new)
        return self._patiently(lambda connection: jobs.enqueue(connection, listed, now=_now()))

    def claim(self) -> Job | None:
        """Take the next shard; None if none waits.

        Raises:
            FollowedError: another driver has taken over.
        """

        def work(connection: sa.Connection) -> tuple[bool, Job | None]:
            if self._beat(connection) is None:
                return False, None
            return True, jobs.claim(connection, worker=self._worker, now=_now(), challenge=self.challenge)

        mine, job = self._patiently(work)
        if not mine:
            raise self._followed()
        return job

    def accept(self, job: Job, outcome: AcceptedShard) -> bool:
        """Accept the outcome of a shard; false if it is not this attempt's to deliver: nothing changed."""
        return self._patiently(
            lambda connection: jobs.complete(
                connection,
                job.key,
                attempt=job.attempt,
                token=job.token,
                now=_now(),
                outcome=outcome.to_json(),
            )
        )

    def give_back(self, job: Job, why: str) -> JobState | None:
        """Give a shard back after a fault of ours, or give it up; None if it was not this attempt's."""
        return self._give_back(job, why, faults_max=self.faults_max)

    def give_up(self, job: Job, why: str) -> JobState | None:
        """Give a shard up for good; None if it was not this attempt's."""
        return self._give_back(job, why, faults_max=1)

    def let_wait(self, job: Job, why: str) -> JobState | None:
        """Give a shard back that nothing was wrong with; None if it was not this attempt's."""
        return self._give_back(job, why, faults_max=None)

    def _give_back(self, job: Job, why: str, *, faults_max: int | None) -> JobState | None:
        return self._patiently(
            lambda connection: jobs.give_back(
                connection,
                job.key,
                attempt=job.attempt,
                token=job.token,
                now=_now(),
                note=why[:2000],
                faults_max=faults_max,
            )
        )

    def record(self, folder: RunFolder, team: str) -> None:
        """Enter a finished run under its team; doing it twice changes nothing."""
        enter(folder, team=team)
        self._patiently(lambda connection: runs.record(connection, folder))

    def listed(self, state: JobState | None = None) -> tuple[Job, ...]:
        """Return every job of the contest, or those in a state, in the order in which they are given out."""
        return self._patiently(
            lambda connection: jobs.listed(connection, challenge=self.challenge, state=state)
        )

    def private_scores(self, challenge_sha256: str) -> tuple[tuple[str, PrivateScore], ...]:
        """Return every run in the index that stands on a board, with its private score."""

        def work(connection: sa.Connection) -> tuple[tuple[str, PrivateScore], ...]:
            return tuple(
                (row.run_id, PrivateScore(team=row.team, log_loss=row.private_log_loss))
                for row in runs.all_runs(connection)
                if row.challenge_sha256 == challenge_sha256
                and row.eligible
                and row.team is not None
                and row.private_log_loss is not None
            )

        return self._patiently(work)

    def of_run(self, run_id: str) -> tuple[Job, ...]:
        """Return the jobs of one run."""
        return self._patiently(lambda connection: jobs.listed(connection, run_id=run_id))

    def driver(self) -> DriverRow | None:
        """Return who drives the contest."""
        return self._patiently(lambda connection: drivers.get(connection, self.challenge))

    def wish(self, what: Wish) -> None:
        """Write down what the organiser wishes."""
        self._patiently(lambda connection: drivers.wish(connection, self.challenge, what))

    def cancel(self, run_id: str, why: str) -> int:
        """Cancel what is not over of a run; returns how many shards that were."""
        return self._patiently(
            lambda connection: jobs.cancel(connection, run_id=run_id, now=_now(), note=why)
        )

    def requeue(self, run_id: str, why: str) -> int:
        """Let failed and cancelled shards of a run wait again; returns how many those were."""
        return self._patiently(
            lambda connection: jobs.requeue(connection, run_id=run_id, now=_now(), note=why)
        )

    @property
    def _worker(self) -> str:
        return f"driver {self.token}: {self._me}"

    def _take_back(self, connection: sa.Connection) -> None:
        """Give back what an earlier driver had claimed: its engine's workers ended with it."""
        for job in jobs.listed(connection, challenge=self.challenge, state=JobState.CLAIMED):
            if job.worker != self._worker:
                jobs.give_back(
                    connection,
                    job.key,
                    attempt=job.attempt,
                    token=job.token,
                    now=_now(),
                    note="its driver ended",
                    faults_max=None,  # the driver's death is no fault of the shard's attempt
                )

    def _another(self) -> ConfigError:
        return ConfigError(
            "another driver is at work on this contest",
            place=self.challenge,
            remedy="Look with `harness contest status`; it is followed a minute after it has died.",
        )

    def _followed(self) -> FollowedError:
        remedy = "Nothing to do: it goes on from here. `harness contest status` shows it."
        return FollowedError("another driver has taken over", place=self.challenge, remedy=remedy)

    def _patiently(self, work: Callable[[sa.Connection], _T]) -> _T:
        return patiently(lambda: self.store.write(work), say=self._say, patience=self.patience)


def _now() -> datetime:
    return datetime.now(UTC)
