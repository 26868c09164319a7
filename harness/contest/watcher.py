"""What a driver tells of how a contest goes."""

from __future__ import annotations

from typing import Protocol

from harness.contest.admission import AdmittedEntry
from harness.contest.shard_job import ShardDone
from harness.results.store.jobs import Job


class Watcher(Protocol):
    """Watches how a contest goes."""

    def say(self, text: str) -> None:
        """Something that a person may want to know."""

    def warn(self, text: str) -> None:
        """Something that a person should not miss."""

    def accepted(self, job: Job, done: ShardDone) -> None:
        """Hear that a shard's outcome counts."""

    def known(self, entry: AdmittedEntry) -> None:
        """Hear that an entry had its result before this driver began."""

    def finished(self, entry: AdmittedEntry) -> None:
        """Hear that an entry has its result, or was given up."""
