"""A package on its way to the portal, a piece at a time, over a line that may break.

The portal says how many bytes it has, and the upload goes on from there: after a broken line, and in another
process on another day, too. The whole is compared by sha256 before anything is done with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness.core.errors import ConfigError, InfrastructureError, PortalError
from harness.portal.client.broken_line import LineBroke, Patience
from harness.portal.client.connection import Portal
from harness.portal.client.replies import EntryView, JsonObject, Refused, Upload, entry_of, upload_of

PIECE_BYTES_MAX = 4 << 20  # so much is in memory at a time; what a broken line costs at most

Progress = Callable[[int, int], None]  # bytes that have arrived, of all


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A zip that is sent."""

    path: Path
    name: str  # as the portal's pages show it
    size_bytes: int
    sha256: str  # of its bytes
    package_sha256: str  # of the package in it; empty if it is not known


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What became of it."""

    entry: EntryView
    document: JsonObject  # the portal's whole answer, the check's findings included


def parcel_of(path: Path, *, name: str, package_sha256: str = "") -> Parcel:
    """Look at a zip before it is sent.

    Raises:
        InfrastructureError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except OSError as error:
        raise InfrastructureError(f"cannot be read: {error.strerror}", place=path) from error
    return Parcel(path=path, name=name, size_bytes=size, sha256=digest, package_sha256=package_sha256)


def hand_in(
    portal: Portal,
    challenge: str,
    parcel: Parcel,
    *,
    no_external_data: bool,
    progress: Progress = lambda _done, _all: None,
) -> Accepted | Refused:
    """Send a package and have it taken as an entry.

    Raises:
        PortalError: the line stayed broken for longer than the portal's patience; what arrived is kept, and
            the same call goes on from there.
        ConfigError: the token may not, or the zip was changed while it was sent.
    """
    before = _newest(portal, challenge)
    asked = {"name": parcel.name, "size_bytes": parcel.size_bytes, "sha256": parcel.sha256}
    begun = portal.send("POST", f"/challenges/{challenge}/uploads", asked)
    if isinstance(begun, Refused):
        return begun
    place = f"/challenges/{challenge}/uploads/{upload_of(begun).upload}"
    stopped = _send(portal, place, upload_of(begun), parcel, progress)
    if stopped is not None:
        return stopped
    return _finish(
        portal, challenge, place, parcel, before=before, document={"no_external_data": no_external_data}
    )


def _send(portal: Portal, place: str, upload: Upload, parcel: Parcel, progress: Progress) -> Refused | None:
    if upload.size_bytes != parcel.size_bytes:
        raise PortalError("knows the upload by another size", place=place, remedy="Try again in an hour.")
    patience = Patience(portal.patience_seconds, say=portal.say)
    offset = upload.offset
    with parcel.path.open("rb") as stream:
        while offset < parcel.size_bytes:
            progress(offset, parcel.size_bytes)
            piece = _piece(stream, offset, min(upload.chunk_bytes, PIECE_BYTES_MAX), parcel)
            answer = portal.send_bytes(place, piece, offset=offset)
            if isinstance(answer, Refused) and answer.code == "conflict":
                answer = LineBroke(why="the portal still waits for the transfer that broke")
            if isinstance(answer, Refused) and answer.code != "offset":
                return answer
            if isinstance(answer, LineBroke):
                if not patience.wait(answer.why):
                    raise PortalError(
                        f"the line is broken: {answer.why}; "
                        f"{offset:,} of {parcel.size_bytes:,} bytes have arrived",
                        place=portal.url,
                        remedy="Give the same command again: it goes on from there.",
                    )
                now = upload_of(portal.get(place)).offset
                if now > offset:  # it breaks, and still it carries: that is no reason to give up
                    patience.rested()
                offset = now
                continue
            if isinstance(answer, Refused):  # what we took for lost has arrived, or the other way round
                known = answer.offset if answer.offset is not None else upload_of(portal.get(place)).offset
                if known == offset:
                    raise PortalError("refuses the very place that it names", place=place)
                offset = known
                continue
            now = upload_of(answer).offset
            if now <= offset:
                raise PortalError("did not take what was sent", place=place)
            offset = now
            patience.rested()
    progress(offset, parcel.size_bytes)
    return None


def _piece(stream: BinaryIO, offset: int, most: int, parcel: Parcel) -> bytes:
    stream.seek(offset)
    piece = stream.read(min(most, parcel.size_bytes - offset))
    if not piece:
        raise ConfigError(
            "was changed while it was sent", place=parcel.path, remedy="Give the same command again."
        )
    return piece


def _finish(
    portal: Portal, challenge: str, place: str, parcel: Parcel, *, before: int, document: JsonObject
) -> Accepted | Refused:
    """Have what arrived taken; if the line breaks just then, look whether it was, before asking again."""
    patience = Patience(portal.patience_seconds, say=portal.say)
    while True:
        answer = portal.send_once("POST", f"{place}/finish", document)
        if isinstance(answer, Refused) and answer.code == "conflict":
            answer = LineBroke(why="the portal still waits for the transfer that broke")
        if isinstance(answer, Refused):
            return answer
        if not isinstance(answer, LineBroke):
            return Accepted(entry=entry_of(answer.get("entry", {})), document=answer)
        if not patience.wait(answer.why):
            raise PortalError(
                f"does not say whether it was taken: {answer.why}",
                place=portal.url,
                remedy="`harness remote status` shows whether it was; if not, give the command again.",
            )
        found = _taken_since(portal, challenge, before, parcel)
        if found is not None:
            return Accepted(entry=found, document={"entry": found.document})


def _newest(portal: Portal, challenge: str) -> int:
    return max((int(one.get("number", 0)) for one in entries_of(portal, challenge)), default=0)


def _taken_since(portal: Portal, challenge: str, before: int, parcel: Parcel) -> EntryView | None:
    for one in entries_of(portal, challenge):
        same = not parcel.package_sha256 or one.get("package_sha256") == parcel.package_sha256
        if int(one.get("number", 0)) > before and same:
            return entry_of(one)
    return None


def entries_of(portal: Portal, challenge: str) -> tuple[JsonObject, ...]:
    """Return the team's entries, the newest first."""
    return tuple(portal.get(f"/challenges/{challenge}/entries").get("entries", ()))
