"""Containers as a back end: an engine, the runtime image, and the GPUs that this harness may use."""

from __future__ import annotations

from harness.sandbox import Backend, Wanted
from harness.sandbox.docker import ISOLATION

__all__ = ["ISOLATION", "LIKE_A_RUN", "WARNING", "make"]

WARNING = ""
LIKE_A_RUN = True


def make(wanted: Wanted) -> Backend:
    """Find or start an engine, remove what dead harnesses left on it, and find or build the image.

    GPUs are used if the host has any and the image is made for them. See `harness.sandbox.BackEnd`.
    """
    # On use: whoever asks for the isolation alone, or has a package that is refused, waits for no client.
    from harness.sandbox.docker.engine_errors import engine_errors  # noqa: PLC0415  (as above)
    from harness.sandbox.docker.sandbox import DockerSandbox, reap  # noqa: PLC0415  (as above)
    from harness.sandbox.meters.gpu import claimed, find_gpus  # noqa: PLC0415  (as above)

    say = wanted.say
    client = wanted.engine()
    for name in reap(client):
        say(f"removed the container {name}, which a dead harness left")
    image = wanted.image(client)
    there = find_gpus() if image.variant == "cuda" else ()  # the CPU image could not use one
    waiting = say if wanted.wait else None
    claims = claimed(min(wanted.gpus, len(there)), among=there, waiting=waiting)
    ours = () if wanted.held is None else wanted.held.enter_context(claims)
    with engine_errors("say its version"):
        version = client.version()
    return Backend(
        gpu_uuids=tuple(gpu.uuid for gpu in ours),
        gpu_names=tuple(gpu.name for gpu in ours),
        sandbox=DockerSandbox(client, gpus=[gpu.uuid for gpu in ours], waiting=waiting, sharing=say),
        image=image,
        engine=f"{version['Platform']['Name'] or 'Docker'} {version['Version']}".strip(),
        runtime=wanted.runtime,
    )
