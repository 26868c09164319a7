"""The engine's client raises many kinds of error; none of them is the package's fault."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import docker.errors
import requests
import urllib3.exceptions

from harness.core.errors import ImageError, SandboxError


@contextlib.contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Turn whatever the engine's client raises into our own error: none of it is the package's fault.

    Raises:
        ImageError: the image is not there.
        SandboxError: anything else.
    """
    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise ImageError(
            f"the engine does not have the image: {error.explanation}",
            remedy="Build the runtime image; images are never pulled.",
        ) from error
    except (docker.errors.DockerException, urllib3.exceptions.HTTPError, OSError) as error:
        raise SandboxError(
            f"the container engine could not {doing}: {error}", remedy=_remedy(error)
        ) from error


def _remedy(error: Exception) -> str:
    if "could not select device driver" in str(error):
        return (
            "Install NVIDIA's container toolkit and restart the engine, or run without a GPU "
            "(`limits.gpus = 0`)."
        )
    if isinstance(error, requests.ConnectionError):
        return (
            "Start the engine (`harness doctor` helps), then run again: the run resumes, and what was left "
            "is removed."
        )
    return "See `harness doctor`."
