"""Waits for a database that is away: what a driver holds in its hands meanwhile is written down later."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from harness.core.errors import StoreError

PATIENCE_SECONDS = 900.0
HASTE_SECONDS = 10.0  # for a thread to end after an interruption: a database may be silent, not only away
_RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

_T = TypeVar("_T")


def patiently(
    work: Callable[[], _T],
    *,
    say: Callable[[str], None] = lambda _: None,
    patience: Callable[[], float] = lambda: PATIENCE_SECONDS,
    what: type[StoreError] = StoreError,
) -> _T:
    """Do something with the database, again and again while that is away.

    Args:
        work: May be done twice.
        say: Told when the database is away, and when it is back.
        patience: For how long it is waited for, in seconds; may change meanwhile.
        what: The errors to wait for.

    Raises:
        StoreError: it stays away.
    """
    began, tries = time.monotonic(), 0
    while True:
        try:
            found = work()
        except what as error:
            if time.monotonic() - began > patience():
                raise
            if tries == 0:
                say(f"waiting for the database: {error.message}")
            time.sleep(_RETRY_SECONDS[min(tries, len(_RETRY_SECONDS) - 1)])
            tries += 1
        else:
            if tries:
                say("the database is back")
            return found
