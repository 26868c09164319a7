"""Boards as everybody may see them: worked out by the worker, which knows the labels; read by the portal."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from harness.results.store.tables import BOARDS


@dataclass(frozen=True, kw_only=True)
class BoardRow:
    """One board of one contest; see the table."""

    challenge: str
    set_name: str
    version: str
    events: int
    computed: str
    document: str


def put(connection: sa.Connection, row: BoardRow) -> bool:
    """Keep a board in place of an older one; false if what is there was worked out on more events."""
    place = (BOARDS.c.challenge == row.challenge, BOARDS.c.set_name == row.set_name)
    there = connection.execute(sa.select(BOARDS.c.events).where(*place).with_for_update()).scalar()
    if there is None:
        connection.execute(sa.insert(BOARDS).values(**asdict(row)))
        return True
    if there > row.events:
        return False
    connection.execute(sa.update(BOARDS).where(*place).values(**asdict(row)))
    return True


def get(connection: sa.Connection, challenge: str, set_name: str) -> BoardRow | None:
    """Return a board; None if none was worked out yet."""
    place = (BOARDS.c.challenge == challenge, BOARDS.c.set_name == set_name)
    found = connection.execute(sa.select(BOARDS).where(*place)).mappings().first()
    return None if found is None else BoardRow(**found)


def versions(connection: sa.Connection, challenge: str) -> dict[str, tuple[str, str, int]]:
    """Return version, moment and events of a contest's boards, by set: what a watcher asks for often."""
    query = sa.select(BOARDS.c.set_name, BOARDS.c.version, BOARDS.c.computed, BOARDS.c.events)
    found = connection.execute(query.where(BOARDS.c.challenge == challenge))
    return {row.set_name: (row.version, row.computed, row.events) for row in found}
