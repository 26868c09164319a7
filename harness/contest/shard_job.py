"""What a worker on a node does: fetch a package and a shard's videos, run them, bring back a run.

The worker trusts what its job names by sha256 and nothing else. It knows no label. The contestant's code runs
in containers of the node's own container engine, never in this process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from harness.contest.disturbance import Disturbance, DisturbanceListener
from harness.contest.video_count import write_count
from harness.core.blobs import Blob, BlobStore
from harness.core.engines import JobResult
from harness.core.errors import InfrastructureError, ResultError
from harness.core.locks import exclusive
from harness.core.node_cache import NodeCache
from harness.core.types import PreparedVideo, SetName, Terms
from harness.gateway.journal import Line, header_of, read_journal
from harness.gateway.run_package import run_package
from harness.gateway.set_run import SetProgress, SetRun
from harness.gateway.staging import neutral_folder
from harness.package.opened import Package, open_package
from harness.results.job_key import JobKey
from harness.sandbox import Backend

JOURNAL_DAYS = 7  # a shard's journal is kept on its node for a later attempt, and not for ever
LOOK_DAYS = 1  # between two looks for old ones
_LOOKED = ".looked"


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A sandbox that is ready, and the cores that it holds."""

    backend: Backend
    cores: tuple[int, ...] = ()


BackendMaker = Callable[[ExitStack, float], Claimed]  # what is held until the shard ends; cores


class CancelledError(InfrastructureError):
    """The shard is no longer wanted; nothing is the package's fault."""


@dataclass(frozen=True, kw_only=True)
class ShardPlaces:
    """Where a node keeps things. Paths are the node's own."""

    scratch: Path  # journals of shards, and what was fetched; HARNESS_SCRATCH names another on a node
    store: BlobStore | None = None  # None: packages and videos are read where the driver has them
    cache_bytes: int = 50_000_000_000

    @property
    def here(self) -> Path:
        """The scratch folder of the node that asks."""
        return Path(os.environ.get("HARNESS_SCRATCH") or self.scratch)


@dataclass(frozen=True, kw_only=True)
class ShardJob:
    """One shard, one attempt."""

    key: JobKey
    attempt: int
    token: int
    package: Path  # as the driver has it
    package_blob: Blob | None  # the same in the store
    package_sha256: str  # over its canonical listing: what was checked is what runs
    image: str  # its label: names the recipe it was built by
    videos: tuple[PreparedVideo, ...]
    sizes: tuple[int, ...]  # of the videos, in bytes
    order_seed: int
    terms: Terms
    places: ShardPlaces
    backend: BackendMaker
    stop: Path | None = None  # a file that comes to be when the shard is no longer wanted
    videos_done: Path | None = None  # a file to count videos in


@dataclass(frozen=True, kw_only=True)
class ShardDone:
    """What a worker brings back."""

    run: SetRun
    lines: tuple[Line, ...]  # of the journal, in the order in which videos were shown
    disturbance: Disturbance
    seconds: float  # from the job's begin to its end, start-ups and fetching included
    fetch_seconds: float
    node: str  # names no address: only whether two shards ran on the same one


def run_shard(job: ShardJob) -> ShardDone:
    """Run one shard to its end. The same job again resumes from the journal that this node has.

    Raises:
        InfrastructureError: our fault or the node's; what was done is in the journal.
        CancelledError: the shard is not wanted any more.
    """
    began = time.monotonic()
    folder = _folder(job)
    with (
        exclusive(folder / "lock", waiting=lambda _: _stop_if_told(job), what="this shard's journal"),
        ExitStack() as held,
    ):
        package_path, videos = _fetched(job, held)
        fetched = time.monotonic()
        claimed = job.backend(held, job.terms.limits.cpus)
        backend = claimed.backend
        if backend.image.label != job.image:
            raise InfrastructureError(
                f"this node has the image {backend.image.label or 'none'}, the contest runs in {job.image}",
                remedy="Bring the image to every node: docker save | docker load; see docs/cluster.md.",
            )
        with _opened(package_path, job) as package:
            journal = folder / "outcomes.jsonl"
            _forget_another_runs(journal, job, videos)
            listener = DisturbanceListener(claimed.cores, best=job.places.here / "probe.txt")
            run = run_package(
                package,
                videos,
                backend=backend,
                terms=job.terms,
                run_id=job.key.run_id,
                order_seed=job.order_seed,
                journal=journal,
                keep_messages=job.key.set_name == SetName.PUBLIC.value,
                progress=lambda progress: _seen(job, listener, progress),
            )
        _, lines = read_journal(journal)
        return ShardDone(
            run=run,
            lines=lines,
            disturbance=listener.heard(run),
            seconds=time.monotonic() - began,
            fetch_seconds=fetched - began,
            node=_node(),
        )


