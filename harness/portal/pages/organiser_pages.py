"""An organiser's pages: what there is to see. What they decide is in `organiser_forms`."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from harness.contest.events import ContestPhase
from harness.contest.state import EntryStatus
from harness.core.contest import TIMES
from harness.portal.access import Made
from harness.portal.api.route_parts import ContestHere, EntryName
from harness.portal.looking import member_line, phase_now, rules_of
from harness.portal.overview import (
    entry_lines,
    later_phases,
    preview_of,
    team_lines,
    work_of,
)
from harness.portal.pages.rendering import frame_of, page, said_of
from harness.portal.pages.team_pages import REPORT_POLICY
from harness.portal.problems import invalid, not_found
from harness.portal.site import Contest, Site
from harness.portal.visitor import PageVisitor, SiteHere, Visitor, organiser
from harness.portal.watched import board_address
from harness.results.run_folder import RunFolder
from harness.results.store import access_rows
from harness.results.store.jobs import moment_text

router = APIRouter(include_in_schema=False, prefix="/c/{challenge}/organise")
EVENTS_SHOWN = 200
ENTRIES_SHOWN = 100
Filter = Annotated[str, Query(max_length=80)]


@router.get("")
def overview(request: Request, site: SiteHere, contest: ContestHere, visitor: PageVisitor) -> HTMLResponse:
    """Show the phase, the work, what it cost, and what the organiser may do about them."""
    organiser(visitor, contest.name)
    rules = rules_of(contest.state)
    live = board_address(site, contest)
    frame = frame_of(visitor, contest, title="Organise", here="organise", live=live, said=said_of(request))
    return page(
        "organise.html",
        frame,
        tab="overview",
        phase=phase_now(site, contest),
        later=[one.value for one in later_phases(site, contest)],
        work=work_of(site, contest),
        price=site.config.price_per_hour,
        rules=rules,
        times={key: _local(getattr(rules, key), rules.zone) for key in TIMES},
        teams=len([one for one in contest.state.teams.values() if one.merged_into is None]),
        entries=len(contest.state.entries),
    )


@router.get("/phase")
def phase(site: SiteHere, contest: ContestHere, visitor: PageVisitor, to: Filter = "") -> HTMLResponse:
    """Show what a phase would make visible, before it begins."""
    organiser(visitor, contest.name)
    if to not in set(ContestPhase):
        raise invalid("there is no such phase")
    preview = preview_of(site, contest, ContestPhase(to))
    frame = frame_of(visitor, contest, title=f"Begin: {to}", here="organise")
    return page(
        "organise_phase.html",
        frame,
        tab="overview",
        preview=preview,
        decimals=contest.state.public_decimals,
    )


@router.get("/entries")
def entries(
    request: Request,
    contest: ContestHere,
    visitor: PageVisitor,
    status: Filter = "",
    team: Filter = "",
) -> HTMLResponse:
    """Show entries with exact scores of both sets, the newest first, a page at a time."""
    organiser(visitor, contest.name)
    site: Site = request.app.state.site
    text = request.query_params.get("text", "")[:80]
    lines = entry_lines(site, contest, status=status, team=team, text=text)
    pages = max(1, math.ceil(len(lines) / ENTRIES_SHOWN))
    asked = request.query_params.get("page", "1")
    place = min(pages, max(1, int(asked))) if re.fullmatch(r"[0-9]{1,6}", asked) else 1
    first = (place - 1) * ENTRIES_SHOWN
    return page(
        "organise_entries.html",
        frame_of(visitor, contest, title="Entries", here="organise", said=said_of(request)),
        tab="entries",
        lines=lines[first : first + ENTRIES_SHOWN],
        count=len(lines),
        first=first + 1,
        place=place,
        pages=pages,
        statuses=[one.value for one in EntryStatus],
        teams=sorted((one.team, one.name) for one in contest.state.teams.values()),
        wanted={"status": status, "team": team, "text": text},
        decimals=contest.state.public_decimals,
    )


@router.get("/entries/{entry}/report")
def report(site: SiteHere, contest: ContestHere, visitor: PageVisitor, entry: EntryName) -> Response:
    """Return the organiser's report of a run, walled off from the portal."""
    organiser(visitor, contest.name)
    found = contest.state.entries.get(entry)
    if found is None or found.run_id is None:
        raise not_found("report")
    place = RunFolder(path=site.config.runs / found.run_id).report
    if not place.is_file():
        raise not_found("report")
    return HTMLResponse(place.read_text(encoding="utf-8"), headers={"content-security-policy": REPORT_POLICY})


@router.get("/teams")
def teams(request: Request, site: SiteHere, contest: ContestHere, visitor: PageVisitor) -> HTMLResponse:
    """Show teams, and who may act for them."""
    organiser(visitor, contest.name)
    return teams_page(site, contest, visitor, said=said_of(request))


@router.get("/log")
def log(contest: ContestHere, visitor: PageVisitor, head: Filter = "") -> HTMLResponse:
    """Show every decision, and whether one was changed since."""
    organiser(visitor, contest.name)
    records = contest.ledger.log()
    wrong = contest.ledger.problems(head=head or None)
    events = [(record.number, record.document, record.sha256) for record in records[-EVENTS_SHOWN:]]
    return page(
        "organise_log.html",
        frame_of(visitor, contest, title="Log", here="organise"),
        tab="log",
        events=[(number, _worth_showing(document), sha256) for number, document, sha256 in reversed(events)],
        count=len(records),
        head=records[-1].sha256 if records else "",
        given=head,
        wrong=wrong,
    )


@router.get("/log.jsonl")
def exported_log(contest: ContestHere, visitor: PageVisitor) -> Response:
    """Return the log as `harness contest rebuild --events` reads it."""
    organiser(visitor, contest.name)
    text = "".join(json.dumps(asdict(one)) + "\n" for one in contest.ledger.log())
    headers = {"content-disposition": f'attachment; filename="{contest.name}-log.jsonl"'}
    return Response(text, media_type="application/jsonl", headers=headers)


def teams_page(
    site: Site,
    contest: Contest,
    visitor: Visitor,
    *,
    said: str = "",
    made: Made | None = None,
) -> HTMLResponse:
    """Return the page of teams, perhaps with a new secret."""
    with site.store.read() as connection:
        rows = access_rows.listed(connection, challenge=contest.name)
    now = moment_text(site.now())
    good = [row for row in rows if row.revoked is None and row.expires > now and row.used is None]
    return page(
        "organise_teams.html",
        frame_of(visitor, contest, title="Teams", here="organise", said=said),
        tab="teams",
        lines=team_lines(site, contest),
        access=[(row.team or row.role, member_line(row)) for row in good],
        made="" if made is None else made.text,
        made_for="" if made is None else (made.row.team or made.row.role),
    )


def _worth_showing(document: dict[str, object]) -> dict[str, str]:
    plain = {key: value for key, value in document.items() if key not in {"version"}}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in plain.items()}


def _local(moment: datetime | None, zone: ZoneInfo) -> str:
    """Write a moment as a field for date and time has it, in the contest's zone; empty if there is none."""
    return (
        "" if moment is None else moment.astimezone(zone).replace(tzinfo=None).isoformat(timespec="seconds")
    )
