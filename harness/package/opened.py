"""Open a package safely: survey it, copy it to a fresh read-only folder, and name it by its content.

A package is a folder or a zip with `submission.toml` at its root. What it *is*, is its files: empty folders,
times, permissions and owners are no part of it, so that a folder and the zip made of it are the same package
with the same sha256.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import InfrastructureError, PackageError
from harness.core.types import Limits
from harness.package.content_rules import Entry, shortened
from harness.package.findings import Finding
from harness.package.manifest import Manifest
from harness.package.source import survey

FIXED_SECONDS = 315_532_800  # 1980-01-01, the earliest time that a zip can hold
FILE_MODE, FOLDER_MODE = 0o444, 0o555
_LISTING_HEADER = b"package 1\n"


@dataclass(frozen=True, kw_only=True)
class Package:
    """An opened package: a folder of its own that holds its files and nothing else, read-only."""

    root: Path
    manifest: Manifest
    sha256: str  # over the canonical listing, see `digest`
    size_bytes: int
    file_count: int
    folders: tuple[str, ...] = ()  # at any depth, relative to root, sorted

    @property
    def name(self) -> str:
        """The name in the manifest."""
        return self.manifest.name


def open_package(source: Path, destination: Path, *, limits: Limits) -> Package:
    """Copy a package to a fresh folder, in which every file is 0444, every folder 0555, every time 1980.

    Args:
        source: A folder or a zip.
        destination: Must not exist; its parent must.
        limits: `package_bytes` and `package_files` are held while reading, not only as declared.

    Raises:
        PackageError: it is unsafe, unreadable or too large, or its manifest is wrong; names every reason.
            Nothing is left at or beside the destination.
        InfrastructureError: the destination exists or cannot be written.
    """
    if destination.exists():
        raise InfrastructureError("already exists", place=destination, remedy="Open into a fresh folder.")
    with survey(source, limits=limits) as looked:
        if looked.errors or looked.manifest is None:
            raise as_error(looked.errors, source)
        try:
            beside = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
        except OSError as error:
            raise InfrastructureError(f"cannot be written: {error.strerror}", place=destination) from error
        try:
            listing = [
                (entry, _copy(looked.read(entry), beside / entry.path)) for entry in looked.contents.members
            ]
            _settle(beside)
            beside.rename(destination)
        except OSError as error:
            raise InfrastructureError(f"cannot be written: {error.strerror}", place=destination) from error
        finally:
            remove_package(beside)
        return Package(
            root=destination,
            manifest=looked.manifest,
            sha256=digest(listing),
            size_bytes=looked.contents.size_bytes,
            file_count=len(listing),
            folders=looked.contents.folders(),
        )


def remove_package(root: Path) -> None:
    """Remove an opened package, whose folders do not let a plain `rmtree` by their owner pass."""
    if not root.exists():
        return
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o700)
    shutil.rmtree(root)


def digest(listing: Iterable[tuple[Entry, str]]) -> str:
    """Return the sha256 that names a package.

    It is taken over a header line and, sorted by path, one line `sha256 size path` per file, all UTF-8.

    Args:
        listing: Each file with the sha256 of its content.
    """
    lines = [f"{sha256} {entry.size_bytes} {entry.path}\n".encode() for entry, sha256 in listing]
    lines.sort(key=lambda line: line.split(b" ", 2)[2])
    return hashlib.sha256(_LISTING_HEADER + b"".join(lines)).hexdigest()


def as_error(findings: Iterable[Finding], source: Path) -> PackageError:
    """Put the findings that keep a package from being opened into one exception."""
    errors = shortened(findings)
    lines = [f"{e.code} {e.place}: {e.message}" if e.place else f"{e.code} {e.message}" for e in errors]
    remedies = list(dict.fromkeys(error.remedy for error in errors if error.remedy))
    return PackageError("; ".join(lines), place=source.name, remedy=" ".join(remedies[:3]))


def _copy(pieces: Iterator[bytes], target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    with target.open("xb") as stream:
        for piece in pieces:
            sha256.update(piece)
            stream.write(piece)
    return sha256.hexdigest()


def _settle(root: Path) -> None:
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            _fix(Path(folder, name), FILE_MODE)
        _fix(Path(folder), FOLDER_MODE)


def _fix(path: Path, mode: int) -> None:
    os.utime(path, (FIXED_SECONDS, FIXED_SECONDS))
    path.chmod(mode)
