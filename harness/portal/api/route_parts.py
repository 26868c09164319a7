"""What the API's modules have in common: how a path names things, and how every route can fail."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Request

from harness.portal.schemas import ErrorAnswer
from harness.portal.site import Contest
from harness.portal.visitor import SiteHere

ROOT = "/api/v1"

ChallengeName = Annotated[str, Path(max_length=64, description="the challenge's name")]
EntryName = Annotated[str, Path(max_length=64, description="the entry's id")]
UploadName = Annotated[str, Path(max_length=64, description="the upload's id")]

_WORDS = {
    401: "no token, or one that is unknown, revoked or expired",
    403: "the role or the scope does not allow it, or the request is of another site's page",
    404: "there is none, or it is another team's",
    408: "the body did not come",
    409: "a rule of the contest refuses it, or the offset is another",
    413: "too large",
    415: "the body is of another type",
    422: "the request makes no sense; or the check found errors, which `check` holds",
    429: "too many requests; see Retry-After",
    503: "our own fault or no room; see Retry-After",
}


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route may answer beside its result, for the API's description."""
    every = sorted({*statuses, 422, 429, 503})
    return {one: {"model": ErrorAnswer, "description": _WORDS[one]} for one in every}


def contest_named(request: Request, challenge: ChallengeName, site: SiteHere) -> Contest:
    """Return the contest that a path names, and note it for an error's page.

    Raises:
        Problem: there is none.
    """
    found = site.contest(challenge)
    request.state.contest = found
    return found


ContestHere = Annotated[Contest, Depends(contest_named)]
