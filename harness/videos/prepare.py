"""From source videos and a recipe to a prepared set: planned, rendered, verified and recorded, resumably."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from harness.core.engines import Engine
from harness.core.engines.local import LocalEngine
from harness.core.errors import ConfigError, HarnessError, VideoError
from harness.core.files import PART_SUFFIX, beside
from harness.core.locks import Waiting, exclusive
from harness.core.types import AppliedPerturbation
from harness.videos.perturb.plans import Plan
from harness.videos.perturb.recipes import Recipe, actual_shares, expected_shares, plan
from harness.videos.perturb.render import render
from harness.videos.perturb.verify import verify
from harness.videos.prepared_set import (
    FORMAT,
    LOCK,
    MANIFEST,
    RECORDS,
    VIDEOS,
    PreparedSet,
    prepared_video,
    read_record,
    write_json,
)
from harness.videos.probe import VideoInfo, probe

RENDERER = 2  # counted up when the same plan would give another picture: finished videos are then redone
CHUNK_BYTES = 1 << 20
OWN_NAME = re.compile(r"[0-9a-f]{16}\.mp4")


@dataclass(frozen=True, kw_only=True)
class SourceVideo:
    """One clean video. What is known of it beyond its file goes to the manifest and nowhere else."""

    source_id: str  # its file name; what its seeds are derived from
    path: Path
    label: str = ""
    method: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class PrepareProgress:
    """How far it is, after each video."""

    done: int  # rendered, reused or unreadable
    total: int
    reused: int
    unreadable: int
    source_id: str  # the one that has just finished
    frames: int  # rendered so far
    bytes_read: int
    bytes_written: int
    wall_seconds: float


@dataclass(frozen=True, kw_only=True)
class _Job:
    source: SourceVideo
    recipe: Recipe
    set_seed: int
    cell: int
    destination: Path


@dataclass(frozen=True, kw_only=True)
class _Done:
    source_id: str
    record: dict[str, Any] | None  # None: unreadable
    reason: str = ""
    reused: bool = False


def prepare_set(
    *,
    sources: Sequence[SourceVideo],
    recipe: Recipe,
    set_seed: int,
    destination: Path,
    workers: int | None = None,
    progress: Callable[[PrepareProgress], None] | None = None,
    engine: Engine | None = None,
    waiting: Waiting | None = None,
) -> PreparedSet:
    """Render every source by the recipe's law into `destination/videos`, under neutral names.

    What a video becomes depends on its bytes, its id, the recipe and the seed, and on nothing else: not on
    the other videos, their order, the number of workers or an interruption. A second call redoes nothing
    that an earlier one finished with the same plan, source bytes and library versions. Videos that an
    earlier call made and that no longer belong to the set are removed.
    Real and fake go the same way: labels are not looked at.

    Args:
        sources: Clean videos, with ids that differ.
        recipe: The law.
        set_seed: Of this set.
        destination: A folder; made where it is missing.
        workers: Processes; as many as cores where not given. 0 renders in this process.
        progress: Called after each video.
        engine: Where to run, instead of `workers` local processes.
        waiting: Told while another harness prepares this set.

    Returns:
        The set. Unreadable sources are in it by name and reason; the rest went on without them.

    Raises:
        ConfigError: Two sources have one id.
        VideoError: A file came out otherwise than planned, or a worker died: our fault or the host's. The
            other videos are finished first.
    """
    ids = [item.source_id for item in sources]
    repeated = sorted({name for name in ids if ids.count(name) > 1}) if len(set(ids)) < len(ids) else []
    if repeated:
        raise ConfigError(
            f"sources listed twice: {', '.join(repeated)}", remedy="give each its own file name"
        )
    for folder in (destination / VIDEOS, destination / RECORDS):
        folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        _Job(source=source, recipe=recipe, set_seed=set_seed, cell=cell, destination=destination)
        for source in sources
        for cell in range(max(1, len(recipe.cells)))
    ]
    what = f"the set in {destination}"
    with exclusive(destination / LOCK, waiting=waiting, what=what):
        finished = list(_follow(engine or LocalEngine(workers), jobs, progress))
        return _recorded(finished, recipe, set_seed, destination)


def _recorded(finished: Sequence[_Done], recipe: Recipe, set_seed: int, destination: Path) -> PreparedSet:
    """Write the manifest, and take out of the folder what does not belong to the set."""
    records = [done.record for done in finished if done.record is not None]
    records.sort(key=lambda record: str(record["video_id"]))
    unreadable = sorted({(done.source_id, done.reason) for done in finished if done.record is None})
    _remove_strangers(destination, {str(record["video_id"]) for record in records})
    content = _content(records, unreadable, recipe, set_seed)
    write_json(destination / MANIFEST, content)
    return PreparedSet(
        videos=tuple(prepared_video(record, destination / VIDEOS) for record in records),
        unreadable=tuple(unreadable),
        manifest_path=destination / MANIFEST,
        reused=sum(done.reused for done in finished),
    )


def _follow(
    engine: Engine, jobs: Sequence[_Job], progress: Callable[[PrepareProgress], None] | None
) -> Iterator[_Done]:
    """Run the jobs and tell how far it is; our own faults are raised once the others are done."""
    faults: list[tuple[str, BaseException]] = []
    start, frames, read, written, reused, unreadable = time.monotonic(), 0, 0, 0, 0, 0
    for number, result in enumerate(engine.map(_prepare_one, jobs), start=1):
        if result.error is not None:
            faults.append((result.job.source.source_id, result.error))
            continue
        done = result.unwrap()
        reused += done.reused
        unreadable += done.record is None
        if done.record is not None:
            read += done.record["input"]["bytes"]
            written += done.record["output"]["bytes"]
            frames += 0 if done.reused else done.record["output"]["frames"]
        if progress is not None:
            progress(
                PrepareProgress(
                    done=number,
                    total=len(jobs),
                    reused=reused,
                    unreadable=unreadable,
                    source_id=result.job.source.source_id,
                    frames=frames,
                    bytes_read=read,
                    bytes_written=written,
                    wall_seconds=time.monotonic() - start,
                )
            )
        yield done
    if faults:
        source_id, first = faults[0]
        if len(faults) == 1 and isinstance(first, HarnessError):
            raise first
        raise VideoError(
            f"{len(faults)} of {len(jobs)} videos failed; the first: {first}",
            place=source_id,
            remedy="the others are done: correct the cause and call again",
        ) from first


def neutral_name(set_seed: int, source_id: str, cell: int = 0) -> str:
    """A file name that tells nothing: 16 hex digits of a hash over seed, source and grid cell."""
    return hashlib.sha256(f"{set_seed}\0{source_id}\0{cell}\0name".encode()).hexdigest()[:16] + ".mp4"


def _prepare_one(job: _Job) -> _Done:
    """Render one video, or find it finished. Runs in a worker."""
    source, destination = job.source, job.destination
    try:
        info = probe(source.path)
        source_sha256 = file_sha256(source.path)
    except OSError as error:
        return _Done(source_id=source.source_id, record=None, reason=getattr(error, "message", str(error)))
    planned = plan(job.recipe, set_seed=job.set_seed, video_id=source.source_id, info=info, cell=job.cell)
    name = neutral_name(job.set_seed, source.source_id, job.cell)
    key = _key(source_sha256, planned)
    place, record_path = destination / VIDEOS / name, destination / RECORDS / f"{name}.json"
    described = {"source_id": source.source_id, "label": source.label, "method": source.method} | {
        "source": source.source
    }
    finished = read_record(record_path)
    if finished is not None and _still_true(finished, key, place):
        current = finished | described
        if current != finished:
            write_json(record_path, current)
        return _Done(source_id=source.source_id, record=current, reused=True)
    try:
        made = _rendered(source.path, info, planned, place)
    except _UnreadableError as error:
        return _Done(source_id=source.source_id, record=None, reason=str(error))
    made["input"]["sha256"] = source_sha256
    record = described | {"video_id": name, "key": key} | made
    write_json(record_path, record)
    return _Done(source_id=source.source_id, record=record)


class _UnreadableError(Exception):
    """The source turned out to be damaged while it was rendered."""


def _rendered(source: Path, info: VideoInfo, planned: Plan, place: Path) -> dict[str, Any]:
    """Render one video to its place, and return what its record says of that."""
    with beside(place) as part:
        try:
            rendered = render(source, info, planned, part)
        except VideoError as error:
            raise _UnreadableError(error.message) from error
        found = verify(part, planned, rendered)
        return {
            "applied": [asdict(item) for item in planned.applied],
            "plan": planned.to_json(),
            "input": {
                "bytes": info.file_bytes,
                "frames": rendered.source_frames,
                "damaged_packets": rendered.damaged_packets,
            },
            "output": {
                "sha256": file_sha256(part),
                "bytes": part.stat().st_size,
                "packets_sha256": rendered.packets_sha256,
                **asdict(found),
            },
            "versions": versions(),
        }


def _key(source_sha256: str, planned: Plan) -> str:
    """What a finished video is known by: its source's bytes, its plan, and what rendered it."""
    text = f"{source_sha256}\0{planned.digest()}\0{sorted(versions().items())}"
    return hashlib.sha256(text.encode()).hexdigest()


