"""Which entries wait: zips and folders in a folder, each of a team, in the order in which teams take turns.

`DIR/TEAM/PACKAGE(.zip)` names the team by its folder; `DIR/PACKAGE(.zip)` is a team by itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import ConfigError
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
        return self.package.name.removesuffix(_SUFFIX)

    @property
    def key(self) -> tuple[str, ...]:
        """What stays the same of it, whatever becomes of its team."""
        if self.entry:
            return (self.entry, str(self.attempt))
        return (self.team, str(self.package), repr(self.handed_in))


def find_entries(folder: Path) -> tuple[Waiting, ...]:
    """Find what was handed in, the earliest first.

    Raises:
        ConfigError: the folder is not there, or contains nothing that could be a package.
    """
    if not folder.is_dir():
        raise ConfigError(
            "is not a folder",
            place=folder,
            remedy="Name the folder of the zips that teams handed in: DIR/TEAM/PACKAGE.zip.",
        )
    found = [
        Waiting(team=team, package=path, handed_in=path.stat().st_mtime) for team, path in _packages(folder)
    ]
    if not found:
        raise ConfigError(
            "contains no package: neither a zip nor a folder with a submission.toml",
            place=folder,
            remedy="Put them there as DIR/TEAM/PACKAGE.zip, or as DIR/TEAM.zip.",
        )
    return tuple(sorted(found, key=lambda one: (one.handed_in, one.team, one.package.name)))


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


def _packages(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if _is_package(path):
            yield path.name.removesuffix(_SUFFIX), path
        elif path.is_dir():
            for inner in sorted(path.iterdir()):
                if not inner.name.startswith(".") and _is_package(inner):
                    yield path.name, inner


def _is_package(path: Path) -> bool:
    if path.is_dir():
        return (path / MANIFEST_NAME).is_file()
    return path.suffix == _SUFFIX and path.is_file()
