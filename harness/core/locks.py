"""Locked files: one process at a time, and the kernel lets go when that process ends, however it ends.

The file itself means nothing and stays; only the lock (`flock`) on it counts. Two locks conflict within one
process as well. On a network file system a lock may hold for one machine only.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from harness.core.errors import InfrastructureError

CLAIMS_VARIABLE = "HARNESS_CLAIMS"
# Not `tempfile.gettempdir()`: TMPDIR may differ from one harness to the next, and they must meet.
DEFAULT_FOLDER = "/tmp/blackbox-video-harness-claims"  # noqa: S108  (sticky, and its files hold nothing)

LOOK_AGAIN_SECONDS = 0.2
SAY_AGAIN_SECONDS = 30.0

# Called with what is being waited for: at once, and then every half minute.
Waiting = Callable[[str], None]


def machine_folder() -> Path:
    """Return the folder for locks that all harnesses of this machine share; `HARNESS_CLAIMS` names another.

    Raises:
        InfrastructureError: it cannot be made.
    """
    path = Path(os.environ.get(CLAIMS_VARIABLE) or DEFAULT_FOLDER)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):  # another user has made it
            path.chmod(0o1777)
    except OSError as error:
        raise InfrastructureError(
            f"claims on this machine's cores and GPUs cannot be kept here: {error.strerror}",
            place=path,
            remedy=f"Make the folder writable for all who run packages, or set {CLAIMS_VARIABLE} to another.",
        ) from error
    return path


class Teller:
    """Says now and then that something is still being waited for."""

    def __init__(self, waiting: Waiting | None) -> None:
        self._waiting = waiting
        self._began = time.monotonic()
        self._next = self._began

    def tell(self, what: str) -> None:
        """Say it, unless it was said less than half a minute ago."""
        now = time.monotonic()
        if self._waiting is None or now < self._next:
            return
        self._next = now + SAY_AGAIN_SECONDS
        since = f" (for {now - self._began:.0f} s)" if now - self._began >= 1 else ""
        self._waiting(f"waiting for {what}{since}")


@contextmanager
def exclusive(
    path: Path, *, waiting: Waiting | None = None, what: str = "", every_seconds: float = LOOK_AGAIN_SECONDS
) -> Iterator[None]:
    """Hold a lock, waiting for it as long as it takes.

    Args:
        path: The file; made if it is missing, in a folder that exists.
        waiting: Called while another process holds it.
        what: What is waited for, in words.
        every_seconds: How often it is tried.

    Raises:
        InfrastructureError: the file cannot be made or opened.
    """
    teller = Teller(waiting)
    with ExitStack() as held:
        while not try_lock(path, held):
            holder = holder_of(path)
            teller.tell(f"{what}, which process {holder} has" if holder else what)
            time.sleep(every_seconds)
        yield


def try_lock(path: Path, held: ExitStack) -> bool:
    """Lock a file unless it is locked, and have `held` let it go.

    Raises:
        InfrastructureError: the file cannot be made or opened.
    """
    while True:
        descriptor = _opened(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        # What clears up old files may have removed it just now: then another process would lock a new one.
        with suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                with suppress(PermissionError):
                    os.utime(descriptor)
                held.callback(os.close, descriptor)
                return True
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except PermissionError:  # another user's, in a sticky folder
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise InfrastructureError(
            f"cannot be opened to lock it: {error.strerror}", place=path, remedy="Make the folder writable."
        ) from error


def is_locked(path: Path) -> bool:
    """Tell whether somebody holds the lock, this process included."""
    with ExitStack() as briefly:
        return not try_lock(path, briefly)


def holder_of(path: Path) -> int | None:
    """Return the process that holds the lock, if the kernel says."""
    with suppress(OSError):
        inode = path.stat().st_ino
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            found = re.match(r"\d+: FLOCK +\w+ +\w+ +(\d+) +[0-9a-f]+:[0-9a-f]+:(\d+) ", line)
            if found and int(found[2]) == inode:
                return int(found[1])
    return None
