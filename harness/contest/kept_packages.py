"""Which kept packages no entry needs any more: those of cancelled entries, and of hand-ins that were refused.

A package is needed as long as any entry of any contest in the store names it that is not cancelled: whatever
waits, runs, has a score, failed, or was spoiled by our fault may be looked at or run again. What a store of
files (`--blobs`) holds is not looked at: a backup may refer to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa

from harness.contest.events import from_json
from harness.contest.intake import package_path
from harness.contest.state import Entry, EntryStatus, fold
from harness.core.blobs import SHA256
from harness.core.errors import ConfigError, InfrastructureError, ResultError
from harness.results.store import Store, event_log
from harness.results.store.chain import verify


class WhyUnneeded(StrEnum):
    """Why nothing needs a package."""

    CANCELLED = "cancelled"
    NO_ENTRY = "no entry"  # refused by a rule, or of a contest in another store


@dataclass(frozen=True, kw_only=True)
class UnneededPackage:
    """A package that no entry needs."""

    sha256: str
    size_bytes: int
    why: WhyUnneeded
    entries: tuple[str, ...]  # that were cancelled, as CONTEST/ENTRY


@dataclass(frozen=True, kw_only=True)
class KeptPackages:
    """What the folder of packages contains."""

    needed: int
    needed_bytes: int
    unneeded: tuple[UnneededPackage, ...]  # the largest first

    @property
    def unneeded_bytes(self) -> int:
        """How much the unneeded ones take."""
        return sum(one.size_bytes for one in self.unneeded)


def find_unneeded(store: Store, packages: Path) -> KeptPackages:
    """Say which packages nothing needs; nothing is changed.

    Args:
        store: With every contest whose packages are kept there.
        packages: The folder of packages, each by its sha256. Other files in it are left out.

    Raises:
        ConfigError: the folder is not there.
        ResultError: the log of a contest is damaged: nobody knows what it needs.
        StoreError: the database cannot be read.
    """
    _refuse_missing(packages)
    with store.read() as connection:
        return _look(connection, packages)


def remove_unneeded(
    store: Store, packages: Path, *, no_entry: bool = False, removed: Callable[[Path], None] = lambda _: None
) -> KeptPackages:
    """Remove the packages of cancelled entries; return what was there, with what was removed as unneeded.

    Nobody's entry is taken meanwhile. A package that is handed in again at the same moment is kept again by
    `hand_in` once its entry is on record.

    Args:
        store: With every contest whose packages are kept there.
        packages: The folder of packages.
        no_entry: Also those that no entry of this store has ever named.
        removed: Told of each file that is gone.

    Raises:
        ConfigError: the folder is not there; or with `no_entry` the store knows none of the packages: it is
            probably another one.
        InfrastructureError: a file cannot be removed; those before it are gone.
        ResultError: the log of a contest is damaged; nothing was removed.
        StoreError: the database cannot be locked.
    """
    _refuse_missing(packages)

    def work(connection: sa.Connection) -> KeptPackages:
        for name in sorted(event_log.names(connection)):
            event_log.take_turn(connection, name)
        found = _look(connection, packages)
        if no_entry and all(one.why is WhyUnneeded.NO_ENTRY for one in found.unneeded) and not found.needed:
            raise ConfigError(
                f"the store has no entry with any of these {len(found.unneeded)} packages",
                place=store.place,
                remedy="Is it the right --store? If it is, remove them by hand.",
            )
        wanted = {WhyUnneeded.CANCELLED, *([WhyUnneeded.NO_ENTRY] if no_entry else [])}
        gone = tuple(one for one in found.unneeded if one.why in wanted)
        for one in gone:
            _remove(package_path(packages, one.sha256))
            removed(package_path(packages, one.sha256))
        return KeptPackages(needed=found.needed, needed_bytes=found.needed_bytes, unneeded=gone)

    return store.write(work)


def _look(connection: sa.Connection, packages: Path) -> KeptPackages:
    entries = _entries_by_package(connection)
    needed, needed_bytes, unneeded = 0, 0, []
    for path in packages.glob("*.zip"):
        if SHA256.fullmatch(path.stem) and path.is_file():
            size, of = path.stat().st_size, entries.get(path.stem, {})
            if any(one.status is not EntryStatus.CANCELLED for one in of.values()):
                needed, needed_bytes = needed + 1, needed_bytes + size
            else:
                why = WhyUnneeded.CANCELLED if of else WhyUnneeded.NO_ENTRY
                unneeded.append(
                    UnneededPackage(sha256=path.stem, size_bytes=size, why=why, entries=tuple(sorted(of)))
                )
    largest_first = tuple(sorted(unneeded, key=lambda one: (-one.size_bytes, one.sha256)))
    return KeptPackages(needed=needed, needed_bytes=needed_bytes, unneeded=largest_first)


def _entries_by_package(connection: sa.Connection) -> Mapping[str, Mapping[str, Entry]]:
    """Read every contest's entries from its events, which are the truth, and not from their rows."""
    found: dict[str, dict[str, Entry]] = {}
    for name in event_log.names(connection):
        records = event_log.read(connection, name)
        wrong = verify(records)
        if wrong:
            raise ResultError(
                f"the log is damaged: {wrong[0]}",
                place=f"contest {name}",
                remedy="Restore it from the last export of `harness contest log`; no package was removed.",
            )
        for entry in fold(from_json(record.document) for record in records).entries.values():
            found.setdefault(entry.package_sha256, {})[f"{name}/{entry.entry}"] = entry
    return found


def _refuse_missing(packages: Path) -> None:
    if not packages.is_dir():
        raise ConfigError(
            "there is no such folder of packages",
            place=packages,
            remedy="Name it with --packages, as `contest submit` or `harness serve` was given it.",
        )


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"cannot be removed: {error.strerror}",
            place=path,
            remedy="Allow writing in this folder, and run the same command again.",
        ) from error
