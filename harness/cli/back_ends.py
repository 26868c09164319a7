"""How a command comes to what runs packages. Only the command line asks this."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.files import cache_folder
from harness.core.types import ImageFacts
from harness.gateway.staging import reap_stages
from harness.sandbox import Backend, Wanted, back_end

if TYPE_CHECKING:
    import docker


class SandboxKind(StrEnum):
    """What `--sandbox` takes: the names of `harness.sandbox.BACK_ENDS`, as the command line needs them."""

    DOCKER = "docker"  # what judges entries
    PROCESS = "process"


NO_ISOLATION_WARNING = back_end(SandboxKind.PROCESS).WARNING


def isolation_of(kind: SandboxKind) -> str:
    """Return the sandbox's own word for its isolation."""
    return back_end(kind).ISOLATION


def made_ready(
    name: str,
    say: Callable[[str], None],
    *,
    runtime: str | None = None,
    gpus: int = 0,
    held: ExitStack | None = None,
    wait: bool = False,
    python: str | None = None,
) -> Backend:
    """Make a back end ready, and remove what dead harnesses left. See `harness.sandbox.Wanted`.

    Raises:
        ConfigError: a GPU is claimed by another harness, and waiting is not allowed.
        InfrastructureError: there is no engine, or no image, or a GPU driver that does not answer.
    """

    def engine() -> docker.DockerClient:
        from harness.image.container_engine import ensure_engine  # its client is slow to load

        return ensure_engine(install=True, say=say)

    for path in reap_stages():
        say(f"removed {path}, which a dead harness left")

    def image(client: docker.DockerClient) -> ImageFacts:
        from harness.image.runtime_image import ensure_image

        found = ensure_image(client, variant=None, say=say)
        return ImageFacts(label=found.tag, digest=found.reference, variant=found.variant)

    if name == SandboxKind.PROCESS and python is None and (made := made_environment()) is not None:
        python = str(made)
        say(f"with the image's packages: {python}")
    return back_end(name).make(
        Wanted(
            say=say,
            engine=engine,
            image=image,
            runtime=runtime,
            gpus=gpus,
            held=held,
            wait=wait,
            python=python,
        )
    )


def made_environment() -> Path | None:
    """Return the interpreter that `harness environment` made; None if it was not requested."""
    from harness.image.environment import environment_folder, python_of
    from harness.image.runtime_image import RUNTIME_FOLDER
    from harness.image.wheels import find_wheelhouse

    cache = cache_folder()
    wheels = find_wheelhouse(RUNTIME_FOLDER, variant="cpu", cache=cache)
    if wheels is None:
        return None
    python = python_of(environment_folder(cache, wheels))
    return python if python.exists() else None


def docker_backend(
    say: Callable[[str], None],
    *,
    runtime: str | None = None,
    gpus: int = 0,
    held: ExitStack | None = None,
    wait: bool = False,
) -> Backend:
    """Make ready what judges entries: containers. See `made_ready`."""
    return made_ready(SandboxKind.DOCKER, say, runtime=runtime, gpus=gpus, held=held, wait=wait)


def process_backend(python: str | None = None) -> Backend:
    """Run packages as plain processes of this machine, with this or another interpreter."""
    return made_ready(SandboxKind.PROCESS, lambda _: None, python=python)
