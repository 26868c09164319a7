"""What an organiser decides on a page: each is one command to the contest's ledger, under their name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from harness.contest.events import ContestPhase
from harness.contest.ledger import Ledger
from harness.contest.rules import Refusal
from harness.contest.rules.commands import (
    AmendRules,
    CancelEntry,
    Command,
    CreateContest,
    Disqualify,
    EnterPhase,
    GrantTries,
    MergeTeams,
    RegisterTeam,
    Reinstate,
    RequeueEntry,
    Role,
)
from harness.contest.rules.teams import team_id
from harness.core.challenge import load_challenge
from harness.core.contest import TIMES, ContestRules
from harness.core.errors import ConfigError
from harness.core.text import describe
from harness.portal.access import Holder, make_link, revoke
from harness.portal.api.route_parts import ContestHere
from harness.portal.looking import rules_of
from harness.portal.pages.organiser_pages import teams_page
from harness.portal.pages.rendering import frame_of, page
from harness.portal.problems import invalid, not_found, refused
from harness.portal.site import Contest, Site
from harness.portal.visitor import PageVisitor, Posted, PostedForm, SiteHere, organiser
from harness.results.store import access_rows, drivers
from harness.results.store.drivers import Wish

router = APIRouter(include_in_schema=False)
NUMBERS = ("valid_per_day", "failed_per_day", "total", "finals")
TEXT_MAX = 2000


@router.post("/c/{challenge}/organise/phase")
def begin_phase(contest: ContestHere, form: PostedForm) -> Response:
    """Begin a later phase."""
    if form.text("to") not in set(ContestPhase):
        raise invalid("there is no such phase")
    asked = EnterPhase(phase=ContestPhase(form.text("to")), reason=_reason(form))
    return _decided(contest, form, asked, to="", said="phase")


@router.post("/c/{challenge}/organise/amend")
def amend(contest: ContestHere, form: PostedForm) -> Response:
    """Change dates and quotas from now on."""
    organiser(form.visitor, contest.name)
    rules = rules_of(contest.state)
    changed: dict[str, Any] = rules.model_dump()
    for key in TIMES:
        changed[key] = form.text(key) or None
    for key in NUMBERS:
        changed[key] = whole_number(form, key)
    try:
        amended = ContestRules.model_validate({k: v for k, v in changed.items() if v is not None})
    except ValidationError as error:
        raise invalid("; ".join(describe(one) for one in error.errors()[:5])) from error
    return _decided(contest, form, AmendRules(rules=amended, reason=_reason(form)), to="", said="amended")


@router.post("/c/{challenge}/organise/wish")
def wish(site: SiteHere, contest: ContestHere, form: PostedForm) -> Response:
    """Tell the driver to run, to pause, or to end once what runs is finished."""
    organiser(form.visitor, contest.name)
    if form.text("wish") not in set(Wish):
        raise invalid("the driver may run, pause or drain")
    what = Wish(form.text("wish"))
    site.store.write(lambda connection: drivers.wish(connection, contest.name, what))
    return _back(contest, "", "wish")


@router.post("/c/{challenge}/organise/entries/cancel")
def cancel(contest: ContestHere, form: PostedForm) -> Response:
    """Withdraw an entry that has no score yet."""
    asked = CancelEntry(entry=form.text("entry"), reason=_reason(form))
    return _decided(contest, form, asked, to="/entries", said="cancelled")


@router.post("/c/{challenge}/organise/entries/requeue")
def requeue(contest: ContestHere, form: PostedForm) -> Response:
    """Run again what our fault spoiled."""
    asked = RequeueEntry(entry=form.text("entry"), reason=_reason(form))
    return _decided(contest, form, asked, to="/entries", said="requeued")


@router.post("/c/{challenge}/organise/disqualify")
def disqualify(contest: ContestHere, form: PostedForm) -> Response:
    """Take a team, or one of its entries, off every board."""
    entry = form.text("entry") or None
    found = contest.state.entries.get(entry or "")
    team = form.text("team") if found is None else found.team
    asked = Disqualify(team=team, entry=entry, reason=_reason(form), public_note=form.text("note")[:TEXT_MAX])
    return _decided(contest, form, asked, to="/entries" if entry else "/teams", said="disqualified")


@router.post("/c/{challenge}/organise/reinstate")
def reinstate(contest: ContestHere, form: PostedForm) -> Response:
    """Lift a disqualification."""
    entry = form.text("entry") or None
    found = contest.state.entries.get(entry or "")
    team = form.text("team") if found is None else found.team
    asked = Reinstate(team=team, entry=entry, reason=_reason(form))
    return _decided(contest, form, asked, to="/entries" if entry else "/teams", said="reinstated")


@router.post("/c/{challenge}/organise/grant")
def grant(contest: ContestHere, form: PostedForm) -> Response:
    """Give a team further tries."""
    tries = whole_number(form, "tries")
    asked = GrantTries(team=form.text("team"), tries=tries or 0, reason=_reason(form))
    return _decided(contest, form, asked, to="/teams", said="granted")


@router.post("/c/{challenge}/organise/merge")
def merge(contest: ContestHere, form: PostedForm) -> Response:
    """Merge one team into another."""
    asked = MergeTeams(into=form.text("into"), other=form.text("other"))
    return _decided(contest, form, asked, to="/teams", said="merged")


@router.post("/c/{challenge}/organise/register")
def register(contest: ContestHere, form: PostedForm) -> Response:
    """Let a team take part."""
    asked = RegisterTeam(team=team_id(form.text("name")), name=form.text("name"))
    return _decided(contest, form, asked, to="/teams", said="registered")


@router.post("/c/{challenge}/organise/link")
def link(site: SiteHere, contest: ContestHere, form: PostedForm) -> HTMLResponse:
    """Make a link for a team, or for a further organiser of this contest."""
    organiser(form.visitor, contest.name)
    role = Role.ORGANISER if form.text("role") == Role.ORGANISER else Role.TEAM  # never by an empty field
    team = form.text("team") if role is Role.TEAM else None
    if team is not None and team not in contest.state.teams:
        raise not_found("team")
    label = form.text("label") or (team or "organiser")
    made = make_link(site, Holder(role=role, label=label, challenge=contest.name, team=team))
    return teams_page(site, contest, form.visitor, made=made)


@router.post("/c/{challenge}/organise/revoke")
def revoke_one(site: SiteHere, contest: ContestHere, form: PostedForm) -> Response:
    """Revoke a link, a token or a session of this contest."""
    organiser(form.visitor, contest.name)
    with site.store.read() as connection:
        row = access_rows.get(connection, form.text("access"))
    if row is None or row.challenge != contest.name:
        raise not_found("link, token or session")
    revoke(site, row.access)
    return _back(contest, "/teams", "revoked")


@router.get("/create")
def choose_challenge(site: SiteHere, visitor: PageVisitor) -> HTMLResponse:
    """Show the challenges that are no contests yet."""
    organiser(visitor, None)
    return page(
        "create.html",
        frame_of(visitor, None, title="Make a contest"),
        found=sorted(_challenges(site).items()),
        folder=site.config.challenges,
    )


@router.post("/create")
def create(site: SiteHere, form: PostedForm) -> Response:
    """Make a contest of a challenge of the folder that the portal was started with."""
    organiser(form.visitor, None)
    path = _challenges(site).get(form.text("challenge"))
    if path is None:
        raise not_found("challenge")
    try:
        loaded = load_challenge(path)
    except ConfigError as error:
        raise invalid(error.message, remedy=error.remedy) from error
    if loaded.contest is None:
        raise invalid("it has no [contest] table", remedy="docs/contest.md has an example.")
    asked = CreateContest(
        challenge=loaded.name,
        challenge_sha256=loaded.sha256,
        public_decimals=loaded.scoring.public_decimals,
        rules=loaded.contest,
    )
    by = organiser(form.visitor, None)
    answer = Ledger(site.store, loaded.name, path=str(path)).ask(asked, now=site.now(), by=by)
    if isinstance(answer, Refusal):
        raise refused(answer)
    return RedirectResponse(f"/c/{loaded.name}/organise?said=created", status_code=303)


def whole_number(form: Posted, name: str) -> int | None:
    """Return a field as a number; None if it was left empty.

    Raises:
        Problem: it is none; what was meant is not guessed, for an empty limit is no limit.
    """
    text = form.text(name)
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise invalid(f"{name.replace('_', ' ')} is not a whole number", remedy="Write digits, or nothing.")
    return int(text)


def _challenges(site: Site) -> dict[str, Path]:
    """Return the challenge.toml of each folder by the folder's name, without those that are contests."""
    folder = site.config.challenges
    if folder is None or not folder.is_dir():
        return {}
    known = {row.path for row in site.contests()}
    found = (path / "challenge.toml" for path in sorted(folder.iterdir()))
    return {path.parent.name: path for path in found if path.is_file() and str(path) not in known}


def _decided(contest: Contest, form: Posted, asked: Command, *, to: str, said: str) -> Response:
    contest.ask(asked, by=organiser(form.visitor, contest.name))
    return _back(contest, to, said)


def _back(contest: Contest, to: str, said: str) -> Response:
    return RedirectResponse(f"/c/{contest.name}/organise{to}?said={said}", status_code=303)


def _reason(form: Posted) -> str:
    return form.text("reason")[:TEXT_MAX]
