"""Tokens for programs, links that work once, and sessions for browsers. No passwords.

A secret is drawn here, shown once, and kept as its sha256. A session is never made of anything that a client
sent: following a link draws a new one, and whatever session the client had before ends.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from harness.contest.rules.commands import Role
from harness.core.text import printable
from harness.portal.site import Site
from harness.results.store import access_rows
from harness.results.store.access_rows import AccessKind, AccessRow
from harness.results.store.jobs import moment_text

PREFIX = "hvh"
LABEL_CHARACTERS_MAX = 80


class Scope(StrEnum):
    """What a token may be used for."""

    READ = "read"  # what the team may see
    SUBMIT = "submit"  # hand in, cancel, choose finals
    TEAM = "team"  # invite members and revoke them, make tokens: sessions only
    ORGANISE = "organise"
    METRICS = "metrics"


TEAM_SCOPES = (Scope.READ, Scope.SUBMIT)
SESSION_SCOPES = {Role.TEAM: (Scope.READ, Scope.SUBMIT, Scope.TEAM), Role.ORGANISER: (Scope.ORGANISE,)}


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Whom a secret stands for."""

    role: Role
    label: str
    challenge: str | None = None  # None: of an organiser of all
    team: str | None = None


@dataclass(frozen=True, kw_only=True)
class Made:
    """A new secret. `text` is shown once and kept nowhere."""

    row: AccessRow
    text: str


def make_token(site: Site, holder: Holder, scopes: tuple[Scope, ...]) -> Made:
    """Make a token for a program."""
    return _make(site, AccessKind.TOKEN, holder, scopes, timedelta(days=site.config.token_days))


def make_link(site: Site, holder: Holder) -> Made:
    """Make a link: whoever follows it first is the holder, in that browser. Its text is the address."""
    made = _make(
        site, AccessKind.LINK, holder, SESSION_SCOPES[holder.role], timedelta(days=site.config.link_days)
    )
    return Made(row=made.row, text=f"{site.config.address}/enter/{made.text}")


def enter(site: Site, text: str, *, before: str | None = None) -> Made | None:
    """Use a link up, and return the new session; None if the link is good for nothing.

    Args:
        site: The portal.
        text: What the link's address ends with.
        before: The session that the browser had, which ends.
    """
    link = find(site, text, AccessKind.LINK)
    if link is None:
        return None
    now = moment_text(site.now())
    if not site.store.write(lambda connection: access_rows.use(connection, link.access, now=now)):
        return None
    if before is not None:
        leave(site, before)
    holder = Holder(role=Role(link.role), label=link.label, challenge=link.challenge, team=link.team)
    scopes = tuple(Scope(scope) for scope in link.scopes.split())
    hours = timedelta(hours=site.config.session_hours)
    return _make(site, AccessKind.SESSION, holder, scopes, hours, parent=link.access)


def leave(site: Site, text: str) -> None:
    """End a session."""
    row = find(site, text, AccessKind.SESSION)
    if row is not None:
        revoke(site, row.access)


def revoke(site: Site, name: str) -> int:
    """Revoke a token, link or session, and every session that came by it."""
    now = moment_text(site.now())
    return site.store.write(lambda connection: access_rows.revoke(connection, name, now=now))


def find(site: Site, text: str, kind: AccessKind) -> AccessRow | None:
    """Return the row of a secret that is good at this moment; None if it is not."""
    parts = text.split("_", 2)
    if len(parts) != 3 or parts[0] != PREFIX or len(text) > 200 or not text.isascii():
        return None
    with site.store.read() as connection:
        row = access_rows.get(connection, parts[1])
    if row is None or row.kind is not kind or not hmac.compare_digest(row.secret_sha256, _digest(parts[2])):
        return None
    used_up = kind is AccessKind.LINK and row.used is not None
    good = row.revoked is None and row.expires > moment_text(site.now()) and not used_up
    return row if good else None


def csrf_of(session: str) -> str:
    """Return the word that a form of this session must bring back; it says nothing about the session's."""
    return hmac.new(session.encode(), b"csrf", hashlib.sha256).hexdigest()


def expires(row: AccessRow) -> datetime:
    """Return until when a row is good."""
    return datetime.fromisoformat(row.expires)


def _make(
    site: Site,
    kind: AccessKind,
    holder: Holder,
    scopes: tuple[Scope, ...],
    good_for: timedelta,
    *,
    parent: str | None = None,
) -> Made:
    now, name, secret = site.now(), secrets.token_hex(8), secrets.token_urlsafe(32)
    row = AccessRow(
        access=name,
        kind=kind,
        secret_sha256=_digest(secret),
        role=holder.role.value,
        challenge=holder.challenge,
        team=holder.team,
        label=printable(holder.label, cap=LABEL_CHARACTERS_MAX) or "no name",
        scopes=" ".join(scopes),
        parent=parent,
        created=moment_text(now),
        expires=moment_text(now + good_for),
    )
    site.store.write(lambda connection: access_rows.add(connection, row))
    return Made(row=row, text=f"{PREFIX}_{name}_{secret}")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
