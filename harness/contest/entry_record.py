"""Where a driver puts on record what becomes of entries, beside its own jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from harness.contest.admission import AdmittedEntry
from harness.results.store.jobs import Job


class EntryRecord(Protocol):
    """Is asked before an entry's first shard, and informed of how it ends; from any thread of the driver."""

    def begun(self, entry: AdmittedEntry) -> bool:
        """Hear that an entry's first shard is to begin; false if it is no longer wanted."""

    def finished(self, entry: AdmittedEntry) -> None:
        """Hear that an entry has its result; perhaps not for the first time."""

    def given_up(self, entry: AdmittedEntry, listed: Sequence[Job]) -> None:
        """Hear that no shard of an entry is left, and that there will be no result."""


class NoRecord:
    """For entries that are in a folder: the index of runs is all the record there is."""

    def begun(self, entry: AdmittedEntry) -> bool:
        """Want every entry."""
        del entry
        return True

    def finished(self, entry: AdmittedEntry) -> None:
        """Do nothing."""

    def given_up(self, entry: AdmittedEntry, listed: Sequence[Job]) -> None:
        """Do nothing."""
