"""Opens the store of files that `--blobs` names, with what the environment says of keys and endpoints."""

from __future__ import annotations

import json
import os
from typing import Any

from harness.core.blobs import BlobStore
from harness.core.errors import ConfigError

OPTIONS = "HARNESS_BLOBS_OPTIONS"


def opened_blobs(url: str) -> BlobStore:
    """Open a store of files.

    Raises:
        ConfigError: its URL or the options are wrong.
        InfrastructureError: it cannot be reached.
    """
    return BlobStore(url, options=_options())


def _options() -> dict[str, Any]:
    """Keys and endpoints come by the environment: a command line is read by everybody on the machine."""
    text = os.environ.get(OPTIONS, "")
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise _wrong(f"is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise _wrong("is JSON, but no table of options")
    return found


def _wrong(what: str) -> ConfigError:
    """Say what is wrong with the options, and nothing of what is in them: they may hold a key."""
    return ConfigError(
        what,
        place=OPTIONS,
        remedy='Write one JSON object of fsspec\'s options, e.g. {"key_filename": "/etc/harness/key"}.',
    )
