"""The seam between the gateway and whatever starts, watches and kills one container.

`docker.sandbox.DockerSandbox` is the real one. `process.ProcessSandbox` isolates nothing and is for debugging
one's own package. Both pass the contract suite in `tests/contract/`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from harness.core.types import NO_IMAGE, ImageFacts, SandboxFacts, SandboxSpec


class SandboxProcess(Protocol):
    """One started package. Everything that comes out of it is untrusted."""

    def send(self, payload: bytes) -> None:
        """Write one frame to the runner. A runner that is gone or does not read makes no noise here.

        The next `receive` says what happened. Never blocks longer than a few seconds.
        """

    def receive(self, timeout_seconds: float) -> bytes:
        """Wait for the payload of one frame.

        Raises:
            ReceiveTimeout: nothing complete arrived in `timeout_seconds`.
            ProcessEnded: the process is gone or has closed its pipe.
            ProtocolViolation: bytes that are no frame, or a frame over the cap.
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
