"""Who may enter the portal: tokens, links and sessions, each by the sha256 of its secret.

A secret is 256 random bits: its plain sha256 gives nothing away; who reads the table can enter nowhere.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

import sqlalchemy as sa

from harness.results.store.tables import ACCESS


class AccessKind(StrEnum):
    """What a secret is for."""

    TOKEN = "token"  # a program's, sent with each request  # noqa: S105  (a kind, no secret)
    LINK = "link"  # followed once; it becomes a session
    SESSION = "session"  # a browser's cookie


@dataclass(frozen=True, kw_only=True)
class AccessRow:
    """One secret's row; see the table."""

    access: str
    kind: AccessKind
    secret_sha256: str
    role: str
    challenge: str | None
    team: str | None
    label: str
    scopes: str
    parent: str | None
    created: str
    expires: str
    used: str | None = None
    revoked: str | None = None


def add(connection: sa.Connection, row: AccessRow) -> None:
    """Add a row."""
    connection.execute(sa.insert(ACCESS).values(**asdict(row) | {"kind": row.kind.value}))


def get(connection: sa.Connection, access: str) -> AccessRow | None:
    """Return one row, whether or not it is still good for anything."""
    found = connection.execute(sa.select(ACCESS).where(ACCESS.c.access == access)).mappings().first()
    return None if found is None else _row(found)


def listed(
    connection: sa.Connection, *, challenge: str | None = None, teams: tuple[str, ...] | None = None
) -> tuple[AccessRow, ...]:
    """Return rows in the order in which they were made: all, one contest's, or those of some teams."""
    query = sa.select(ACCESS).order_by(ACCESS.c.created, ACCESS.c.access)
    if challenge is not None:
        query = query.where(ACCESS.c.challenge == challenge)
    if teams is not None:
        query = query.where(ACCESS.c.team.in_(teams))
    return tuple(_row(row) for row in connection.execute(query).mappings())


def use(connection: sa.Connection, access: str, *, now: str) -> bool:
    """Use a link up; false if it was used or revoked before, or has expired."""
    good = (ACCESS.c.used.is_(None), ACCESS.c.revoked.is_(None), ACCESS.c.expires > now)
    changed = connection.execute(sa.update(ACCESS).where(ACCESS.c.access == access, *good).values(used=now))
    return changed.rowcount == 1


def revoke(connection: sa.Connection, access: str, *, now: str) -> int:
    """Revoke a row and every session that came by it; returns how many were good until now."""
    which = sa.or_(ACCESS.c.access == access, ACCESS.c.parent == access)
    changed = connection.execute(
        sa.update(ACCESS).where(which, ACCESS.c.revoked.is_(None)).values(revoked=now)
    )
    return int(changed.rowcount)


def forget(connection: sa.Connection, *, before: str) -> int:
    """Remove what has expired before a moment."""
    return int(connection.execute(sa.delete(ACCESS).where(ACCESS.c.expires < before)).rowcount)


def _row(found: sa.RowMapping) -> AccessRow:
    return AccessRow(**{**found, "kind": AccessKind(found["kind"])})