def fault_in_words(result: JobResult[ShardJob, ShardDone]) -> str:
    """Say in a line what kept a shard from its outcome, and on which node."""
    said = f"{type(result.error).__name__}: {result.error}".splitlines()[0][:300]
    return f"{said} (node {result.node[:12]})" if result.node else said


def forget_old_journals(scratch: Path, *, now: float | None = None) -> int:
    """Remove journals of shards that nobody came back for; returns how many."""
    removed, moment = 0, time.time() if now is None else now
    for folder in (scratch / "shards").glob("*/*/*"):
        with contextlib.suppress(OSError):  # a driver and shards may look at the same time
            if moment - folder.stat().st_mtime > JOURNAL_DAYS * 86_400:
                shutil.rmtree(folder)
                removed += 1
                folder.parent.rmdir()  # of a set, and of a run, if it was the last one
                folder.parent.parent.rmdir()
    return removed


def _folder(job: ShardJob) -> Path:
    here = job.places.here
    folder = here / "shards" / job.key.run_id / job.key.set_name / str(job.key.shard)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.utime(folder)  # it is not old: somebody came back for it
    looked = here / "shards" / _LOOKED
    with contextlib.suppress(OSError):  # another shard looks just now, or the disk is full
        if not looked.exists() or time.time() - looked.stat().st_mtime > LOOK_DAYS * 86_400:
            looked.touch()
            forget_old_journals(here)
    return folder


def _forget_another_runs(journal: Path, job: ShardJob, videos: Sequence[PreparedVideo]) -> None:
    """Remove a journal that this shard cannot go on with: damaged, or of a run of the same name.

    A run folder that was removed comes back with another seed, and another `--shard-videos` cuts otherwise.
    """
    header = header_of(videos=videos, limits=job.terms.limits, order_seed=job.order_seed)
    try:
        found, _ = read_journal(journal)
    except ResultError:
        found = None
    if found != header:
        journal.unlink(missing_ok=True)


def _fetched(job: ShardJob, held: ExitStack) -> tuple[Path, tuple[PreparedVideo, ...]]:
    """Bring package and videos to this node and keep them here until `held` is closed."""
    store = job.places.store
    if store is None or job.package_blob is None:
        return job.package, job.videos
    cache = NodeCache(store, job.places.here / "fetched", limit_bytes=job.places.cache_bytes)
    wanted = [
        Blob(sha256=video.sha256, size_bytes=size) for video, size in zip(job.videos, job.sizes, strict=True)
    ]
    package, *paths = held.enter_context(cache.held(job.package_blob, *wanted))
    return package, tuple(replace(one, path=path) for one, path in zip(job.videos, paths, strict=True))


@contextlib.contextmanager
def _opened(path: Path, job: ShardJob) -> Iterator[Package]:
    with neutral_folder() as parent:
        package = open_package(path, parent / "package", limits=job.terms.limits)
        if package.sha256 != job.package_sha256:
            raise InfrastructureError(
                f"the package is now {package.sha256}, and was {job.package_sha256} when it was checked",
                place=path,
                remedy="Put back what was handed in, or hand it in as a new entry.",
            )
        yield package


def _seen(job: ShardJob, listener: DisturbanceListener, progress: SetProgress) -> None:
    listener.listen()
    if job.videos_done is not None and progress.news:
        write_count(job.videos_done, progress.done)
    _stop_if_told(job)


def _stop_if_told(job: ShardJob) -> None:
    if job.stop is not None and job.stop.exists():
        raise CancelledError(f"shard {job.key.shard} of {job.key.run_id} is no longer wanted")


def _node() -> str:
    return os.environ.get("RAY_NODE_ID", "") or _ray_node() or "here"


def _ray_node() -> str:
    import sys  # noqa: PLC0415  (Ray is asked only if it has been loaded: in one of its own workers)

    ray = sys.modules.get("ray")
    return str(ray.get_runtime_context().get_node_id()) if ray is not None and ray.is_initialized() else ""
