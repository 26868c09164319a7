"""The organiser's seal on a result: an HMAC-SHA256 by a key that only the organiser has, in a file beside it.

It says that whoever has the key wrote these numbers and nobody changed one since. It does not say that the
run was fair, and whoever has the key can seal anything: keep it readable by nobody else.

What is sealed is the result's content, not its bytes: JSON with sorted keys and no blanks, numbers as Python
prints them. Formatting a result again leaves its seal intact.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.core.errors import ConfigError, ResultError
from harness.core.files import write_text

KEY_VARIABLE = "HARNESS_SIGNING_KEY_FILE"
KEY_BYTES_MIN = 32
KEY_BYTES_MAX = 64 * 1024
SUFFIX = ".sig"
_SCHEME = "hmac-sha256-v1"
_REMEDY = "Make one with `head -c 32 /dev/urandom > FILE && chmod 600 FILE`."


class SealState(StrEnum):
    """What happened to a result since it was sealed."""

    OK = "OK"
    ALTERED = "altered"  # or sealed with another key: the two cannot be told apart
    UNSIGNED = "unsigned"


@dataclass(frozen=True, kw_only=True)
class Key:
    """A signing key. Its `repr` never shows it."""

    secret: bytes

    def __repr__(self) -> str:
        return f"<Key of {len(self.secret)} bytes>"


def read_key(path: Path) -> Key:
    """Read a key file; every byte of it is the key.

    Raises:
        ConfigError: it cannot be read, is too short or too long, or others of this machine may read it.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            secret = stream.read(KEY_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(
            f"the signing key cannot be read: {error.strerror}", place=path, remedy=_REMEDY
        ) from error
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        raise ConfigError(
            "others may read this signing key",
            place=path,
            remedy=f"`chmod 600 {path}`, if it is still secret.",
        )
    if not KEY_BYTES_MIN <= len(secret) <= KEY_BYTES_MAX:
        raise ConfigError(
            f"a signing key has {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes; this one has"
            f" {'more' if len(secret) > KEY_BYTES_MAX else len(secret)}",
            place=path,
            remedy=_REMEDY,
        )
    return Key(secret=secret)


def key_from_environment(environment: Mapping[str, str]) -> Key | None:
    """Return the key that `HARNESS_SIGNING_KEY_FILE` names; None if it names none.

    Raises:
        ConfigError: it names a file that holds no key.
    """
    named = environment.get(KEY_VARIABLE)
    return read_key(Path(named)) if named else None


def seal_path(result: Path) -> Path:
    """Return where a result's seal is kept: beside it."""
    return result.with_name(result.name + SUFFIX)


def seal(document: object, path: Path, key: Key) -> None:
    """Write the seal of a result, beside where the result is or will be.

    Args:
        document: The result's content: what JSON can hold.
        path: The result's own path.
        key: The organiser's.
    """
    write_text(seal_path(path), seal_text(document, key))


def seal_text(document: object, key: Key) -> str:
    """Return what the file of a seal holds, for whoever writes many at once."""
    return f"{_SCHEME} {_digest(document, key)}\n"


def verify(result: Path, key: Key) -> SealState:
    """Compare a result with its seal, in constant time.

    Raises:
        ResultError: the result cannot be read as JSON, which is not the same as altered: it says nothing.
    """
    document = _document(result)
    try:
        sealed = seal_path(result).read_bytes()
    except FileNotFoundError:
        return SealState.UNSIGNED
    except OSError as error:
        raise ResultError(
            f"its seal cannot be read: {error.strerror}",
            place=result,
            remedy="Allow reading the seal beside it.",
        ) from error
    scheme, _, digest = sealed.strip().partition(b" ")
    same = hmac.compare_digest(digest, _digest(document, key).encode())
    return SealState.OK if same and scheme == _SCHEME.encode() else SealState.ALTERED


def mismatches(result: Path, *, challenge_sha256: str | None, package_sha256: str | None) -> tuple[str, ...]:
    """Name what a result was not made from.

    Args:
        result: Its path.
        challenge_sha256: Of the challenge that it should be of; None if it does not matter.
        package_sha256: Of the package; None if it does not matter.

    Raises:
        ResultError: the result cannot be read.
    """
    document = _document(result)
    wrong = []
    for part, wanted in (("challenge", challenge_sha256), ("package", package_sha256)):
        section = document.get(part) if isinstance(document, dict) else None
        found = section.get("sha256") if isinstance(section, dict) else None
        if wanted is not None and found != wanted:
            wrong.append(f"it is of another {part}: sha256 {str(found)[:64] or 'none'}, not {wanted}")
    return tuple(wrong)


def canonical(document: object) -> bytes:
    """Return the bytes that are sealed: one text for one content."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def content_sha256(path: Path) -> str:
    """Return the sha256 of a result's content, as it is sealed: by this a result is named.

    Raises:
        ResultError: the result cannot be read as JSON.
    """
    return sha256_of(_document(path))


def read_document(path: Path) -> Any:
    """Read a result's content as it is sealed.

    Raises:
        ResultError: it cannot be read as JSON.
    """
    return _document(path)


def sha256_of(document: object) -> str:
    """Return the sha256 of a result's content that is not on the disk yet. See `content_sha256`."""
    return hashlib.sha256(canonical(document)).hexdigest()


def _digest(document: object, key: Key) -> str:
    return hmac.new(key.secret, f"{_SCHEME}\n".encode() + canonical(document), hashlib.sha256).hexdigest()


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_no_repeats, parse_constant=_no_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(f"cannot be read: {error}", place=path, remedy="Restore the file.") from error


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # A key that is there twice reads differently in different programs: the seal would cover one of them.
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key appears twice")
    return document


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
