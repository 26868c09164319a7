"""From source videos and a recipe to a prepared set: planned, rendered, verified and recorded, resumably."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.core.engines import Engine
from harness.core.engines.local import LocalEngine
from harness.core.errors import ConfigError, HarnessError, VideoError
from harness.core.files import PART_SUFFIX
from harness.core.locks import Waiting, exclusive
from harness.core.types import AppliedPerturbation
from harness.videos.perturb.recipes import Recipe, actual_shares, expected_shares
from harness.videos.prepare_one import (
    RenderDone,
    RenderJob,
    SourceVideo,
    file_sha256,
    neutral_name,
    prepare_one,
    versions,
)
from harness.videos.prepared_set import (
    FORMAT,
    LOCK,
    MANIFEST,
    RECORDS,
    VIDEOS,
    PreparedSet,
    prepared_video,
    write_json,
)

__all__ = ["PrepareProgress", "SourceVideo", "file_sha256", "neutral_name", "prepare_set"]

DRAWING = ("harness.videos.prepare_one", "harness.videos.perturb.drawing.loaded")  # what workers begin with
OWN_NAME = re.compile(r"[0-9a-f]{16}\.mp4")


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
        destination: A folder; made if it is missing.
        workers: Processes; as many as cores if not given. 0 renders in this process.
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
    cells = range(max(1, len(recipe.cells)))
    chosen = engine or LocalEngine(workers, loaded=DRAWING if recipe.kinds else ())
    # With half as many videos as processes, each has a core for its pictures and one for its encoder.
    ahead = isinstance(chosen, LocalEngine) and 2 * len(sources) * len(cells) <= chosen.workers
    jobs = [
        RenderJob(
            source=source,
            recipe=recipe,
            set_seed=set_seed,
            cell=cell,
            destination=destination,
            ahead=ahead,
            found=source.path.exists(),
        )
        for source in sources
        for cell in cells
    ]
    what = f"the set in {destination}"
    with exclusive(destination / LOCK, waiting=waiting, what=what):
        finished = list(_follow(chosen, jobs, progress))
        return _recorded(finished, recipe, set_seed, destination)


def _recorded(
    finished: Sequence[RenderDone], recipe: Recipe, set_seed: int, destination: Path
) -> PreparedSet:
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
    engine: Engine, jobs: Sequence[RenderJob], progress: Callable[[PrepareProgress], None] | None
) -> Iterator[RenderDone]:
    """Run the jobs and tell how far it is; our own faults are raised once the others are done."""
    faults: list[tuple[str, BaseException]] = []
    start, frames, read, written, reused, unreadable = time.monotonic(), 0, 0, 0, 0, 0
    for number, result in enumerate(engine.map(prepare_one, jobs), start=1):
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
