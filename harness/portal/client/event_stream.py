"""Server-sent events as they come off a line: pure, whatever pieces they come in.

The format is that of the HTML standard, section 9.2.6, but for a byte order mark: no portal sends one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.core.errors import PortalError

LINE_BYTES_MAX = 1 << 20


@dataclass(frozen=True, kw_only=True)
class StreamEvent:
    """One event."""

    name: str
    data: Mapping[str, Any]


def events_of(pieces: Iterable[bytes]) -> Iterator[StreamEvent]:
    """Yield the events of a stream; comments and fields that nobody needs are passed over.

    Args:
        pieces: Of any sizes. An event that is cut off by their end is left out.

    Raises:
        PortalError: a line is too long, or an event's data is not a JSON object.
    """
    name, data = "", list[str]()
    for line in _lines(pieces):
        if not line:
            if data:
                yield StreamEvent(name=name or "message", data=_document("\n".join(data)))
            name, data = "", list[str]()
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Split at CR, LF and CRLF, also where CR and LF come in different pieces."""
    rest, after_return = b"", False
    for piece in pieces:
        if after_return and piece.startswith(b"\n"):
            piece, after_return = piece[1:], False  # noqa: PLW2901  (its other half ended the line before)
        if piece:
            after_return = piece.endswith(b"\r")
        rest += piece
        *whole, rest = rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            yield line.decode("utf-8", errors="replace")
        if len(rest) > LINE_BYTES_MAX:
            raise PortalError("sends a line without an end", place="the portal")


def _document(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PortalError(f"sends an event that is not JSON: {text[:80]!r}", place="the portal") from error
    if not isinstance(found, dict):
        raise PortalError(f"sends an event that is not a JSON object: {text[:80]!r}", place="the portal")
    return found
