"""Reading the kernel's log for kills for memory: records as Linux 6.18 wrote them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from harness.sandbox.meters.kernel_log import killed_for_memory

ID, OTHER = "9" * 64, "8" * 64
LIMIT = (
    "6,1,17354610626,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=libpod-{id},"
    "mems_allowed=0,oom_memcg=/libpod_parent/libpod-{id},task_memcg=/libpod_parent/libpod-{id},"
    "task=python3,pid=5432,uid=0\n"
)
WHOLE_MACHINE = (
    "6,1,17354610626,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=libpod-{id},"
    "mems_allowed=0,global_oom,task_memcg=/libpod_parent/libpod-{id},task=python3,pid=5432,uid=0\n"
)
FORGED = "12,1,17354610626,-;somebody says: oom-kill: oom_memcg=/libpod-{id}\n"


def read(tmp_path: Path, record: str) -> bool:
    """Read a log of one record that, like the kernel's, has no end."""
    place = tmp_path / "kmsg"
    os.mkfifo(place)

    def write() -> None:
        with place.open("wb", buffering=0) as stream:
            stream.write(record.encode())
            ready.set()
            done.wait()

    ready, done = threading.Event(), threading.Event()
    writer = threading.Thread(target=write)
    with place.open("r+b", buffering=0):  # a reader, so that the writer begins
        writer.start()
        ready.wait()
        try:
            return killed_for_memory(ID, log=place)
        finally:
            done.set()
            writer.join()


@pytest.mark.parametrize(
    ("record", "killed"),
    [
        (LIMIT.format(id=ID), True),
        (LIMIT.format(id=OTHER), False),
        (WHOLE_MACHINE.format(id=ID), False),
        (FORGED.format(id=ID), False),
    ],
)
def test_only_a_kill_at_this_containers_limit_counts(tmp_path: Path, record: str, killed: bool) -> None:
    assert read(tmp_path, record) is killed


def test_a_log_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    assert not killed_for_memory(ID, log=tmp_path / "missing")
