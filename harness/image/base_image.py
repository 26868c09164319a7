"""The base of the runtime image: named, pulled, or made from Debian's packages (`debian_base`).

`BASE_IMAGE` names it; it needs Python 3.11 and nothing else. If it is not set, the default is used,
and if no registry can be reached, a minimal Debian bookworm with Python is made on this machine. A base
that was named is never replaced by another.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import docker
import requests
from docker.errors import DockerException
from docker.utils import parse_repository_tag

from harness.core.errors import ImageError
from harness.core.locks import exclusive, machine_folder
from harness.image.compiler import add_compiler, compiler_tag
from harness.image.debian_base import DEBIAN_BASE, make_debian_base

DEFAULT_BASE_IMAGE: Final = "python:3.11-slim-bookworm"

_FIRST_ANSWER_SECONDS: Final = (
    20.0  # a registry that cannot be reached mostly says so at once; a firewall never does
)
_NEXT_ANSWER_SECONDS: Final = 300.0


@dataclass(frozen=True, kw_only=True)
class BaseImage:
    """A base image in the engine."""

    name: str
    image_id: str


def requested_base() -> str:
    """Return the name of the base image that the operator wants."""
    return os.environ.get("BASE_IMAGE") or DEFAULT_BASE_IMAGE


def find_base(client: docker.DockerClient) -> BaseImage | None:
    """Return the base image if the engine already has it; no registry is asked."""
    name = requested_base()
    image_id = image_id_of(client, name)
    if image_id is not None:
        image_id = image_id_of(client, compiler_tag(image_id))
    elif name == DEFAULT_BASE_IMAGE:
        name = DEBIAN_BASE
        image_id = image_id_of(client, name)
    return None if image_id is None else BaseImage(name=name, image_id=image_id)


def ensure_base(client: docker.DockerClient, *, say: Callable[[str], None]) -> BaseImage:
    """Return the base image, pulling or making it if the engine does not have it.

    Several processes may ask at once: one pulls or makes it, the others wait and find it.

    Raises:
        ImageError: a named base image is not available, or a base cannot be made on this machine.
    """
    found = find_base(client)
    if found is not None:
        return found
    with exclusive(machine_folder() / "base-image", waiting=say, what="the base image"):
        return find_base(client) or _obtained(client, say)


def _obtained(client: docker.DockerClient, say: Callable[[str], None]) -> BaseImage:
    name = requested_base()
    try:
        if image_id_of(client, name) is None:
            say(f"Pulling the base image {name}.")
            _pull(client, name)
    except (DockerException, requests.RequestException, TimeoutError) as error:
        if name != DEFAULT_BASE_IMAGE:
            raise ImageError(
                f"the base image {name} is not on this machine and cannot be pulled: {_first_line(error)}",
                remedy="Load it (`docker load`), correct BASE_IMAGE, or unset it to use the default.",
            ) from error
        say(f"It cannot be pulled ({_first_line(error)}). Making a minimal Debian base instead (about 30 s).")
        name = make_debian_base(client, say=say)
    image_id = image_id_of(client, name)
    if image_id is None:
        raise ImageError(f"the base image {name} has disappeared again", remedy="Run the command once more.")
    if name == requested_base():
        _must_have_python(client, name, image_id)
        image_id = add_compiler(client, image_id, say=say)
    return BaseImage(name=name, image_id=image_id)


def _must_have_python(client: docker.DockerClient, name: str, image_id: str) -> None:
    """Refuse a base without Python 3.11 before anything is built on it.

    Raises:
        ImageError: it has none.
    """
    program = ["-c", "import sys; sys.exit(sys.version_info[:2] != (3, 11))"]
    container = client.containers.create(
        image_id, entrypoint=["python3"], command=program, network_disabled=True, user="0"
    )
    try:
        container.start()
        status = int(container.wait()["StatusCode"])
    except docker.errors.APIError:
        status = -1  # there is no such program
    finally:
        container.remove(force=True)
    if status != 0:
        raise ImageError(
            f"the base image {name} has no Python 3.11",
            remedy="Set BASE_IMAGE to an image whose python3 is release 3.11, or unset it for the default.",
        )


def image_id_of(client: docker.DockerClient, name: str) -> str | None:
    """Return the id ("sha256:...") of a local image; None if the engine has none of that name."""
    try:
        return str(client.images.get(name).id)
    except docker.errors.ImageNotFound:
        return None


def _first_line(error: BaseException) -> str:
    text = str(getattr(error, "explanation", None) or error)  # the engine's own words, if there are any
    return (text.splitlines() or [type(error).__name__])[0][:200]


def _pull(client: docker.DockerClient, name: str) -> None:
    """Pull an image, giving up on a registry that stays silent.

    The engine alone decides how long it waits for a registry, so the waiting is done in a thread that can be
    left behind.
    """
    repository, tag = parse_repository_tag(name)
    events: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()

    def follow() -> None:
        try:
            for event in client.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
                events.put(event)
        except (DockerException, requests.RequestException) as error:
            events.put(error)
        else:
            events.put(None)

    threading.Thread(target=follow, name="image-pull", daemon=True).start()
    patience = _FIRST_ANSWER_SECONDS
    while True:
        try:
            event = events.get(timeout=patience)
        except queue.Empty:
            raise TimeoutError(f"no answer from the registry in {patience:.0f} s") from None
        if event is None:
            return
        if isinstance(event, Exception):
            raise event
        if "error" in event:
            raise DockerException(str(event["error"]))
        patience = _NEXT_ANSWER_SECONDS
