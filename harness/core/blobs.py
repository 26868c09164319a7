"""Files by the hash of their content, at one URL: a folder, SFTP, S3, or anything else that fsspec knows.

A file is put once and never changed, so every reader can check what it got, no place has to be trusted to
keep bytes as they were, and a node fetches each file once. Extra `cluster` for anything but a folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

from harness.core.blob_places import file_system, lost, our_errors, renames
from harness.core.errors import ConfigError, InfrastructureError

CHUNK_BYTES = 1 << 20
SHA256 = re.compile(r"[0-9a-f]{64}")
_IN_WORK = ".part-"
_T = TypeVar("_T")


class NoRoomError(InfrastructureError):
    """The disk that a content is written to is full."""


@dataclass(frozen=True, kw_only=True)
class Blob:
    """One file's content."""

    sha256: str
    size_bytes: int


class BlobStore:
    """Files by content at one URL. Safe to use from many machines at once.

    Args:
        url: A folder's path, `sftp://USER@HOST:PORT/FOLDER`, `s3://BUCKET/FOLDER`, …
        options: For fsspec's file system: keys and endpoints. Never part of the URL, which is printed.

    Raises:
        ConfigError: the kind of URL is unknown, the URL contains a password, or a package is missing.
        InfrastructureError: it cannot be reached.
    """

    def __init__(self, url: str, *, options: dict[str, Any] | None = None) -> None:
        parts = urlsplit(url)
        if parts.password is not None:
            raise ConfigError(
                "contains a password",
                place=url.replace(parts.password, "…"),
                remedy="Use a key file, or give it in the options (HARNESS_BLOBS_OPTIONS).",
            )
        if parts.query:
            raise ConfigError(
                "contains a query, which may hold a key",
                place=f"{url.partition('?')[0]}?…",
                remedy="Give keys in the options (HARNESS_BLOBS_OPTIONS).",
            )
        self.url = url
        self._scheme = parts.scheme
        self._options = dict(options or {})
        self._silent = False  # whether the connection fell silent, and is not to be used again
        local = parts.scheme in {"", "file"}
        self.folder: Path | None = Path(parts.path if parts.scheme else url).resolve() if local else None
        if self.folder is not None:
            with written_here(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return
        self._connect()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as the arguments it was made from; the worker opens its own connection."""
        return _open_store, (self.url, self._options)

    def put(self, path: Path) -> Blob:
        """Keep a file's content; keeping it twice changes nothing.

        Raises:
            InfrastructureError: the file cannot be read or the store not be written.
        """
        blob = blob_of(path)
        if not self.has(blob):
            self._again(lambda: self._write(blob, path))
        return blob

    def has(self, blob: Blob) -> bool:
        """Tell whether a content is there and complete."""
        return self._again(lambda: self._has(blob))

    def _has(self, blob: Blob) -> bool:
        with our_errors(self.url):
            if self.folder is not None:
                place = self.folder / name_of(blob)
                return place.is_file() and place.stat().st_size == blob.size_bytes
            try:
                return int(self._files.info(self._place(blob))["size"]) == blob.size_bytes
            except FileNotFoundError:
                return False

    def fetch(self, blob: Blob, target: Path) -> None:
        """Write a content to a file, checked, beside its place and renamed.

        Raises:
            NoRoomError: the disk of the target is full.
            InfrastructureError: it is missing, or its content does not fit its name.
        """
        self._again(lambda: self._fetch(blob, target))

    def _connect(self) -> None:
        with our_errors(self.url, opening=True):
            self._files, self._root = file_system(self._scheme, self.url, self._options)
        self._silent = False

    def _again(self, work: Callable[[], _T]) -> _T:
        """Do something there; once more on a new connection where an old one was lost meanwhile."""
        if self._silent:
            self._connect()
        try:
            return work()
        except InfrastructureError as error:
            self._silent = self.folder is None and isinstance(error.__cause__, TimeoutError)
            if self.folder is not None or not lost(error.__cause__):
                raise
        self._connect()
        return work()

    def _fetch(self, blob: Blob, target: Path) -> None:
        beside = target.with_name(f".{target.name}{_IN_WORK}{secrets.token_hex(4)}")
        digest = hashlib.sha256()
        try:
            with our_errors(self.url), self._opened(blob) as source, _sink(beside) as sink:
                while chunk := source.read(CHUNK_BYTES):
                    digest.update(chunk)
                    with written_here(target.parent):
                        sink.write(chunk)
            if digest.hexdigest() != blob.sha256:
                raise InfrastructureError(
                    f"its content does not fit its name: sha256 {digest.hexdigest()}",
                    place=f"{self.url}/{name_of(blob)}",
                    remedy="Remove it there and upload it again. Find out who changed it.",
                )
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)

    def _opened(self, blob: Blob) -> Any:
        if self.folder is not None:
            return (self.folder / name_of(blob)).open("rb")
        return self._files.open(self._place(blob), "rb")

    def _place(self, blob: Blob) -> str:
        return f"{self._root}/{name_of(blob)}"

    def _write(self, blob: Blob, path: Path) -> None:
        """Write beside and rename, where a rename is one step; an object store shows only whole objects."""
        with our_errors(self.url):
            if self.folder is not None:
                place = self.folder / name_of(blob)
                with written_here(self.folder):
                    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    _copy_local(path, place)
                return
            place_there = self._place(blob)
            if renames(self._files):
                self._files.makedirs(place_there.rpartition("/")[0], exist_ok=True)
                beside = f"{place_there}{_IN_WORK}{secrets.token_hex(4)}"
                self._files.put_file(str(path), beside)
                try:
                    self._files.mv(beside, place_there)
                except OSError:
                    if not self.has(blob):  # SFTP refuses to rename onto what another writer has just put
                        raise
                    self._files.rm_file(beside)
            else:
                self._files.put_file(str(path), place_there)


def blob_of(path: Path) -> Blob:
    """Return the hash and the size of a file.

    Raises:
        InfrastructureError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with our_errors(path), path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return Blob(sha256=digest.hexdigest(), size_bytes=size)


def _open_store(url: str, options: dict[str, Any]) -> BlobStore:
    return BlobStore(url, options=options)


def name_of(blob: Blob) -> str:
    """Return where a content lies below a store's or a node's folder; nothing but a hash is ever a name."""
    if not SHA256.fullmatch(blob.sha256):
        raise ValueError(f"{blob.sha256!r} is not a sha256")
    return f"{blob.sha256[:2]}/{blob.sha256}"


def _copy_local(path: Path, place: Path) -> None:
    beside = place.with_name(f".{place.name}{_IN_WORK}{secrets.token_hex(4)}")
    try:
        with path.open("rb") as source, beside.open("wb") as sink:
            while chunk := source.read(CHUNK_BYTES):
                sink.write(chunk)
            sink.flush()
            os.fsync(sink.fileno())
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def written_here(folder: Path) -> Iterator[None]:
    """Turn what goes wrong while something is written into a folder of this machine into our errors.

    Raises:
        NoRoomError: its disk is full, or this user's share of it.
        InfrastructureError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, InfrastructureError):
            raise
        why, host = error.strerror or str(error), socket.gethostname()
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoRoomError(
                f"cannot be written on {host}: {why}",
                place=folder,
                remedy="Free space there, or name a folder on a larger disk; a node's is HARNESS_SCRATCH.",
            ) from error
        raise InfrastructureError(
            f"cannot be written on {host}: {why}",
            place=error.filename or folder,
            remedy="Make it writable for this user, or name another folder; a node's is HARNESS_SCRATCH.",
        ) from error


@contextlib.contextmanager
def _sink(path: Path) -> Iterator[BinaryIO]:
    """Open a file of this machine to write; its bytes are on the disk at the end of the block."""
    with written_here(path.parent):
        sink = path.open("wb")
    try:
        yield sink
        with written_here(path.parent):
            sink.flush()
            os.fsync(sink.fileno())
    finally:
        with contextlib.suppress(OSError):  # what a full disk did not take was said already
            sink.close()
