"""Ends a command that is told to (SIGTERM) as an interruption ends it: what it has begun is cleared up."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_CODE = 128 + signal.SIGTERM


@contextmanager
def clears_up_when_told_to_end(*, aloud: bool = True) -> Iterator[None]:
    """Turn SIGTERM into an exception meanwhile: Python would end at once, and leave its workers.

    Args:
        aloud: Whether a line says so, as it does unless the command's own log says it.
    """
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    except SystemExit as end:
        if end.code not in {_CODE, signal.SIGTERM}:  # Ray's own handler has the bare number
            raise
        if aloud:
            sys.stderr.write("told to end; what was done is kept, and the same command goes on from there\n")
        raise SystemExit(_CODE) from end
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: object) -> NoReturn:
    del frame
    signal.signal(number, signal.SIG_IGN)  # it is under way; who cannot wait has SIGKILL
    raise SystemExit(_CODE)
