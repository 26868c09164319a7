"""Open a package safely: survey it, copy it to a fresh read-only folder, and name it by its content.

A package is a folder or a zip with `submission.toml` at its root. What it *is*, is its files: empty folders,
times, permissions and owners are no part of it, so that a folder and the zip made of it are the same package
with the same sha256.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.contents import DEPTH_MAX, Contents, Entry, Kind, judge, shortened
from harness.errors import InfrastructureError, PackageError
from harness.findings import Finding, Severity, found
from harness.manifest import MANIFEST_BYTES_MAX, MANIFEST_NAME, Manifest, left_out_by, parse_manifest
from harness.types import Limits
from harness.unzip import CHUNK_BYTES, bomb, chunks, read_directory

FIXED_SECONDS = 315_532_800  # 1980-01-01, the earliest time that a zip can hold
FILE_MODE, FOLDER_MODE = 0o444, 0o555
ZIP_ENTRIES_PER_FILE = 2  # what is left out of a zip counts, too, until it is known to be left out
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


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a source holds, before anything is copied or run."""

    source: Path
    manifest: Manifest | None
    contents: Contents
    findings: tuple[Finding, ...]
    zipped: bool
    read: Callable[[Entry], Iterator[bytes]]  # raises PackageError where content is not as declared

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep it from being opened."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)


@contextmanager
def survey(source: Path, *, limits: Limits) -> Iterator[Survey]:
    """Look through a folder or zip without copying, running or trusting anything.

    Every finding about names, kinds, sizes, the zip's structure and the manifest is collected. The survey can
    be read from until the context is left.
    """
    try:
        kind = source.stat().st_mode
    except OSError as error:
        yield _unreadable(source, found("P101", f"cannot be read: {error.strerror}", place=str(source)))
        return
    if stat.S_ISDIR(kind):
        yield _survey_folder(source, limits)
    elif stat.S_ISREG(kind):
        yield from _survey_zip(source, limits)
    else:
        yield _unreadable(source, found("P101", "is neither a folder nor a zip", place=str(source)))


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


def _unreadable(source: Path, *findings: Finding) -> Survey:
    nothing = Contents(members=(), left_out=(), findings=())
    return Survey(
        source=source,
        manifest=None,
        contents=nothing,
        findings=findings,
        zipped=source.is_file(),
        read=lambda entry: iter(()),
    )


def _survey_folder(source: Path, limits: Limits) -> Survey:
    def read(entry: Entry) -> Iterator[bytes]:
        return _file_chunks(source / entry.path, entry)

    manifest_entry = _entry(source / MANIFEST_NAME, MANIFEST_NAME)
    manifest, findings = _manifest(manifest_entry, read)
    if manifest_entry is None:
        below = sorted(path.parent.name for path in source.glob(f"*/{MANIFEST_NAME}"))[:1]
        hint = (
            f"no {MANIFEST_NAME} at the root; there is one in {below[0]!r}: give that folder" if below else ""
        )
        findings = (found("P201", hint, place=MANIFEST_NAME),)
    left_out = left_out_by(manifest.exclude if manifest else ())
    walked: list[Finding] = []
    entries = list(_walk(source, left_out, limits, walked))
    contents = judge(entries, left_out=left_out, limits=limits)
    return Survey(
        source=source,
        manifest=manifest,
        contents=contents,
        findings=(*findings, *walked, *contents.findings, *_left_out(contents)),
        zipped=False,
        read=read,
    )


def _walk(
    source: Path, left_out: Callable[[str], str | None], limits: Limits, findings: list[Finding]
) -> Iterator[Entry]:
    """List a folder without following links, and without looking into what is left out."""
    waiting, count = [""], 0
    while waiting and count <= limits.package_files:
        prefix = waiting.pop()
        try:
            names = sorted(child.name for child in (source / prefix).iterdir())
        except OSError as error:
            findings.append(found("P101", f"cannot be read: {error.strerror}", place=prefix))
            continue
        for name in names:
            path = f"{prefix}/{name}" if prefix else name
            entry = _entry(source / path, path)
            if entry is None:
                continue
            yield entry
            if left_out(path) is not None:
                continue
            count += 1
            if entry.kind is Kind.FOLDER and path.count("/") < DEPTH_MAX:
                waiting.append(path)
    if count > limits.package_files and waiting:
        findings.append(found("P111", f"more than {limits.package_files} files and folders"))


