"""What a team may ask about itself: quota, entries, logs; and what it may decide: cancel, finals."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse, Response

from harness.contest.rules import team_actor
from harness.contest.rules.commands import CancelEntry, RequeueEntry, SelectFinals
from harness.contest.state import Entry
from harness.core.text import safe_text
from harness.portal.access import Scope
from harness.portal.api.route_parts import ContestHere, EntryName, failures
from harness.portal.looking import entries_answer, seen_of, team_answer
from harness.portal.problems import not_found
from harness.portal.schemas import (
    EntriesAnswer,
    EntryAnswer,
    FinalsAnswer,
    FinalsAsked,
    NothingAsked,
    TeamAnswer,
)
from harness.portal.site import Contest, Site
from harness.portal.visible import entry_answer, log_path
from harness.portal.visitor import ApiVisitor, SiteHere, own_team

router = APIRouter(tags=["team"])


def _reader(contest: ContestHere, visitor: ApiVisitor) -> str:
    return own_team(visitor, contest, Scope.READ)


def submitter(contest: ContestHere, visitor: ApiVisitor) -> str:
    """Return the team that may decide something.

    Raises:
        Problem: the visitor does not belong to a team of this contest, or the token lacks the scope.
    """
    return own_team(visitor, contest, Scope.SUBMIT)


ReadingTeam = Annotated[str, Depends(_reader)]
SubmittingTeam = Annotated[str, Depends(submitter)]


@router.get("/challenges/{challenge}/team", responses=failures(401, 403, 404))
def team(site: SiteHere, contest: ContestHere, own: ReadingTeam) -> TeamAnswer:
    """Return the team, what its quota still allows, and who may act for it."""
    return team_answer(site, contest, own)


@router.get("/challenges/{challenge}/entries", responses=failures(401, 403, 404))
def entries(site: SiteHere, contest: ContestHere, own: ReadingTeam) -> EntriesAnswer:
    """Return the team's entries, the newest first."""
    return EntriesAnswer(entries=entries_answer(site, contest, own))


@router.get("/challenges/{challenge}/entries/{entry}", responses=failures(401, 403, 404))
def entry(site: SiteHere, contest: ContestHere, own: ReadingTeam, entry: EntryName) -> EntryAnswer:
    """Return one entry of the team."""
    return close_up(site, contest, own, entry)


@router.get(
    "/challenges/{challenge}/entries/{entry}/logs",
    responses={**failures(401, 403, 404), 200: {"content": {"text/plain": {}}}},
    response_class=Response,  # not that of the text: errors are described as JSON
)
def logs(site: SiteHere, contest: ContestHere, own: ReadingTeam, entry: EntryName) -> PlainTextResponse:
    """Return the end of what the package printed on the public set; empty if it printed nothing."""
    return PlainTextResponse(log_text(site, contest, own, entry))


@router.post("/challenges/{challenge}/entries/{entry}/cancel", responses=failures(401, 403, 404, 409))
def cancel(
    site: SiteHere, contest: ContestHere, own: SubmittingTeam, entry: EntryName, asked: NothingAsked
) -> EntryAnswer:
    """Withdraw an entry that has no score yet; what it cost is refunded."""
    del asked
    cancel_entry(contest, own, entry)
    return close_up(site, contest, own, entry)


@router.post("/challenges/{challenge}/entries/{entry}/requeue", responses=failures(401, 403, 404, 409))
def requeue(
    site: SiteHere, contest: ContestHere, own: SubmittingTeam, entry: EntryName, asked: NothingAsked
) -> EntryAnswer:
    """Run an entry again that our own fault spoiled."""
    del asked
    requeue_entry(contest, own, entry)
    return close_up(site, contest, own, entry)


@router.put("/challenges/{challenge}/finals", responses=failures(401, 403, 404, 409))
def finals(contest: ContestHere, own: SubmittingTeam, asked: FinalsAsked) -> FinalsAnswer:
    """Choose the entries that the team is judged by; if none is named, its best by public score."""
    return FinalsAnswer(finals=choose_finals(contest, own, tuple(asked.entries)))


def own_entry(contest: Contest, team: str, entry: str) -> Entry:
    """Return a team's entry.

    Raises:
        Problem: this team has none of this name; another team may.
    """
    found = contest.state.entries.get(entry)
    if found is None or found.team != team:
        raise not_found("entry")
    return found


def close_up(site: Site, contest: Contest, team: str, entry: str) -> EntryAnswer:
    """Return one entry with all that its team may see."""
    return entry_answer(seen_of(site, contest, team), own_entry(contest, team, entry), closely=True)


def log_text(site: Site, contest: Contest, team: str, entry: str) -> str:
    """Return an entry's public log, without characters that act on a terminal."""
    place = log_path(site.config.runs, own_entry(contest, team, entry))
    return "" if place is None else safe_text(place.read_text(encoding="utf-8", errors="replace"))


def cancel_entry(contest: Contest, team: str, entry: str) -> None:
    """Withdraw an entry; the worker notices, and stops what runs of it.

    Raises:
        Problem: it is not the team's, or there is nothing to cancel.
    """
    own_entry(contest, team, entry)
    asked = CancelEntry(entry=entry, reason="cancelled by its team")
    contest.ask(asked, by=team_actor(team))


def requeue_entry(contest: Contest, team: str, entry: str) -> None:
    """Have an entry run again that our own fault spoiled.

    Raises:
        Problem: it is not the team's, was not spoiled, or was spoiled too often.
    """
    own_entry(contest, team, entry)
    contest.ask(RequeueEntry(entry=entry, reason="asked for by its team"), by=team_actor(team))


def choose_finals(contest: Contest, team: str, entries: tuple[str, ...]) -> list[str]:
    """Choose finals.

    Raises:
        Problem: one is not the team's, or the rules refuse it.
    """
    for one in entries:
        own_entry(contest, team, one)
    contest.ask(SelectFinals(team=team, entries=entries), by=team_actor(team))
    return list(contest.state.teams[team].finals)
