"""Run an opened package on prepared videos: the one way, whoever asks for it.

A run, a trial on sample videos, a shard of a contest's set and an attack on one's own sandbox all come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.core.types import Limits, PreparedVideo, SandboxSpec, Terms
from harness.gateway.feed import run_set
from harness.gateway.journal import Journal, header_of
from harness.gateway.set_run import SetProgress, SetRun
from harness.gateway.staging import Stage
from harness.package.layout import layout_mounts
from harness.package.opened import Package, open_package, remove_package
from harness.sandbox import Backend


def run_package(
    package: Package,
    videos: Sequence[PreparedVideo],
    *,
    backend: Backend,
    terms: Terms,
    run_id: str,
    order_seed: int,
    journal: Path,
    keep_messages: bool = False,
    progress: Callable[[SetProgress], None] | None = None,
    temporary: Path | None = None,
) -> SetRun:
    """Run a package on one set, or on any part of one, in its own containers.

    Guaranteed:

    * Each video has exactly one outcome in what is returned, in the order of `videos`.
    * Each outcome is on the disk, in `journal`, before the next video is shown.
    * The same call again resumes: videos with an outcome in `journal` are not shown a second time (in batch
      mode a run is all or nothing and starts over). A journal of other videos, limits or another order is
      refused.
    * When this returns or raises, no container and no staged video of this call is left.
    * The package is neither changed nor opened again, and nothing is shared between two calls: one opened
      package may be run on several parts of a set at once, each with its own journal.
    * Every allowance (time budget, replaced containers, failed videos) is counted over the videos of this
      call. `harness.gateway.set_run.merged` judges the parts of a set together.

    Args:
        package: Opened and checked; see `harness.package.opened`.
        videos: A prepared set, or some of its videos.
        backend: Starts the containers. Its sandbox is used for one container at a time.
        terms: Limits, and how failures count.
        run_id: The label of every container.
        order_seed: Decides the order in which videos are shown; the same videos and seed give the same order.
        journal: `outcomes.jsonl` of this call; made if it is not there.
        keep_messages: Whether anything the package says is kept: never for hidden videos.
        progress: Told after every video and at every change of phase.
        temporary: Where videos are staged; the system's folder for temporary files by default.

    Raises:
        InfrastructureError: our fault or the host's. What was done is in the journal.
        ResultError: the journal is damaged, or belongs to another run.
    """
    header = header_of(videos=videos, limits=terms.limits, order_seed=order_seed)
    with Stage(temporary) as stage, Journal(journal, header) as book:
        return run_set(
            sandbox=backend.sandbox,
            spec=spec_for(package, stage, backend=backend, terms=terms, run_id=run_id),
            stage=stage,
            videos=videos,
            order_seed=order_seed,
            journal=book,
            terms=terms,
            progress=progress,
            keep_messages=keep_messages,
        )


def spec_for(package: Package, stage: Stage, *, backend: Backend, terms: Terms, run_id: str) -> SandboxSpec:
    """Say how a package is started on the videos of a stage: the one place that builds a `SandboxSpec`.

    Raises:
        PackageError: its layout does not fit its folders; `harness.package.check` finds that beforehand.
    """
    placed = layout_mounts(
        package, stage.videos, terms.kaggle_slug, sample_submission=stage.sample_submission
    )
    return SandboxSpec(
        run_id=run_id,
        image=backend.image.digest,
        package=placed.package,
        videos=placed.videos,
        limits=terms.limits,
        mode=package.manifest.mode,
        extra_mounts=placed.extra_mounts,
        writable=placed.writable,
        working_directory=placed.working_directory,
        gpu_uuids=backend.gpu_uuids[: terms.limits.gpus],
        runtime=backend.runtime,
    )


@contextmanager
def opened_beside(source: Path, stage: Stage, *, limits: Limits) -> Iterator[Package]:
    """Open our own package beside a stage's videos, where the container's user can read it.

    Raises:
        InfrastructureError: it cannot be written.
        PackageError: it is not a package.
    """
    root = stage.videos.parent / "package"
    try:
        yield open_package(source, root, limits=limits)
    finally:
        remove_package(root)
