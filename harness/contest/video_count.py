"""The file in which a worker counts the videos of a shard that are done. Workers load no database."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def write_count(place: Path, done: int) -> None:
    """Write how many are done; on a node that does not have the run's folder, nothing happens."""
    with suppress(OSError):
        place.write_text(f"{done}\n", encoding="ascii")


def read_count(place: Path) -> int | None:
    """Read how many are done; None if nobody has said so yet, or is just about to."""
    try:
        return int(place.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
