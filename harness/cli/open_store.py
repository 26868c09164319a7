"""Open the store that a command names."""

from __future__ import annotations

from pathlib import Path

from harness.results.store import Store


def open_store(url: str) -> Store:
    """Open a store; the folder of a SQLite file is made if it is missing."""
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return Store(url)
