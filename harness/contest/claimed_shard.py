"""From a claim to what a worker gets."""

from __future__ import annotations

from contextlib import suppress

from harness.contest.admission import AdmittedEntry, Prepared, parts_of
from harness.contest.shard_job import BackendMaker, ShardJob, ShardPlaces
from harness.core.types import SetName
from harness.results.store.jobs import Job


def shard_job(
    common: Prepared, entry: AdmittedEntry, job: Job, places: ShardPlaces, backend: BackendMaker
) -> ShardJob:
    """Say all that a worker must know of a claimed shard, and take back an earlier wish to stop it."""
    name = SetName(job.set_name)
    shard = parts_of(common, entry)[name][job.shard]
    stop = entry.folder.stop(name, job.shard)
    with suppress(OSError):  # a full disk is told where something is lost by it
        stop.parent.mkdir(parents=True, exist_ok=True)
        stop.unlink(missing_ok=True)
    return ShardJob(
        key=job.key,
        attempt=job.attempt,
        token=job.token,
        package=entry.package,
        package_blob=entry.blob,
        package_sha256=entry.facts.sha256,
        image=common.image.label,
        videos=shard.videos,
        sizes=tuple(video.path.stat().st_size for video in shard.videos) if common.store else (),
        order_seed=shard.order_seed,
        terms=common.challenge.terms,
        places=places,
        backend=backend,
        stop=stop,
        videos_done=entry.folder.videos_done(name, job.shard) if name is SetName.PUBLIC else None,
    )
