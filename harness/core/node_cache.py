"""What a node has fetched of a store of files by content."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from harness.core.blobs import SHA256, Blob, BlobStore, NoRoomError, name_of, written_here
from harness.core.errors import InfrastructureError
from harness.core.locks import exclusive, is_locked, try_lock

_PINS = "held"


class NodeCache:
    """What a node has fetched of a store: each content once, the longest unused removed over a limit.

    Where the disk is full before that, as much goes as is missing. Contents that somebody holds are never
    removed. Whoever holds some has written down which, in a file that is locked meanwhile: the lock goes with
    the process, however it ends.

    Args:
        store: Where contents come from.
        folder: On this node's own disk.
        limit_bytes: What is kept in all; what is held may exceed it.
    """

    def __init__(self, store: BlobStore, folder: Path, *, limit_bytes: int = 50_000_000_000) -> None:
        self.store = store
        self.folder = folder
        self.limit_bytes = limit_bytes
        with written_here(folder):
            for one in (folder, folder / _PINS):
                one.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextlib.contextmanager
    def held(self, *blobs: Blob) -> Iterator[tuple[Path, ...]]:
        """Yield the paths of contents, fetched if they were not here; they stay until the end of the block.

        Raises:
            InfrastructureError: one cannot be fetched.
            ValueError: one has no sha256.
        """
        places = tuple(self.folder / name_of(blob) for blob in blobs)
        with contextlib.ExitStack() as stack:
            pin = self.folder / _PINS / secrets.token_hex(8)
            with exclusive(self.folder / ".evict", every_seconds=0.01):  # no eviction under way misses it
                with written_here(self.folder):
                    pin.write_text("\n".join(place.name for place in places), encoding="ascii")
                if not try_lock(pin, stack):
                    raise InfrastructureError(
                        "is locked by another",
                        place=pin,
                        remedy="Run the same command again: what was done is kept.",
                    )
            stack.callback(pin.unlink, missing_ok=True)
            for blob, place in zip(blobs, places, strict=True):
                self._bring(blob, place)
            self._evict()
            yield places

    def size_bytes(self) -> int:
        """Return what is kept at present."""
        return sum(size for _, size, _ in self._kept())

    def _bring(self, blob: Blob, place: Path) -> None:
        with written_here(self.folder):
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with exclusive(place.with_name(f".{place.name[:4]}.lock"), every_seconds=0.02):
            if not (place.is_file() and place.stat().st_size == blob.size_bytes):
                try:
                    self.store.fetch(blob, place)
                except NoRoomError:
                    if not self._evict(blob.size_bytes):
                        raise
                    self.store.fetch(blob, place)
                place.chmod(0o444)
            os.utime(place)

    def _kept(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self.folder.glob("??/*"):
            if SHA256.fullmatch(path.name):
                with contextlib.suppress(FileNotFoundError):
                    state = path.stat()
                    found.append((state.st_mtime, state.st_size, path))
        return sorted(found)

    def _evict(self, wanted_bytes: int = 0) -> int:
        """Remove the longest unused, over the limit or at least so many bytes; returns how many it were."""
        kept, removed = self._kept(), 0
        excess = max(sum(size for _, size, _ in kept) - self.limit_bytes, wanted_bytes)
        if excess <= 0:
            return 0
        with exclusive(self.folder / ".evict", every_seconds=0.01):
            held = self._held_names()
            for _, size, path in kept:
                if removed < excess and path.name not in held:
                    path.unlink(missing_ok=True)
                    removed += size
        return removed

    def _held_names(self) -> set[str]:
        names: set[str] = set()
        for pin in (self.folder / _PINS).iterdir():
            if is_locked(pin):
                with contextlib.suppress(FileNotFoundError):
                    names.update(pin.read_text(encoding="ascii").split())
            else:
                pin.unlink(missing_ok=True)  # of a process that was killed
        return names
