"""Regrades that an organiser asked for on a page; the worker, which has the labels, does them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

import sqlalchemy as sa

from harness.results.store.tables import REGRADES


class RegradeState(StrEnum):
    """How far a regrade is."""

    ASKED = "asked"  # the worker is to say what it would move
    PREVIEWED = "previewed"  # the organiser is to decide
    WANTED = "wanted"  # the worker is to make it hold
    APPLIED = "applied"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"


OPEN = (RegradeState.ASKED, RegradeState.WANTED)  # the worker's turn
OVER = (RegradeState.APPLIED, RegradeState.WITHDRAWN, RegradeState.FAILED)


@dataclass(frozen=True, kw_only=True)
class RegradeRow:
    """One regrade's row; see the table."""

    challenge: str
    regrade: str
    state: RegradeState
    by: str
    reason: str
    asked: str
    changed: str
    document: str
    preview: str = ""
    note: str = ""


def add(connection: sa.Connection, row: RegradeRow) -> None:
    """Add a row."""
    connection.execute(sa.insert(REGRADES).values(**asdict(row) | {"state": row.state.value}))


def get(connection: sa.Connection, challenge: str, regrade: str) -> RegradeRow | None:
    """Return one row."""
    query = sa.select(REGRADES).where(REGRADES.c.challenge == challenge, REGRADES.c.regrade == regrade)
    found = connection.execute(query).mappings().first()
    return None if found is None else _row(found)


def listed(
    connection: sa.Connection, challenge: str, *, states: tuple[RegradeState, ...] | None = None
) -> tuple[RegradeRow, ...]:
    """Return a contest's rows as they were asked for, the first first: all, or those of some states."""
    query = (
        sa.select(REGRADES)
        .where(REGRADES.c.challenge == challenge)
        .order_by(REGRADES.c.asked, REGRADES.c.regrade)
    )
    if states is not None:
        query = query.where(REGRADES.c.state.in_([one.value for one in states]))
    return tuple(_row(row) for row in connection.execute(query).mappings())


def move(connection: sa.Connection, row: RegradeRow, to: RegradeState, *, now: str, **changed: str) -> bool:
    """Take a row to another state; false if it is no more as it was seen. What is over keeps no labels."""
    place = (REGRADES.c.challenge == row.challenge, REGRADES.c.regrade == row.regrade)
    values = {"state": to.value, "changed": now, **changed} | ({"document": ""} if to in OVER else {})
    done = connection.execute(
        sa.update(REGRADES).where(*place, REGRADES.c.state == row.state.value).values(**values)
    )
    return done.rowcount == 1


def _row(found: sa.RowMapping) -> RegradeRow:
    return RegradeRow(**{**found, "state": RegradeState(found["state"])})
