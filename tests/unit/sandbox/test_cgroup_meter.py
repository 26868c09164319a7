"""Reading a container from outside: control groups of both versions, the engine's answer, the record."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from harness.sandbox.meters.cgroup import CgroupMeter, Reading, Sampler, StealMeter, reading_of_stats

ID = "ab" * 32


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    lines = [f"{n}:{name}:/docker/{ID}" for n, name in enumerate(("cpu", "memory", "cpuacct", "pids"))]
    write(tmp_path / "proc/7/cgroup", "\n".join([*lines, f"0::/docker/{ID}"]) + "\n")
    root = tmp_path / "cgroup"
    write(root / f"memory/docker/{ID}/memory.usage_in_bytes", "5000\n")
    write(root / f"memory/docker/{ID}/memory.stat", "cache 1\ntotal_inactive_file 1500\n")
    write(root / f"memory/docker/{ID}/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    write(root / f"cpuacct/docker/{ID}/cpuacct.usage", "1500000000\n")
    write(root / f"cpu/docker/{ID}/cpu.stat", "nr_periods 3\nnr_throttled 1\nthrottled_time 250000000\n")
    return tmp_path


def meter(folder: Path) -> CgroupMeter | None:
    return CgroupMeter.of(7, ID, root=folder / "cgroup", proc=folder / "proc")


def test_version_1_is_read(version_1: Path) -> None:
    found = meter(version_1)
    assert found is not None
    assert found.read() == Reading(memory_bytes=3500, cpu_seconds=1.5, throttled_seconds=0.25, oom_kills=2)


def test_version_2_is_read(tmp_path: Path) -> None:
    write(tmp_path / "proc/7/cgroup", f"0::/system.slice/docker-{ID}.scope\n")
    folder = tmp_path / f"cgroup/system.slice/docker-{ID}.scope"
    write(folder / "memory.current", "5000\n")
    write(folder / "memory.stat", "anon 1\ninactive_file 1500\n")
    write(folder / "memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\n")
    write(folder / "cpu.stat", "usage_usec 1500000\nuser_usec 1\nthrottled_usec 250000\n")
    found = meter(tmp_path)
    assert found is not None
    assert found.read() == Reading(memory_bytes=3500, cpu_seconds=1.5, throttled_seconds=0.25, oom_kills=2)


def test_a_container_that_is_gone_reads_as_nothing(version_1: Path) -> None:
    found = meter(version_1)
    assert found is not None
    for path in (version_1 / "cgroup").rglob("*"):
        if path.is_file():
            path.unlink()
    assert found.read() == Reading()


def test_a_process_of_that_number_that_is_not_the_container_is_not_read(version_1: Path) -> None:
    assert CgroupMeter.of(7, "cd" * 32, root=version_1 / "cgroup", proc=version_1 / "proc") is None


def test_an_engine_elsewhere_has_no_group_here(tmp_path: Path) -> None:
    assert meter(tmp_path) is None


def test_the_engine_s_answer_is_read_on_both_versions() -> None:
    stats = {
        "memory_stats": {"usage": 5000, "stats": {"total_inactive_file": 1500, "inactive_file": 7}},
        "cpu_stats": {
            "cpu_usage": {"total_usage": 1_500_000_000},
            "throttling_data": {"throttled_time": 250_000_000},
        },
    }
    expected = Reading(memory_bytes=3500, cpu_seconds=1.5, throttled_seconds=0.25)
    assert reading_of_stats(stats) == expected
    stats["memory_stats"] = {"usage": 5000, "stats": {"inactive_file": 1500}}
    assert reading_of_stats(stats) == expected


@pytest.mark.parametrize("stats", [{}, {"memory_stats": {}, "cpu_stats": {}}, {"memory_stats": None}])
def test_an_engine_that_says_nothing_gives_empty_readings(stats: dict[str, object]) -> None:
    assert reading_of_stats(stats) == Reading()


class Script:
    """A meter that gives these readings, one after the other, and then nothing."""

    def __init__(self, *readings: Reading) -> None:
        self.readings = list(readings)
        self.lock = threading.Lock()
        self.empty = threading.Event()

    def read(self) -> Reading:
        with self.lock:
            if self.readings:
                return self.readings.pop(0)
            self.empty.set()
            return Reading()


def test_the_last_counters_outlive_the_container() -> None:
    script = Script(
        Reading(memory_bytes=10, cpu_seconds=1.0, oom_kills=0),
        Reading(memory_bytes=90, cpu_seconds=2.0, oom_kills=1),
        Reading(memory_bytes=20, cpu_seconds=3.0, oom_kills=1),
    )
    sampler = Sampler(script, interval_seconds=0.001)
    assert script.empty.wait(120)
    sampler.stop()
    reading = sampler.read()
    assert (reading.memory_bytes, reading.cpu_seconds, reading.oom_kills) == (None, 3.0, 1)
    assert sampler.peak_memory_bytes == 90


def test_the_record_is_bounded_and_spans_the_run() -> None:
    script = Script(*[Reading(memory_bytes=number) for number in range(400)])
    sampler = Sampler(script, interval_seconds=0.001, samples_max=20)
    assert script.empty.wait(120)
    sampler.stop()
    samples = sampler.samples
    assert 5 <= len(samples) <= 20
    assert samples[0].memory_bytes == 0
    assert (samples[-1].memory_bytes or 0) > 150
    sampler.stop()


STAT = """cpu  1 2 3 4 5 6 7 {all} 0 0
cpu0 1 2 3 4 5 6 7 {first} 0 0
cpu1 1 2 3 4 5 6 7 {second} 0 0
intr 5
"""


def test_time_stolen_from_the_packages_own_cores_is_told(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(STAT.format(all=1000, first=600, second=400))
    whole, second = StealMeter(stat=stat), StealMeter((1,), stat=stat)
    stat.write_text(STAT.format(all=1300, first=650, second=650))
    ticks = os.sysconf("SC_CLK_TCK")
    assert (whole.seconds(), second.seconds()) == (300 / ticks, 250 / ticks)


@pytest.mark.parametrize("text", ["", "cpu 1 2\n", "cpu0 1 2 3 4 5 6 7 x\n"])
def test_a_kernel_that_does_not_tell_of_stolen_time_is_not_made_to(tmp_path: Path, text: str) -> None:
    stat = tmp_path / "stat"
    stat.write_text(text)
    assert StealMeter((0, 9), stat=stat).seconds() is None
