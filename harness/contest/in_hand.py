"""What a driver holds at present, and how an engine is fed from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from harness.contest.shard_job import ShardJob
from harness.results.store.drivers import Wish
from harness.results.store.jobs import Job, JobKey


@dataclass(kw_only=True)
class InHand:
    """Shared with the thread that keeps the driver's claims."""

    jobs: dict[JobKey, Job] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    wish: Wish = Wish.RUN
    fault: BaseException | None = None

    def claims(self) -> list[tuple[JobKey, int, int]]:
        """Return key, attempt and token of each claim."""
        return [(job.key, job.attempt, job.token) for job in self.listed()]

    def listed(self) -> list[Job]:
        """Return the jobs in hand."""
        with self.lock:
            return list(self.jobs.values())


class Feed(Iterator[ShardJob]):
    """Shards for an engine; nothing just now may be something later: it may be asked again after its end."""

    def __init__(self, following: Callable[[], ShardJob | None]) -> None:
        self._following = following

    def __next__(self) -> ShardJob:
        job = self._following()
        if job is None:
            raise StopIteration
        return job
