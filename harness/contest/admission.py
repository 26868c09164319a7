"""An entry on its way to its shards: opened, checked, and given a run folder with its own seed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.contest.shards import Shard, cut, shards_of
from harness.contest.waiting_entries import Waiting, run_id_of
from harness.core.blobs import Blob, BlobStore
from harness.core.challenge import Challenge
from harness.core.errors import PackageError, ResultError
from harness.core.files import write_text
from harness.core.types import ImageFacts, Mode, SetName
from harness.gateway.staging import own_folder
from harness.package.check import check_package
from harness.package.findings import Severity
from harness.package.opened import Package, open_package
from harness.package.pack import pack
from harness.results.job_key import JobKey
from harness.results.result import PackageFacts
from harness.results.run_folder import RunFolder, RunIdentity, new_run
from harness.results.store.jobs import NewJob
from harness.videos.ready_set import ReadySet


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What all entries of a contest have in common."""

    challenge: Challenge
    sets: tuple[ReadySet, ...]
    image: ImageFacts
    engine: str
    isolation: str
    runs: Path
    scratch: Path
    store: BlobStore | None
    shard_videos: int | None = None
    gpus: tuple[str, ...] = ()  # their names
    reports: bool = True  # both of every run
    repeat: bool = False  # a set that is cut is also run whole, to compare the answers


@dataclass(frozen=True, kw_only=True)
class AdmittedEntry:
    """An entry that was looked at: it runs, or `why_not` says why it cannot."""

    waiting: Waiting
    turn: int
    folder: RunFolder
    facts: PackageFacts
    package: Path  # what workers open
    blob: Blob | None
    shard_videos: int | None = None  # in a shard at most, as it was when its run began
    why_not: str = ""

    @property
    def run_id(self) -> str:
        """Its run's name."""
        return self.folder.run_id


def admit(common: Prepared, waiting: Waiting, turn: int) -> AdmittedEntry:
    """Open and check a package, and make or find the run folder of its entry.

    Raises:
        InfrastructureError: our fault or the host's.
    """
    challenge = common.challenge
    report = check_package(waiting.package, limits=challenge.limits, contract=challenge.contract)
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    why_not = "; ".join(error.in_a_line for error in errors)
    facts = PackageFacts(name=waiting.name, sha256=waiting.package_sha256, size_bytes=0, mode=Mode.STREAM)
    blob = None
    if not why_not:
        with _opened(waiting.package, common) as package:
            if isinstance(package, str):
                why_not = package
            else:
                facts = PackageFacts(
                    name=package.name,
                    sha256=package.sha256,
                    size_bytes=package.size_bytes,
                    mode=package.manifest.mode,
                )
    if not why_not and common.store is not None:
        blob = _stored(waiting.package, common.store)
    identity = RunIdentity(
        package_sha256=facts.sha256,
        challenge_sha256=challenge.sha256,
        image="" if why_not else common.image.digest,
        isolation=common.isolation,
        sets_sha256=" ".join(ready.sha256 for ready in common.sets),
    )
    folder = _folder(common, waiting, identity)
    return AdmittedEntry(
        waiting=waiting,
        turn=turn,
        folder=folder,
        facts=facts,
        package=waiting.package,
        blob=blob,
        shard_videos=_first_cut(folder, common.shard_videos),
        why_not=why_not,
    )


def shards(common: Prepared, entry: AdmittedEntry) -> Mapping[SetName, tuple[Shard, ...]]:
    """Cut every set for an entry, always the same way."""
    seed = entry.folder.seed()
    return {
        ready.name: cut(
            ready.name,
            ready.videos,
            shards=shards_of(len(ready.videos), mode=entry.facts.mode, shard_videos=entry.shard_videos),
            order_seed=seed,
        )
        for ready in common.sets
    }


def parts_of(common: Prepared, entry: AdmittedEntry) -> Mapping[SetName, tuple[Shard, ...]]:
    """Return every part that may be run: the shards, and behind them each set that is cut once more whole."""
    seed, found = entry.folder.seed(), dict(shards(common, entry))
    for ready in common.sets:
        parts = found[ready.name]
        if len(parts) > 1:
            (whole,) = cut(ready.name, ready.videos, shards=1, order_seed=seed)
            found[ready.name] = (*parts, replace(whole, number=len(parts)))
    return found


def jobs_of(common: Prepared, entry: AdmittedEntry) -> tuple[NewJob, ...]:
    """Return the jobs of an entry: one for each shard of each set, and for each whole one to compare with."""
    found = parts_of(common, entry) if common.repeat else shards(common, entry)
    return tuple(
        NewJob(
            key=JobKey(run_id=entry.run_id, set_name=name.value, shard=shard.number),
            challenge=common.challenge.name,
            entry=entry.waiting.name[:64],
            team=entry.waiting.team[:64],
            turn=entry.turn,
            videos=len(shard.videos),
        )
        for name, parts in found.items()
        for shard in parts
    )


def _folder(common: Prepared, waiting: Waiting, identity: RunIdentity) -> RunFolder:
    name = run_id_of(
        challenge=common.challenge.name,
        challenge_sha256=f"{identity.challenge_sha256} {identity.sets_sha256} {identity.image}",
        team=waiting.entry or waiting.team,  # an entry stays itself where its team is merged into another
        place=f"{waiting.name} {identity.package_sha256}",
    )
    folder = RunFolder(path=common.runs / name)
    if folder.request.is_file():
        return folder
    return new_run(common.runs, identity, run_id=name)


def _first_cut(folder: RunFolder, shard_videos: int | None) -> int | None:
    """Return how a run was cut when it began: its shards stay, whatever a later command says."""
    place = folder.path / "cut.json"
    if not place.is_file():
        write_text(place, json.dumps({"shard_videos": shard_videos}) + "\n")
        return shard_videos
    try:
        found = json.loads(place.read_text(encoding="utf-8"))["shard_videos"]
        return None if found is None else int(found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultError(
            f"is damaged: {error}",
            place=place,
            remedy="Restore it from a backup, or remove the run's folder.",
        ) from error


@contextlib.contextmanager
def _opened(path: Path, common: Prepared) -> Iterator[Package | str]:
    with own_folder() as parent:
        try:
            package: Package | str = open_package(path, parent / "package", limits=common.challenge.limits)
        except PackageError as error:
            package = str(error)
        yield package


def _stored(path: Path, store: BlobStore) -> Blob:
    if path.is_file():
        return store.put(path)
    with own_folder() as folder:
        target = folder / "package.zip"
        pack(path, target)
        return store.put(target)
