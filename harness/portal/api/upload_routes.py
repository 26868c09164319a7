"""Handing in: an upload in parts, then the static check, then the rules. Nothing is started here."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from starlette.concurrency import run_in_threadpool

from harness.contest.intake import hand_in
from harness.contest.rules import Refusal, team_actor
from harness.core.errors import SubmissionError
from harness.package.check import CheckReport
from harness.portal.api.route_parts import ContestHere, UploadName, failures
from harness.portal.api.team_routes import SubmittingTeam, close_up
from harness.portal.looking import would_refuse
from harness.portal.problems import Problem, moment, refused
from harness.portal.schemas import CheckAnswer
from harness.portal.site import Contest, Site
from harness.portal.upload_schemas import FinishAnswer, FinishAsked, UploadAnswer, UploadAsked
from harness.portal.uploads import Upload, Uploads, remove
from harness.portal.visitor import SiteHere, site_of

router = APIRouter(tags=["handing in"])
OCTETS = "application/octet-stream"
OffsetHeader = Annotated[int, Header(alias="Upload-Offset", ge=0, le=1 << 50)]


@router.post(
    "/challenges/{challenge}/uploads",
    status_code=201,
    responses={
        **failures(401, 403, 404, 409, 413),
        200: {"model": UploadAnswer, "description": "this content is already on its way: go on from there"},
    },
)
def begin(
    site: SiteHere, contest: ContestHere, own: SubmittingTeam, asked: UploadAsked, response: Response
) -> UploadAnswer:
    """Announce a file. Refused at once if the quota has no try left for it."""
    refusal = would_refuse(site, contest, own)
    if refusal is not None:
        raise refused(refusal)
    uploads = Uploads(site.config)
    found, new = uploads.begin(
        contest.name,
        own,
        name=asked.name,
        size_bytes=asked.size_bytes,
        sha256=asked.sha256,
        bytes_max=contest.challenge.limits.package_bytes,
        now=site.now(),
    )
    response.status_code = 201 if new else 200
    return _answer(site, uploads, found)


@router.get("/challenges/{challenge}/uploads/{upload}", responses=failures(401, 403, 404))
def look(site: SiteHere, contest: ContestHere, own: SubmittingTeam, upload: UploadName) -> UploadAnswer:
    """Say how far an upload is."""
    uploads = Uploads(site.config)
    return _answer(site, uploads, uploads.find(contest.name, own, upload))


@router.patch(
    "/challenges/{challenge}/uploads/{upload}",
    responses=failures(401, 403, 404, 408, 409, 413, 415),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def append(
    request: Request,
    contest: ContestHere,
    own: SubmittingTeam,
    upload: UploadName,
    offset: OffsetHeader,
) -> UploadAnswer:
    """Send the next part. If the line breaks, ask how far it came, and go on from there."""
    if request.headers.get("content-type", "") != OCTETS:
        raise Problem(415, "media_type", f"a part of an upload is {OCTETS}")
    site = site_of(request)
    uploads = Uploads(site.config)
    found = await run_in_threadpool(uploads.find, contest.name, own, upload)
    await uploads.append(found, offset, request.stream())
    return _answer(site, uploads, found)


@router.post(
    "/challenges/{challenge}/uploads/{upload}/finish",
    status_code=201,
    responses=failures(401, 403, 404, 409),
)
def finish(
    site: SiteHere, contest: ContestHere, own: SubmittingTeam, upload: UploadName, asked: FinishAsked
) -> FinishAnswer:
    """Check the whole file without starting it, and hand it in. A refused one costs nothing."""
    uploads = Uploads(site.config)
    found = uploads.find(contest.name, own, upload)
    report, entry = _taken(site, contest, own, uploads, found, declares_none=asked.no_external_data)
    remove(found)
    return FinishAnswer(entry=close_up(site, contest, own, entry), check=check_answer(report))


@router.delete("/challenges/{challenge}/uploads/{upload}", status_code=204, responses=failures(401, 403, 404))
def give_up(site: SiteHere, contest: ContestHere, own: SubmittingTeam, upload: UploadName) -> None:
    """Give an upload up."""
    remove(Uploads(site.config).find(contest.name, own, upload))


def check_answer(report: CheckReport) -> CheckAnswer:
    """Return what `harness check --static --json` says, but for the name of our own file."""
    raw = {"ok": report.ok, **asdict(report)}
    return CheckAnswer.model_validate({key: raw[key] for key in CheckAnswer.model_fields})


def _taken(
    site: Site, contest: Contest, team: str, uploads: Uploads, upload: Upload, *, declares_none: bool
) -> tuple[CheckReport, str]:
    with uploads.whole(upload) as path:
        try:
            taken = hand_in(
                contest.ledger,
                path,
                team=team,
                challenge=contest.challenge,
                packages=site.config.packages,
                now=site.now(),
                by=team_actor(team),
                declares_none=declares_none,
            )
        except SubmissionError as error:
            remove(upload)
            raise Problem(422, "check_failed", error.message, remedy=error.remedy) from error
    if taken.answer is None:
        remove(upload)
        raise Problem(
            422,
            "check_failed",
            "the check found errors: it was not taken, and nothing was spent",
            remedy="Repair what `check` lists. `harness check FOLDER` finds the same on your machine.",
            more={"check": check_answer(taken.report).model_dump()},
        )
    if isinstance(taken.answer, Refusal):
        raise refused(taken.answer)
    contest.state = taken.answer.state
    return taken.report, taken.entry


def _answer(site: Site, uploads: Uploads, one: Upload) -> UploadAnswer:
    return UploadAnswer(
        upload=one.upload,
        name=one.name,
        size_bytes=one.size_bytes,
        sha256=one.sha256,
        offset=one.offset,
        chunk_bytes=site.config.chunk_bytes,
        expires=moment(uploads.expires(one)) or "",
    )
