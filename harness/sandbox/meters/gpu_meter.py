"""The GPUs of one container, measured from outside while it runs.

Three levels of the memory limit; never more is claimed than was in force:

* `hard`: the hardware or the driver refuses to exceed it. The GPU (or its MIG partition) has no more
  memory than the limit, or the driver holds the container's control group to it.
* `sampled`: the memory of the container's processes is read every 100 ms and the container killed once it is
  over. What comes and goes between two readings is not seen.
* `none`: neither, as without a GPU.

The limit holds for each GPU by itself. A CUDA context counts (some hundred megabytes per process). There is
no budget of GPU seconds of its own: a GPU is never shared, so the wall-clock budget bounds them; they are
recorded.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.core.usage import GpuLevel
from harness.sandbox.meters import nvml
from harness.sandbox.meters.gpu import INTERVAL_SECONDS, Lease, described
from harness.sandbox.meters.nvml import GpuProcess, GpuReading, Trouble

LONGEST_GAP_SECONDS = 2.0  # between two readings; beyond it nobody was watching
STUCK_SECONDS = 15.0  # a driver that is silent for so long has lost the GPU
TROUBLES_MAX = 20  # readings in a row that fail for a passing reason
STRANGER_READINGS = 3  # in a row: a process on its way out is not a stranger
_HOST_PROCESS_IDS = "pid:[4026531836]"  # the kernel's constant for the first namespace of process ids


@dataclass(frozen=True, kw_only=True)
class GpuFacts:
    """What a meter knows."""

    level: GpuLevel = GpuLevel.NONE
    limit_exceeded: bool = False
    memory_bytes: int | None = None  # now, on the fullest GPU
    peak_bytes: int | None = None
    busy_seconds: float | None = None  # of all GPUs together
    fault: str = ""  # ours or the host's: the GPU is lost, or not ours alone


class GpuMeter:
    """Watches the GPUs of one container in its own thread, from its start until `stop`.

    Args:
        lease: What the container was given.
        container_id: Found in the control groups of its processes.
        limit_bytes: For each GPU.
        end: Ends the container. Called once, from the meter's thread: over the limit, or after a fault.
        control_group: The container's, as the driver may know it; None if there is no unified one.
        proc: Where processes are looked up.
    """

    def __init__(
        self,
        *,
        lease: Lease,
        container_id: str,
        limit_bytes: int,
        end: Callable[[], None],
        control_group: Path | None = None,
        proc: Path = Path("/proc"),
    ) -> None:
        self._lease = lease
        self._container_id = container_id
        self._limit_bytes = limit_bytes
        self._end = end
        self._proc = proc
        self._sees_processes = _namespace(proc) == _HOST_PROCESS_IDS
        self._hard = all(
            gpu.memory_bytes <= limit_bytes
            or (
                control_group is not None
                and not gpu.partition
                and nvml.limit_control_group(gpu.uuid, str(control_group), limit_bytes)
            )
            for gpu in lease.gpus
        )
        self._lock = threading.Lock()
        self._memory_bytes: int | None = None
        self._peak_bytes: int | None = None
        self._busy_seconds: float | None = None
        self._exceeded = False
        self._fault = ""
        self._troubles = 0
        self._strangers: dict[int, int] = {}
        self._longest_gap_seconds = 0.0
        self._last = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu-meter", daemon=True)
        self._thread.start()

    def facts(self) -> GpuFacts:
        """Say what is known. A driver that hangs is a fault."""
        with self._lock:
            now = time.monotonic()
            gap = self._longest_gap_seconds
            if not self._stop.is_set():
                gap = max(gap, now - self._last)
            if gap > STUCK_SECONDS and not self._fault:
                self._fault = f"the GPU driver has not answered for {gap:.0f} s"
            return GpuFacts(
                level=self._level(gap),
                limit_exceeded=self._exceeded,
                memory_bytes=self._memory_bytes,
                peak_bytes=self._peak_bytes,
                busy_seconds=self._busy_seconds,
                fault=self._fault,
            )

    def stop(self) -> None:
        """End the thread; what is known stays. May be called twice. Does not wait for a driver that hangs."""
        self._stop.set()
        self._thread.join(timeout=2.0)

    def _level(self, gap_seconds: float) -> GpuLevel:
        if self._hard:
            return GpuLevel.HARD
        watched = self._peak_bytes is not None and gap_seconds <= LONGEST_GAP_SECONDS
        return GpuLevel.SAMPLED if watched else GpuLevel.NONE

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._look():
                self._end()
                return
            self._stop.wait(INTERVAL_SECONDS)

    def _look(self) -> bool:
        """Take one reading of every GPU, and tell whether the container must end."""
        readings = [nvml.read_gpu(gpu.uuid) for gpu in self._lease.gpus]
        troubles = [reading for reading in readings if isinstance(reading, Trouble)]
        seen = [reading for reading in readings if isinstance(reading, GpuReading)]
        memory, strangers = (0, set[int]()) if troubles else self._attribute_all(seen)
        with self._lock:
            if self._stop.is_set():
                return False  # too late to judge: the container is gone
            if troubles:
                self._count_trouble(troubles[0])
                return bool(self._fault)
            self._note(memory, seen)
            self._note_strangers(strangers)
            return self._exceeded or bool(self._fault)

    def _attribute_all(self, readings: Iterable[GpuReading]) -> tuple[int, set[int]]:
        """Return what the container holds of the fullest GPU, and whose other processes compute."""
        found = [
            self._attribute(reading, baseline)
            for reading, baseline in zip(readings, self._lease.baseline_bytes, strict=True)
        ]
        return max((held for held, _ in found), default=0), set[int]().union(*(others for _, others in found))

    def _count_trouble(self, trouble: Trouble) -> None:
        self._troubles += 1
        if trouble.lost or self._troubles > TROUBLES_MAX:
            self._fault = f"the GPU was lost during the run: {trouble.text}"

    def _note_strangers(self, strangers: Iterable[int]) -> None:
        self._strangers = {one: self._strangers.get(one, 0) + 1 for one in strangers}
        for process_id, times in self._strangers.items():
            if times >= STRANGER_READINGS:
                who = described(GpuProcess(process_id=process_id, memory_bytes=None))
                self._fault = f"another {who} began to use the GPU during the run"

    def _note(self, memory: int, readings: Iterable[GpuReading]) -> None:
        now = time.monotonic()
        elapsed, self._last = now - self._last, now
        self._longest_gap_seconds = max(self._longest_gap_seconds, elapsed)
        self._troubles = 0
        self._memory_bytes = memory
        self._peak_bytes = max(memory, self._peak_bytes or 0)
        self._exceeded = self._exceeded or memory > self._limit_bytes
        shares = [reading.busy_share for reading in readings if reading.busy_share is not None]
        if shares:
            self._busy_seconds = (self._busy_seconds or 0.0) + elapsed * sum(shares)

    def _attribute(self, reading: GpuReading, baseline: int) -> tuple[int, set[int]]:
        """Return what the container holds of one GPU, and which processes that compute are not its own.

        If the driver's process ids mean nothing here, or it does not tell a process's share, everything
        that was not there before counts: the GPU is the container's alone.
        """
        beyond = max(0, reading.used_bytes - baseline)
        if not self._sees_processes:
            return beyond, set()
        held: dict[int, int] = {}
        for process in (*reading.computing, *reading.drawing):
            if self._owner(process.process_id) == "container":
                if process.memory_bytes is None:
                    return beyond, set()
                held[process.process_id] = max(held.get(process.process_id, 0), process.memory_bytes)
        others = {
            one.process_id for one in reading.computing if self._owner(one.process_id) == "somebody else"
        }
        return sum(held.values()), others

    def _owner(self, process_id: int) -> str:
        """Judge by the control groups, of version 1 or 2, that the kernel says a process is in."""
        folder = self._proc / str(process_id)
        try:
            groups = (folder / "cgroup").read_text(encoding="utf-8", errors="replace")
            state = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return "nobody"  # just ended
        if self._container_id in groups:
            return "container"
        return "nobody" if state[:1] in (["Z"], ["X"]) else "somebody else"


def _namespace(proc: Path) -> str:
    try:
        return os.readlink(proc / "self" / "ns" / "pid")  # noqa: PTH115  (a label, no path)
    except OSError:
        return ""