def _still_true(record: dict[str, Any], key: str, place: Path) -> bool:
    if record.get("key") != key or not place.is_file():
        return False
    return bool(file_sha256(place) == record["output"]["sha256"])


def versions() -> dict[str, str]:
    """Of everything that can change a byte of the output."""
    libraries = {name: ".".join(map(str, number)) for name, number in av.library_versions.items()}
    return {
        "renderer": str(RENDERER),
        "pyav": av.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        **{name: libraries[name] for name in ("libavcodec", "libavfilter", "libavformat", "libswscale")},
    }


def file_sha256(path: Path) -> str:
    """Over the file's bytes, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _remove_strangers(destination: Path, names: set[str]) -> None:
    """Take out what an earlier call with other sources, or a killed worker, left behind; nothing else.

    Only whoever holds the lock of the set may: a part is then nobody's work in progress.
    """
    for path in (destination / RECORDS).glob("*.mp4.json"):
        name = path.name.removesuffix(".json")
        if OWN_NAME.fullmatch(name) and name not in names:
            (destination / VIDEOS / name).unlink(missing_ok=True)
            path.unlink()
    for folder in (destination / VIDEOS, destination / RECORDS):
        for path in folder.glob(f".*{PART_SUFFIX}"):
            path.unlink()


def _content(
    records: list[dict[str, Any]], unreadable: list[tuple[str, str]], recipe: Recipe, set_seed: int
) -> dict[str, Any]:
    applied = [[AppliedPerturbation(**item) for item in record["applied"]] for record in records]
    return {
        "format": FORMAT,
        "recipe": {
            "name": recipe.name,
            "law": recipe.law,
            "untouched": recipe.untouched,
            "counts": {str(number): weight for number, weight in recipe.counts.items()},
            "kinds": [rule.model_dump() for rule in recipe.kinds],
            "exclude": [sorted(group) for group in recipe.exclude],
            "encoding": asdict(recipe.encoding),
        },
        "set_seed": set_seed,
        "versions": versions(),
        "expected_shares": expected_shares(recipe),
        "actual_shares": actual_shares(applied),
        "unreadable": [{"source_id": source_id, "reason": reason} for source_id, reason in unreadable],
        "videos": records,
    }
