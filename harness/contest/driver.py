"""Takes every waiting entry of a contest to its result, unattended; may be killed at any moment.

The database says what is wanted and what is done, the engine what is running where. There is no queue, no
scheduler and no messaging here: a shard is claimed when the engine has a place for it, and its outcome is
accepted by compare-and-set. Everything else can be lost and is done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from harness.contest.admission import AdmittedEntry, Prepared, admit, jobs_of
from harness.contest.claimed_shard import shard_job
from harness.contest.concluder import Concluder
from harness.contest.conclusion import Conclusion, keep, must_have_accepted
from harness.contest.hand import Feed, Hand
from harness.contest.patience import HASTE_SECONDS
from harness.contest.shard_job import (
    BackendMaker,
    CancelledError,
    ShardDone,
    ShardJob,
    ShardPlaces,
    fault_in_words,
    run_shard,
)
from harness.contest.shard_ledger import ShardLedger
from harness.contest.sources import Source
from harness.contest.stopper import Stopper
from harness.contest.waiting_entries import Waiting, in_turn
from harness.contest.watcher import Watcher
from harness.core.engines import Engine, JobResult
from harness.core.errors import InfrastructureError
from harness.core.types import SetName
from harness.results.job_key import JobKey
from harness.results.result import read_result
from harness.results.seal import Key
from harness.results.store.drivers import Wish
from harness.results.store.jobs import Job, JobState

AHEAD = 8  # entries that are opened and checked before there is a place for their shards
PAUSED_SECONDS = 1.0
LOOK_SECONDS = 2.0  # between two looks at what waits, while there is time for it


@dataclass(frozen=True, kw_only=True)
class Contest:
    """What is to be done."""

    common: Prepared
    source: Source
    backend: BackendMaker
    places: ShardPlaces
    signing_key: Key | None = None
    watch: bool = False  # wait for new entries when all is done, until a drain
    look: Callable[[Sequence[Job]], None] = lambda _: None  # at what is in hand, once a second


class Driver:
    """One contest's one driver.

    Args:
        contest: What is to be done.
        ledger: What is wanted and done.
        engine: Where shards run.
        watcher: Is informed of how it goes.
    """

    def __init__(self, contest: Contest, ledger: ShardLedger, engine: Engine, watcher: Watcher) -> None:
        self._contest = contest
        self._source = contest.source
        self._ledger = ledger
        self._engine = engine
        self._watcher = watcher
        self._hand = Hand(ledger=ledger, lost=self._stop_shard, look=contest.look, say=watcher.say)
        self._entries: dict[str, AdmittedEntry] = {}
        self._known: set[tuple[str, ...]] = set()  # keys of what was admitted
        self._begun: set[str] = set()  # runs of which a shard has begun
        self._todo: list[tuple[int, Waiting]] = []
        self._looked = 0.0
        self._concluder = Concluder(self._concluded)
        self._over: set[str] = set()  # runs with a result, or given up
        self._unconcluded: set[str] = set()  # runs that have all but their result
        self._stopper = Stopper(common=contest.common, source=contest.source)

    def run(self) -> bool:
        """Work until every entry has its result, or the organiser wishes otherwise.

        Returns:
            Whether all is done; false after a drain that leaves something, and without a result that is due.

        Raises:
            ConfigError: another driver is at work, or has taken over.
            InfrastructureError: the engine or the database stays away. What was done is kept.
        """
        self._hand.open()
        for run_id, score in self._ledger.private_scores(self._contest.common.challenge.sha256):
            self._stopper.scored(run_id, score)
        self._concluder.start()
        try:
            self._look()
            while self._work():
                pass
            self._concluder.finish()
            done = not self._unconcluded and (self._hand.wish is not Wish.DRAIN or not self._left())
        except BaseException:
            self._ledger.make_haste()  # before anybody is waited for who may wait for the database
            try:
                self._concluder.finish(seconds=HASTE_SECONDS)
            finally:
                self._hand.close(in_haste=True)
            raise
        self._hand.close()
        return done

    def _work(self) -> bool:
        """Let the engine work until nothing is to be had; returns whether there may be more later."""
        if self._wished(Wish.PAUSE):  # all nodes may be away meanwhile, without anybody's despair
            self._raise_fault()
            time.sleep(PAUSED_SECONDS)
            return True
        for result in self._engine.map(run_shard, Feed(self._next)):
            self._take(result)
            self._raise_fault()
        self._raise_fault()
        if self._wished(Wish.DRAIN):
            return False
        if self._wished(Wish.PAUSE):
            return True
        self._look()
        more = self._contest.watch or self._left()
        if more:  # what is left may wait for a while, after a fault
            time.sleep(PAUSED_SECONDS)
        return more

    def _wished(self, what: Wish) -> bool:
        return self._hand.wish is what  # as it is now: another thread hears of it

    def _left(self) -> bool:
        return bool(self._todo) or bool(self._ledger.listed(JobState.WAITING))

    def _look(self) -> None:
        """Find entries that are not in hand yet, and drop those that are no longer wanted."""
        self._todo = [
            (turn, one) for turn, one in in_turn(self._source.waiting()) if one.key not in self._known
        ]
        self._ledger.unseen = len(self._todo)
        self._looked = time.monotonic()
        for entry in [entry for run_id, entry in self._entries.items() if run_id not in self._over]:
            why = self._source.withdrawn(entry.waiting)
            if why:
                self._drop(entry, why)
        for run_id in {job.run_id for job in self._ledger.listed(JobState.CANCELLED)} - self._over:
            if run_id in self._entries:  # by `contest cancel-run`, perhaps before a shard of it began
                self._conclude_if_done(self._entries[run_id])

    def _drop(self, entry: AdmittedEntry, why: str) -> None:
        if self._ledger.cancel(entry.run_id, why):
            self._watcher.say(f"{entry.run_id}: {why}")
        self._conclude_if_done(entry)

    def _next(self) -> ShardJob | None:
        """Claim the next shard; None if there is nothing to begin just now."""
        self._raise_fault()
        if self._hand.wish is not Wish.RUN:
            return None
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
        self._admit_some()
        while (job := self._ledger.claim()) is not None:
            if (entry := self._entry_of(job)) is None:
                self._ledger.give_up(job, "its package is no longer among the entries")
            elif self._may_begin(entry):
                self._hand.take(job)
                return shard_job(
                    self._contest.common, entry, job, self._contest.places, self._contest.backend
                )
        return None

    def _may_begin(self, entry: AdmittedEntry) -> bool:
        if entry.run_id not in self._begun:
            why_not = self._source.begin(entry.waiting)
            if why_not:
                self._drop(entry, why_not)
                return False
            self._begun.add(entry.run_id)
        return True

    def _admit_some(self) -> None:
        """Open and check the next entries, in turn, so that there is always something to claim."""
        waiting = len(self._entries) - len(self._over)
        while self._todo and waiting < AHEAD + len(self._hand):
            turn, one = self._todo.pop(0)
            self._admit(one, turn)
            waiting = len(self._entries) - len(self._over)

    def _admit(self, one: Waiting, turn: int) -> AdmittedEntry:
        self._ledger.unseen = len(self._todo)
        entry = admit(self._contest.common, one, turn)
        self._entries[entry.run_id] = entry
        self._known.add(one.key)
        if one.package_sha256 not in {"", entry.facts.sha256}:
            self._over.add(entry.run_id)
            self._watcher.warn(f"{one.package} is not the package that was handed in as {one.name}")
        elif entry.folder.result.is_file():
            self._has_result(entry, tell=self._watcher.known)
        elif entry.why_not:
            self._concluder.put(self._conclusion(entry, ()))
        else:
            self._ledger.admit(jobs_of(self._contest.common, entry))
            must_have_accepted(entry.folder, self._ledger.of_run(entry.run_id))
            self._conclude_if_done(entry)
        return entry

    def _entry_of(self, job: Job) -> AdmittedEntry | None:
        while job.run_id not in self._entries and self._todo:
            turn, one = self._todo.pop(0)
            self._admit(one, turn)
        return self._entries.get(job.run_id)

    def _take(self, result: JobResult[ShardJob, ShardDone]) -> None:
        """Offer the outcome of a shard to the database, which accepts it once or not at all."""
        key = result.job.key
        job = self._hand.let_go(key)
        entry = self._entries[job.run_id]
        if result.error is None:
            done = result.unwrap()
            try:
                kept = keep(entry.folder, job, done)
            except InfrastructureError:
                self._hand.take(job)  # to be given back with the rest
                raise
            if self._ledger.accept(job, kept):
                self._watcher.accepted(job, done)
            else:
                self._watcher.warn(f"{job.run_id}: a shard came back too late, and does not count")
        elif not isinstance(result.error, CancelledError):
            state = self._ledger.give_back(job, fault_in_words(result))
            if state is not None:
                self._watcher.warn(
                    f"{job.run_id}: {key.set_name} shard {key.shard}: {fault_in_words(result)}: {state}"
                )
        self._conclude_if_done(entry)

    def _conclude_if_done(self, entry: AdmittedEntry) -> None:
        jobs = self._ledger.of_run(entry.run_id)
        why = self._stopper.reason_to_stop(entry, jobs)
        if why and self._ledger.cancel(entry.run_id, why):
            self._watcher.warn(f"{entry.run_id}: {why}")
            jobs = self._ledger.of_run(entry.run_id)
        states = {job.state for job in jobs}
        if states & {JobState.WAITING, JobState.CLAIMED}:
            return
        stopped = self._stopper.stopped(entry, jobs)
        if stopped or states <= {JobState.DONE}:
            self._concluder.put(self._conclusion(entry, jobs, stopped))
        elif entry.run_id not in self._over:
            self._over.add(entry.run_id)
            notes = [job.note for job in jobs if job.state is not JobState.DONE and job.note]
            self._source.given_up(entry.waiting, notes[0] if notes else "it was cancelled")
            self._watcher.finished(entry)

    def _conclusion(self, entry: AdmittedEntry, jobs: tuple[Job, ...], stopped: str = "") -> Conclusion:
        return Conclusion(
            common=self._contest.common,
            entry=entry,
            jobs=jobs,
            signing_key=self._contest.signing_key,
            stopped_early=stopped,
        )

    def _concluded(self, result: JobResult[Conclusion, object]) -> None:
        """Record a finished entry; runs in the concluder's thread."""
        entry = result.job.entry
        if isinstance(result.error, InfrastructureError):
            raise result.error  # a full disk: the next one would be no better
        if result.error is not None:
            self._watcher.warn(f"{entry.run_id} cannot be concluded: {result.error}")
            self._unconcluded.add(entry.run_id)
            self._over.add(entry.run_id)
            return
        self._has_result(entry, tell=self._watcher.finished)

    def _has_result(self, entry: AdmittedEntry, *, tell: Callable[[AdmittedEntry], None]) -> None:
        self._source.finished(entry)
        self._stopper.finished(entry, read_result(entry.folder.result))
        self._over.add(entry.run_id)
        tell(entry)

    def _stop_shard(self, key: JobKey) -> None:
        """Have a shard stop before its next video."""
        entry = self._entries.get(key.run_id)
        if entry is not None:
            place = entry.folder.stop(SetName(key.set_name), key.shard)
            with suppress(OSError):  # of a full disk: the next beat says it again
                place.touch()

    def _raise_fault(self) -> None:
        self._hand.check()
        self._concluder.check()
