"""What a broken line is called, and how long to wait for it."""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import requests
from urllib3.exceptions import IncompleteRead

WAIT_MAX_SECONDS = 30.0
BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_COME_AGAIN = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, kw_only=True)
class LineBroke:
    """Nobody knows whether the request arrived."""

    why: str


class Patience:
    """Waits longer from time to time, up to half a minute, until it has been enough.

    Args:
        seconds: How long in all, until `rested` is called.
        say: Is told why, and for how long.
    """

    def __init__(self, seconds: float, *, say: Callable[[str], None]) -> None:
        self._seconds = seconds
        self._say = say
        self._tries = 0
        self._began: float | None = None

    def rested(self) -> None:
        """Begin anew: something worked."""
        self._tries, self._began = 0, None

    def wait(self, why: str, *, at_least: float | None = None) -> bool:
        """Wait for the next try; false if it has been enough."""
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        pause = min(WAIT_MAX_SECONDS, 0.5 * 2.0**self._tries) * random.uniform(0.5, 1.0)
        pause = max(pause, at_least or 0.0)
        if now - self._began + pause > self._seconds:
            return False
        self._tries += 1
        self._say(f"{why}; trying again in {pause:.1f} s")
        time.sleep(pause)
        return True


def busy(response: requests.Response) -> LineBroke | None:
    """Take an answer that says to come again for a line that broke; None if it says anything else."""
    again = response.status_code in _COME_AGAIN
    return LineBroke(why=f"the portal is busy ({response.status_code})") if again else None


def retry_after(response: requests.Response) -> float | None:
    """Return for how long an answer asks to wait, if it does."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def why_it_broke(error: BaseException) -> str:
    """Say what happened to a line in words, without the addresses of objects that libraries put in theirs."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    inner = _innermost(error)
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror[:1].lower() + inner.strerror[1:]
    if isinstance(inner, http.client.IncompleteRead | IncompleteRead):
        return "the answer was cut off"
    return str(inner).rsplit(": ", 1)[-1][:200] or type(inner).__name__


def _innermost(error: BaseException) -> BaseException:
    """Return what it all began with; libraries wrap it as `reason`, in their arguments, or as a cause."""
    for _ in range(10):
        wrapped = [getattr(error, "reason", None), *error.args, error.__cause__]
        inner = next((one for one in wrapped if isinstance(one, BaseException)), None)
        if inner is None:
            break
        error = inner
    return error
