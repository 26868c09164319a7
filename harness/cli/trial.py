"""The part of `check` that runs a package: in a container, on a few of the challenge's public videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console

from harness.cli.back_ends import docker_backend
from harness.cli.machine import projection_of
from harness.cli.options import cache_folder
from harness.cli.progress import ConsoleObserver
from harness.core.challenge import Challenge
from harness.core.types import Limits, OutcomeKind, SetName
from harness.gateway.set_run import SetRun
from harness.image.container_engine import connect
from harness.package.check import ContainerProbe
from harness.run.trial import image_modules, smoke_runner

TRIAL_VIDEOS = 2


@contextmanager
def trial(challenge: Challenge) -> Iterator[tuple[ContainerProbe, list[SetRun]]]:
    """Yield what tries a package inside a container, and a list that its runs are added to."""
    runs: list[SetRun] = []
    with ConsoleObserver(Console(stderr=True, soft_wrap=True)) as observer, ExitStack() as held:
        observer.step("Running it on two of the challenge's public videos")
        backend = docker_backend(observer.say, gpus=challenge.limits.gpus, held=held, wait=True)
        public = challenge.sets[SetName.PUBLIC].videos
        videos = sorted(path for path in public.iterdir() if path.suffix == ".mp4")[:TRIAL_VIDEOS]
        inside = ContainerProbe(
            modules=image_modules(connect(), backend.image.digest),
            smoke=smoke_runner(backend=backend, terms=challenge.terms, videos=videos, seen=runs.append),
        )
        yield inside, runs


def projections_of(runs: Iterable[SetRun], limits: Limits) -> list[str]:
    """Say what the organiser's machine would need, from the times of these runs."""
    cache = cache_folder(None)
    times = ([one.wall_seconds for one in run.outcomes if one.kind is OutcomeKind.PREDICTED] for run in runs)
    return [text for text in (projection_of(one, cache=cache, limits=limits) for one in times) if text]
