"""Survey a package's folder or zip before anything in it is copied, run or trusted."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.core.errors import PackageError
from harness.core.types import Limits
from harness.package.content_rules import DEPTH_MAX, Contents, Item, Kind, judge
from harness.package.findings import Finding, Severity, found
from harness.package.manifest import MANIFEST_BYTES_MAX, MANIFEST_NAME, Manifest, left_out_by, parse_manifest
from harness.package.zip_reader import CHUNK_BYTES, ZipMember, bomb, chunks, read_directory

ZIP_ENTRIES_PER_FILE = 2  # what is left out of a zip counts, too, until it is known to be left out


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a source holds, before anything is copied or run."""

    source: Path
    manifest: Manifest | None
    contents: Contents
    findings: tuple[Finding, ...]
    zipped: bool
    read: Callable[[Item], Iterator[bytes]]  # raises PackageError if content is not as declared

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
    def read(entry: Item) -> Iterator[bytes]:
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
) -> Iterator[Item]:
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


def _entry(place: Path, path: str) -> Item | None:
    try:
        status = place.lstat()
    except OSError:
        return None
    kinds = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}
    kind = kinds.get(stat.S_IFMT(status.st_mode), Kind.SPECIAL)
    return Item(path=path, kind=kind, size_bytes=status.st_size if kind is Kind.FILE else 0)


def _file_chunks(place: Path, entry: Item) -> Iterator[bytes]:
    # O_NOFOLLOW and O_NONBLOCK: a file may have become a link or a pipe since it was listed.
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise PackageError(
            f"cannot be read: {error.strerror}", place=entry.path, remedy="Allow reading it."
        ) from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PackageError(
                "is no longer a plain file",
                place=entry.path,
                remedy="Leave the package alone while it is read.",
            )
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
        members, top = _without_top_folder(directory.members)
        by_path = {member.entry.path: member for member in reversed(members)}
        if any(finding.severity is Severity.ERROR for finding in directory.findings):
            yield _unreadable(source, *directory.findings)
            return

        def read(entry: Item) -> Iterator[bytes]:
            return chunks(stream, by_path[entry.path])

        named = by_path.get(MANIFEST_NAME)
        manifest, findings = _manifest(named.entry if named else None, read)
        entries = [member.entry for member in members]
        notes = (found("P122", f"the folder {top!r} inside the zip is the package"),) if top else ()
        left_out = left_out_by(manifest.exclude if manifest else ())
        contents = judge(entries, left_out=left_out, limits=limits)
        too_good = bomb([by_path[member.path] for member in contents.members])
        bombs = (too_good,) if too_good else ()
        yield Survey(
            source=source,
            manifest=manifest,
            contents=contents,
            findings=(*findings, *contents.findings, *bombs, *notes, *_left_out(contents)),
            zipped=True,
            read=read,
        )


def _manifest(
    entry: Item | None, read: Callable[[Item], Iterator[bytes]]
) -> tuple[Manifest | None, tuple[Finding, ...]]:
    if entry is None or entry.kind is not Kind.FILE:
        return None, (found("P201", place=MANIFEST_NAME),)
    if entry.size_bytes > MANIFEST_BYTES_MAX:
        return None, (found("P202", f"is larger than {MANIFEST_BYTES_MAX} bytes", place=MANIFEST_NAME),)
    try:
        return parse_manifest(b"".join(read(entry)))
    except PackageError as error:
        return None, (found("P202", error.message, place=MANIFEST_NAME),)


def _without_top_folder(members: Sequence[ZipMember]) -> tuple[tuple[ZipMember, ...], str]:
    """Take the one folder that everything is in off every path, as Finder and GitHub put one there.

    Only if nothing else is at the top, but for what is always left out (`__MACOSX`), and a manifest is
    in it. Every path is judged afterwards as any other: what was unsafe stays unsafe.

    Returns:
        The members, and the folder's name; empty if there is none.
    """
    defaults = left_out_by(())
    tops = {member.entry.path.partition("/")[0] for member in members}
    kept = [top for top in tops if defaults(top) is None]
    if len(kept) != 1 or not any(member.entry.path == f"{kept[0]}/{MANIFEST_NAME}" for member in members):
        return tuple(members), ""
    moved = []
    for member in members:
        path = member.entry.path
        if path == kept[0] and member.entry.kind is Kind.FOLDER:
            continue
        inside = path.removeprefix(f"{kept[0]}/")
        moved.append(member if inside == path else replace(member, entry=replace(member.entry, path=inside)))
    return tuple(moved), kept[0]


def _left_out(contents: Contents) -> tuple[Finding, ...]:
    if not contents.left_out:
        return ()
    shown = ", ".join(contents.left_out[:5]) + (" …" if len(contents.left_out) > 5 else "")
    what = "1 file or folder" if len(contents.left_out) == 1 else f"{len(contents.left_out)} files or folders"
    return (found("P121", f"left out: {what} ({shown})"),)
