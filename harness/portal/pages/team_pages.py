"""A team's own pages: hand in, entries, finals, members."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from harness.contest.rules import Refusal, team_actor
from harness.contest.rules.commands import Role, SelectFinals
from harness.contest.rules.decide import decide
from harness.contest.rules.teams import scores_are_shown
from harness.core.types import SetName
from harness.portal.access import TEAM_SCOPES, Holder, Made, Scope, make_link, make_token, revoke
from harness.portal.api.route_parts import ContestHere, EntryName
from harness.portal.api.team_routes import (
    cancel_entry,
    choose_finals,
    close_up,
    log_text,
    own_entry,
    requeue_entry,
)
from harness.portal.looking import entries_answer, members_of, rules_of, team_answer
from harness.portal.pages.charts import history_of
from harness.portal.pages.rendering import frame_of, page, said_of
from harness.portal.problems import invalid, not_found
from harness.portal.site import Contest, Site
from harness.portal.visible import report_path
from harness.portal.visitor import PageVisitor, Posted, PostedForm, SiteHere, Visitor, own_team
from harness.portal.watched import team_address

router = APIRouter(include_in_schema=False, prefix="/c/{challenge}")
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)


@router.get("/submit")
def submit(site: SiteHere, contest: ContestHere, visitor: PageVisitor) -> HTMLResponse:
    """Show where a package is handed in, and what the quota still allows."""
    own = own_team(visitor, contest, Scope.SUBMIT)
    frame = frame_of(visitor, contest, title="Hand in", here="submit")
    declares = rules_of(contest.state).external_data_declaration
    return page("submit.html", frame, team=team_answer(site, contest, own), declares=declares)


@router.get("/entries")
def entries(request: Request, site: SiteHere, contest: ContestHere, visitor: PageVisitor) -> HTMLResponse:
    """Show the team's entries, and follow them."""
    own = own_team(visitor, contest, Scope.READ)
    found = entries_answer(site, contest, own)
    frame = frame_of(
        visitor,
        contest,
        title="Entries",
        here="entries",
        live=team_address(site, contest, found),
        said=said_of(request),
    )
    return page(
        "entries.html",
        frame,
        entries=found,
        decimals=contest.state.public_decimals,
        released=scores_are_shown(contest.state, site.now()),
        picture=history_of(found, contest.state.public_decimals),
    )


@router.get("/entries/{entry}")
def one_entry(
    request: Request, site: SiteHere, contest: ContestHere, visitor: PageVisitor, entry: EntryName
) -> HTMLResponse:
    """Show one entry, and follow it."""
    own = own_team(visitor, contest, Scope.READ)
    found = close_up(site, contest, own, entry)
    frame = frame_of(
        visitor,
        contest,
        title=f"Entry {found.number}",
        here="entries",
        live=team_address(site, contest, entries_answer(site, contest, own)),
        said=said_of(request),
    )
    return page(
        "entry.html",
        frame,
        one=found,
        has_private=SetName.PRIVATE in contest.challenge.sets,
        decimals=contest.state.public_decimals,
        log=log_text(site, contest, own, entry),
        report=report_path(contest.state, site.config.runs, own_entry(contest, own, entry)) is not None,
    )


@router.get("/entries/{entry}/report")
def report(site: SiteHere, contest: ContestHere, visitor: PageVisitor, entry: EntryName) -> Response:
    """Return the contestant's page of a run: one file with its style inside, and walled off from all else."""
    own = own_team(visitor, contest, Scope.READ)
    place = report_path(contest.state, site.config.runs, own_entry(contest, own, entry))
    if place is None:
        raise not_found("report")
    return HTMLResponse(place.read_text(encoding="utf-8"), headers={"content-security-policy": REPORT_POLICY})


@router.post("/entries/{entry}/cancel")
def cancel(contest: ContestHere, form: PostedForm, entry: EntryName) -> Response:
    """Withdraw an entry."""
    cancel_entry(contest, own_team(form.visitor, contest, Scope.SUBMIT), entry)
    return RedirectResponse(f"/c/{contest.name}/entries/{entry}?said=cancelled", status_code=303)


@router.post("/entries/{entry}/requeue")
def requeue(contest: ContestHere, form: PostedForm, entry: EntryName) -> Response:
    """Run an entry again that our own fault spoiled."""
    requeue_entry(contest, own_team(form.visitor, contest, Scope.SUBMIT), entry)
    return RedirectResponse(f"/c/{contest.name}/entries/{entry}?said=requeued", status_code=303)


@router.get("/team")
def team(request: Request, site: SiteHere, contest: ContestHere, visitor: PageVisitor) -> HTMLResponse:
    """Show finals, members and programs."""
    own_team(visitor, contest, Scope.READ)
    return _team_page(site, contest, visitor, said=said_of(request))


@router.post("/finals")
def finals(contest: ContestHere, form: PostedForm) -> Response:
    """Choose finals."""
    choose_finals(contest, own_team(form.visitor, contest, Scope.SUBMIT), tuple(form.lists.get("entry", ())))
    return RedirectResponse(f"/c/{contest.name}/team?said=finals", status_code=303)


@router.post("/team/invite")
def invite(site: SiteHere, contest: ContestHere, form: PostedForm) -> HTMLResponse:
    """Make a link for a further member."""
    made = make_link(site, _holder(contest, form))
    return _team_page(site, contest, form.visitor, made=made, what="Give this link to your new member")


@router.post("/team/token")
def token(site: SiteHere, contest: ContestHere, form: PostedForm) -> HTMLResponse:
    """Make a token for a program."""
    scopes = (Scope.READ,) if form.text("read_only") else TEAM_SCOPES
    made = make_token(site, _holder(contest, form), scopes)
    return _team_page(site, contest, form.visitor, made=made, what="Your program's token")


@router.post("/team/revoke")
def revoke_one(site: SiteHere, contest: ContestHere, form: PostedForm) -> Response:
    """Revoke what may act for the team."""
    own = own_team(form.visitor, contest, Scope.TEAM)
    wanted = form.text("access")
    if wanted not in {one.access for one in members_of(site, contest, own)}:
        raise not_found("member or program")
    revoke(site, wanted)
    return RedirectResponse(f"/c/{contest.name}/team?said=revoked", status_code=303)


def _holder(contest: Contest, form: Posted) -> Holder:
    own = own_team(form.visitor, contest, Scope.TEAM)
    if not form.text("label"):
        raise invalid("say whose it will be")
    return Holder(role=Role.TEAM, label=form.text("label"), challenge=contest.name, team=own)


def _team_page(
    site: Site,
    contest: Contest,
    visitor: Visitor,
    *,
    said: str = "",
    made: Made | None = None,
    what: str = "",
) -> HTMLResponse:
    own = own_team(visitor, contest, Scope.READ)
    rules = rules_of(contest.state)
    choices = [one for one in entries_answer(site, contest, own) if one.status == "scored"]
    chosen = decide(contest.state, SelectFinals(team=own, entries=()), site.now(), team_actor(own))
    return page(
        "team.html",
        frame_of(visitor, contest, title="Team", here="team", said=said),
        team=team_answer(site, contest, own),
        choices=choices,
        finals_until=rules.finals_until or rules.closes,
        no_choice=chosen.message if isinstance(chosen, Refusal) else "",
        own_access=None if visitor.row is None else visitor.row.access,
        decimals=contest.state.public_decimals,
        may_manage=Scope.TEAM in visitor.scopes,
        made="" if made is None else made.text,
        made_what=what,
    )
