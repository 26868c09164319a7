"""Memory and CPU of a container, read from outside.

If the engine is on this machine, its control groups are read (0.1 ms); elsewhere the engine is asked.
Both are the kernel's own counters, of everything in the container.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import docker
import docker.errors

from harness.core.types import ResourceSample

_Number = TypeVar("_Number", int, float)
_CONTROLLERS = ("memory", "cpuacct", "cpu")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One reading; None if the source does not say."""

    memory_bytes: int | None = None  # working set: what the kernel could drop at once is not counted
    cpu_seconds: float | None = None
    throttled_seconds: float | None = None
    oom_kills: int | None = None


class CgroupMeter:
    """Reads control groups of version 1 or 2. A container that is gone gives empty readings."""

    def __init__(self, folders: dict[str, Path], *, unified: bool) -> None:
        self._folders = folders
        self._unified = unified

    @property
    def unified_folder(self) -> Path | None:
        """The container's group of version 2; None under version 1."""
        return self._folders["memory"] if self._unified else None

    @classmethod
    def of(
        cls,
        process_id: int,
        container_id: str,
        *,
        root: Path = Path("/sys/fs/cgroup"),
        proc: Path = Path("/proc"),
    ) -> CgroupMeter | None:
        """Find the groups of a container by its first process, or None if they are not on this machine.

        The container's id must appear in the group's path: a remote engine's process ids mean something else
        here.
        """
        try:
            lines = (proc / str(process_id) / "cgroup").read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            return None
        folders = {}
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if container_id not in path:
                continue
            if not controllers:
                folders["unified"] = root / path.lstrip("/")
            for controller in controllers.split(","):
                if controller in _CONTROLLERS:
                    folders[controller] = root / controller / path.lstrip("/")
        if set(_CONTROLLERS) <= set(folders) and folders["memory"].is_dir():
            return cls(folders, unified=False)
        if "unified" in folders and (folders["unified"] / "memory.current").is_file():
            return cls(dict.fromkeys(_CONTROLLERS, folders["unified"]), unified=True)
        return None

    def read(self) -> Reading:
        """Read now."""
        return self._read_unified() if self._unified else self._read_version_1()

    def _read_version_1(self) -> Reading:
        usage = _number(self._folders["memory"] / "memory.usage_in_bytes")
        inactive = _table(self._folders["memory"] / "memory.stat").get("total_inactive_file", 0)
        nanoseconds = _number(self._folders["cpuacct"] / "cpuacct.usage")
        throttled = _table(self._folders["cpu"] / "cpu.stat").get("throttled_time")
        return Reading(
            memory_bytes=None if usage is None else max(0, usage - inactive),
            cpu_seconds=_scaled(nanoseconds, 1e-9),
            throttled_seconds=_scaled(throttled, 1e-9),
            oom_kills=_table(self._folders["memory"] / "memory.oom_control").get("oom_kill"),
        )

    def _read_unified(self) -> Reading:
        folder = self._folders["memory"]
        usage = _number(folder / "memory.current")
        cpu = _table(folder / "cpu.stat")
        inactive = _table(folder / "memory.stat").get("inactive_file", 0)
        return Reading(
            memory_bytes=None if usage is None else max(0, usage - inactive),
            cpu_seconds=_scaled(cpu.get("usage_usec"), 1e-6),
            throttled_seconds=_scaled(cpu.get("throttled_usec"), 1e-6),
            oom_kills=_table(folder / "memory.events").get("oom_kill"),
        )


@dataclass(frozen=True, kw_only=True)
class EngineMeter:
    """Asks the engine, which knows neither the inactive cache on every version nor the kills."""

    api: docker.APIClient
    container_id: str
    nothing: Reading = field(default_factory=Reading)

    def read(self) -> Reading:
        """Read now; an engine that does not answer gives an empty reading; the watcher notices it anyway."""
        try:
            stats = self.api.stats(self.container_id, stream=False, one_shot=True)
        except (docker.errors.DockerException, OSError):
            return self.nothing
        return reading_of_stats(stats)


