"""Where a driver's entries come from, and who learns what became of them: a folder, or the contest's log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from harness.contest.admission import AdmittedEntry
from harness.contest.intake import package_path, record_run
from harness.contest.ledger import Ledger
from harness.contest.patience import PATIENCE_SECONDS, patiently
from harness.contest.private_score import PrivateScore
from harness.contest.rules import HARNESS, Command, Refusal
from harness.contest.rules.commands import Start, Tick, VoidAttempt
from harness.contest.rules.finals import settled_rivals
from harness.contest.rules.phases import due
from harness.contest.shard_ledger import ShardLedger
from harness.contest.state import UNFINISHED, Entry, EntryStatus, State
from harness.contest.waiting_entries import Waiting, find_entries
from harness.core.challenge import Challenge
from harness.core.contest import ContestRules
from harness.core.errors import ConfigError
from harness.core.text import printable
from harness.results.run_folder import RunFolder
from harness.results.run_row import enter, entry_path

Say = Callable[[str], None]
OTHERS_SHOWN = 20  # things in a folder that are no entries
AboutToRecord = Callable[[RunFolder], AbstractContextManager[None]]
_T = TypeVar("_T")


class Source(Protocol):
    """Says what waits, and hears what became of it. Called from the driver's thread and its concluder's."""

    no_entries: int  # things in its place that are no entries

    def waiting(self) -> tuple[Waiting, ...]:
        """Return what has no result yet, or may have none; the earliest first."""
        ...

    def withdrawn(self, waiting: Waiting) -> str:
        """Say why an entry is no longer wanted, by the last look at what waits; empty: it is."""
        ...

    def begin(self, waiting: Waiting) -> str:
        """Hear that an entry's first shard begins; say why it must not. Empty: it may."""
        ...

    def finished(self, entry: AdmittedEntry) -> None:
        """Hear that an entry's result is in its folder; hearing it twice changes nothing."""
        ...

    def given_up(self, waiting: Waiting, why: str) -> None:
        """Hear that an entry gets no result, by no fault of its own."""
        ...

    def rules(self) -> ContestRules | None:
        """Return the rules that were announced to teams; None if that is for challenge.toml to say."""
        ...

    def rivals(self, waiting: Waiting, scores: Mapping[str, PrivateScore]) -> tuple[float, ...]:
        """Return the private log losses that other teams are judged by, whatever is still to come.

        Args:
            waiting: The entry that they are rivals of.
            scores: By run, of all that are finished.
        """
        ...


class FolderSource:
    """What is in a folder; a finished run is entered under its team in the index, and that is all.

    Args:
        folder: `DIR/TEAM/PACKAGE.zip`.
        ledger: Its index.
        say: Told what in the folder is not an entry, and why.

    Raises:
        ConfigError: the folder is not there, or contains nothing that could be a package.
    """

    def __init__(self, folder: Path, ledger: ShardLedger, *, say: Say = lambda _: None) -> None:
        self._folder = folder
        self._ledger = ledger
        self._say = say
        self._told: set[Path] = set()
        self.no_entries = 0  # things in the folder that are none, at the last look
        self._last = self._found()  # what is wrong with it is said before any long work

    def waiting(self) -> tuple[Waiting, ...]:
        """See `Source`. A folder that is away for a while has what it had."""
        try:
            self._last = self._found()
        except (ConfigError, OSError) as error:
            if self._folder not in self._told:
                self._told.add(self._folder)
                self._say(f"what was found before goes on: {error}")
        return self._last

    def _found(self) -> tuple[Waiting, ...]:
        found = find_entries(self._folder)
        self.no_entries = len(found.no_entries)
        new = [(path, why) for path, why in found.no_entries if path not in self._told]
        self._told.update(path for path, _ in new)
        for path, why in new[:OTHERS_SHOWN]:
            self._say(f"no entry: {printable(str(path))} {why}")
        if len(new) > OTHERS_SHOWN:
            self._say(f"no entry: {len(new) - OTHERS_SHOWN} more things in {self._folder}")
        return found.entries

    def withdrawn(self, waiting: Waiting) -> str:
        """See `Source`."""
        del waiting
        return ""

    def begin(self, waiting: Waiting) -> str:
        """See `Source`."""
        del waiting
        return ""

    def finished(self, entry: AdmittedEntry) -> None:
        """See `Source`."""
        self._ledger.record(entry.folder, entry.waiting.team)

    def given_up(self, waiting: Waiting, why: str) -> None:
        """See `Source`: `contest status` says it."""

    def rules(self) -> ContestRules | None:
        """See `Source`."""
        return None

    def rivals(self, waiting: Waiting, scores: Mapping[str, PrivateScore]) -> tuple[float, ...]:
        """See `Source`: each other team's best."""
        best: dict[str, float] = {}
        for one in scores.values():
            best[one.team] = min(one.log_loss, best.get(one.team, one.log_loss))
        return tuple(loss for team, loss in best.items() if team != waiting.team)


