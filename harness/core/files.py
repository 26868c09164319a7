"""Write files so that a reader, or a power cut, never meets half of one."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from harness.core.errors import InfrastructureError


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place, flush it to the disk, and rename it.

    Raises:
        InfrastructureError: the disk refuses. What stood there before still does.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except OSError as error:
        raise InfrastructureError(
            f"cannot be written: {error.strerror}",
            place=path,
            remedy="Make room on the disk; the run resumes where it stopped.",
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
