"""Who started a container or made a folder: a reaper removes only what a dead harness left.

A process id alone is not an identity: it is used again, and it means something else on another machine or in
another process namespace. If it cannot be judged whether an owner is alive, it counts as alive.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_SEPARATOR = "|"


@dataclass(frozen=True, kw_only=True)
class Owner:
    """One harness process, told apart from every other."""

    machine: str
    boot: str  # empty if the system does not say
    namespace: str  # of process ids
    process_id: int
    started: str  # the process's start, in the kernel's ticks since boot

    @classmethod
    def current(cls) -> Owner:
        """Return this process."""
        return cls(
            machine=_machine(),
            boot=_text(Path("/proc/sys/kernel/random/boot_id")),
            namespace=_link(Path("/proc/self/ns/pid")),
            process_id=os.getpid(),
            started=_start_of(os.getpid()),
        )

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Read what `str` wrote; None for anything else."""
        parts = text.split(_SEPARATOR)
        if len(parts) != 5 or not parts[3].isdecimal():
            return None
        machine, boot, namespace, process_id, started = parts
        return cls(
            machine=machine, boot=boot, namespace=namespace, process_id=int(process_id), started=started
        )

    def __str__(self) -> str:
        return _SEPARATOR.join((self.machine, self.boot, self.namespace, str(self.process_id), self.started))

    def is_dead(self) -> bool:
        """Tell whether this process is certainly gone, as far as can be judged from here."""
        here = Owner.current()
        if self.machine != here.machine:
            return False
        if self.boot != here.boot:
            return True  # the machine was restarted since then
        if self.namespace != here.namespace:
            return False
        return not _is_alive(self.process_id) or _start_of(self.process_id) != self.started


def _machine() -> str:
    name = _text(Path("/etc/machine-id")) or platform.node()
    return name.replace(_SEPARATOR, "-")


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _start_of(process_id: int) -> str:
    # The second field is the command's name in brackets and may hold anything, brackets and blanks too.
    _, _, after_name = _text(Path(f"/proc/{process_id}/stat")).rpartition(")")
    fields = after_name.split()
    return fields[19] if len(fields) > 19 else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115  (a label such as `pid:[4026531836]`, no path)
    except OSError:
        return ""
