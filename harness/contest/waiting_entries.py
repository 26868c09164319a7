"""Which entries wait: zips and folders in a folder, each of a team, in the order in which teams take turns.

`DIR/TEAM/PACKAGE(.zip)` names the team by its folder; `DIR/PACKAGE(.zip)` is a team by itself. What else is
there is no entry, and is named with its reason: nothing that was handed in is passed over in silence.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import ConfigError
from harness.core.text import TEAM_CHARACTERS_MAX, team_name
from harness.package.manifest import MANIFEST_NAME

_SUFFIX = ".zip"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One package that was handed in."""

    team: str
    package: Path
    handed_in: float  # seconds since 1970: of a team's packages the earlier one comes first
    entry: str = ""  # its id in the contest's log; empty: it was found in a folder
    attempt: int = 1
    package_sha256: str = ""  # over its canonical listing, as it was taken; empty: not known beforehand

    @property
    def name(self) -> str:
        """Its name for people; of an entry that is run again, with the number of the attempt."""
        if self.entry:
            return self.entry if self.attempt == 1 else f"{self.entry}.{self.attempt}"
        return _stem(self.package)

    @property
    def key(self) -> tuple[str, ...]:
        """What stays the same of it, whatever becomes of its team."""
        if self.entry:
            return (self.entry, str(self.attempt))
        return (self.team, str(self.package), repr(self.handed_in))


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a folder contains."""

    entries: tuple[Waiting, ...]  # the earliest first
    no_entries: tuple[tuple[Path, str], ...]  # what else is there, each with why it is none


def find_entries(folder: Path) -> Found:
    """Find what was handed in.

    Raises:
        ConfigError: the folder is not there, or contains nothing that could be a package.
    """
    if not folder.is_dir():
        raise ConfigError(
            "is not a folder",
            place=folder,
            remedy="Name the folder of the zips that teams handed in: DIR/TEAM/PACKAGE.zip.",
        )
    found, others = [], []
    for path in _visible(folder):
        if path.is_dir() and not path.is_symlink() and not _is_package(path):
            try:
                inside = _visible(path)
            except OSError as error:
                others.append((path, f"cannot be read: {error.strerror}"))
                continue
            found += [(path.name, inner) for inner in inside]
            others += [] if inside else [(path, "is an empty folder")]
        else:
            found.append((_stem(path), path))
    looked_at = [(team, path, _why_none(team, path)) for team, path in found]
    entries = []
    for team, path, why in looked_at:
        if why:
            others.append((path, why))
            continue
        with contextlib.suppress(FileNotFoundError):  # taken away since it was listed
            moment = path.stat().st_mtime
            entries.append(Waiting(team=str(team_name(team)), package=path, handed_in=moment))
    if not entries:
        what = "; ".join(f"{path.name!r} {why}" for path, why in others[:3]) or "it is empty"
        raise ConfigError(
            f"contains no package, neither a zip nor a folder with a submission.toml: {what}",
            place=folder,
            remedy="Put them there as DIR/TEAM/PACKAGE.zip, or as DIR/TEAM.zip.",
        )
    return Found(
        entries=tuple(sorted(entries, key=lambda one: (one.handed_in, one.team, one.package.name))),
        no_entries=tuple(others),
    )


def in_turn(waiting: Iterable[Waiting]) -> tuple[tuple[int, Waiting], ...]:
    """Order entries so that teams take turns: every team's first one before any team's second.

    Returns:
        Each with its turn, counted from 0: its number within its team.
    """
    seen: dict[str, int] = {}
    numbered = []
    for one in waiting:
        turn = seen.get(one.team, 0)
        seen[one.team] = turn + 1
        numbered.append((turn, one))
    return tuple(sorted(numbered, key=lambda pair: pair[0]))  # stable: within a turn the earlier one first


def run_id_of(*, challenge: str, challenge_sha256: str, team: str, place: str) -> str:
    """Name the run of one entry: the same one after every kill, and readable."""
    digest = hashlib.sha256("\0".join((challenge_sha256, team, place)).encode()).hexdigest()[:10]
    slug = re.sub(r"[^a-z0-9]+", "-", f"{challenge}-{team}".lower()).strip("-")[:60]
    return f"{slug}-{digest}"


def _visible(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]


def _why_none(team: str, path: Path) -> str:
    """Say why something in the folder is not an entry; empty if it is one."""
    if path.is_symlink():
        return "is a link, by which one team could hand in what another one did: copy the file there"
    if not _is_package(path):
        return "is neither a zip nor a folder with a submission.toml"
    if team_name(team) is None:
        return f"has no name of a team: 1 to {TEAM_CHARACTERS_MAX} printable characters. Rename it"
    if not path.name.isprintable():
        return "has a name with characters that cannot be printed. Rename it"
    return ""


def _is_package(path: Path) -> bool:
    if path.is_dir():
        return (path / MANIFEST_NAME).is_file()
    return path.suffix.lower() == _SUFFIX and path.is_file()


def _stem(path: Path) -> str:
    """Return a package's name without the ending of a zip, in whatever case that is."""
    return path.name[: -len(_SUFFIX)] if path.suffix.lower() == _SUFFIX else path.name
