"""What everybody may ask: which contests there are, their rules, their boards."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from harness.core.text import table_cell
from harness.portal.api.route_parts import ContestHere, failures
from harness.portal.looking import board_answer, board_row, challenge_answer, phase_now
from harness.portal.problems import unauthorised
from harness.portal.schemas import (
    BoardAnswer,
    BoardLine,
    ChallengeAnswer,
    ChallengeLine,
    Challenges,
    Health,
    Me,
)
from harness.portal.site import Contest, Site
from harness.portal.visitor import ApiVisitor, SiteHere

router = APIRouter(tags=["everybody"])
SetChoice = Annotated[Literal["public", "private"], Query(alias="set", description="private: after release")]


@router.get("/health", responses=failures())
def health(site: SiteHere) -> Health:
    """Tell whether the portal and its database answer."""
    site.contests()
    return Health(status="ok")


@router.get("/me", responses=failures(401))
def me(site: SiteHere, visitor: ApiVisitor) -> Me:
    """Say whom the token stands for."""
    row = visitor.row
    if row is None:
        raise unauthorised()
    team, name = row.team, None
    if row.challenge is not None and team is not None:
        state = site.contest(row.challenge).state
        team = visitor.team_in(state) or team
        name = state.teams[team].name if team in state.teams else None
    return Me(
        role=row.role,
        challenge=row.challenge,
        team=team,
        team_name=name,
        label=row.label,
        scopes=row.scopes.split(),
    )


@router.get("/challenges", responses=failures())
def challenges(site: SiteHere) -> Challenges:
    """List every contest."""
    found = [site.contest(row.challenge) for row in site.contests()]
    return Challenges(
        challenges=[
            ChallengeLine(challenge=one.name, title=one.title, phase=phase_now(site, one)) for one in found
        ]
    )


@router.get("/challenges/{challenge}", responses=failures(404))
def challenge(site: SiteHere, contest: ContestHere) -> ChallengeAnswer:
    """Return a contest's phases, rules and limits."""
    return challenge_answer(site, contest)


@router.get("/challenges/{challenge}/board", responses=failures(404))
def board(
    response: Response, site: SiteHere, contest: ContestHere, which: SetChoice = "public"
) -> BoardAnswer:
    """Return a board; empty until the first score. Its version changes if anything else does."""
    row = board_row(site, contest, which)
    response.headers["etag"] = f'"{row.version if row else ""}"'
    return board_answer(site, contest, row, which)


@router.get(
    "/challenges/{challenge}/board.csv",
    responses={**failures(404), 200: {"content": {"text/csv": {}}}},
    response_class=Response,
)
def board_table(site: SiteHere, contest: ContestHere, which: SetChoice = "public") -> Response:
    """Return a board as CSV."""
    return Response(csv_of(site, contest, which), media_type="text/csv")


def csv_of(site: Site, contest: Contest, which: str) -> str:
    """Return a board as CSV; no cell is taken for a formula by a spreadsheet."""
    found = board_answer(site, contest, board_row(site, contest, which), which)
    stream = io.StringIO()
    names = list(BoardLine.model_fields)
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    for row in found.rows:
        writer.writerow({name: _cell(getattr(row, name)) for name in names})
    return stream.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str):
        return table_cell(value)
    return "" if value is None else value
