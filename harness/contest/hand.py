"""What a driver holds at present, the thread that keeps its claims meanwhile, and how an engine is fed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.contest.patience import HASTE_SECONDS
from harness.contest.shard_job import ShardJob
from harness.contest.shard_ledger import BEAT_SECONDS, FollowedError, ShardLedger
from harness.core.errors import StoreError
from harness.results.job_key import JobKey
from harness.results.store.drivers import Wish
from harness.results.store.jobs import Job

LOOK_SECONDS = 1.0
_SAID = {
    Wish.RUN: "resumed",
    Wish.PAUSE: "paused: what runs is finished, and nothing begins until `contest resume`",
    Wish.DRAIN: "drained: what runs is finished, then this driver ends; `contest resume` takes it back",
}


@dataclass(kw_only=True)
class Hand:
    """Claims, kept by a thread of their own: a busy driver must not look like a silent one.

    Attributes:
        ledger: Where claims are kept.
        lost: Told which claim is no longer the driver's; its shard should stop.
        say: Told what the organiser wishes, when that changes.
        look: Called about once a second with the claims in hand, in the thread that keeps them.
        wish: The organiser's, as last heard.
        fault: What ended the keeping of claims, for the driver to raise.
    """

    ledger: ShardLedger
    lost: Callable[[JobKey], None]
    say: Callable[[str], None] = lambda _: None
    look: Callable[[Sequence[Job]], None] = lambda _: None
    wish: Wish = Wish.RUN
    fault: BaseException | None = None
    _jobs: dict[JobKey, Job] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _beats: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._jobs)

    def open(self) -> None:
        """Become the contest's driver, and keep saying so.

        Raises:
            ConfigError: another driver is at work.
        """
        self._heed(self.ledger.drive())
        self._beats = threading.Thread(target=self._keep, name="claims", daemon=True)
        self._beats.start()

    def close(self, *, in_haste: bool = False) -> None:
        """Give everything back, unless another driver has it already.

        Args:
            in_haste: After an error or an interruption, a database that is away is not waited for: the next
                driver gives out again what stays claimed.
        """
        self._stop.set()
        if in_haste:
            self.ledger.make_haste()
            try:
                self._give_back(seconds=HASTE_SECONDS)
            except StoreError as error:
                self.say(f"what was claimed is given out again by the next driver: {error.message}")
        else:
            self._give_back()

    def _give_back(self, *, seconds: float | None = None) -> None:
        if self._beats is not None:
            self._beats.join(seconds)
            if self._beats.is_alive():
                raise StoreError("the database does not answer", remedy="Look whether its server is well.")
        if isinstance(self.fault, FollowedError):
            return
        with self._lock:
            held, self._jobs = list(self._jobs.values()), {}
        for job in held:
            self.ledger.let_wait(job, "its driver was stopped")
        self.ledger.leave()

    def take(self, job: Job) -> None:
        """Hold a claim."""
        with self._lock:
            self._jobs[job.key] = job

    def let_go(self, key: JobKey) -> Job:
        """Hold a claim no longer; return it."""
        with self._lock:
            return self._jobs.pop(key)

    def check(self) -> None:
        """Raise what ended the keeping of claims.

        Raises:
            FollowedError: another driver has taken over.
            StoreError: the database stays away.
        """
        if self.fault is not None:
            raise self.fault

    def _keep(self) -> None:
        beaten = time.monotonic()
        while not self._stop.wait(LOOK_SECONDS):
            with self._lock:
                held = list(self._jobs.values())
            try:
                self.look(held)
                if time.monotonic() - beaten < BEAT_SECONDS:
                    continue
                beaten = time.monotonic()
                wish, lost = self.ledger.beat([(job.key, job.attempt, job.token) for job in held])
                self._heed(wish)
                for key in lost:
                    self.lost(key)
            except Exception as error:  # noqa: BLE001  (the driver raises it: without beats it must not go on)
                self.fault = error
                return

    def _heed(self, wish: Wish) -> None:
        if wish is not self.wish:
            self.say(_SAID[wish])
        self.wish = wish


class Feed(Iterator[ShardJob]):
    """Shards for an engine; nothing just now may be something later: it may be asked again after its end."""

    def __init__(self, following: Callable[[], ShardJob | None]) -> None:
        self._following = following

    def __next__(self) -> ShardJob:
        job = self._following()
        if job is None:
            raise StopIteration
        return job