class StoreSource:
    """What was handed in to a contest: every entry that waits or runs by the contest's log.

    An attempt that begins, ends with a score, fails or is given up is an event there, so that quotas, refunds
    and boards follow by themselves. An entry whose package is not at hand waits until it is.

    Args:
        ledger: The contest's log.
        packages: The folder of packages, each by its sha256.
        challenge: As it is run: it must be the one that the contest was made of.
        say: Told what a person should know.
        patience: For how long a database that is away is waited for, in seconds; may change meanwhile.

    Attributes:
        about_to_record: Held while a run's result is recorded; regrades wait for it, and it for them.

    Raises:
        ConfigError: there is no such contest, it is of another challenge, or the folder is not there.
    """

    def __init__(
        self,
        ledger: Ledger,
        packages: Path,
        *,
        challenge: Challenge,
        say: Say = lambda _: None,
        patience: Callable[[], float] = lambda: PATIENCE_SECONDS,
    ) -> None:
        self.about_to_record: AboutToRecord = lambda _: nullcontext()
        self.no_entries = 0
        self._ledger = ledger
        self._packages = packages
        self._say = say
        self._patience = patience
        self._here: set[tuple[str, ...]] = set()
        self._missing: set[tuple[str, ...]] = set()
        self._state = ledger.state()
        _check(self._state, challenge, packages)

    def waiting(self) -> tuple[Waiting, ...]:
        """See `Source`. Phases that the calendar has begun since are written down."""
        self._state = self._patiently(self._ledger.state)
        if due(self._state, _now()):
            self._ask(Tick())
        found = handed_in(self._state, self._packages)
        for one in found:
            if one.key in self._here:
                continue
            if one.package.is_file():
                self._here.add(one.key)
            elif one.key not in self._missing:
                self._missing.add(one.key)
                self._say(f"entry {one.entry} waits for its package: {one.package} is not there")
        return tuple(one for one in found if one.key in self._here)

    def withdrawn(self, waiting: Waiting) -> str:
        """See `Source`."""
        found = self._state.entries[waiting.entry]
        if found.attempt != waiting.attempt:
            return f"attempt {waiting.attempt} is over: {found.attempt} is the latest"
        return "it was withdrawn" if found.status is EntryStatus.CANCELLED else ""

    def begin(self, waiting: Waiting) -> str:
        """See `Source`."""
        return self._ask(Start(entry=waiting.entry, attempt=waiting.attempt))

    def finished(self, entry: AdmittedEntry) -> None:
        """See `Source`. A result that comes after the entry was withdrawn, or run anew, changes nothing."""
        waiting, folder = entry.waiting, entry.folder
        found = self._patiently(self._ledger.state).entries[waiting.entry]
        if found.attempt != waiting.attempt or found.status not in UNFINISHED:
            return
        if not entry_path(folder).is_file():
            enter(folder, team=found.team, submitted=found.submitted)
        with self.about_to_record(folder):
            answer = self._patiently(lambda: record_run(self._ledger, found, folder, now=_now()))
        if isinstance(answer, Refusal):
            self._say(f"the result of entry {waiting.entry} is not recorded: {answer.message}")

    def given_up(self, waiting: Waiting, why: str) -> None:
        """See `Source`. It is voided: what it cost is refunded, and `contest requeue` lets it wait again."""
        self._ask(VoidAttempt(entry=waiting.entry, attempt=waiting.attempt, reason=why))

    def rules(self) -> ContestRules | None:
        """See `Source`: as they are amended."""
        return self._state.rules

    def rivals(self, waiting: Waiting, scores: Mapping[str, PrivateScore]) -> tuple[float, ...]:
        """See `Source`."""
        team = self._state.entries[waiting.entry].team
        losses = {run_id: one.log_loss for run_id, one in scores.items()}
        return settled_rivals(self._state, losses, team=team, now=_now())

    def _ask(self, command: Command) -> str:
        answer = self._patiently(lambda: self._ledger.ask(command, now=_now(), by=HARNESS))
        return answer.message if isinstance(answer, Refusal) else ""

    def _patiently(self, work: Callable[[], _T]) -> _T:
        return patiently(work, say=self._say, patience=self._patience)


def handed_in(state: State, packages: Path) -> tuple[Waiting, ...]:
    """Return every entry of a contest that has no result yet, the earliest first."""
    return tuple(_waiting(entry, packages) for entry in state.entries.values() if entry.status in UNFINISHED)


def _waiting(entry: Entry, packages: Path) -> Waiting:
    return Waiting(
        team=entry.team,
        package=package_path(packages, entry.package_sha256),
        handed_in=entry.submitted.timestamp(),
        entry=entry.entry,
        attempt=entry.attempt,
        package_sha256=entry.package_sha256,
    )


def must_be_contest(state: State, challenge: Challenge) -> None:
    """Refuse a store that has no contest of a challenge.

    Raises:
        ConfigError: there is none.
    """
    if state.rules is None:
        raise ConfigError(
            f"{challenge.name} is no contest in this store",
            remedy="`harness contest init` makes one of it; or name the right store with --store.",
        )


def _check(state: State, challenge: Challenge, packages: Path) -> None:
    must_be_contest(state, challenge)
    if state.challenge_sha256 != challenge.sha256:
        raise ConfigError(
            "is not the challenge that the contest was made of",
            place=challenge.name,
            remedy="Sets, limits and scoring stay as they were; only the [contest] table may be amended.",
        )
    if any(entry.status in UNFINISHED for entry in state.entries.values()) and not packages.is_dir():
        raise ConfigError(
            "is not a folder",
            place=packages,
            remedy="Name the folder where `contest submit` keeps packages: --packages.",
        )


def _now() -> datetime:
    return datetime.now(UTC)
