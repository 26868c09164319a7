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
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from harness.core.errors import ConfigError, InfrastructureError

CHUNK_BYTES = 1 << 20
SHA256 = re.compile(r"[0-9a-f]{64}")
_IN_WORK = ".part-"


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
        self.url = url
        self._options = dict(options or {})
        local = parts.scheme in {"", "file"}
        self.folder: Path | None = Path(parts.path if parts.scheme else url).resolve() if local else None
        if self.folder is not None:
            with written_here(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return
        with _our_errors(url):
            self._files, self._root = _file_system(parts.scheme, url, self._options)

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
            self._write(blob, path)
        return blob

    def has(self, blob: Blob) -> bool:
        """Tell whether a content is there and complete."""
        with _our_errors(self.url):
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
        beside = target.with_name(f".{target.name}{_IN_WORK}{secrets.token_hex(4)}")
        digest = hashlib.sha256()
        try:
            with _our_errors(self.url), self._opened(blob) as source, _sink(beside) as sink:
                while chunk := source.read(CHUNK_BYTES):
                    digest.update(chunk)
                    with written_here(target.parent):
                        sink.write(chunk)
            if digest.hexdigest() != blob.sha256:
                raise InfrastructureError(
                    f"its content does not fit its name: sha256 {digest.hexdigest()}",
                    place=f"{self.url}: {blob.sha256}",
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
        with _our_errors(self.url):
            if self.folder is not None:
                place = self.folder / name_of(blob)
                with written_here(self.folder):
                    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    _copy_local(path, place)
                return
            place_there = self._place(blob)
            if _renames(self._files):
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
    with _our_errors(path), path.open("rb") as stream:
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


def _file_system(scheme: str, url: str, options: dict[str, Any]) -> tuple[Any, str]:
    try:
        fsspec = import_module("fsspec")
        if scheme == "sftp":
            parts = urlsplit(url)
            named = {"port": parts.port, "username": parts.username}
            files = _checked_sftp()(
                parts.hostname, **{key: value for key, value in named.items() if value}, **options
            )
            return files, parts.path.rstrip("/")
        files, root = fsspec.core.url_to_fs(url, **options)
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"cannot be opened: {error}",
            place=url,
            remedy="Use a folder, sftp:// or s3://; all but a folder need the extra `cluster`.",
        ) from error
    except TypeError as error:  # how Python says that there is no argument of this name
        raise ConfigError(
            f"an option does not fit {scheme}://: {str(error).rpartition(': ')[2]}",
            place="HARNESS_BLOBS_OPTIONS",
            remedy=f"Look up what fsspec's {scheme!r} takes.",
        ) from error
    return files, str(root).rstrip("/")


def _checked_sftp() -> Any:
    """Return fsspec's SFTP, made to refuse a server whose key is not known, as `ssh` does."""
    paramiko = import_module("paramiko")
    base: Any = import_module("fsspec.implementations.sftp").SFTPFileSystem

    class CheckedSFTP(base):  # type: ignore[misc]  # fsspec has no types
        def _connect(self) -> None:
            options = dict(self.ssh_kwargs)
            known_hosts = options.pop("known_hosts", None)
            self.client = paramiko.SSHClient()
            self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
            if known_hosts is None:
                self.client.load_system_host_keys()
            else:
                self.client.load_host_keys(str(known_hosts))
            self.client.connect(self.host, **options)
            self.ftp = self.client.open_sftp()

    return CheckedSFTP


def _renames(files: Any) -> bool:
    protocols = {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
    return not protocols & {"s3", "s3a", "gs", "gcs", "abfs", "az", "memory"}


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


@contextlib.contextmanager
def _our_errors(place: str | Path) -> Iterator[None]:
    try:
        yield
    except (InfrastructureError, ConfigError):
        raise
    except FileNotFoundError as error:
        raise InfrastructureError(
            f"is not there: {error}",
            place=place,
            remedy="Put it there again: `harness contest run` does at its start.",
        ) from error
    except Exception as error:  # each kind of store has errors of its own
        raise InfrastructureError(
            f"cannot be used: {type(error).__name__}: {error}",
            place=place,
            remedy="Check the address, the keys and that it is up; nothing was half written.",
        ) from error