def reading_of_stats(stats: Any) -> Reading:
    """Read the engine's answer to a stats request; missing fields stay unknown."""
    memory, cpu = stats.get("memory_stats") or {}, stats.get("cpu_stats") or {}
    usage, details = memory.get("usage"), memory.get("stats") or {}
    inactive = details.get("total_inactive_file", details.get("inactive_file", 0))
    return Reading(
        memory_bytes=None if usage is None else max(0, usage - inactive),
        cpu_seconds=_scaled((cpu.get("cpu_usage") or {}).get("total_usage"), 1e-9),
        throttled_seconds=_scaled((cpu.get("throttling_data") or {}).get("throttled_time"), 1e-9),
    )


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _table(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        return {key: int(value) for key, value in (line.split()[:2] for line in lines)}
    except (OSError, ValueError):
        return {}


def _scaled(value: int | None, factor: float) -> float | None:
    return None if value is None else value * factor


class StealMeter:
    """What the machine's own host took from some of its cores since this was made; nothing on real hardware.

    Args:
        cores: Their numbers; all of them if none is named.
        stat: The kernel's table of CPU times, in ticks: the eighth of each line is the stolen one.
    """

    def __init__(self, cores: Iterable[int] = (), *, stat: Path = Path("/proc/stat")) -> None:
        self._names = {f"cpu{core}" for core in cores} or {"cpu"}
        self._stat = stat
        self._before = self._ticks()

    def seconds(self) -> float | None:
        """Return the seconds stolen so far, over all these cores; None if the kernel does not say."""
        now = self._ticks()
        if now is None or self._before is None:
            return None
        return max(0, now - self._before) / os.sysconf("SC_CLK_TCK")

    def _ticks(self) -> int | None:
        try:
            lines = [line.split() for line in self._stat.read_text(encoding="ascii").splitlines()]
            found = [int(line[8]) for line in lines if line and line[0] in self._names]
        except (OSError, ValueError, IndexError):
            return None
        return sum(found) if len(found) == len(self._names) else None


class Meter(Protocol):
    """A source of readings."""

    def read(self) -> Reading:
        """Read now; what is unknown is None."""


class Sampler:
    """Reads a meter again and again until it is stopped, in its own thread, and keeps a bounded record.

    When the record is full every second sample is dropped and the pace is halved, so that it spans the run
    whatever its length.
    """

    def __init__(
        self,
        meter: Meter,
        *,
        interval_seconds: float = 0.25,
        samples_max: int = 600,
        steal: StealMeter | None = None,
        gpu_memory_bytes: Callable[[], int | None] | None = None,
    ) -> None:
        self._meter = meter
        self._steal = steal
        self._steal_seconds: float | None = None
        self._gpu_memory_bytes = gpu_memory_bytes
        self._interval_seconds = interval_seconds
        self._samples_max = samples_max
        self._started = time.monotonic()
        self._kept_interval_seconds = interval_seconds
        self._lock = threading.Lock()
        self._samples: list[ResourceSample] = []
        self._peak: int | None = None
        self._last = Reading()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def read(self) -> Reading:
        """Read now; if the container is already gone, return the last that was known."""
        reading = self._meter.read()
        with self._lock:
            last = self._last
            merged = Reading(
                memory_bytes=reading.memory_bytes,
                cpu_seconds=_latest(reading.cpu_seconds, last.cpu_seconds),
                throttled_seconds=_latest(reading.throttled_seconds, last.throttled_seconds),
                oom_kills=_latest(reading.oom_kills, last.oom_kills),
            )
            self._last = merged
            self._peak = _latest(reading.memory_bytes, self._peak)
        return merged

    @property
    def peak_memory_bytes(self) -> int | None:
        """The highest working set seen; peaks between two readings are missed."""
        with self._lock:
            return self._peak

    @property
    def samples(self) -> tuple[ResourceSample, ...]:
        """The record so far."""
        with self._lock:
            return tuple(self._samples)

    @property
    def steal_seconds(self) -> float | None:
        """What was stolen from its cores up to the last reading before `stop`."""
        if self._steal is not None and not self._stop.is_set():
            self._steal_seconds = self._steal.seconds()
        return self._steal_seconds

    def stop(self) -> None:
        """End the thread. May be called twice."""
        _ = self.steal_seconds  # the last word
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.is_set():
            reading = self.read()
            if reading.memory_bytes is not None:
                self._keep(reading)
            self._stop.wait(self._interval_seconds)

    def _keep(self, reading: Reading) -> None:
        seconds = time.monotonic() - self._started
        with self._lock:
            if self._samples and seconds - self._samples[-1].seconds < 0.9 * self._kept_interval_seconds:
                return
            sample = ResourceSample(
                seconds=seconds,
                memory_bytes=reading.memory_bytes,
                cpu_seconds=reading.cpu_seconds,
                gpu_memory_bytes=self._gpu_memory_bytes() if self._gpu_memory_bytes else None,
            )
            self._samples.append(sample)
            if len(self._samples) >= self._samples_max:
                del self._samples[1::2]
                self._kept_interval_seconds *= 2


def _latest(now: _Number | None, before: _Number | None) -> _Number | None:
    """Keep the higher reading: counters only grow, and a reading after the end is empty."""
    if now is None or before is None:
        return now if before is None else before
    return max(now, before)
