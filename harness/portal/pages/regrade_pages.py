"""Regrades on pages: ask with corrected labels, see what would move, and then let it hold, or not.

The worker has the labels and does the work; here a wish is written down and its answer shown. Before that
answer was seen nothing changes, and none of it is on a page that a team can reach.
"""

from __future__ import annotations

import math
import tempfile
from datetime import datetime
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from harness.contest.regrade.asked import Asked, correction_files
from harness.contest.regrade.corrections import Correction
from harness.contest.regrade.regrade import new_regrade
from harness.contest.regrade.what_moves import Preview, read_preview
from harness.core.errors import ConfigError
from harness.core.types import SetName
from harness.portal.api.route_parts import ContestHere
from harness.portal.overview import regradings, work_of
from harness.portal.pages.rendering import frame_of, page, said_of
from harness.portal.problems import Problem, invalid, not_found
from harness.portal.site import Contest, Site
from harness.portal.visitor import PageVisitor, Posted, PostedForm, SiteHere, organiser
from harness.results.store import regrade_rows
from harness.results.store.jobs import moment_text
from harness.results.store.regrade_rows import RegradeRow, RegradeState
from harness.videos.labels import read_labels

router = APIRouter(include_in_schema=False, prefix="/c/{challenge}/organise/regrades")
RegradeName = Annotated[str, Path(max_length=64, description="the regrade's id")]
MOVES_SHOWN = 200
REASON_MAX = 2000
OPEN_MAX = 20  # regrades that wait for somebody


@router.get("")
def regrades(request: Request, site: SiteHere, contest: ContestHere, visitor: PageVisitor) -> HTMLResponse:
    """Show where a regrade is asked for, and every one so far."""
    organiser(visitor, contest.name)
    with site.store.read() as connection:
        asked = regrade_rows.listed(connection, contest.name)
    return page(
        "organise_regrades.html",
        frame_of(visitor, contest, title="Regrades", here="organise", said=said_of(request)),
        tab="regrades",
        asked=tuple(reversed(asked)),
        made=regradings(contest.ledger.log()),
        sets=[name.value for name in (SetName.PUBLIC, SetName.PRIVATE)],
        files=correction_files(FilePath(contest.row.path)),
        path=contest.row.path,
        decimals=contest.state.public_decimals,
        epsilon=contest.challenge.scoring.epsilon,
        constant=contest.challenge.scoring.failed_probability,
    )


@router.post("/ask")
def ask(site: SiteHere, contest: ContestHere, form: PostedForm) -> Response:
    """Write down what an organiser wants scored again; the worker says what it would move."""
    by = organiser(form.visitor, contest.name)
    if not form.text("reason"):
        raise invalid("say why: contestants will ask")
    asked = asked_of(form, correction_files(FilePath(contest.row.path)))
    now = moment_text(site.now())
    row = RegradeRow(
        challenge=contest.name,
        regrade=new_regrade(site.now()),
        state=RegradeState.ASKED,
        by=by.name,
        reason=form.text("reason")[:REASON_MAX],
        asked=now,
        changed=now,
        document=asked.to_json(),
    )
    with site.store.read() as connection:
        states = (RegradeState.ASKED, RegradeState.PREVIEWED, RegradeState.WANTED)
        waiting = regrade_rows.listed(connection, contest.name, states=states)
    if len(waiting) >= OPEN_MAX:
        raise Problem(409, "refused", f"{OPEN_MAX} regrades wait already", remedy="Withdraw some of them.")
    site.store.write(lambda connection: regrade_rows.add(connection, row))
    return RedirectResponse(f"/c/{contest.name}/organise/regrades/{row.regrade}?said=asked", status_code=303)


@router.get("/{regrade}")
def one_regrade(
    request: Request, site: SiteHere, contest: ContestHere, visitor: PageVisitor, regrade: RegradeName
) -> HTMLResponse:
    """Show what a regrade would move, or has moved, and let the organiser decide."""
    organiser(visitor, contest.name)
    row = _row(site, contest, regrade)
    frame = frame_of(visitor, contest, title="Regrade", here="organise", said=said_of(request), renews=True)
    return page(
        "organise_regrade.html",
        frame,
        tab="regrades",
        row=row,
        asked_at=datetime.fromisoformat(row.asked),
        preview=_preview_of(row),
        alive=work_of(site, contest).alive,
        waits=row.state in regrade_rows.OPEN,
        most=MOVES_SHOWN,
        decimals=contest.state.public_decimals,
    )


