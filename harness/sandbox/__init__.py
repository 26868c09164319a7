"""The seam between the gateway and whatever starts, watches and kills one container.

`docker.sandbox.DockerSandbox` is the real one. `process.ProcessSandbox` isolates nothing and is for debugging
one's own package. Both pass the contract suite in `tests/contract/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

from harness.core.errors import ConfigError
from harness.core.types import NO_IMAGE, ImageFacts, SandboxFacts, SandboxSpec


class SandboxProcess(Protocol):
    """One started package. Everything that comes out of it is untrusted."""

    def send(self, payload: bytes) -> None:
        """Write one frame to the runner. A runner that is gone or does not read raises no error here.

        The next `receive` says what happened. Never blocks longer than a few seconds.
        """

    def receive(self, timeout_seconds: float) -> bytes:
        """Wait for the payload of one frame.

        Raises:
            ReceiveTimeout: nothing complete arrived in `timeout_seconds`.
            ProcessEnded: the process is gone or has closed its pipe.
            ProtocolViolation: bytes that are not a frame, or a frame over the cap.
        """

    def facts(self) -> SandboxFacts:
        """Say what is known from outside; after `kill` or an end it is final."""

    def kill(self) -> None:
        """End it and everything it started, and return when it is gone. May be called twice."""


class Sandbox(Protocol):
    """Starts packages, one process at a time."""

    isolation: str  # "docker" or "none": reported on every run

    def start(self, spec: SandboxSpec) -> AbstractContextManager[SandboxProcess]:
        """Start a package; leaving the context removes all that was started.

        Raises:
            InfrastructureError: it could not be started, and that is not the package's fault.
        """


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A sandbox that is ready to start packages, and what every start on it has in common."""

    sandbox: Sandbox
    image: ImageFacts = NO_IMAGE
    engine: str = ""  # name and version
    gpu_uuids: tuple[str, ...] = ()  # all that may be used, the first to be taken first
    gpu_names: tuple[str, ...] = ()
    runtime: str | None = None  # the engine's, e.g. "runsc"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a back end gets to work with: each uses what it needs.

    Attributes:
        say: Called with what is going on.
        engine: Finds or starts the container engine.
        image: Finds or builds the runtime image in an engine.
        runtime: The engine's runtime, e.g. "runsc".
        gpus: How many GPUs the packages get, if the host has so many.
        held: Holds them until it is closed. None: no GPUs are used.
        wait: Wait for GPUs and cores that other harnesses have claimed. Otherwise cores are shared, and a GPU
            that is not free is an error.
        python: The interpreter of a back end without an image; this one by default.
    """

    say: Callable[[str], None]
    engine: Callable[[], Any]
    image: Callable[[Any], ImageFacts]
    runtime: str | None = None
    gpus: int = 0
    held: ExitStack | None = None
    wait: bool = False
    python: str | None = None


class BackEnd(Protocol):
    """What each module of `BACK_ENDS` offers; a further back end is a module and a line there."""

    ISOLATION: str  # as its sandbox has it
    WARNING: str  # to be shown before anything runs; empty if it isolates
    LIKE_A_RUN: bool  # whether times measured on it say anything about a real run

    def make(self, wanted: Wanted) -> Backend:
        """Make it ready to start packages.

        Raises:
            ConfigError: a GPU is claimed by another harness, and waiting is not allowed.
            InfrastructureError: it cannot be made here.
        """


BACK_ENDS: Mapping[str, str] = {
    "docker": "harness.sandbox.docker.back_end",
    "process": "harness.sandbox.process",
}


def back_end(name: str) -> BackEnd:
    """Return a back end; it is imported on use.

    Raises:
        ConfigError: there is not one of this name; those that exist are listed.
    """
    if name not in BACK_ENDS:
        raise ConfigError(f"no sandbox {name!r}", remedy=f"One of: {', '.join(BACK_ENDS)}.")
    return cast("BackEnd", import_module(BACK_ENDS[name]))
