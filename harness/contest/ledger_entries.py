"""From a contest's ledger to the driver and back: which entries wait there, and what came of each.

The ledger decides; here its decisions are only carried. An entry whose attempt is no longer wanted is not
begun, and a result that comes too late is refused by the rules and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from harness.contest.admission import AdmittedEntry
from harness.contest.entries import Waiting
from harness.contest.events import Event
from harness.contest.intake import package_path, record_run
from harness.contest.ledger import Accepted, Also, Ledger
from harness.contest.rules import HARNESS, ORGANISER, Refusal
from harness.contest.rules.commands import CancelEntry, Start, VoidAttempt
from harness.contest.state import UNFINISHED, Entry, State
from harness.core.errors import ConfigError
from harness.results.store import jobs
from harness.results.store.jobs import Job, JobState

_ATTEMPT = "."  # between an entry's id, which has none, and the number of its attempt


class LedgerEntries:
    """The entries of one contest. Safe to use from the driver's threads.

    Args:
        ledger: The contest's.
        packages: The folder of packages, each by its sha256.
        say: Is informed of what could not be put on record, and why.
    """

    def __init__(self, ledger: Ledger, packages: Path, *, say: Callable[[str], None]) -> None:
        self._ledger = ledger
        self._packages = packages
        self._say = say

    def waiting(self) -> tuple[Waiting, ...]:
        """Return what waits or runs, the earliest first.

        Raises:
            ConfigError: there is no such contest.
        """
        state = self._ledger.state()
        if state.rules is None:
            raise ConfigError(
                "there is no contest of this challenge in the store",
                remedy="Make one with `harness contest init`, or name the store with --store.",
            )
        return tuple(
            Waiting(
                team=one.team,
                package=package_path(self._packages, one.package_sha256),
                handed_in=one.submitted.timestamp(),
                label=label_of(one),
            )
            for one in state.entries.values()
            if one.status in UNFINISHED
        )

    def begun(self, entry: AdmittedEntry) -> bool:
        """Put on record that an entry's attempt runs; false if it is no longer wanted."""
        name, attempt = parted(entry.waiting.name)
        return isinstance(
            self._ledger.ask(Start(entry=name, attempt=attempt), now=_now(), by=HARNESS), Accepted
        )

    def finished(self, entry: AdmittedEntry) -> None:
        """Put the result of an entry's attempt on record; doing it twice changes nothing."""
        found = self._current(entry)
        if found is not None:
            self._tell(entry, record_run(self._ledger, found, entry.folder, now=_now()))

    def given_up(self, entry: AdmittedEntry, listed: Sequence[Job]) -> None:
        """Put on record that an attempt comes to no result: our fault, or the organiser's wish.

        Args:
            entry: Whose shards are all over, and not all done.
            listed: Its jobs.
        """
        found = self._current(entry)
        if found is None:
            return
        failed = [job.note or "a shard was given up" for job in listed if job.state is JobState.FAILED]
        if failed:
            asked = VoidAttempt(entry=found.entry, attempt=found.attempt, reason=failed[0])
            self._tell(entry, self._ledger.ask(asked, now=_now(), by=HARNESS))
        else:
            why = next((job.note for job in listed if job.state is JobState.CANCELLED and job.note), "")
            cancel = CancelEntry(entry=found.entry, reason=why or "its run was cancelled")
            self._tell(entry, self._ledger.ask(cancel, now=_now(), by=ORGANISER))

    def _current(self, entry: AdmittedEntry) -> Entry | None:
        """Return the entry if this attempt of it still waits or runs."""
        name, attempt = parted(entry.waiting.name)
        found = self._ledger.state().entries.get(name)
        current = found is not None and found.attempt == attempt and found.status in UNFINISHED
        return found if current else None

    def _tell(self, entry: AdmittedEntry, answer: Accepted | Refusal) -> None:
        if isinstance(answer, Refusal):
            self._say(f"{entry.waiting.name}: not on record: {answer.in_words()}")


def label_of(entry: Entry) -> str:
    """Return what the jobs of an entry's attempt are called."""
    return entry.entry if entry.attempt == 1 else f"{entry.entry}{_ATTEMPT}{entry.attempt}"


def parted(label: str) -> tuple[str, int]:
    """Return entry and attempt of a label."""
    name, _, attempt = label.partition(_ATTEMPT)
    return name, int(attempt or 1)


def cancel_jobs(entry: str) -> Also:
    """Return what to do beside `CancelEntry`: its jobs are cancelled in the same transaction."""

    def also(connection: sa.Connection, state: State, events: tuple[Event, ...]) -> None:
        if not events:
            return
        label = label_of(state.entries[entry])
        runs = {
            job.run_id for job in jobs.listed(connection, challenge=state.challenge) if job.entry == label
        }
        for run_id in runs:
            jobs.cancel(connection, run_id=run_id, now=_now(), note="the entry was cancelled")

    return also


def _now() -> datetime:
    return datetime.now(UTC)
