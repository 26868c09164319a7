"""The thin shell around the rules: read a contest's events, decide, append; make its rows again from them.

Nothing here decides anything. The clock is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from harness.contest.events import Event, from_json, to_json
from harness.contest.rules import ORGANISER, Actor, Command, Refusal, decide
from harness.contest.state import Entry, State, Team, fold
from harness.core.errors import ConfigError, ResultError
from harness.results.store import Store, event_log
from harness.results.store.chain import Record, verify
from harness.results.store.event_log import ContestRow, EntryRow, OthersWereFaster, StoredStanding, TeamRow

_ATTEMPTS = 50  # if others decide at the same time; each time one of them got on

Also = Callable[[sa.Connection, State, tuple[Event, ...]], None]


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What a command came to: its events are on record."""

    events: tuple[Event, ...]
    state: State


class Ledger:
    """The decisions of one contest. Safe to use from several threads, and beside other processes' ledgers.

    Args:
        store: Where events are kept.
        challenge: The contest's name.
        path: Of its challenge.toml, for whoever runs its entries; kept when the contest is made.
    """

    def __init__(self, store: Store, challenge: str, *, path: str = "") -> None:
        self._store = store
        self._challenge = challenge
        self._path = path
        self._known = State()

    def state(self) -> State:
        """Return the contest as it stands. To be read only.

        Raises:
            ResultError: the log is damaged.
            StoreError: the database cannot be read.
        """
        with self._store.read() as connection:
            return self._catch_up(connection)

    def ask(
        self, command: Command, *, now: datetime, by: Actor = ORGANISER, also: Also | None = None
    ) -> Accepted | Refusal:
        """Decide about a command on the newest state, and put what it comes to on record.

        Args:
            command: What is wanted.
            now: The moment.
            by: Who gives the command.
            also: What else to write in the same transaction, given the state after the events: jobs, say.

        Raises:
            ResultError: the log is damaged.
            StoreError: the database cannot be written.
        """
        for attempt in range(_ATTEMPTS):
            try:
                return self._store.write(lambda connection: self._decide(connection, command, now, by, also))
            except OthersWereFaster:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def log(self) -> tuple[Record, ...]:
        """Return every event as it is kept, chained.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._store.read() as connection:
            return event_log.read(connection, self._challenge)

    def problems(self, *, head: str | None = None) -> tuple[str, ...]:
        """Say everything that is wrong with the log; nothing if nobody changed it.

        Args:
            head: The sha256 that the last event must have, from where it was kept or published.
        """
        records = self.log()
        with self._store.read() as connection:
            known = {one.challenge: one for one in event_log.contests(connection)}.get(self._challenge)
        wrong = verify(records, head=head, events=known.events if known else None)
        if known and records and not wrong and known.head_sha256 != records[-1].sha256:
            wrong = (f"the contest's row says that the last event is {known.head_sha256}",)
        return wrong

    def _decide(
        self, connection: sa.Connection, command: Command, now: datetime, by: Actor, also: Also | None
    ) -> Accepted | Refusal:
        event_log.take_turn(connection, self._challenge)
        before = self._catch_up(connection)
        decided = decide(before, command, now, by)
        if isinstance(decided, Refusal):
            return decided
        after = fold(decided, before)
        if decided:
            records = event_log.append(
                connection, self._challenge, [to_json(one) for one in decided], after=before.events
            )
            standing = standing_of(after, before, path=self._path_of(connection))
            event_log.write_standing(connection, standing, records[-1])
        if also is not None:
            also(connection, after, decided)
        return Accepted(events=decided, state=after)

    def _catch_up(self, connection: sa.Connection) -> State:
        known = self._known
        records = event_log.read(connection, self._challenge, after=known.events)
        if records:
            known = fold((from_json(record.document) for record in records), known)
            self._known = known
        return known

    def _path_of(self, connection: sa.Connection) -> str:
        for row in event_log.contests(connection):
            if row.challenge == self._challenge:
                return row.path
        return self._path


def standing_of(state: State, before: State | None = None, *, path: str) -> StoredStanding:
    """Return the rows of a contest: those that changed since `before`, or all of them."""
    old = before or State()
    return StoredStanding(
        contest=ContestRow(
            challenge=state.challenge,
            challenge_sha256=state.challenge_sha256,
            path=path,
            created=_text(state.created),
            phase=state.phase.value,
            events=state.events,
            head_sha256="",
        ),
        teams=tuple(
            _team_row(state.challenge, one)
            for key, one in state.teams.items()
            if old.teams.get(key) is not one
        ),
        entries=tuple(
            _entry_row(state.challenge, one)
            for key, one in state.entries.items()
            if old.entries.get(key) is not one
        ),
    )


def rebuild(store: Store) -> tuple[str, ...]:
    """Make the rows of every contest again from its events; return those contests' names.

    Raises:
        ResultError: a log is damaged, and nothing was changed.
        StoreError: the database cannot be written.
    """

    def write(connection: sa.Connection) -> tuple[str, ...]:
        names = event_log.names(connection)
        paths = {one.challenge: one.path for one in event_log.contests(connection)}
        for name in names:
            event_log.take_turn(connection, name)
            _write_again(connection, name, event_log.read(connection, name), paths.get(name, ""))
        return names

    return store.write(write)


def restore(store: Store, records: Iterable[Record], *, path: str = "") -> str:
    """Bring a contest back from its exported log into a store that does not have it; return its name.

    Raises:
        ConfigError: the store has events of this contest.
        ResultError: the log is empty or damaged, and nothing was changed.
        StoreError: the database cannot be written.
    """
    found = tuple(records)
    if not found:
        raise ResultError(
            "contains no event", place="the log", remedy="Export it with `harness contest log`."
        )
    name = found[0].challenge

    def write(connection: sa.Connection) -> str:
        if event_log.read(connection, name):
            raise ConfigError(
                f"the store already has a contest {name}",
                place=store.place,
                remedy="Name an empty database.",
            )
        event_log.restore(connection, found)
        _write_again(connection, name, found, path)
        return name

    return store.write(write)


def _write_again(connection: sa.Connection, name: str, records: tuple[Record, ...], path: str) -> None:
    wrong = verify(records)
    if wrong:
        raise ResultError(
            f"the log is damaged: {wrong[0]}",
            place=f"contest {name}",
            remedy="Restore it from the last export of `harness contest log`.",
        )
    state = fold(from_json(record.document) for record in records)
    event_log.clear_standing(connection, name)
    event_log.write_standing(connection, standing_of(state, path=path), records[-1])


def _team_row(challenge: str, team: Team) -> TeamRow:
    return TeamRow(
        challenge=challenge,
        team=team.team,
        name=team.name,
        registered=_text(team.registered),
        finals=" ".join(team.finals),
        granted=team.granted,
        merged_into=team.merged_into,
        disqualified=team.disqualified,
        best_shown=team.best_shown,
    )


def _entry_row(challenge: str, entry: Entry) -> EntryRow:
    return EntryRow(
        challenge=challenge,
        entry=entry.entry,
        number=entry.number,
        team=entry.team,
        package_sha256=entry.package_sha256,
        submitted=_text(entry.submitted),
        day=entry.day.isoformat(),
        phase=entry.phase.value,
        paid_by=entry.paid_by.value,
        status=entry.status.value,
        attempt=entry.attempt,
        run_id=entry.run_id,
        verdict=entry.verdict,
        result_sha256=entry.result_sha256,
        public_loss=entry.public_loss,
        shown=entry.shown,
        disqualified=entry.disqualified,
    )


def _text(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")
