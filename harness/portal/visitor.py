"""Who asks: a program with a token, a browser with a session, or nobody. And whether they may."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from harness.contest.rules import Actor, Role
from harness.contest.state import State
from harness.portal.access import Scope, csrf_of, find
from harness.portal.problems import forbidden, invalid, unauthorised
from harness.portal.site import Contest, Site
from harness.results.store.access_rows import AccessKind, AccessRow

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FIELDS_MAX = 64


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Who asks. Nobody has no row."""

    row: AccessRow | None = None
    csrf: str = ""  # of a browser's session

    @property
    def role(self) -> Role | None:
        """In which capacity; None for nobody."""
        return None if self.row is None else Role(self.row.role)

    @property
    def label(self) -> str:
        """Whose session or token it is, in words."""
        return "" if self.row is None else self.row.label

    @property
    def scopes(self) -> frozenset[Scope]:
        """What it is good for."""
        return frozenset() if self.row is None else frozenset(map(Scope, self.row.scopes.split()))

    def team_in(self, state: State) -> str | None:
        """Return the visitor's team in a contest, after merges; None if they have none there."""
        row = self.row
        if row is None or self.role is not Role.TEAM or row.challenge != state.challenge or not row.team:
            return None
        team = state.teams.get(row.team)
        while team is not None and team.merged_into is not None:
            team = state.teams.get(team.merged_into)
        return None if team is None else team.team

    def organises(self, challenge: str | None) -> bool:
        """Tell whether the visitor is an organiser of a contest; of all, if it is None."""
        row = self.row
        mine = row is not None and row.challenge in {None, challenge}
        return mine and self.role is Role.ORGANISER and Scope.ORGANISE in self.scopes


def site_of(request: Request) -> Site:
    """Return the portal's surroundings."""
    found: Site = request.app.state.site
    return found


def cookie_name(site: Site) -> str:
    """Return the session cookie's name; the prefix has browsers refuse it from any other host."""
    return "__Host-session" if site.config.secure else "session"


async def visitor_of(request: Request) -> Visitor:
    """Find out who asks, and note it for the log.

    Raises:
        Problem: a token was given that is good for nothing.
    """
    found = await _visitor_of(request)
    request.state.visitor = found
    return found


async def _visitor_of(request: Request) -> Visitor:
    site = site_of(request)
    given = request.headers.get("authorization")
    if given is not None:
        kind, _, text = given.partition(" ")
        row = await run_in_threadpool(find, site, text.strip(), AccessKind.TOKEN)
        if kind.lower() != "bearer" or row is None:
            raise unauthorised("the token is unknown, revoked or expired")
        return Visitor(row=row)
    session = request.cookies.get(cookie_name(site))
    if not session:
        return Visitor()
    row = await run_in_threadpool(find, site, session, AccessKind.SESSION)
    return Visitor() if row is None else Visitor(row=row, csrf=csrf_of(session))


async def api_visitor(request: Request) -> Visitor:
    """Find out who asks the API; what a browser's session is to change needs its word in a header.

    Raises:
        Problem: a bad token, or a session without its word.
    """
    visitor = await visitor_of(request)
    if visitor.csrf and request.method not in SAFE_METHODS:
        _check_csrf(visitor, request.headers.get("x-csrf-token", ""))
    return visitor


@dataclass(frozen=True, kw_only=True)
class Posted:
    """A form that a page's own session sent."""

    visitor: Visitor
    fields: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]

    def text(self, name: str) -> str:
        """Return a field, trimmed; empty if it was left out."""
        return self.fields.get(name, "").strip()


async def posted(request: Request) -> Posted:
    """Read a form, and refuse it if it does not bring its session's word.

    Raises:
        Problem: it is not a form, or of another page than ours.
    """
    visitor = await visitor_of(request)
    fields = await read_form(request)
    _check_csrf(visitor, dict(fields).get("csrf", ""))
    lists: dict[str, tuple[str, ...]] = {}
    for name, value in fields:
        lists[name] = (*lists.get(name, ()), value)
    return Posted(visitor=visitor, fields=dict(fields), lists=lists)


async def read_form(request: Request) -> list[tuple[str, str]]:
    """Read an urlencoded form.

    Raises:
        Problem: it is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise invalid("this is not a form")
    try:
        text = (await request.body()).decode("utf-8")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise invalid("the form cannot be read") from error


def own_team(visitor: Visitor, contest: Contest, scope: Scope) -> str:
    """Return the visitor's team, if they may do this in its name.

    Raises:
        Problem: nobody, no team of this contest, or a token without this scope.
    """
    if visitor.row is None:
        raise unauthorised()
    team = visitor.team_in(contest.state)
    if team is None:
        raise forbidden("this is for teams of this contest")
    if scope not in visitor.scopes:
        raise forbidden(f"this needs the scope `{scope}`")
    return team


def organiser(visitor: Visitor, challenge: str | None) -> Actor:
    """Return the organiser as the one who asks.

    Raises:
        Problem: nobody, or not an organiser of this contest.
    """
    if visitor.row is None:
        raise unauthorised()
    if not visitor.organises(challenge):
        raise forbidden("this is for the organiser")
    return Actor(role=Role.ORGANISER, name=f"organiser {visitor.label}")


def _check_csrf(visitor: Visitor, given: str) -> None:
    if not visitor.csrf:
        raise unauthorised("your session has ended")
    if not hmac.compare_digest(visitor.csrf.encode(), given.encode()):
        raise forbidden("the form is not of your session: load the page again")


ApiVisitor = Annotated[Visitor, Depends(api_visitor)]
PageVisitor = Annotated[Visitor, Depends(visitor_of)]
PostedForm = Annotated[Posted, Depends(posted)]
SiteHere = Annotated[Site, Depends(site_of)]