@router.post("/{regrade}/apply")
def apply(site: SiteHere, contest: ContestHere, form: PostedForm, regrade: RegradeName) -> Response:
    """Let a regrade hold whose preview was seen."""
    by = organiser(form.visitor, contest.name)
    row = _row(site, contest, regrade)
    if row.state is not RegradeState.PREVIEWED:
        raise Problem(409, "refused", f"it is {row.state.value}", remedy="Only what was seen can be applied.")
    _move(site, row, RegradeState.WANTED, by=by.name)
    return _back(contest, regrade, "wanted")


@router.post("/{regrade}/withdraw")
def withdraw(site: SiteHere, contest: ContestHere, form: PostedForm, regrade: RegradeName) -> Response:
    """Take back what was requested; labels that came with it are forgotten."""
    organiser(form.visitor, contest.name)
    row = _row(site, contest, regrade)
    if row.state not in {RegradeState.ASKED, RegradeState.PREVIEWED}:
        raise Problem(409, "refused", f"it is {row.state.value}", remedy="It cannot be taken back any more.")
    _move(site, row, RegradeState.WITHDRAWN, preview="")
    return _back(contest, regrade, "withdrawn")


def asked_of(form: Posted, files: tuple[str, ...]) -> Asked:
    """Read what a form asks for, labels by the reader that the worker has, too.

    Raises:
        Problem: there is nothing in it, or something that cannot be read.
    """
    of = form.text("set")
    if of not in {"", SetName.PUBLIC.value, SetName.PRIVATE.value}:
        raise invalid("there is no such set")
    labels, chosen = form.text("labels"), form.text("file")
    if chosen and chosen not in files:
        raise invalid("there is no such file of corrections")
    if labels and chosen:
        raise invalid("give labels or choose a file, not both")
    if labels:
        _check_labels(labels)
    asked = Asked(
        labels={of: labels + "\n"} if labels else {},
        files={of: chosen} if chosen else {},
        drop=form.text("drop"),
        epsilon=_number(form, "epsilon"),
        failed_probability=_number(form, "failed_probability"),
        adds=bool(form.text("adds")),
    )
    try:
        Correction(epsilon=asked.epsilon, failed_probability=asked.failed_probability)
    except ConfigError as error:
        raise invalid(error.message.removeprefix("--"), remedy=error.remedy) from error
    if asked == Asked(adds=asked.adds) and asked.adds:
        raise invalid("nothing is corrected", remedy="Give labels, videos that do not count, or a number.")
    return asked


def _check_labels(text: str) -> None:
    with tempfile.TemporaryDirectory(prefix="regrade-") as folder:
        path = FilePath(folder) / "labels.csv"
        path.write_text(text + "\n", encoding="utf-8")
        try:
            read_labels(path)
        except ConfigError as error:
            raise invalid(f"the labels: {error.message}", remedy=error.remedy) from error


def _number(form: Posted, name: str) -> float | None:
    text = form.text(name)
    try:
        found = float(text) if text else None
    except ValueError as error:
        raise invalid(f"{name.replace('_', ' ')} is not a number") from error
    if found is not None and not math.isfinite(found):
        raise invalid(f"{name.replace('_', ' ')} is not a number")
    return found


def _preview_of(row: RegradeRow) -> Preview | None:
    try:
        return read_preview(row.preview) if row.preview else None
    except ConfigError:  # of another release: it can be withdrawn, and asked for again
        return None


def _row(site: Site, contest: Contest, regrade: str) -> RegradeRow:
    with site.store.read() as connection:
        row = regrade_rows.get(connection, contest.name, regrade)
    if row is None:
        raise not_found("regrade")
    return row


def _move(site: Site, row: RegradeRow, to: RegradeState, **changed: str) -> None:
    now = moment_text(site.now())
    if not site.store.write(lambda connection: regrade_rows.move(connection, row, to, now=now, **changed)):
        raise Problem(409, "conflict", "it was changed meanwhile", remedy="Look again.")


def _back(contest: Contest, regrade: str, said: str) -> Response:
    return RedirectResponse(f"/c/{contest.name}/organise/regrades/{regrade}?said={said}", status_code=303)
