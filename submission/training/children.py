"""Processes that end with the one that started them: who is killed leaves nobody who goes on writing.

A training goes on where it was stopped, and may be stopped by whatever kills it. A child that outlives it
would write the same files as its successor. So each asks the kernel to be killed when its parent ends.

Not covered: systems other than Linux, where a killed parent's children must be ended by hand.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PARENT = "TRAINING_PARENT"  # environment variable: the process that a child ends with
_SET_PARENT_DEATH_SIGNAL = 1  # of prctl(2)


def end_with(parent: int) -> None:
    """Has this process killed when `parent`, which must have started it, ends; at once if it has ended."""
    with suppress(OSError, AttributeError):  # no Linux
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def end_with_parent() -> None:
    """For programs that `run` starts; nothing happens in one that was started by hand."""
    if parent := os.environ.pop(PARENT, ""):
        end_with(int(parent))


def run(module: str, words: Sequence[str]) -> int:
    """Runs a module of this package in a process of its own that ends with this one; its exit status."""
    command = [sys.executable, "-m", f"{__package__}.{module}", *words]
    environment = {**os.environ, PARENT: str(os.getpid())}
    return subprocess.run(command, check=False, env=environment).returncode  # noqa: S603  (our own program)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds a folder, so that no second training writes to it meanwhile.

    Raises:
        SystemExit: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another training works in {folder}: wait for it, end it, or name another --cache")
        yield
