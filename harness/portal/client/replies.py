"""What the portal's API answers, as values. A key that this release does not know is passed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from harness.core.errors import PortalError

JsonObject = Mapping[str, Any]

WAITING, RUNNING = "waiting", "running"
SCORED, VOIDED = "scored", "voided"
UNDER_WAY = frozenset({WAITING, RUNNING})


@dataclass(frozen=True, kw_only=True)
class Refused:
    """What the portal did not do, and why: a rule of the contest, or what is wrong with the package."""

    code: str
    message: str
    rule: str = ""  # of the contest, if one refuses it
    remedy: str | None = None
    again: datetime | None = None  # when it will be possible
    offset: int | None = None  # of an upload: where to go on
    document: JsonObject  # the whole answer; `check` is in it if the package's check found errors

    @property
    def in_words(self) -> str:
        """The message with its remedy and the moment from which it is possible, in the reader's time."""
        parts = [self.message]
        if self.again is not None:
            parts.append(f"Possible again from {self.again.astimezone():%Y-%m-%d %H:%M %Z}.")
        elif self.remedy:
            parts.append(f"Remedy: {self.remedy}")
        return "\n  ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A package on its way."""

    upload: str
    offset: int  # bytes that have arrived
    size_bytes: int
    chunk_bytes: int  # at most so many at a time


@dataclass(frozen=True, kw_only=True)
class EntryView:
    """An entry as its team sees it."""

    entry: str
    status: str
    verdict: str | None
    document: JsonObject

    @property
    def over(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.status not in UNDER_WAY


def refused_of(document: JsonObject) -> Refused:
    """Read an error.

    Raises:
        PortalError: it is not one of a portal.
    """
    error = _part(document, "error")
    again = error.get("again")
    return Refused(
        code=str(_of(error, "code")),
        message=str(_of(error, "message")),
        rule=str(error.get("rule") or ""),
        remedy=error.get("remedy"),
        again=None if again is None else moment(again),
        offset=error.get("offset"),
        document=document,
    )


def upload_of(document: JsonObject) -> Upload:
    """Read an upload. Raises `PortalError` if it is none."""
    return Upload(
        upload=str(_of(document, "upload")),
        offset=_whole(document, "offset"),
        size_bytes=_whole(document, "size_bytes"),
        chunk_bytes=max(1, _whole(document, "chunk_bytes")),
    )


def entry_of(document: JsonObject) -> EntryView:
    """Read an entry. Raises `PortalError` if it is none."""
    verdict = document.get("verdict")
    return EntryView(
        entry=str(_of(document, "entry")),
        status=str(_of(document, "status")),
        verdict=None if verdict is None else str(verdict),
        document=document,
    )


def moment(text: object) -> datetime:
    """Read a time. Raises `PortalError` if it is none, or has no offset from UTC."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise _not_a_portal(f"{text!r:.60} is not a time") from error
    if found.tzinfo is None:
        raise _not_a_portal(f"{text!r:.60} does not say in which time zone")
    return found


def _part(document: object, key: str) -> JsonObject:
    found = document.get(key) if isinstance(document, Mapping) else None
    if not isinstance(found, Mapping):
        raise _not_a_portal(f"no {key!r} in the answer")
    return found


def _of(document: JsonObject, key: str) -> object:
    if key not in document:
        raise _not_a_portal(f"no {key!r} in the answer")
    return document[key]


def _whole(document: JsonObject, key: str) -> int:
    found = _of(document, key)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise _not_a_portal(f"{key} is {found!r:.40}")
    return found


def _not_a_portal(why: str) -> PortalError:
    return PortalError(
        f"does not answer as a portal of this release does: {why}",
        place="the portal",
        remedy="Check the address; if it is right, use the release of the harness that the organiser uses.",
    )
