"""Pages that everybody may see, and the way in and out."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from harness.contest.rules.commands import Role
from harness.contest.rules.finals import final_entries
from harness.contest.rules.teams import scores_are_shown
from harness.core.types import SetName
from harness.portal.access import enter, find, leave
from harness.portal.api.open_routes import csv_of
from harness.portal.api.route_parts import ContestHere
from harness.portal.looking import board_answer, board_row, challenge_answer, phase_now, rules_of
from harness.portal.pages.charts import shake_of
from harness.portal.pages.rendering import board_table as table_of_board
from harness.portal.pages.rendering import frame_of, page
from harness.portal.schemas import ChallengeLine
from harness.portal.site import Site
from harness.portal.visitor import PageVisitor, PostedForm, SiteHere, cookie_name
from harness.portal.watched import board_address
from harness.results.store.access_rows import AccessKind, AccessRow

router = APIRouter(include_in_schema=False)
LINES_SHOWN = 300  # of a board, unless all are asked for: watchers load it again at every change
PHASE_WORDS = {
    "announced": "Teams may register.",
    "open": "Entries are taken, public scores shown.",
    "blind": "Entries are taken, their scores hidden.",
    "closed": "No entry is taken; what waits is run.",
    "released": "Private scores are shown.",
}


@router.get("/")
def index(site: SiteHere, visitor: PageVisitor) -> HTMLResponse:
    """List contests."""
    found = [site.contest(row.challenge) for row in site.contests()]
    lines = [ChallengeLine(challenge=one.name, title=one.title, phase=phase_now(site, one)) for one in found]
    return page("index.html", frame_of(visitor, None, title="Contests"), lines=lines)


@router.get("/c/{challenge}")
def challenge(site: SiteHere, contest: ContestHere, visitor: PageVisitor) -> HTMLResponse:
    """Show rules, phases and limits."""
    frame = frame_of(visitor, contest, title=contest.title, here="challenge")
    return page("challenge.html", frame, found=challenge_answer(site, contest), words=PHASE_WORDS)


@router.get("/c/{challenge}/board")
def board(request: Request, site: SiteHere, contest: ContestHere, visitor: PageVisitor) -> HTMLResponse:
    """Show a board: the private one once scores are released."""
    released = scores_are_shown(contest.state, site.now())
    which = request.query_params.get("set") or ("private" if released else "public")
    row = board_row(site, contest, which)
    found = board_answer(site, contest, row, which)
    most = len(found.rows) if request.query_params.get("all") else LINES_SHOWN
    frame = frame_of(
        visitor,
        contest,
        title="Board",
        here="board",
        live=board_address(site, contest),
    )
    own = next((line for line in found.rows if line.team == frame.team), None)
    judged = frame.team is not None and bool(final_entries(contest.state, frame.team))
    return page(
        "board.html",
        frame,
        board=found,
        stops=rules_of(contest.state).early_stopping is not None,
        no_line=which == SetName.PRIVATE and judged and own is None,
        released=released,
        phase=phase_now(site, contest),
        picture=shake_of(found, frame.team),
        table="" if row is None else table_of_board(site.board(row), most, frame.team),
        more=len(found.rows) > most,
        shown=most,
        own=own,
    )


@router.get("/c/{challenge}/board.csv")
def board_table(request: Request, site: SiteHere, contest: ContestHere) -> Response:
    """Return a board as CSV."""
    which = request.query_params.get("set", "public")
    return Response(csv_of(site, contest, which), media_type="text/csv")


@router.get("/enter/{text}")
def ask_to_enter(site: SiteHere, visitor: PageVisitor, text: str) -> HTMLResponse:
    """Ask before a link is used up: programs that look at mails follow links as well."""
    row = find(site, text, AccessKind.LINK)
    who = "" if row is None else _who(site, row)
    return page("enter.html", frame_of(visitor, None, title="Enter"), who=who, text=text)


@router.post("/enter/{text}")
def follow(request: Request, site: SiteHere, text: str) -> Response:
    """Use a link up: the browser gets a new session, whatever it had before."""
    made = enter(site, text, before=request.cookies.get(cookie_name(site)))
    if made is None:
        return RedirectResponse(f"/enter/{text}", status_code=303)
    to = "/" if made.row.challenge is None else f"/c/{made.row.challenge}"
    if made.row.challenge is not None and made.row.role == Role.ORGANISER.value:
        to += "/organise"
    answer = RedirectResponse(to, status_code=303)
    same: Literal["lax"] = "lax"  # a link from elsewhere finds one logged in; every change needs a word more
    answer.set_cookie(
        cookie_name(site),
        made.text,
        max_age=int(site.config.session_hours * 3600),
        httponly=True,
        secure=site.config.secure,
        samesite=same,
        path="/",
    )
    return answer


@router.post("/leave")
def leave_now(request: Request, site: SiteHere, form: PostedForm) -> Response:
    """End the session."""
    del form
    leave(site, request.cookies.get(cookie_name(site), ""))
    answer = RedirectResponse("/", status_code=303)
    answer.delete_cookie(cookie_name(site), path="/", secure=site.config.secure, httponly=True)
    return answer


def _who(site: Site, row: AccessRow) -> str:
    if row.challenge is None or row.team is None:
        return f"{row.label}, organiser"
    teams = site.contest(row.challenge).state.teams
    name = teams[row.team].name if row.team in teams else row.team
    return f"{row.label}, team {name}"
