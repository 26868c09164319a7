"""The kernel's own word of a kill for memory, for engines that do not pass it on."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

KERNEL_LOG = Path("/dev/kmsg")
_RECORD_BYTES = 8192  # the longest that the kernel writes; a shorter read of one fails


def killed_for_memory(container_id: str, *, log: Path = KERNEL_LOG) -> bool:
    """Tell whether the kernel says that it killed a process of a container because its limit was reached.

    False also where this process may not read the log, or the kernel has forgotten: the log is a ring.

    Args:
        container_id: Whole: it stands in the names of the container's control groups.
        log: The kernel's.
    """
    wanted = container_id.encode("ascii")
    with suppress(OSError):
        handle = os.open(log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            while True:
                try:
                    record = os.read(handle, _RECORD_BYTES)
                except BrokenPipeError:  # it was overwritten while we read; the next one is there
                    continue
                if not record:
                    return False
                fields = record.partition(b";")[2]
                if fields.startswith(b"oom-kill:") and wanted in _group(fields):
                    return True
        finally:
            os.close(handle)
    return False


def _group(fields: bytes) -> bytes:
    """Return the control group whose limit was reached; empty if it was the whole machine's."""
    return next((part for part in fields.split(b",") if part.startswith(b"oom_memcg=")), b"")
