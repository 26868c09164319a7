"""Open the store that a command names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.contest.patience import patiently
from harness.core.errors import StoreAwayError, StoreError
from harness.results.store import Store


def open_store(url: str) -> Store:
    """Open a store; the folder of a SQLite file is made if it is missing.

    Raises:
        StoreError: it cannot be made or opened.
    """
    if url.startswith("sqlite:///"):
        folder = Path(url.removeprefix("sqlite:///")).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"its folder cannot be made: {error.strerror}",
                place=url,
                remedy="Name a file in a folder that you may write to: --store sqlite:///FILE.",
            ) from error
    return Store(url)


def open_store_patiently(url: str, *, say: Callable[[str], None]) -> Store:
    """Open a store whose server may just be coming up, as a driver waits for it that is at work.

    Raises:
        StoreError: at once if the server refuses; after 15 minutes if it stays away.
    """
    return patiently(lambda: open_store(url), say=say, what=StoreAwayError)
