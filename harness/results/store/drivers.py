"""Which driver works on a contest: one at a time, with a fencing token, and what the organiser wishes.

A driver that died, or that nobody has heard of for a while, is followed by the next one, whose token is
higher; what the earlier one still tries, with the lower token, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from harness.results.store.jobs import moment_text
from harness.results.store.tables import DRIVERS


class Wish(StrEnum):
    """What the organiser wishes of a contest's driver."""

    RUN = "run"
    PAUSE = "pause"  # begin nothing, finish what runs, wait
    DRAIN = "drain"  # begin nothing, finish what runs, end


@dataclass(frozen=True, kw_only=True)
class DriverRow:
    """One contest's driver as the database has it."""

    challenge: str
    wish: Wish
    token: int
    driver: str | None
    since: str | None
    heartbeat: str | None
    places: int | None = None  # shards that the last driver ran at a time
    unseen: int | None = None  # entries that wait and have no job yet, as the last driver said


def get(connection: sa.Connection, challenge: str) -> DriverRow | None:
    """Return a contest's row; None if no driver ever worked on it."""
    found = connection.execute(sa.select(DRIVERS).where(DRIVERS.c.challenge == challenge)).mappings().first()
    return None if found is None else DriverRow(**{**found, "wish": Wish(found["wish"])})


def wish(connection: sa.Connection, challenge: str, what: Wish) -> None:
    """Write down what the organiser wishes, whether or not a driver is at work."""
    _ensure(connection, challenge)
    connection.execute(sa.update(DRIVERS).where(DRIVERS.c.challenge == challenge).values(wish=what.value))


def take(
    connection: sa.Connection,
    challenge: str,
    *,
    driver: str,
    now: datetime,
    silent_seconds: float,
    dead: bool = False,
) -> DriverRow | None:
    """Become the contest's driver.

    Args:
        connection: Of a writing transaction.
        challenge: The contest.
        driver: Who wants to be.
        now: The moment.
        silent_seconds: A driver that was not heard of for so long is followed.
        dead: The caller knows that the one that is written down is gone.

    Returns:
        The row, with the token that only this driver has; None if another one is at work.
    """
    _ensure(connection, challenge)
    quiet = sa.or_(
        DRIVERS.c.driver.is_(None),
        DRIVERS.c.heartbeat < moment_text(now - timedelta(seconds=silent_seconds)),
        sa.literal(dead),
    )
    taken = connection.execute(
        sa.update(DRIVERS)
        .where(DRIVERS.c.challenge == challenge, quiet)
        .values(token=DRIVERS.c.token + 1, driver=driver, since=moment_text(now), heartbeat=moment_text(now))
    )
    return get(connection, challenge) if taken.rowcount == 1 else None


def beat(
    connection: sa.Connection,
    challenge: str,
    *,
    token: int,
    now: datetime,
    places: int | None = None,
    unseen: int | None = None,
) -> Wish | None:
    """Say that a driver is alive, and what it has before it.

    Returns:
        The organiser's wish; None if another driver has followed.
    """
    mine = (DRIVERS.c.challenge == challenge, DRIVERS.c.token == token)
    said = {"heartbeat": moment_text(now), "places": places, "unseen": unseen}
    done = connection.execute(sa.update(DRIVERS).where(*mine).values(**said))
    row = get(connection, challenge)
    return row.wish if done.rowcount == 1 and row is not None else None


def leave(connection: sa.Connection, challenge: str, *, token: int) -> None:
    """Say that a driver has ended; nothing if another has followed."""
    mine = (DRIVERS.c.challenge == challenge, DRIVERS.c.token == token)
    connection.execute(sa.update(DRIVERS).where(*mine).values(driver=None, heartbeat=None))


def _ensure(connection: sa.Connection, challenge: str) -> None:
    if get(connection, challenge) is None:
        connection.execute(sa.insert(DRIVERS).values(challenge=challenge, wish=Wish.RUN.value, token=0))
