"""Takes every waiting entry of a contest to its result, unattended; may be killed at any moment.

The database says what is wanted and what is done, the engine what is running where. There is no queue, no
scheduler and no messaging here: a shard is claimed when the engine has a place for it, and its outcome is
accepted by compare-and-set. Everything else can be lost and is done again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from harness.contest.admission import AdmittedEntry, Prepared, admit, jobs_of, shards
from harness.contest.concluder import Concluder
from harness.contest.conclusion import Conclusion, keep
from harness.contest.entries import Waiting, in_turn
from harness.contest.entry_record import EntryRecord, NoRecord
from harness.contest.in_hand import Feed, InHand
from harness.contest.live_counts import LOOK_SECONDS, LiveCounts
from harness.contest.shard_job import (
    BackendMaker,
    CancelledError,
    ShardDone,
    ShardJob,
    ShardPlaces,
    run_shard,
)
from harness.contest.shard_ledger import BEAT_SECONDS, FollowedError, ShardLedger
from harness.contest.stopper import Stopper
from harness.core.engines import Engine, JobResult
from harness.core.errors import HarnessError
from harness.core.types import SetName
from harness.results.result import read_result
from harness.results.seal import Key
from harness.results.store.drivers import Wish
from harness.results.store.jobs import Job, JobState

AHEAD = 8  # entries that are opened and checked before there is a place for their shards
PAUSED_SECONDS = 1.0


class Watcher(Protocol):
    """Watches how a contest goes."""

    def say(self, text: str) -> None:
        """Something that a person may want to know."""

    def warn(self, text: str) -> None:
        """Something that a person should not miss."""

    def accepted(self, job: Job, done: ShardDone) -> None:
        """Hear that a shard's outcome counts."""

    def finished(self, entry: AdmittedEntry) -> None:
        """Hear that an entry has its result, or was given up."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """What is to be done."""

    common: Prepared
    waiting: Callable[[], tuple[Waiting, ...]]  # looked at again when everything is done
    backend: BackendMaker
    places: ShardPlaces
    signing_key: Key | None = None
    record: EntryRecord = field(default_factory=NoRecord)
    stay: bool = False  # wait for further entries when all is done, until the organiser wishes otherwise


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
        self._ledger = ledger
        self._engine = engine
        self._watcher = watcher
        self._hand = InHand()
        self._entries: dict[str, AdmittedEntry] = {}
        self._todo: list[tuple[int, Waiting]] = []
        self._concluder = Concluder(self._concluded)
        self._over: set[str] = set()  # runs with a result, or given up
        self._begun: set[str] = set()
        self._looked = 0.0
        rules = contest.common.challenge.contest
        self._stopper = Stopper(common=contest.common, rule=rules.early_stopping if rules else None)

    def run(self) -> bool:
        """Work until every entry has its result, or the organiser wishes otherwise.

        Returns:
            Whether all is done; false after a drain.

        Raises:
            ConfigError: another driver is at work, or has taken over.
            InfrastructureError: the engine or the database stays away. What was done is kept.
        """
        self._hand.wish = self._ledger.drive()
        stop = threading.Event()
        beats = threading.Thread(target=self._keep_claims, args=(stop,), name="claims", daemon=True)
        beats.start()
        self._concluder.start()
        try:
            self._look()
            while self._work():
                pass
            self._concluder.finish()
            return self._hand.wish is not Wish.DRAIN or not self._todo
        finally:
            self._concluder.finish()
            stop.set()
            beats.join()
            if not isinstance(self._hand.fault, FollowedError):
                self._give_all_back()
                self._ledger.leave()

    def _work(self) -> bool:
        """Let the engine work until nothing is to be had; returns whether there may be more later."""
        for result in self._engine.map(run_shard, Feed(self._next)):
            self._take(result)
            self._raise_fault()
        self._raise_fault()
        if self._hand.wish is Wish.DRAIN:
            return False
        if self._hand.wish is Wish.PAUSE:
            time.sleep(PAUSED_SECONDS)
            return True
        self._look()
        left = bool(self._todo) or any(job.state is JobState.WAITING for job in self._ledger.listed())
        if self._contest.stay and not left:
            time.sleep(LOOK_SECONDS)
        return left or self._contest.stay

    def _look(self) -> None:
        """Find entries that are not in hand yet."""
        self._looked = time.monotonic()
        known = {entry.waiting for entry in self._entries.values()}
        self._todo = [(turn, one) for turn, one in in_turn(self._contest.waiting()) if one not in known]

    def _next(self) -> ShardJob | None:
        """Claim the next shard; None if there is nothing to begin just now."""
        self._raise_fault()
        if self._hand.wish is not Wish.RUN:
            return None
        if self._contest.stay and time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
        self._admit_some()
        while (job := self._ledger.claim()) is not None:
            entry = self._entry_of(job)
            if entry is None:
                self._ledger.give_back(job, "its package is no longer among the entries", for_good=True)
                continue
            if job.run_id not in self._begun and not self._contest.record.begun(entry):
                self._ledger.cancel(job.run_id, "the entry is no longer wanted")
                continue
            self._begun.add(job.run_id)
            with self._hand.lock:
                self._hand.jobs[job.key] = job
            return self._shard_job(job, entry)
        return None

    def _admit_some(self) -> None:
        """Open and check the next entries, in turn, so that there is always something to claim."""
        waiting = len(self._entries) - len(self._over)
        while self._todo and waiting < AHEAD + len(self._hand.jobs):
            turn, one = self._todo.pop(0)
            self._admit(one, turn)
            waiting = len(self._entries) - len(self._over)

    def _admit(self, one: Waiting, turn: int) -> AdmittedEntry:
        entry = admit(self._contest.common, one, turn)
        self._entries[entry.run_id] = entry
        if entry.folder.result.is_file():
            self._end(entry)
        elif entry.why_not:
            self._concluder.put(self._conclusion(entry, ()))
        else:
            self._ledger.admit(jobs_of(self._contest.common, entry))
            self._conclude_if_done(entry)
        return entry

    def _entry_of(self, job: Job) -> AdmittedEntry | None:
        while job.run_id not in self._entries and self._todo:
            turn, one = self._todo.pop(0)
            self._admit(one, turn)
        return self._entries.get(job.run_id)

    def _shard_job(self, job: Job, entry: AdmittedEntry) -> ShardJob:
        name, common = SetName(job.set_name), self._contest.common
        shard = shards(common, entry)[name][job.shard]
        stop = entry.folder.stop(name, job.shard)
        stop.parent.mkdir(parents=True, exist_ok=True)
        stop.unlink(missing_ok=True)
        return ShardJob(
            key=job.key,
            attempt=job.attempt,
            token=job.token,
            package=entry.package,
            package_blob=entry.blob,
            package_sha256=entry.facts.sha256,
            image=common.image.label,
            videos=shard.videos,
            sizes=tuple(video.path.stat().st_size for video in shard.videos) if common.store else (),
            order_seed=shard.order_seed,
            terms=common.challenge.terms,
            places=self._contest.places,
            backend=self._contest.backend,
            stop=stop,
            videos_done=entry.folder.videos_done(name, job.shard) if name is SetName.PUBLIC else None,
        )

    def _take(self, result: JobResult[ShardJob, ShardDone]) -> None:
        """Offer the outcome of a shard to the database, which accepts it once or not at all."""
        key = result.job.key
        with self._hand.lock:
            job = self._hand.jobs.pop(key)
        entry = self._entries[job.run_id]
        if result.error is None:
            done = result.unwrap()
            if self._ledger.accept(job, keep(entry.folder, job, done)):
                self._watcher.accepted(job, done)
            else:
                self._watcher.warn(f"{job.run_id}: a shard came back too late, and does not count")
        elif not isinstance(result.error, CancelledError):
            state = self._ledger.give_back(job, _why(result))
            if state is not None:
                self._watcher.warn(f"{job.run_id}: {key.set_name} shard {key.shard}: {_why(result)}: {state}")
        self._conclude_if_done(entry)

    def _conclude_if_done(self, entry: AdmittedEntry) -> None:
        jobs = self._ledger.of_run(entry.run_id)
        why = self._stopper.reason_to_stop(entry, jobs)
        if why and self._ledger.cancel(entry.run_id, why):
            self._watcher.warn(f"{entry.run_id}: {why}")
            jobs = self._ledger.of_run(entry.run_id)
        states = {job.state for job in jobs}
        if states <= {JobState.DONE}:
            self._concluder.put(self._conclusion(entry, jobs))
        elif not states & {JobState.WAITING, JobState.CLAIMED} and entry.run_id not in self._over:
            self._over.add(entry.run_id)
            self._contest.record.given_up(entry, jobs)
            self._watcher.finished(entry)

    def _conclusion(self, entry: AdmittedEntry, jobs: tuple[Job, ...]) -> Conclusion:
        return Conclusion(
            common=self._contest.common, entry=entry, jobs=jobs, signing_key=self._contest.signing_key
        )

    def _concluded(self, result: JobResult[Conclusion, object]) -> None:
        """Record a finished entry; runs in the concluder's thread."""
        entry = result.job.entry
        if result.error is not None:
            self._watcher.warn(f"{entry.run_id} cannot be concluded: {result.error}")
            self._over.add(entry.run_id)
            return
        self._ledger.record(entry.folder, entry.waiting.team)
        self._end(entry)

    def _end(self, entry: AdmittedEntry) -> None:
        """Hear that an entry has its result."""
        self._contest.record.finished(entry)
        self._stopper.finished(entry, read_result(entry.folder.result))
        self._over.add(entry.run_id)
        self._watcher.finished(entry)

    def _keep_claims(self, stop: threading.Event) -> None:
        counts = LiveCounts(ledger=self._ledger, runs=self._contest.common.runs)
        beaten = time.monotonic()
        while not stop.wait(LOOK_SECONDS):
            try:
                counts.look(self._hand.listed())
                if time.monotonic() - beaten < BEAT_SECONDS:
                    continue
                beaten = time.monotonic()
                self._hand.wish, lost = self._ledger.beat(self._hand.claims())
            except HarnessError as error:
                self._hand.fault = error
                return
            for key in lost:
                entry = self._entries.get(key.run_id)
                if entry is not None:
                    entry.folder.stop(SetName(key.set_name), key.shard).touch()

    def _raise_fault(self) -> None:
        if self._hand.fault is not None:
            raise self._hand.fault

    def _give_all_back(self) -> None:
        with self._hand.lock:
            held, self._hand.jobs = list(self._hand.jobs.values()), {}
        for job in held:
            self._ledger.give_back(job, "its driver was stopped")


def _why(result: JobResult[ShardJob, ShardDone]) -> str:
    error = result.error
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
