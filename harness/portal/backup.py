"""A contest kept somewhere else: database, packages and run folders; and all of it brought back.

A backup folder holds any number of backups: each a folder with a copy of the database and a list of files.
The files lie in a store by content, each content once however many backups name it. A backup is whole when
its `backup.json`, which is written last, is there. The database is copied before the files: what it names was
on the disk before it was named, so that no entry is without its package.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from harness.contest.ledger import Ledger
from harness.core.blobs import Blob, BlobStore, blob_of
from harness.core.errors import ConfigError, HarnessError, InfrastructureError
from harness.core.files import PART_SUFFIX, beside, write_text
from harness.portal.database_copy import read_copy, write_copy
from harness.results.store import Store, event_log

FORMAT = 1
DATABASE, LISTING, RECORD = "database.jsonl", "files.jsonl", "backup.json"
_SUMS = ((DATABASE, "database_sha256"), (LISTING, "files_sha256"))

Progress = Callable[[int], None]  # how many files are done


@dataclass(frozen=True, kw_only=True)
class KeptFile:
    """One file of a backup."""

    area: str  # which of the folders it is from
    path: str  # in it, with slashes
    sha256: str
    size_bytes: int
    modified_ns: int
    mode: int

    @property
    def blob(self) -> Blob:
        """Its content."""
        return Blob(sha256=self.sha256, size_bytes=self.size_bytes)


@dataclass(frozen=True, kw_only=True)
class BackupReport:
    """What a backup holds."""

    name: str
    rows: Mapping[str, int]
    files: int
    size_bytes: int
    new_files: int  # that the last backup did not have as they are now
    skipped: tuple[str, ...]  # what is neither a file nor a folder


def make_backup(
    store: Store,
    areas: Mapping[str, Path],
    destination: Path,
    blobs: BlobStore,
    *,
    now: datetime,
    apart: frozenset[Path] = frozenset(),
    progress: Progress = lambda _done: None,
) -> BackupReport:
    """Make a backup; contests go on meanwhile.

    Args:
        store: The database.
        areas: Folders by what they are called in the backup; one that is not there is empty.
        destination: The backup folder. Only its owner may read it: it holds private scores.
        blobs: Where the files' contents are kept.
        now: The moment, which names the backup.
        apart: Files that are left out: those of the database, if they are in one of the folders.
        progress: Is told how many files are done.

    Raises:
        ConfigError: a backup of that second is there already.
        StoreError: the database cannot be read.
        InfrastructureError: a disk refuses.
    """
    name = f"{now:%Y%m%dT%H%M%SZ}"
    folder = destination / name
    with _disk(folder):
        destination.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.exists():
            raise ConfigError("is there already", place=folder, remedy="Wait for a second.")
        before = _files_of_last(destination)
        folder.mkdir(mode=0o700)
        with beside(folder / DATABASE) as part, part.open("w", encoding="utf-8") as stream:
            rows = write_copy(store, stream)
        kept: list[KeptFile] = []
        skipped: list[str] = []
        for area, root in areas.items():
            for path in _walk(root, apart, skipped):
                inside = path.relative_to(root).as_posix()
                found = _keep(path, area, inside, blobs, before.get((area, inside)))
                if found is not None:
                    kept.append(found)
                    progress(len(kept))
        write_text(folder / LISTING, "".join(_as_line(one) for one in kept))
    report = BackupReport(
        name=name,
        rows=rows,
        files=len(kept),
        size_bytes=sum(one.size_bytes for one in kept),
        new_files=sum(before.get((one.area, one.path)) != one for one in kept),
        skipped=tuple(skipped),
    )
    sums = {key: blob_of(folder / file).sha256 for file, key in _SUMS}
    write_text(folder / RECORD, json.dumps({"format": FORMAT, **sums, **asdict(report)}, indent=1) + "\n")
    return report


def backups(destination: Path) -> tuple[str, ...]:
    """Return the names of the whole backups of a folder, the oldest first."""
    return tuple(sorted(path.parent.name for path in destination.glob(f"*/{RECORD}")))


def damage(
    destination: Path, name: str, blobs: BlobStore, *, progress: Progress = lambda _done: None
) -> tuple[str, ...]:
    """Read a whole backup again, and name everything in it that is not as it was written.

    Raises:
        ConfigError: there is no such backup.
    """
    try:
        kept = _listed(destination, name)
    except ConfigError as error:
        if not (destination / name / RECORD).is_file():
            raise
        return (str(error),)
    wrong = []
    good: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        for number, one in enumerate(kept, start=1):
            if one.sha256 not in good:
                try:
                    blobs.fetch(one.blob, Path(folder) / "content")
                    good.add(one.sha256)
                except HarnessError as error:
                    wrong.append(f"{one.area}/{one.path}: {error.message}")
            progress(number)
    return tuple(wrong)


def restore_backup(
    destination: Path,
    name: str,
    store: Store,
    areas: Mapping[str, Path],
    blobs: BlobStore,
    *,
    moved: tuple[str, str] | None = None,
    apart: frozenset[Path] = frozenset(),
    progress: Progress = lambda _done: None,
) -> tuple[str, ...]:
    """Bring a backup back into an empty database and into folders that are empty or not there.

    Files come first and the database last: a restoration that was cut off is begun again, with empty folders.
    Everything is compared with its sha256.

    Args:
        destination: The backup folder.
        name: Of the backup.
        store: Whose tables are empty.
        areas: Where each folder of the backup goes.
        blobs: Where the files' contents are kept.
        moved: Where the folder of challenges was, and where it is now.
        apart: Files that may be in the folders: those of the database.
        progress: Is told how many files are done.

    Returns:
        What is wrong with the logs of the contests: nothing, if nobody changed an event.

    Raises:
        ConfigError: there is no such backup, it is damaged, or something is in the way.
        InfrastructureError: a disk refuses, or a content is missing or damaged.
    """
    kept = _listed(destination, name)
    homeless = sorted({one.area for one in kept} - set(areas))
    if homeless:
        raise ConfigError(f"holds {', '.join(homeless)}, and nobody says where that goes", place=name)
    for path in areas.values():
        if path.exists() and any(one.resolve() not in apart for one in path.iterdir()):
            raise ConfigError("is not empty", place=path, remedy="What is there is not overwritten.")
    for number, one in enumerate(kept, start=1):
        _bring_back(one, areas[one.area], blobs)
        progress(number)
    with (destination / name / DATABASE).open(encoding="utf-8") as stream:
        read_copy(store, stream, moved=moved)
    with store.read() as connection:
        names = event_log.names(connection)
    return tuple(f"{one}: {problem}" for one in names for problem in Ledger(store, one).problems())


def _walk(root: Path, apart: frozenset[Path], skipped: list[str]) -> Iterator[Path]:
    """Yield the files below a folder; links are named and not followed, half-written files passed over."""
    for folder, names, files in os.walk(root, followlinks=False):
        names.sort()
        links = [one for one in names if (Path(folder) / one).is_symlink()]
        for name in sorted([*files, *links]):
            path = Path(folder) / name
            if path.is_symlink() or (path.exists() and not path.is_file()):
                skipped.append(str(path))
            elif not name.endswith(PART_SUFFIX) and path.resolve() not in apart:
                yield path


def _keep(path: Path, area: str, inside: str, blobs: BlobStore, before: KeptFile | None) -> KeptFile | None:
    """Keep a file's content, unless the last backup did; None if the file is gone."""
    try:
        facts = path.stat()
        stamp = (facts.st_size, facts.st_mtime_ns)
        if before is not None and (before.size_bytes, before.modified_ns) == stamp and blobs.has(before.blob):
            return before
        blob = blobs.put(path)
        now = path.stat()
        if (now.st_size, now.st_mtime_ns) != stamp:  # a journal grows while it is read
            with tempfile.TemporaryDirectory() as folder:
                still = Path(folder) / "still"
                shutil.copyfile(path, still)
                blob = blobs.put(still)
    except (FileNotFoundError, InfrastructureError):
        if path.exists():
            raise
        return None
    return KeptFile(
        area=area,
        path=inside,
        sha256=blob.sha256,
        size_bytes=blob.size_bytes,
        modified_ns=facts.st_mtime_ns,
        mode=stat.S_IMODE(facts.st_mode),
    )


