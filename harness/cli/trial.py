"""The part of `check` that runs a package: in a container, on a few of the challenge's public videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.cli.back_ends import docker_backend
from harness.cli.options import cache_folder
from harness.cli.progress import ConsoleObserver
from harness.cli.projection import projection_of
from harness.cli.terminal import printer
from harness.core.challenge import Challenge
from harness.core.errors import ConfigError
from harness.core.types import Limits, OutcomeKind, SetName
from harness.gateway.set_run import SetRun
from harness.image.container_engine import connect
from harness.package.check import ContainerProbe, shipped_modules
from harness.run.trial import image_modules, smoke_runner
from harness.videos.labels import VIDEO_SUFFIXES

TRIAL_VIDEOS = 2


@contextmanager
def trial(
    challenge: Challenge, *, videos: int | None = None, quick: bool = False
) -> Iterator[tuple[ContainerProbe, list[SetRun]]]:
    """Yield what tries a package inside a container, and a list that its runs are added to.

    Args:
        challenge: Whose public videos are shown, under its limits.
        videos: How many; two by default, one for a quick trial.
        quick: Show each video once, and take the released image's list of modules for this one's.

    Raises:
        ConfigError: the challenge has no public videos.
        InfrastructureError: there is no engine, or no image.
    """
    count = videos or (1 if quick else TRIAL_VIDEOS)
    runs: list[SetRun] = []
    with ConsoleObserver(printer(errors=True)) as observer, ExitStack() as held:
        observer.step(f"Running it on {count} of the challenge's public videos")
        backend = docker_backend(observer.say, gpus=challenge.limits.gpus, held=held, wait=True)
        modules = shipped_modules() if quick else image_modules(connect(), backend.image.digest)
        smoke = smoke_runner(
            backend=backend,
            terms=challenge.terms,
            videos=public_videos(challenge, count),
            ask_again=not quick,
            seen=runs.append,
        )
        inside = ContainerProbe(modules=modules, smoke=smoke)
        yield inside, runs


def projections_of(runs: Iterable[SetRun], limits: Limits) -> list[str]:
    """Say what the organiser's machine would need, from the times of these runs."""
    cache = cache_folder(None)
    times = ([one.wall_seconds for one in run.outcomes if one.kind is OutcomeKind.PREDICTED] for run in runs)
    return [text for text in (projection_of(one, cache=cache, limits=limits) for one in times) if text]


def public_videos(challenge: Challenge, count: int) -> list[Path]:
    """Return the first public videos, by name.

    Raises:
        ConfigError: there are none.
    """
    folder = challenge.sets[SetName.PUBLIC].videos
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        raise ConfigError(
            "contains no videos", place=folder, remedy="Name another challenge with --challenge."
        )
    return found[:count]
