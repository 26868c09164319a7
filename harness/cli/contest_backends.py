"""What a shard's worker runs packages in, on whichever node it is. Pickles by name."""

from __future__ import annotations

import math
import sys
from contextlib import ExitStack
from dataclasses import dataclass

from harness.cli.back_ends import docker_backend
from harness.contest.shard_job import Claimed
from harness.core.claims import claim_cores
from harness.core.types import ImageFacts
from harness.image.container_engine import connect, ensure_engine
from harness.sandbox import Backend
from harness.sandbox.docker.sandbox import DockerSandbox, reap
from harness.sandbox.process import ProcessSandbox


@dataclass(frozen=True, kw_only=True)
class DockerOnNode:
    """The node's own container engine; cores and GPUs are claimed, and waited for.

    Attributes:
        image: A reference to run in instead of the runtime image, which is found or built otherwise.
        gpus: How many a package gets, if the node has so many.
        runtime: The engine's runtime, e.g. runsc.
    """

    image: str = ""
    gpus: int = 0
    runtime: str | None = None

    def __call__(self, held: ExitStack, cpus: float) -> Claimed:
        """Claim cores, and return a sandbox that runs on them."""
        cores = held.enter_context(claim_cores(math.ceil(cpus), waiting=lambda _: None))
        if not self.image:
            backend = docker_backend(
                lambda _: None, runtime=self.runtime, gpus=self.gpus, held=held, wait=True
            )
            client = connect()
        else:
            client = ensure_engine(install=False, say=lambda _: None)
            reap(client)
            backend = Backend(
                sandbox=DockerSandbox(client),
                image=ImageFacts(label=self.image, digest=self.image, variant="cpu"),
                engine="Docker",
                runtime=self.runtime,
            )
        held.callback(client.close)
        sandbox = DockerSandbox(client, cpuset=cores.cpuset, gpus=backend.gpu_uuids)
        return Claimed(
            backend=Backend(
                sandbox=sandbox,
                image=backend.image,
                engine=backend.engine,
                gpu_uuids=backend.gpu_uuids,
                gpu_names=backend.gpu_names,
                runtime=backend.runtime,
            ),
            cores=cores.numbers,
        )


@dataclass(frozen=True, kw_only=True)
class ProcessOnNode:
    """No isolation: for trying a contest's machinery without a container engine."""

    python: str = sys.executable

    def __call__(self, held: ExitStack, cpus: float) -> Claimed:
        """Return a sandbox that isolates nothing."""
        del held, cpus
        return Claimed(
            backend=Backend(
                sandbox=ProcessSandbox(python=self.python),
                image=ImageFacts(label="no image: the host's own Python", digest="none", variant="cpu"),
                engine="no container engine",
            )
        )
