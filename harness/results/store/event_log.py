"""The events of contests: appended one after the other, chained by hash, never changed.

Whoever appends says how many events their decision was made on. If others were faster, nothing is written
and `OthersWereFaster` tells so: read the new events, decide again. That is all the locking there is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from harness.results.store.chain import GENESIS, Record, link
from harness.results.store.tables import CHALLENGES, ENTRIES, EVENTS, TEAMS


class OthersWereFaster(Exception):  # noqa: N818  (a signal, named for what it says)
    """A contest has more events than the decision was made on: nothing was written."""


@dataclass(frozen=True, kw_only=True)
class ContestRow:
    """One contest as the store has it."""

    challenge: str
    challenge_sha256: str
    path: str  # of its challenge.toml, where the contest was made
    created: str
    phase: str  # as last written down
    events: int
    head_sha256: str


@dataclass(frozen=True, kw_only=True)
class TeamRow:
    """One team as the last event left it."""

    challenge: str
    team: str
    name: str
    registered: str
    finals: str
    granted: int
    merged_into: str | None
    disqualified: str | None
    best_shown: float | None


@dataclass(frozen=True, kw_only=True)
class EntryRow:
    """One entry as the last event left it. `public_loss` is for the organiser; `shown` is what others see."""

    challenge: str
    entry: str
    number: int
    team: str
    package_sha256: str
    submitted: str
    day: str
    phase: str
    paid_by: str
    status: str
    attempt: int
    run_id: str | None
    verdict: str | None
    result_sha256: str | None
    public_loss: float | None
    shown: float | None
    disqualified: str | None


@dataclass(frozen=True, kw_only=True)
class StoredStanding:
    """The rows of a contest after an append: those that changed, or all of them."""

    contest: ContestRow  # its `events` and `head_sha256` are filled in on writing
    teams: tuple[TeamRow, ...] = ()
    entries: tuple[EntryRow, ...] = ()


def append(
    connection: sa.Connection, challenge: str, documents: Sequence[dict[str, Any]], *, after: int
) -> tuple[Record, ...]:
    """Append events to a contest's.

    Args:
        connection: Of a writing transaction.
        challenge: The contest's name.
        documents: The events, in their order.
        after: How many events the decision was made on.

    Raises:
        OthersWereFaster: there are more by now; the transaction must be given up.
    """
    found = connection.execute(
        sa.select(EVENTS.c.number, EVENTS.c.sha256)
        .where(EVENTS.c.challenge == challenge)
        .order_by(EVENTS.c.number.desc())
        .limit(1)
    ).first()
    number, head = (0, GENESIS) if found is None else (found.number, found.sha256)
    if number != after:
        raise OthersWereFaster(f"{number} events, not {after}")
    records = link(challenge, documents, after=after, head=head)
    try:
        if records:
            connection.execute(sa.insert(EVENTS), [asdict(one) for one in records])
    except IntegrityError as error:  # PostgreSQL: the other's transaction ended while ours waited for it
        raise OthersWereFaster(f"more than {after} events") from error
    return records


def take_turn(connection: sa.Connection, challenge: str) -> None:
    """Wait until nobody else writes to this contest. SQLite lets one transaction write at a time anyway."""
    if connection.dialect.name == "postgresql":
        digest = hashlib.sha256(f"harness contest {challenge}".encode()).digest()
        key = int.from_bytes(digest[:8], signed=True)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.cast(key, sa.BigInteger))))


def restore(connection: sa.Connection, records: Iterable[Record]) -> None:
    """Write events that were read from a log, as they are."""
    rows = [asdict(one) for one in records]
    if rows:
        connection.execute(sa.insert(EVENTS), rows)


def read(connection: sa.Connection, challenge: str, *, after: int = 0) -> tuple[Record, ...]:
    """Return a contest's events after the first so many, in their order."""
    query = (
        sa.select(EVENTS)
        .where(EVENTS.c.challenge == challenge, EVENTS.c.number > after)
        .order_by(EVENTS.c.number)
    )
    return tuple(Record(**row) for row in connection.execute(query).mappings())


def write_standing(connection: sa.Connection, standing: StoredStanding, head: Record) -> None:
    """Write the rows of a contest after its events, in the events' own transaction."""
    contest = asdict(standing.contest) | {"events": head.number, "head_sha256": head.sha256}
    name = standing.contest.challenge
    connection.execute(sa.delete(CHALLENGES).where(CHALLENGES.c.challenge == name))
    connection.execute(sa.insert(CHALLENGES).values(**contest))
    for table, key, rows in (
        (TEAMS, TEAMS.c.team, standing.teams),
        (ENTRIES, ENTRIES.c.entry, standing.entries),
    ):
        if rows:
            documents = [asdict(row) for row in rows]
            ours = sa.and_(table.c.challenge == name, key == sa.bindparam("key"))
            connection.execute(sa.delete(table).where(ours), [{"key": one[key.name]} for one in documents])
            connection.execute(sa.insert(table), documents)


def clear_standing(connection: sa.Connection, challenge: str) -> None:
    """Remove a contest's rows of teams and entries, before they are written again."""
    for table in (TEAMS, ENTRIES):
        connection.execute(sa.delete(table).where(table.c.challenge == challenge))


def contests(connection: sa.Connection) -> tuple[ContestRow, ...]:
    """Return every contest, by name."""
    found = connection.execute(sa.select(CHALLENGES).order_by(CHALLENGES.c.challenge))
    return tuple(ContestRow(**row) for row in found.mappings())


def names(connection: sa.Connection) -> tuple[str, ...]:
    """Return the name of every contest that has events."""
    query = sa.select(EVENTS.c.challenge).distinct().order_by(EVENTS.c.challenge)
    return tuple(connection.execute(query).scalars())


def teams(connection: sa.Connection, challenge: str) -> tuple[TeamRow, ...]:
    """Return a contest's teams, by id."""
    query = sa.select(TEAMS).where(TEAMS.c.challenge == challenge).order_by(TEAMS.c.team)
    return tuple(TeamRow(**row) for row in connection.execute(query).mappings())


def entries(
    connection: sa.Connection, challenge: str, *, team: str | None = None, status: str | None = None
) -> tuple[EntryRow, ...]:
    """Return a contest's entries in the order they came: all, one team's, or those of one status."""
    query = sa.select(ENTRIES).where(ENTRIES.c.challenge == challenge).order_by(ENTRIES.c.number)
    if team is not None:
        query = query.where(ENTRIES.c.team == team)
    if status is not None:
        query = query.where(ENTRIES.c.status == status)
    return tuple(EntryRow(**row) for row in connection.execute(query).mappings())
