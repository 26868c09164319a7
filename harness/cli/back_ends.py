"""Which sandbox and image a command runs packages in. Only the command line asks this."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum

from harness.core.types import ImageFacts
from harness.gateway.staging import reap_stages
from harness.image.container_engine import ensure_engine
from harness.image.runtime_image import ensure_image
from harness.results.result import NO_ISOLATION
from harness.sandbox import Backend
from harness.sandbox.docker.engine_errors import engine_errors
from harness.sandbox.docker.sandbox import DockerSandbox, reap
from harness.sandbox.meters.gpu import claimed, find_gpus
from harness.sandbox.process import ProcessSandbox

NO_ISOLATION_WARNING = (
    "--sandbox process isolates nothing: the package runs with your rights and your network. "
    "It is for stepping through your own package; its result never enters a leaderboard."
)


class SandboxKind(StrEnum):
    """What `--sandbox` takes."""

    DOCKER = "docker"
    PROCESS = "process"


def isolation_of(kind: SandboxKind) -> str:
    """Return the sandbox's own word for its isolation."""
    return DockerSandbox.isolation if kind is SandboxKind.DOCKER else NO_ISOLATION


def docker_backend(
    say: Callable[[str], None],
    *,
    runtime: str | None = None,
    gpus: int = 0,
    held: ExitStack | None = None,
    wait: bool = False,
) -> Backend:
    """Find or start an engine, find or build the image, and remove what dead harnesses left.

    GPUs are used if the host has any and the image is made for them.

    Args:
        say: Told what is going on.
        runtime: The engine's runtime.
        gpus: How many GPUs the packages get, if the host has so many.
        held: Holds them until it is closed. None: no GPUs are used.
        wait: Wait for GPUs and cores that other harnesses have claimed. Otherwise cores are shared, and a GPU
            that is not free is an error.

    Raises:
        ConfigError: a GPU is claimed by another harness, and is not to be waited for.
        InfrastructureError: there is no engine, or no image, or a GPU driver that does not answer.
    """
    client = ensure_engine(install=True, say=say)
    for name in reap(client):
        say(f"removed the container {name}, which a dead harness left")
    for path in reap_stages():
        say(f"removed {path}, which a dead harness left")
    image = ensure_image(client, variant=None, say=say)
    there = find_gpus() if image.variant == "cuda" else ()  # the CPU image could not use one
    waiting = say if wait else None
    claims = claimed(min(gpus, len(there)), among=there, waiting=waiting)
    ours = () if held is None else held.enter_context(claims)
    with engine_errors("say its version"):
        version = client.version()
    return Backend(
        gpu_uuids=tuple(gpu.uuid for gpu in ours),
        gpu_names=tuple(gpu.name for gpu in ours),
        sandbox=DockerSandbox(client, gpus=[gpu.uuid for gpu in ours], waiting=waiting, sharing=say),
        image=ImageFacts(label=image.tag, digest=image.reference, variant=image.variant),
        engine=f"{version['Platform']['Name'] or 'Docker'} {version['Version']}".strip(),
        runtime=runtime,
    )


def _own_python() -> str:
    """Return the interpreter of the environment that `harness environment` made, or the harness's own."""
    from harness.cli.debug import made_environment  # noqa: PLC0415  (it uses this module)

    return str(made_environment() or sys.executable)


def process_backend(python: str | None = None) -> Backend:
    """Run packages as plain processes of this machine, with this or another interpreter."""
    return Backend(
        sandbox=ProcessSandbox(python=python or _own_python()),
        image=ImageFacts(label="no image: the host's own Python", digest="none", variant="cpu"),
        engine="no container engine",
    )
