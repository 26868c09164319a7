"""What changes, as it changes: server-sent events for a team's entries and for boards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from harness.portal.api.route_parts import ContestHere, failures
from harness.portal.api.team_routes import ReadingTeam
from harness.portal.looking import entries_answer
from harness.portal.problems import Problem
from harness.portal.pulse import RETRY_MILLISECONDS, Pulse, Pulses, message, stream
from harness.portal.site import Site
from harness.portal.visitor import ApiVisitor, SiteHere, Visitor, visitor_of
from harness.portal.watched import board_seen, team_seen, word_of

router = APIRouter(tags=["live"])
SeenWord = Annotated[
    str, Query(max_length=64, description="What a page of the portal shows: it is not told of that again.")
]
_EVENTS: dict[str, Any] = {"content": {"text/event-stream": {}}, "description": "server-sent events"}


@router.get(
    "/challenges/{challenge}/board/events",
    responses={**failures(404), 200: _EVENTS},
    response_class=StreamingResponse,
)
async def board_events(
    request: Request, site: SiteHere, contest: ContestHere, seen: SeenWord = ""
) -> StreamingResponse:
    """Say when a board has changed: `board` with its version. Fetch it again then."""
    pulse = _pulses(request).of(("board", contest.name), partial(_board_seen, site, contest.name))
    return stream(_board(pulse, seen))


@router.get(
    "/challenges/{challenge}/events",
    responses={**failures(401, 403, 404), 200: _EVENTS},
    response_class=StreamingResponse,
)
async def team_events(
    *,
    request: Request,
    site: SiteHere,
    contest: ContestHere,
    own: ReadingTeam,
    visitor: ApiVisitor,
    seen: SeenWord = "",
) -> StreamingResponse:
    """Say what becomes of the team's entries: `entry`, each time one of them changes; and `board`."""
    pulse = _pulses(request).of(("team", contest.name, own), partial(_team_seen, site, contest.name, own))
    return stream(_team(pulse, _still(request, visitor), seen))


def _pulses(request: Request) -> Pulses:
    found: Pulses = request.app.state.pulses
    return found


def _board_seen(site: Site, name: str) -> dict[str, Any]:
    return board_seen(site, site.contest(name))


def _team_seen(site: Site, name: str, team: str) -> dict[str, Any]:
    contest = site.contest(name)
    return team_seen(site, contest, entries_answer(site, contest, team))


async def _board(pulse: Pulse, known: str) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    async for seen in pulse.watch():
        if seen is None:
            yield ": beat\n\n"
        elif word_of(seen) != known:
            yield message("board", seen, pulse.number)
        known = ""  # what comes back to it later is a change, too


async def _team(pulse: Pulse, still: Callable[[], Any], known: str) -> AsyncIterator[str]:
    """Tell what has changed; what a revoked session or token had begun to hear ends."""
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    told: dict[str, Any] = {}
    async for seen in pulse.watch():
        if not await still():
            return
        if seen is None:
            yield ": beat\n\n"
            continue
        if known and word_of(seen) == known:
            told = dict(seen)
        known = ""
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
