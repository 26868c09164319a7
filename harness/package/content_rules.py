"""The rules for what a package may hold: names, kinds, depth, count and size. Pure.

A folder and a zip are both turned into a list of `Item` and judged here, so that neither can pass where the
other would not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from harness.core.text import printable
from harness.core.types import Limits
from harness.package.findings import Finding, found

DEPTH_MAX = 32
NAME_BYTES_MAX = 200
PATH_BYTES_MAX = 1024
SHOWN_PER_CODE_MAX = 20
_DRIVE = re.compile(r"[A-Za-z]:")


class Kind(StrEnum):
    """What an entry is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    SPECIAL = "special"


_REFUSED_KINDS = {Kind.LINK: "P107", Kind.SPECIAL: "P108"}


@dataclass(frozen=True, kw_only=True)
class Item:
    """One name in a folder or zip, as found; `path` is relative with `/`, and may be hostile."""

    path: str
    kind: Kind
    size_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What is part of the package and what is not. Only safe, unique files are members, sorted by path."""

    members: tuple[Item, ...]
    left_out: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def size_bytes(self) -> int:
        """The sum of the members' sizes."""
        return sum(member.size_bytes for member in self.members)

    def folders(self) -> tuple[str, ...]:
        """Every folder that holds a member, at any depth, sorted."""
        return tuple(sorted({head for member in self.members for head in parents(member.path)}))


def parents(path: str) -> list[str]:
    """Return the folders above a path, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def judge(entries: Iterable[Item], *, left_out: Callable[[str], str | None], limits: Limits) -> Contents:
    """Sort entries into members and what is left out, with a finding for everything that breaks a rule.

    What is left out may be a link or of any size: it is never read. Its name must still be safe.
    """
    findings: list[Finding] = []
    skipped: set[str] = set()
    members: dict[str, Item] = {}
    claims: dict[str, tuple[str, Kind]] = {}  # folded path → the spelling and kind that came first
    for entry in entries:
        wrong = unsafe_path(entry.path)
        if wrong:
            findings.append(found("P106", f"an unsafe path: {wrong}", place=entry.path))
            continue
        if entry.path.count("/") >= DEPTH_MAX:  # first: what follows costs more the deeper the path
            findings.append(found("P110", f"more than {DEPTH_MAX} folders deep", place=entry.path))
            continue
        outside = left_out(entry.path)
        if outside is not None:
            skipped.add(outside)
        elif entry.kind in _REFUSED_KINDS:
            findings.append(found(_REFUSED_KINDS[entry.kind], place=entry.path))
        else:
            taken = "appears twice" if entry.path in members else _claim(claims, entry)
            if taken:
                findings.append(found("P109", taken, place=entry.path))
            elif entry.kind is Kind.FILE:
                members[entry.path] = entry
    kept = tuple(members[path] for path in sorted(members))
    count = len(kept) + len({head for member in kept for head in parents(member.path)})
    if count > limits.package_files:
        findings.append(found("P111", f"more than {limits.package_files} files and folders"))
    size = sum(member.size_bytes for member in kept)
    if size > limits.package_bytes:
        largest = sorted(kept, key=lambda member: -member.size_bytes)[:5]
        shown = ", ".join(f"{printable(m.path, cap=80)} ({m.size_bytes:,})" for m in largest)
        findings.append(
            found("P112", f"{size:,} bytes; {limits.package_bytes:,} are allowed. The largest: {shown}")
        )
    return Contents(members=kept, left_out=tuple(sorted(skipped)), findings=tuple(findings))


def _claim(claims: dict[str, tuple[str, Kind]], entry: Item) -> str | None:
    """Take the entry's path and its folders' paths; say why not if another entry has one of them."""
    wanted = [(head, Kind.FOLDER) for head in parents(entry.path)] + [(entry.path, entry.kind)]
    for path, kind in wanted:
        spelling, first_kind = claims.setdefault(_folded(path), (path, kind))
        if spelling != path:
            return f"is the same name as {printable(spelling)!r} on some systems"
        if first_kind is not kind:
            return f"{printable(path)!r} is both a file and a folder"
    return None


def _folded(path: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())


def unsafe_path(path: str) -> str | None:
    """Say why a path is not safe to write or to show, or None if it is."""
    reasons = (
        (not path, "an empty name"),
        (path.startswith("/") or bool(_DRIVE.match(path)), "absolute"),
        ("\\" in path, "a backslash"),
        (not path.isascii() and any("\ud800" <= c <= "\udfff" for c in path), "not UTF-8"),
        (not path.isprintable(), "control or invisible characters"),
    )
    for is_so, reason in reasons:
        if is_so:
            return reason
    parts = path.split("/")
    if not set(parts).isdisjoint({"", ".", ".."}):
        return "`..`, `.` or an empty name on the way"
    if max(len(part.encode()) for part in parts) > NAME_BYTES_MAX:
        return f"a name of more than {NAME_BYTES_MAX} bytes"
    return f"longer than {PATH_BYTES_MAX} bytes" if len(path.encode()) > PATH_BYTES_MAX else None


def shortened(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Keep the first cases of each code, each once, and say how many more there were."""
    by_code: dict[str, list[Finding]] = {}
    for finding in dict.fromkeys(findings):
        by_code.setdefault(finding.code, []).append(finding)
    kept: list[Finding] = []
    for code, cases in by_code.items():
        kept += cases[:SHOWN_PER_CODE_MAX]
        more = len(cases) - SHOWN_PER_CODE_MAX
        if more > 0:
            kept.append(found(code, f"… and {more} more of the same", severity=cases[0].severity))
    return tuple(kept)