def _entry(place: Path, path: str) -> Entry | None:
    try:
        status = place.lstat()
    except OSError:
        return None
    kinds = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}
    kind = kinds.get(stat.S_IFMT(status.st_mode), Kind.SPECIAL)
    return Entry(path=path, kind=kind, size_bytes=status.st_size if kind is Kind.FILE else 0)


def _file_chunks(place: Path, entry: Entry) -> Iterator[bytes]:
    # O_NOFOLLOW and O_NONBLOCK: what was a file when it was listed may be a link or a pipe by now.
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise PackageError(f"cannot be read: {error.strerror}", place=entry.path) from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PackageError("is no plain file any more", place=entry.path)
        left = entry.size_bytes
        while left:
            piece = stream.read(min(CHUNK_BYTES, left))
            if not piece:
                break
            left -= len(piece)
            yield piece
        if left or stream.read(1):
            raise PackageError("changed while it was read", place=entry.path, remedy="Try again.")


def _survey_zip(source: Path, limits: Limits) -> Iterator[Survey]:
    try:
        stream = source.open("rb")
    except OSError as error:
        yield _unreadable(source, found("P101", f"cannot be read: {error.strerror}", place=str(source)))
        return
    with stream:
        directory = read_directory(stream, entries_max=ZIP_ENTRIES_PER_FILE * limits.package_files)
        by_path = {member.entry.path: member for member in reversed(directory.members)}
        if any(finding.severity is Severity.ERROR for finding in directory.findings):
            yield _unreadable(source, *directory.findings)
            return

        def read(entry: Entry) -> Iterator[bytes]:
            return chunks(stream, by_path[entry.path])

        named = by_path.get(MANIFEST_NAME)
        manifest, findings = _manifest(named.entry if named else None, read)
        entries = [member.entry for member in directory.members]
        if named is None:
            findings = (_no_manifest_in_zip(entries),)
        left_out = left_out_by(manifest.exclude if manifest else ())
        contents = judge(entries, left_out=left_out, limits=limits)
        too_good = bomb([by_path[member.path] for member in contents.members])
        bombs = (too_good,) if too_good else ()
        yield Survey(
            source=source,
            manifest=manifest,
            contents=contents,
            findings=(*findings, *contents.findings, *bombs, *_left_out(contents)),
            zipped=True,
            read=read,
        )


def _manifest(
    entry: Entry | None, read: Callable[[Entry], Iterator[bytes]]
) -> tuple[Manifest | None, tuple[Finding, ...]]:
    if entry is None or entry.kind is not Kind.FILE:
        return None, (found("P201", place=MANIFEST_NAME),)
    if entry.size_bytes > MANIFEST_BYTES_MAX:
        return None, (found("P202", f"is larger than {MANIFEST_BYTES_MAX} bytes", place=MANIFEST_NAME),)
    try:
        return parse_manifest(b"".join(read(entry)))
    except PackageError as error:
        return None, (found("P202", error.message, place=MANIFEST_NAME),)


def _no_manifest_in_zip(entries: list[Entry]) -> Finding:
    defaults = left_out_by(())
    tops = {entry.path.partition("/")[0] for entry in entries}
    tops = {top for top in tops if defaults(top) is None}
    below = [top for top in tops if any(entry.path == f"{top}/{MANIFEST_NAME}" for entry in entries)]
    if len(tops) == 1 and below:
        return found(
            "P113", f"everything lies in the folder {below[0]!r} inside the zip", place=MANIFEST_NAME
        )
    return found("P201", place=MANIFEST_NAME)


def _left_out(contents: Contents) -> tuple[Finding, ...]:
    if not contents.left_out:
        return ()
    shown = ", ".join(contents.left_out[:5]) + (" …" if len(contents.left_out) > 5 else "")
    return (found("P121", f"left out: {len(contents.left_out)} files or folders ({shown})"),)


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
