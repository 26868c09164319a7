"""A C++ compiler for the runtime image, which `torch.compile` calls while a package runs.

A base that is made on this machine has one. One that is pulled or named usually has none: then it is added
once, by the base's own package manager, in a container with the engine's network. If that cannot be done
the image does without it, and says so: everything but `torch.compile` still works.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import Final

import docker
from docker.errors import APIError, BuildError

_REPOSITORY: Final = "blackbox-video-harness/base"
_SECONDS: Final = 600
_DOCKERFILE: Final = """FROM {base}
USER root
RUN command -v g++ >/dev/null || {{ apt-get update -qq && \\
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends g++ >/dev/null && \\
    rm -rf /var/lib/apt/lists/*; }}
"""


def compiler_tag(base_id: str) -> str:
    """Name the image that is a base with a compiler, or the base itself if none could be added."""
    return f"{_REPOSITORY}:compiler-{hashlib.sha256((_DOCKERFILE + base_id).encode()).hexdigest()[:12]}"


def add_compiler(client: docker.DockerClient, base_id: str, *, say: Callable[[str], None]) -> str:
    """Return the id of the base with a compiler; the base's own if none can be added.

    Either is remembered under `compiler_tag`, so that a machine without a network asks once.
    """
    tag = compiler_tag(base_id)
    say("Adding a C++ compiler to the base image, for torch.compile.")
    dockerfile = io.BytesIO(_DOCKERFILE.format(base=base_id).encode())
    try:
        # The host's own network: an engine need not have a bridge.
        client.images.build(
            fileobj=dockerfile, tag=tag, rm=True, forcerm=True, network_mode="host", timeout=_SECONDS
        )
    except (APIError, BuildError) as error:
        client.images.get(base_id).tag(tag)
        say(
            f"No compiler could be added ({str(error)[:200]}): torch.compile will not work in this image. "
            f"To try again: docker rmi {tag}. Or name a BASE_IMAGE that has g++."
        )
    return str(client.images.get(tag).id)