def _bring_back(one: KeptFile, root: Path, blobs: BlobStore) -> None:
    inside = PurePosixPath(one.path)
    if inside.is_absolute() or ".." in inside.parts:
        raise ConfigError("would lie outside its folder", place=one.path, remedy="Use another backup.")
    target = root / inside
    with _disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        blobs.fetch(one.blob, target)
        target.chmod(one.mode)
        os.utime(target, ns=(one.modified_ns, one.modified_ns))  # columns know their journal by it


def _files_of_last(destination: Path) -> dict[tuple[str, str], KeptFile]:
    there = backups(destination)
    return {(one.area, one.path): one for one in _listed(destination, there[-1])} if there else {}


def _listed(destination: Path, name: str) -> tuple[KeptFile, ...]:
    """Return the files of a backup, once its database and its list are as they were written."""
    folder = destination / name
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        known = ", ".join(backups(destination)[-5:]) or "none"
        raise ConfigError(
            "is no whole backup", place=folder, remedy=f"The last ones here: {known}."
        ) from error
    if record.get("format") != FORMAT:
        raise ConfigError(
            f"is of format {record.get('format')!r:.20}; this harness knows {FORMAT}", place=folder
        )
    for file, key in _SUMS:
        if not (folder / file).is_file() or blob_of(folder / file).sha256 != record.get(key):
            raise ConfigError("is not as it was written", place=folder / file, remedy="Use another backup.")
    with (folder / LISTING).open(encoding="utf-8") as stream:
        return tuple(KeptFile(**json.loads(line)) for line in stream)


def _as_line(one: KeptFile) -> str:
    return json.dumps(asdict(one), separators=(",", ":")) + "\n"


@contextmanager
def _disk(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, HarnessError):
            raise
        raise InfrastructureError(
            f"cannot be written: {error.strerror}", place=place, remedy="Make room on the disk; begin again."
        ) from error
