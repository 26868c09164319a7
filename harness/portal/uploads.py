"""Uploads that survive a broken line: a file grows in a folder of its own until it is whole.

The file's length is the only truth about how far an upload is, so a portal may be killed at any moment, and
another one beside it may go on. Nothing of an upload is opened as a package before its sha256 is right.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from harness.core.blobs import CHUNK_BYTES, SHA256
from harness.core.files import write_text
from harness.core.text import printable
from harness.portal.config import PortalConfig
from harness.portal.problems import Problem, invalid, not_found
from harness.portal.walls import too_large

NAME_CHARACTERS_MAX = 120
ZIP_OVERHEAD = 1.02  # a zip of stored files is a little larger than they are
FREE_BYTES = 2_000_000_000  # that stay free on the disk


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One file on its way."""

    upload: str
    challenge: str
    team: str
    name: str
    size_bytes: int
    sha256: str
    begun: str
    folder: Path

    @property
    def part(self) -> Path:
        """The file as far as it has come."""
        return self.folder / "part.zip"

    @property
    def offset(self) -> int:
        """How many bytes are there."""
        return self.part.stat().st_size if self.part.exists() else 0


class Uploads:
    """Every upload of a portal.

    Args:
        config: Where they are, how large parts may be, for how long they are kept.
    """

    def __init__(self, config: PortalConfig) -> None:
        self._config = config
        self._root = config.uploads

    def begin(
        self,
        challenge: str,
        team: str,
        *,
        name: str,
        size_bytes: int,
        sha256: str,
        bytes_max: int,
        now: datetime,
    ) -> tuple[Upload, bool]:
        """Begin an upload, or find the one of the same content.

        Returns:
            It, and whether it is new.

        Raises:
            Problem: the file would be too large, or its sha256 is none.
        """
        if not SHA256.fullmatch(sha256):
            raise invalid("sha256 is 64 of the characters 0-9a-f")
        largest = int(bytes_max * ZIP_OVERHEAD) + CHUNK_BYTES
        if not 1 <= size_bytes <= largest:
            raise too_large(largest)
        self._forget_old(challenge, team, now)
        own = self._listed(challenge, team)
        for one in own:
            if (one.sha256, one.size_bytes) == (sha256, size_bytes):
                return one, False
        for oldest in own[: max(0, len(own) + 1 - self._config.uploads_per_team)]:
            remove(oldest)
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._check_room(size_bytes)
        found = Upload(
            upload=secrets.token_hex(12),
            challenge=challenge,
            team=team,
            name=printable(name, cap=NAME_CHARACTERS_MAX),
            size_bytes=size_bytes,
            sha256=sha256,
            begun=now.isoformat(),
            folder=Path(),
        )
        document = {key: value for key, value in asdict(found).items() if key != "folder"}
        folder = self._folder(challenge, team) / found.upload
        folder.mkdir(parents=True, mode=0o700)
        write_text(folder / "upload.json", json.dumps(document) + "\n")
        return self.find(challenge, team, found.upload), True

    def find(self, challenge: str, team: str, upload: str) -> Upload:
        """Return a team's upload.

        Raises:
            Problem: this team has none of this name.
        """
        if len(upload) == 24 and set(upload) <= set("0123456789abcdef"):
            with suppress(OSError, ValueError, TypeError):
                return _read(self._folder(challenge, team) / upload)
        raise not_found("upload")

    def expires(self, one: Upload) -> datetime:
        """Return until when an upload is kept."""
        return datetime.fromisoformat(one.begun) + timedelta(hours=self._config.upload_hours)

    async def append(self, one: Upload, offset: int, body: AsyncIterator[bytes]) -> int:
        """Add what comes, as it comes: what has arrived before a line breaks is kept.

        Returns:
            How many bytes are there now.

        Raises:
            Problem: another transfer is at work, the offset is another, more comes than was announced, or the
                disk has filled up since it began: with uploads of other teams, for one.
        """
        with _alone(one):
            await run_in_threadpool(self._check_room)
            there = one.offset
            if offset != there:
                raise Problem(409, "offset", f"{there} bytes are there", offset=there)
            with one.part.open("ab") as stream:
                async for chunk in body:
                    if there + len(chunk) > one.size_bytes:
                        raise Problem(
                            413, "too_large", f"more came than the announced {one.size_bytes:,} bytes"
                        )
                    await run_in_threadpool(stream.write, chunk)
                    there += len(chunk)
            return there

    @contextmanager
    def whole(self, one: Upload) -> Iterator[Path]:
        """Hold the file of an upload that is complete and as announced.

        Raises:
            Problem: it is incomplete; its content is another, and it is gone; or there is no room to keep it.
        """
        with _alone(one):
            self._check_room(one.size_bytes)  # what is kept is a copy
            if one.offset != one.size_bytes:
                raise Problem(
                    409, "offset", f"{one.offset} of {one.size_bytes} bytes are there", offset=one.offset
                )
            digest = hashlib.sha256()
            with one.part.open("rb") as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    digest.update(chunk)
            if digest.hexdigest() != one.sha256:
                remove(one)
                raise Problem(
                    422,
                    "sha256_mismatch",
                    "what has arrived is not what was announced",
                    remedy="Begin the upload again. Was the file changed meanwhile?",
                )
            yield one.part

    def _check_room(self, size_bytes: int = 0) -> None:
        if shutil.disk_usage(self._root).free < size_bytes + FREE_BYTES:
            raise Problem(503, "ours", "there is no room for it at present", wait_seconds=600)

    def _folder(self, challenge: str, team: str) -> Path:
        return self._root / challenge / team

    def _listed(self, challenge: str, team: str) -> list[Upload]:
        folder, found = self._folder(challenge, team), []
        for path in folder.iterdir() if folder.is_dir() else ():
            with suppress(OSError, ValueError, TypeError):
                found.append(_read(path))
        return sorted(found, key=lambda one: one.begun)

    def _forget_old(self, challenge: str, team: str, now: datetime) -> None:
        for one in self._listed(challenge, team):
            if self.expires(one) < now:
                remove(one)


def remove(one: Upload) -> None:
    """Remove an upload; it may be gone."""
    shutil.rmtree(one.folder, ignore_errors=True)


def _read(folder: Path) -> Upload:
    return Upload(**json.loads((folder / "upload.json").read_text(encoding="utf-8")), folder=folder)


@contextmanager
def _alone(one: Upload) -> Iterator[None]:
    """Let one transfer at a time work on an upload, of all portals; the lock goes with the process."""
    try:
        lock = os.open(one.folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except FileNotFoundError as error:
        raise not_found("upload") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise Problem(
            409,
            "conflict",
            "another transfer of this upload is at work",
            remedy="Wait for it.",
            wait_seconds=2,
        ) from error
    try:
        yield
    finally:
        os.close(lock)
