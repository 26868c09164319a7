"""Where files lie, and how they are written: so that a reader, or a power cut, never meets half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.core.errors import InfrastructureError

PART_SUFFIX = ".part"  # of a file that is being written, and of one whose writer was killed
APPLICATION = "blackbox-video-harness"


def cache_folder() -> Path:
    """Return this user's folder for what can be made again; it may not be there yet."""
    from platformdirs import user_cache_path  # noqa: PLC0415  (only some commands keep anything)

    return user_cache_path(APPLICATION, appauthor=False)


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place, flush it to the disk, and rename it. Make its folder if it is missing.

    Raises:
        InfrastructureError: the disk refuses. The old content stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(
            f"cannot be written: {error.strerror}",
            place=path,
            remedy="Make room on the disk; the run resumes where it stopped.",
        ) from error


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give a place for a file to be written to; it is flushed to the disk and renamed to `path` at the end.

    After an exception, what was written is removed, and the old content of `path` stays.

    Yields:
        A path in the same folder, hidden, that ends in `.part`.

    Raises:
        OSError: the disk refuses.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART_SUFFIX}")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
