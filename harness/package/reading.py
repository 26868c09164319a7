"""Read every file of a package once: its digest, the beginnings that are looked at, and a copy on the way."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness.core.errors import PackageError
from harness.package.content_rules import Item
from harness.package.findings import Finding, found
from harness.package.source import Survey
from harness.package.static.own_wheels import OwnWheel, is_own_wheel, look
from harness.package.static.scan import SOURCE_BYTES_MAX, Scan, Unreadable, scan
from harness.package.static.weights import HEAD_BYTES

SOURCES_BYTES_MAX = 8_000_000  # of Python files looked at in one package; the largest are left out first
_LISTING_HEADER = b"package 1\n"


@dataclass(frozen=True, kw_only=True)
class PackageReading:
    """What one pass over every file of a package gives."""

    sha256: str  # of the package, if it could be read whole
    heads: dict[str, bytes]
    scans: dict[str, Scan | Unreadable]
    wheels: tuple[OwnWheel, ...]
    unreadable: tuple[Finding, ...]  # files that are not as declared, or that cannot be read
    findings: tuple[Finding, ...]  # these, and what was not looked at


def read_all(looked: Survey, *, bytes_max: int, into: Path | None = None) -> PackageReading:
    """Read every file of a package once.

    Args:
        looked: The survey, whose context is still open.
        bytes_max: Nothing is read beyond it.
        into: A folder that every file is copied to on the way.

    Raises:
        OSError: a copy cannot be written.
    """
    heads: dict[str, bytes] = {}
    scans: dict[str, Scan | Unreadable] = {}
    unreadable: list[Finding] = []
    wheels: list[OwnWheel] = []
    listing: list[tuple[Item, str]] = []
    too_large = _too_large(looked.contents.members)
    bytes_left = bytes_max
    for item in looked.contents.members:
        if item.size_bytes > bytes_left:
            continue  # P112 is found already; a file may be a terabyte of zeros, or a bomb
        bytes_left -= item.size_bytes
        python = _is_python(item) and item.path not in too_large
        try:
            sha256, head = _read(looked, item, SOURCE_BYTES_MAX if python else HEAD_BYTES, into, wheels)
        except PackageError as error:
            unreadable.append(found("P103" if looked.zipped else "P101", error.message, place=item.path))
            continue
        listing.append((item, sha256))
        heads[item.path] = head[:HEAD_BYTES]
        if python:
            scans[item.path] = scan(head, place=item.path)
    left_out = [found("P313", f"{size:,} bytes of Python", place=path) for path, size in too_large.items()]
    return PackageReading(
        sha256=digest(listing),
        heads=heads,
        scans=scans,
        wheels=tuple(wheels),
        unreadable=tuple(unreadable),
        findings=(*unreadable, *left_out),
    )


def digest(listing: Iterable[tuple[Item, str]]) -> str:
    """Return the sha256 that names a package.

    It is taken over a header line and, sorted by path, one line `sha256 size path` per file, all UTF-8.

    Args:
        listing: Each file with the sha256 of its content.
    """
    lines = [f"{sha256} {item.size_bytes} {item.path}\n".encode() for item, sha256 in listing]
    lines.sort(key=lambda line: line.split(b" ", 2)[2])
    return hashlib.sha256(_LISTING_HEADER + b"".join(lines)).hexdigest()


def _read(
    looked: Survey, item: Item, keep: int, into: Path | None, wheels: list[OwnWheel]
) -> tuple[str, bytes]:
    """Read one file: return its sha256 and its first `keep` bytes, and look into it if it is a wheel."""
    sha256, head, own_wheel = hashlib.sha256(), b"", is_own_wheel(item.path)
    with _copy_of(item, into) as copy:
        for piece in looked.read(item):
            sha256.update(piece)
            head += piece[: keep - len(head)]
            if into is not None or own_wheel:
                copy.write(piece)
        if own_wheel:
            wheels.append(look(item.path, copy, wheels))
    return sha256.hexdigest(), head


def _copy_of(item: Item, into: Path | None) -> BinaryIO:
    if into is None:
        return tempfile.TemporaryFile() if is_own_wheel(item.path) else io.BytesIO()
    target = into / item.path
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.open("x+b")


def _is_python(item: Item) -> bool:
    return item.path.endswith(".py")


def _too_large(members: Iterable[Item]) -> dict[str, int]:
    """Choose the Python files that are not looked at: those over the cap, and the largest over the sum."""
    sizes = {item.path: item.size_bytes for item in members if _is_python(item)}
    total = 0
    chosen = {}
    for path, size in sorted(sizes.items(), key=lambda pair: pair[1]):
        total += size
        if size > SOURCE_BYTES_MAX or total > SOURCES_BYTES_MAX:
            chosen[path] = size
    return chosen
