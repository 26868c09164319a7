"""Open a package safely: survey it, copy it to a fresh read-only folder, and name it by its content.

A package is a folder or a zip with `submission.toml` at its root. What counts is its files: empty folders,
times, permissions and owners are not part of it, so a folder and the zip made of it are the same package
with the same sha256.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import InfrastructureError, PackageError
from harness.core.types import Limits
from harness.package.content_rules import shortened
from harness.package.findings import Finding
from harness.package.manifest import Manifest
from harness.package.reading import PackageReading, read_all
from harness.package.source import Survey, survey

FIXED_SECONDS = 315_532_800  # 1980-01-01, the earliest time that a zip can hold
FILE_MODE, FOLDER_MODE = 0o444, 0o555


@dataclass(frozen=True, kw_only=True)
class Package:
    """An opened package: its own folder that holds its files and nothing else, read-only."""

    root: Path
    manifest: Manifest
    sha256: str  # over the canonical listing, see `harness.package.reading.digest`
    size_bytes: int
    file_count: int
    folders: tuple[str, ...] = ()  # at any depth, relative to root, sorted

    @property
    def name(self) -> str:
        """The name in the manifest."""
        return self.manifest.name


def open_package(source: Path, destination: Path, *, limits: Limits) -> Package:
    """Copy a package to a fresh folder, in which every file is 0444, every folder 0555 and every time 1980.

    Args:
        source: A folder or a zip.
        destination: Must not exist; its parent must.
        limits: `package_bytes` and `package_files` are held while reading, not only as declared.

    Raises:
        PackageError: it is unsafe, unreadable or too large, or its manifest is wrong; names every reason.
            Nothing is left at or beside the destination.
        InfrastructureError: the destination exists or cannot be written.
    """
    with survey(source, limits=limits) as looked:
        package, reading = read_and_open(looked, destination, limits=limits)
    if package is None:
        raise as_error([*looked.errors, *reading.unreadable], source)
    return package


def read_and_open(
    looked: Survey, destination: Path | None, *, limits: Limits
) -> tuple[Package | None, PackageReading]:
    """Read every file of a surveyed package once, and copy it on the way if nothing forbids it.

    Args:
        looked: The survey, whose context is still open.
        destination: See `open_package`; without one nothing is copied.
        limits: As for the survey.

    Returns:
        The package, or None and in the survey and the reading why not; and what was read.

    Raises:
        InfrastructureError: the destination exists or cannot be written.
    """
    if destination is None or looked.errors or looked.manifest is None:
        return None, read_all(looked, bytes_max=limits.package_bytes)
    if destination.exists():
        raise InfrastructureError("already exists", place=destination, remedy="Open into a fresh folder.")
    try:
        beside = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    except OSError as error:
        raise InfrastructureError(
            f"cannot be written: {error.strerror}",
            place=destination,
            remedy="Make room on the disk, or allow writing there, and run the same command again.",
        ) from error
    try:
        reading = read_all(looked, bytes_max=limits.package_bytes, into=beside)
        if reading.unreadable:
            return None, reading
        _settle(beside)
        beside.rename(destination)
    except OSError as error:
        raise InfrastructureError(
            f"cannot be written: {error.strerror}",
            place=destination,
            remedy="Make room on the disk, or allow writing there, and run the same command again.",
        ) from error
    finally:
        remove_package(beside)
    package = Package(
        root=destination,
        manifest=looked.manifest,
        sha256=reading.sha256,
        size_bytes=looked.contents.size_bytes,
        file_count=len(looked.contents.members),
        folders=looked.contents.folders(),
    )
    return package, reading


def remove_package(root: Path) -> None:
    """Remove an opened package, whose folders do not let a plain `rmtree` by their owner pass."""
    if not root.exists():
        return
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o700)
    shutil.rmtree(root)


def as_error(findings: Iterable[Finding], source: Path) -> PackageError:
    """Put the findings that keep a package from being opened into one exception."""
    errors = shortened(findings)
    remedies = list(dict.fromkeys(error.remedy for error in errors if error.remedy))
    return PackageError(
        "; ".join(error.in_a_line for error in errors), place=source.name, remedy=" ".join(remedies[:3])
    )


def _settle(root: Path) -> None:
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            _fix(Path(folder, name), FILE_MODE)
        _fix(Path(folder), FOLDER_MODE)


def _fix(path: Path, mode: int) -> None:
    os.utime(path, (FIXED_SECONDS, FIXED_SECONDS))
    path.chmod(mode)
