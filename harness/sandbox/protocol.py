"""Frames on the wire between the gateway (outside) and the runner (inside): encode, decode, validate.

A frame is a 4-byte big-endian length and that many bytes of UTF-8 JSON, an object with a `type`. Pure
functions; nothing here trusts what it reads. The conversation, gateway on the left::

    (start)                               ->  {"type": "ready"}  or  {"type": "failed", ...}
    {"type": "predict", "id", "video"}    ->  {"type": "answer", "id", "probability"}  or  "failed", same id
    {"type": "batch", "id"}               ->  {"type": "table", "id", "csv"}  or  "failed", same id
    {"type": "collect", "id"}             ->  the same: stop the command now and send what there is

`id` is a fresh random name per request, so an answer cannot be written ahead of its question; `video` is a
file name in the folder that the runner found in its environment. The runner
(`harness/image/runtime/runner.py`) is stdlib only and imports nothing from here; a test compares the two.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

from harness.core.errors import ProtocolViolation
from harness.core.text import safe_text

HEADER_BYTES = 4
REQUEST_BYTES_MAX = 64 * 1024
ANSWER_BYTES_MAX = 64 * 1024
TABLE_BYTES_MAX = 16 * 1024 * 1024  # 10,000 rows need less than 1 MB
MESSAGE_CHARACTERS_MAX = 4000


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The package is loaded and waits for its first video."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The package raised. `request_id` is None when it did so before it was ready."""

    request_id: str | None
    message: str
    package_missing: bool = False  # the mount is empty: our fault, not the package's


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to one video, exactly as sent; `probability_of` judges it."""

    request_id: str
    probability: object


@dataclass(frozen=True, kw_only=True)
class Table:
    """The CSV of a batch entry, exactly as written; its rows are not parsed here."""

    request_id: str
    csv: str
    message: str = ""  # why it may be partial: exit code, or stopped on request


Reply = Ready | Failed | Answer | Table


def frame(payload: bytes) -> bytes:
    """Put the length in front of a payload."""
    return struct.pack(">I", len(payload)) + payload


def payload_length(header: bytes, *, cap: int = TABLE_BYTES_MAX) -> int:
    """Read a frame's header.

    Raises:
        ProtocolViolation: the length is zero or over the cap; nothing has been allocated for it.
    """
    (length,) = struct.unpack(">I", header)
    if not 0 < length <= cap:
        raise ProtocolViolation(f"a frame of {length} bytes; between 1 and {cap} are allowed")
    return int(length)


def encode_predict(*, request_id: str, video: str) -> bytes:
    """Ask for one video, by its file name in the folder of videos that the runner was started with."""
    return _encode({"type": "predict", "id": request_id, "video": video})


def encode_batch(*, request_id: str) -> bytes:
    """Start the command of a batch entry; its answer is the whole table."""
    return _encode({"type": "batch", "id": request_id})


def encode_collect(*, request_id: str) -> bytes:
    """Stop a batch command and send what it has written so far."""
    return _encode({"type": "collect", "id": request_id})


def encode_load() -> bytes:
    """Build the word to a runner that stands by: the package is there, load it."""
    return _encode({"type": "load"})


def decode_reply(payload: bytes) -> Reply:
    """Read one reply of the runner.

    Raises:
        ProtocolViolation: anything but one of the four replies, each with the fields and types it needs.
    """
    try:
        document = json.loads(payload.decode("utf-8"), parse_constant=_Constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ProtocolViolation("a reply that is not JSON") from error
    if not isinstance(document, dict):
        raise ProtocolViolation("a reply that is not a JSON object")
    kind = document.get("type")
    if kind == "ready":
        return Ready()
    if kind == "failed":
        return Failed(
            request_id=_optional_text(document, "id"),
            message=safe_text(_text(document, "message", default="")[:MESSAGE_CHARACTERS_MAX]),
            package_missing=document.get("package_missing") is True,
        )
    if kind == "answer":
        if "probability" not in document:
            raise ProtocolViolation("an answer without a probability")
        if len(payload) > ANSWER_BYTES_MAX:
            raise ProtocolViolation(f"an answer of {len(payload)} bytes; {ANSWER_BYTES_MAX} are allowed")
        return Answer(request_id=_text(document, "id"), probability=document["probability"])
    if kind == "table":
        return Table(
            request_id=_text(document, "id"),
            csv=_text(document, "csv"),
            message=safe_text(_text(document, "message", default="")[:MESSAGE_CHARACTERS_MAX]),
        )
    raise ProtocolViolation(f"a reply of unknown type {str(kind)[:40]!r}")


def probability_of(value: object) -> float | None:
    """Return the value as P(fake), or None if it is not a finite number in [0, 1].

    Booleans, strings, NaN, infinities and numbers outside the interval are not probabilities: a value
    that must be clipped is a value its author did not mean.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        probability = float(value)
    except OverflowError:
        return None
    return probability if math.isfinite(probability) and 0.0 <= probability <= 1.0 else None


class _Constant:
    """NaN or Infinity in a reply: kept as a value that is not a number, so that it is judged."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


def _encode(document: dict[str, str]) -> bytes:
    payload = json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode()
    if len(payload) > REQUEST_BYTES_MAX:
        raise ValueError(f"a request of {len(payload)} bytes; {REQUEST_BYTES_MAX} are allowed")
    return payload


def _text(document: dict[str, Any], key: str, *, default: str | None = None) -> str:
    value = document.get(key, default)
    if not isinstance(value, str):
        raise ProtocolViolation(f"a reply whose {key!r} is not text")
    return value


def _optional_text(document: dict[str, Any], key: str) -> str | None:
    return None if document.get(key) is None else _text(document, key)
