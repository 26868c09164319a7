"""Files by the hash of their content, at one URL: a folder, SFTP, S3, or anything else that fsspec knows.

A file is put once and never changed, so every reader can check what it got, no place has to be trusted to
keep bytes as they were, and a node fetches each file once. Extra `cluster` for anything but a folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.core.errors import ConfigError, InfrastructureError
from harness.core.locks import exclusive, is_locked, try_lock

CHUNK_BYTES = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_IN_WORK = ".part-"
_PINS = "held"


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
                place = self.folder / _name(blob)
                return place.is_file() and place.stat().st_size == blob.size_bytes
            try:
                return int(self._files.info(self._place(blob))["size"]) == blob.size_bytes
            except FileNotFoundError:
                return False

    def fetch(self, blob: Blob, target: Path) -> None:
        """Write a content to a file, checked, beside its place and renamed.

        Raises:
            InfrastructureError: it is missing, or its content does not fit its name.
        """
        beside = target.with_name(f".{target.name}{_IN_WORK}{secrets.token_hex(4)}")
        digest = hashlib.sha256()
        try:
            with _our_errors(self.url), self._opened(blob) as source, beside.open("wb") as sink:
                while chunk := source.read(CHUNK_BYTES):
                    digest.update(chunk)
                    sink.write(chunk)
                sink.flush()
                os.fsync(sink.fileno())
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
            return (self.folder / _name(blob)).open("rb")
        return self._files.open(self._place(blob), "rb")

    def _place(self, blob: Blob) -> str:
        return f"{self._root}/{_name(blob)}"

    def _write(self, blob: Blob, path: Path) -> None:
        """Write beside and rename, where a rename is one step; an object store shows only whole objects."""
        with _our_errors(self.url):
            if self.folder is not None:
                place = self.folder / _name(blob)
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


class NodeCache:
    """What a node has fetched from a store: each content once. Over a limit, the longest unused is removed.

    Contents that somebody holds are never removed. Whoever holds some has written down which, in a file that
    is locked meanwhile: the lock goes with the process, however it ends.

    Args:
        store: Where contents come from.
        folder: On this node's own disk.
        limit_bytes: How much is kept in all; what is held may exceed it.
    """

    def __init__(self, store: BlobStore, folder: Path, *, limit_bytes: int = 50_000_000_000) -> None:
        self.store = store
        self.folder = folder
        self.limit_bytes = limit_bytes
        for one in (folder, folder / _PINS):
            one.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextlib.contextmanager
    def held(self, *blobs: Blob) -> Iterator[tuple[Path, ...]]:
        """Yield the paths of contents, fetched if they were not here; they stay until the end of the block.

        Raises:
            InfrastructureError: one cannot be fetched.
            ValueError: one has no sha256.
        """
        places = tuple(self.folder / _name(blob) for blob in blobs)
        with contextlib.ExitStack() as stack:
            pin = self.folder / _PINS / secrets.token_hex(8)
            with exclusive(self.folder / ".evict", every_seconds=0.01):  # no eviction under way misses it
                pin.write_text("\n".join(place.name for place in places), encoding="ascii")
                if not try_lock(pin, stack):
                    raise InfrastructureError("is locked by another", place=pin)
            stack.callback(pin.unlink, missing_ok=True)
            for blob, place in zip(blobs, places, strict=True):
                self._bring(blob, place)
            self._evict()
            yield places

    def size_bytes(self) -> int:
        """Return what is kept at present."""
        return sum(size for _, size, _ in self._kept())

    def _bring(self, blob: Blob, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with exclusive(place.with_name(f".{place.name[:4]}.lock"), every_seconds=0.02):
            if not (place.is_file() and place.stat().st_size == blob.size_bytes):
                self.store.fetch(blob, place)
                place.chmod(0o444)
            os.utime(place)

    def _kept(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self.folder.glob("??/*"):
            if _SHA256.fullmatch(path.name):
                with contextlib.suppress(FileNotFoundError):
                    state = path.stat()
                    found.append((state.st_mtime, state.st_size, path))
        return sorted(found)

    def _evict(self) -> None:
        kept = self._kept()
        excess = sum(size for _, size, _ in kept) - self.limit_bytes
        if excess <= 0:
            return
        with exclusive(self.folder / ".evict", every_seconds=0.01):
            held = self._held_names()
            for _, size, path in kept:
                if excess > 0 and path.name not in held:
                    path.unlink(missing_ok=True)
                    excess -= size

    def _held_names(self) -> set[str]:
        names: set[str] = set()
        for pin in (self.folder / _PINS).iterdir():
            if is_locked(pin):
                with contextlib.suppress(FileNotFoundError):
                    names.update(pin.read_text(encoding="ascii").split())
            else:
                pin.unlink(missing_ok=True)  # of a process that was killed
        return names


def _open_store(url: str, options: dict[str, Any]) -> BlobStore:
    return BlobStore(url, options=options)


def _name(blob: Blob) -> str:
    if not _SHA256.fullmatch(blob.sha256):
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
    return files, str(root).rstrip("/")


def _checked_sftp() -> Any:
    """Return fsspec's SFTP, made to refuse a server whose key is not known, as `ssh` does."""
    paramiko = import_module("paramiko")
    base: Any = import_module("fsspec.implementations.sftp").SFTPFileSystem

    class CheckedSFTP(base):  # type: ignore[misc,valid-type]  # fsspec has no types
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
def _our_errors(place: str | Path) -> Iterator[None]:
    try:
        yield
    except (InfrastructureError, ConfigError):
        raise
    except FileNotFoundError as error:
        raise InfrastructureError(f"is not there: {error}", place=place) from error
    except Exception as error:
        raise InfrastructureError(
            f"cannot be used: {type(error).__name__}: {error}",
            place=place,
            remedy="Check the address, the keys and that it is up; nothing was half written.",
        ) from error
