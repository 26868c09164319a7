"""What changes, as it changes: server-sent events for a team's entries and for boards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from harness.contest.rules.teams import scores_are_shown
from harness.core.types import SetName
from harness.portal.api.route_parts import ContestHere, failures
from harness.portal.api.team_routes import ReadingTeam
from harness.portal.looking import entries_answer, phase_now
from harness.portal.problems import Problem
from harness.portal.pulse import RETRY_MILLISECONDS, Pulse, Pulses, message, stream
from harness.portal.site import Site
from harness.portal.visitor import ApiVisitor, SiteHere, Visitor, visitor_of
from harness.results.store import board_rows

router = APIRouter(tags=["live"])
_EVENTS: dict[str, Any] = {"content": {"text/event-stream": {}}, "description": "server-sent events"}


@router.get(
    "/challenges/{challenge}/board/events",
    responses={**failures(404), 200: _EVENTS},
    response_class=StreamingResponse,
)
async def board_events(request: Request, site: SiteHere, contest: ContestHere) -> StreamingResponse:
    """Say when a board has changed: `board` with its version. Fetch it again then."""
    pulse = _pulses(request).of(("board", contest.name), partial(_board_seen, site, contest.name))
    return stream(_board(pulse))


@router.get(
    "/challenges/{challenge}/events",
    responses={**failures(401, 403, 404), 200: _EVENTS},
    response_class=StreamingResponse,
)
async def team_events(
    request: Request, site: SiteHere, contest: ContestHere, own: ReadingTeam, visitor: ApiVisitor
) -> StreamingResponse:
    """Say what becomes of the team's entries: `entry`, each time one of them changes; and `board`."""
    pulse = _pulses(request).of(("team", contest.name, own), partial(_team_seen, site, contest.name, own))
    return stream(_team(pulse, _still(request, visitor)))


def _pulses(request: Request) -> Pulses:
    found: Pulses = request.app.state.pulses
    return found


def _board_seen(site: Site, name: str) -> dict[str, Any]:
    contest = site.contest(name)
    with site.store.read() as connection:
        known = board_rows.versions(connection, name)
    shown = SetName.PRIVATE.value if scores_are_shown(contest.state, site.now()) else SetName.PUBLIC.value
    version, computed, _ = known.get(shown, known.get(SetName.PUBLIC.value, ("", "", 0)))
    return {"version": version, "computed": computed, "phase": phase_now(site, contest)}


def _team_seen(site: Site, name: str, team: str) -> dict[str, Any]:
    contest = site.contest(name)
    answers = entries_answer(site, contest, team)
    return {"board": _board_seen(site, name)} | {one.entry: one.model_dump() for one in answers}


async def _board(pulse: Pulse) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    async for seen in pulse.watch():
        yield ": beat\n\n" if seen is None else message("board", seen, pulse.number)


async def _team(pulse: Pulse, still: Callable[[], Any]) -> AsyncIterator[str]:
    """Tell what has changed; what a revoked session or token had begun to hear ends."""
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    told: dict[str, Any] = {}
    async for seen in pulse.watch():
        if not await still():
            return
        if seen is None:
            yield ": beat\n\n"
            continue
        for key, value in seen.items():
            if told.get(key) != value:
                yield message("board" if key == "board" else "entry", value, pulse.number)
        told = dict(seen)


def _still(request: Request, visitor: Visitor) -> Callable[[], Any]:
    async def still() -> bool:
        try:
            now = await visitor_of(request)
        except Problem:
            return False
        return now.row is not None and visitor.row is not None and now.row.access == visitor.row.access

    return still
