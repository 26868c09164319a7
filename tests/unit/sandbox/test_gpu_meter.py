"""GPUs without a GPU: the real binding, the real meter, and a stub of the driver's library."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.core.errors import ConfigError, SandboxError
from harness.core.usage import GpuLevel
from harness.sandbox.meters import nvml
from harness.sandbox.meters.gpu import Lease, claimed, find_gpus, leased
from harness.sandbox.meters.gpu_meter import STRANGER_READINGS, GpuFacts, GpuMeter

pytestmark = pytest.mark.slow  # compiles a library, and waits for readings

GIGABYTE = 1_000_000_000
CONTAINER = "c" * 64
A = "gpu GPU-a Big 80000000000 1000000 50 0"
B = "gpu GPU-b Small 8000000000 0 0 0"
OWN, CHILD, STRANGER, ZOMBIE = 101, 102, 103, 104
PATIENCE_SECONDS = 60.0  # for what must come; a test that passes never waits it out


def _stub() -> ModuleType:
    path = Path(__file__).parents[2] / "gpu_stub" / "__init__.py"
    spec = importlib.util.spec_from_file_location("gpu_stub", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stub = _stub()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = stub.build(tmp_path_factory.mktemp("nvml"))
    assert isinstance(path, Path)
    return path


@pytest.fixture
def world(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("HARNESS_CLAIMS", str(tmp_path / "claims"))  # nobody else's
    with stub.loaded(library), stub.world(tmp_path) as made:
        yield made


@pytest.fixture
def proc(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Processes as either version of control groups shows them."""
    folder = tmp_path / "proc"
    groups = {
        "v1": "5:memory:/docker/{0}\n4:cpu,cpuacct:/docker/{0}\n",
        "v2": "0::/system.slice/docker-{0}.scope\n",
    }[getattr(request, "param", "v2")]
    for process_id, container, state in (
        (OWN, CONTAINER, "S"),
        (CHILD, CONTAINER, "R"),
        (STRANGER, "d" * 64, "S"),
        (ZOMBIE, "d" * 64, "Z"),
    ):
        (folder / str(process_id)).mkdir(parents=True)
        (folder / str(process_id) / "cgroup").write_text(groups.format(container))
        (folder / str(process_id) / "stat").write_text(f"{process_id} (py) thon) {state} 1 1\n")
    (folder / "self" / "ns").mkdir(parents=True)
    (folder / "self" / "ns" / "pid").symlink_to("pid:[4026531836]")
    return folder


class Watch:
    """A meter at work, and whether it has ended its container."""

    def __init__(self, proc: Path, gpus: tuple[nvml.Gpu, ...], **options: Any) -> None:
        self.ended = threading.Event()
        baseline = options.pop("baseline_bytes", (1_000_000,) * len(gpus))
        self.meter = GpuMeter(
            lease=Lease(gpus=gpus, baseline_bytes=baseline),
            container_id=CONTAINER,
            limit_bytes=options.pop("limit_bytes", 16 * GIGABYTE),
            end=self.ended.set,
            proc=proc,
            **options,
        )

    def until(self, condition: Callable[[GpuFacts], bool], seconds: float = PATIENCE_SECONDS) -> GpuFacts:
        deadline = time.monotonic() + seconds
        while not condition(facts := self.meter.facts()):
            assert time.monotonic() < deadline, facts
            time.sleep(0.01)
        return facts

    def look_again(self, times: int) -> None:
        """Wait for so many readings more, of a GPU that is at work."""
        for _ in range(times):
            so_far = self.meter.facts().busy_seconds or 0.0
            self.until(lambda facts, so_far=so_far: (facts.busy_seconds or 0.0) > so_far)  # type: ignore[misc]  # bound now


@pytest.fixture
def watch(world: Any, proc: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watch]]:
    made: list[Watch] = []
    # On a busy machine a gap between two readings is nobody's fault; the test about gaps sets its own.
    monkeypatch.setattr("harness.sandbox.meters.gpu_meter.LONGEST_GAP_SECONDS", PATIENCE_SECONDS)

    def start(*statements: str, **options: Any) -> Watch:
        world.write(*statements)
        gpus = options.pop("gpus", None) or nvml.list_gpus()
        made.append(Watch(proc, gpus, **options))
        return made[-1]

    world.write(A)
    with nvml.session() as there:
        assert there
        yield start
        for one in made:
            one.meter.stop()


def test_without_a_driver_there_are_no_gpus_and_that_is_not_an_error() -> None:
    code = (
        "from harness.sandbox.meters.gpu import find_gpus, leased\nprint(find_gpus())\nwith leased(()): pass"
    )
    environment = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("()", 0), done.stderr


def test_the_binding_finds_the_library_by_the_linkers_path_as_on_a_real_host(
    library: Path, tmp_path: Path
) -> None:
    made = stub.World(tmp_path / "nvml.txt")
    made.write(A, B)
    code = "from harness.sandbox.meters.gpu import find_gpus\nprint(*(gpu.uuid for gpu in find_gpus()))"
    environment = os.environ | made.environment | {"LD_LIBRARY_PATH": str(library.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["GPU-a", "GPU-b"], done.stderr


def test_a_library_without_a_driver_is_not_a_gpu(world: Any) -> None:
    world.write("init 9")
    assert find_gpus() == ()


def test_a_driver_that_is_there_and_does_not_answer_is_our_fault(world: Any) -> None:
    world.write("init 18")
    with pytest.raises(SandboxError, match="driver does not answer") as caught:
        find_gpus()
    assert caught.value.remedy


def test_idle_gpus_come_first(world: Any) -> None:
    world.write(A, B, f"process GPU-a {os.getpid()} 5000000 C")
    assert [gpu.uuid for gpu in find_gpus()] == ["GPU-b", "GPU-a"]


def test_a_split_gpu_appears_as_its_partitions(world: Any) -> None:
    world.write(B, A, "mig 1 MIG-1 10000000000 0", "mig 1 MIG-2 20000000000 0")
    gpus = {gpu.uuid: gpu for gpu in find_gpus()}
    assert set(gpus) == {"GPU-b", "MIG-1", "MIG-2"}
    assert (gpus["MIG-2"].partition, gpus["MIG-2"].memory_bytes) == (True, 20 * GIGABYTE)


@pytest.mark.parametrize(
    "statements",
    [
        (A, f"process GPU-a {os.getpid()} 5000000 C"),
        ("gpu GPU-a Big 80000000000 3000000000 0 0",),  # held by what is not visible from here
    ],
)
def test_a_gpu_that_is_not_idle_is_the_organisers_error(world: Any, statements: tuple[str, ...]) -> None:
    world.write(*statements)
    with pytest.raises(ConfigError, match="not idle") as caught, leased(("GPU-a",), idle_seconds=0.2):
        pass
    assert caught.value.remedy is not None
    assert "limits.gpus = 0" in caught.value.remedy


def test_what_runs_on_it_is_named(world: Any) -> None:
    world.write(A, f"process GPU-a {os.getpid()} 5000000 C")
    with pytest.raises(ConfigError, match=rf"process {os.getpid()} \(.+\) holds 5 MB"):
        leased(("GPU-a",), idle_seconds=0.0).__enter__()


def test_an_earlier_container_may_take_a_moment_to_give_its_memory_back(world: Any) -> None:
    world.write(A, "process GPU-a 1 5000000 C")
    threading.Timer(0.3, world.write, [A]).start()
    with leased(("GPU-a",)) as lease:
        assert lease.baseline_bytes == (1_000_000,)


def test_a_screen_on_the_gpu_is_idle_enough(world: Any) -> None:
    world.write("gpu GPU-a Big 80000000000 300000000 0 0", "process GPU-a 1 300000000 G")
    with leased(("GPU-a",), idle_seconds=0.0) as lease:
        assert lease.baseline_bytes == (300_000_000,)


def test_a_gpu_is_held_by_one_harness_at_a_time(world: Any) -> None:
    world.write(A, B)
    with (
        leased(("GPU-a",)),
        leased(("GPU-b",)),
        pytest.raises(ConfigError, match=rf"GPU-a is held by process {os.getpid()}"),
        leased(("GPU-a",)),
    ):
        pass
    with leased(("GPU-a", "GPU-b")) as lease:  # and is free afterwards
        assert [gpu.uuid for gpu in lease.gpus] == ["GPU-a", "GPU-b"]


def test_the_next_gpu_is_taken_if_another_harness_has_the_first(world: Any) -> None:
    world.write(A, B)
    gpus = find_gpus()
    with claimed(1, among=gpus) as first, claimed(1, among=gpus) as second:
        assert [gpu.uuid for gpu in (*first, *second)] == ["GPU-a", "GPU-b"]


def test_an_idle_gpu_is_taken_before_one_that_a_stranger_computes_on(world: Any) -> None:
    world.write(A, B)
    gpus = find_gpus()
    world.write(A, B, f"process GPU-a {os.getpid()} 5000000 C")
    with claimed(1, among=gpus) as ours:
        assert [gpu.uuid for gpu in ours] == ["GPU-b"]


def test_a_claim_holds_over_the_containers_of_a_run(world: Any) -> None:
    world.write(A)
    with claimed(1, among=find_gpus()) as (ours,):
        for _ in range(2):
            with leased([ours.uuid], held=[ours.uuid]) as lease:
                assert lease.gpus == (ours,)
            with pytest.raises(ConfigError, match="held by process"), leased([ours.uuid]):
                pass


def harness_started_after(
    first: subprocess.Popen[str], start: Callable[[], subprocess.Popen[str]]
) -> subprocess.Popen[str]:
    assert first.stdout is not None
    assert first.stdout.readline() == "GPU-a\n"
    return start()


HOLDER = """
import sys
from harness.sandbox.meters.gpu import claimed, find_gpus
with claimed(1, among=find_gpus(), waiting=lambda text: print(text, flush=True)) as (gpu,):
    print(gpu.uuid, flush=True)
    sys.stdin.read()
"""


def test_a_second_harness_waits_for_its_turn_and_says_for_whom(library: Path, world: Any) -> None:
    world.write(A)
    environment = os.environ | {"LD_LIBRARY_PATH": str(library.parent)}

    def harness() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", HOLDER],
            env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    with harness() as first, harness_started_after(first, harness) as second:
        assert second.stdout is not None
        assert second.stdout.readline() == (
            f"waiting for 1 of 1 GPUs: gpu GPU-a is held by process {first.pid}\n"
        )
        first.kill()
        assert second.stdout.readline() == "GPU-a\n"
        second.communicate("")


def test_a_gpu_that_is_not_there_is_told_with_those_that_are(world: Any) -> None:
    world.write(A)
    with pytest.raises(SandboxError, match="no GPU GPU-x; it has GPU-a"), leased(("GPU-x",)):
        pass


@pytest.mark.parametrize("proc", ["v1", "v2"], indirect=True)
def test_memory_is_that_of_the_containers_processes_and_no_others(watch: Callable[..., Watch]) -> None:
    watching = watch(
        "gpu GPU-a Big 80000000000 9000000000 50 0",
        f"process GPU-a {OWN} 2000000000 C",
        f"process GPU-a {CHILD} 3000000000 C",
        f"process GPU-a {CHILD} 3000000000 G",  # one that computes and draws is listed twice
        f"process GPU-a {STRANGER} 1000000000 G",  # somebody's screen
        "process GPU-a 99999 500000000 C",  # just ended
    )
    facts = watching.until(lambda facts: facts.peak_bytes is not None)
    assert (facts.memory_bytes, facts.level, facts.limit_exceeded) == (5 * GIGABYTE, GpuLevel.SAMPLED, False)


def test_the_peak_stays(world: Any, watch: Callable[..., Watch]) -> None:
    watching = watch(A, f"process GPU-a {OWN} 7000000000 C")
    watching.until(lambda facts: facts.memory_bytes == 7 * GIGABYTE)
    world.write(A, f"process GPU-a {OWN} 1000000000 C")
    facts = watching.until(lambda facts: facts.memory_bytes == GIGABYTE)
    assert facts.peak_bytes == 7 * GIGABYTE


def test_over_the_limit_the_container_is_ended_within_two_readings(
    world: Any, watch: Callable[..., Watch]
) -> None:
    watching = watch(A, f"process GPU-a {OWN} 1000000000 C")
    watching.until(lambda facts: facts.peak_bytes is not None)
    assert not watching.ended.is_set()
    world.write(A, f"process GPU-a {OWN} 16000000001 C")
    assert watching.ended.wait(PATIENCE_SECONDS)
    facts = watching.meter.facts()
    assert (facts.limit_exceeded, facts.fault, facts.peak_bytes) == (True, "", 16_000_000_001)


def test_exactly_the_limit_is_allowed(watch: Callable[..., Watch]) -> None:
    watching = watch(A, f"process GPU-a {OWN} 16000000000 C")
    watching.until(lambda facts: facts.peak_bytes == 16 * GIGABYTE)
    watching.look_again(3)
    assert not watching.ended.is_set()


def test_the_limit_holds_for_each_gpu_by_itself(watch: Callable[..., Watch]) -> None:
    other = "gpu GPU-c Big 80000000000 0 0 0"
    watching = watch(A, other, f"process GPU-a {OWN} 10000000000 C", f"process GPU-c {OWN} 11000000000 C")
    watching.until(lambda facts: facts.peak_bytes == 11 * GIGABYTE)
    assert not watching.ended.is_set()


def test_if_the_driver_reports_no_share_all_that_was_not_there_before_counts(
    watch: Callable[..., Watch],
) -> None:
    watching = watch("gpu GPU-a Big 80000000000 17001000000 0 0", f"process GPU-a {OWN} -1 C")
    assert watching.ended.wait(PATIENCE_SECONDS)
    assert watching.meter.facts().peak_bytes == 17 * GIGABYTE


def test_inside_another_namespace_process_ids_are_not_believed(
    proc: Path, watch: Callable[..., Watch]
) -> None:
    (proc / "self" / "ns" / "pid").unlink()
    (proc / "self" / "ns" / "pid").symlink_to("pid:[4026532000]")
    watching = watch("gpu GPU-a Big 80000000000 3001000000 0 0", f"process GPU-a {STRANGER} 9 C")
    facts = watching.until(lambda facts: facts.peak_bytes is not None)
    assert (facts.peak_bytes, facts.fault) == (3 * GIGABYTE, "")


def test_a_gpu_that_falls_off_the_bus_ends_the_container_and_is_our_fault(
    world: Any, watch: Callable[..., Watch]
) -> None:
    watching = watch(A, f"process GPU-a {OWN} 20000000 C")
    watching.until(lambda facts: facts.peak_bytes is not None)
    world.write("gpu GPU-a Big 80000000000 1000000 50 15")
    assert watching.ended.wait(PATIENCE_SECONDS)
    facts = watching.meter.facts()
    assert "lost" in facts.fault
    assert not facts.limit_exceeded


def test_a_gpu_that_disappears_is_lost_too(world: Any, watch: Callable[..., Watch]) -> None:
    watching = watch(A)
    watching.until(lambda facts: facts.peak_bytes is not None)
    world.write(B)
    assert watching.ended.wait(PATIENCE_SECONDS)
    assert "lost" in watching.meter.facts().fault


def test_a_passing_error_is_waited_out(
    world: Any, watch: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = watch(A)
    watching.until(lambda facts: facts.peak_bytes is not None)
    # A busy machine may keep this thread waiting for longer than the error is allowed to last.
    monkeypatch.setattr("harness.sandbox.meters.gpu_meter.TROUBLES_MAX", 10_000)
    world.write("gpu GPU-a Big 80000000000 1000000 50 10")
    time.sleep(0.5)
    world.write(A, f"process GPU-a {OWN} 2000000000 C")
    facts = watching.until(lambda facts: facts.memory_bytes == 2 * GIGABYTE)
    assert facts.fault == ""
    assert not watching.ended.is_set()


def test_an_error_that_does_not_pass_is_a_fault(world: Any, watch: Callable[..., Watch]) -> None:
    known = (nvml.Gpu(uuid="GPU-a", name="Big", memory_bytes=80 * GIGABYTE),)
    watching = watch("gpu GPU-a Big 80000000000 1000000 50 10", gpus=known)
    assert watching.ended.wait(PATIENCE_SECONDS)
    facts = watching.meter.facts()
    assert "lost" in facts.fault
    assert facts.level is GpuLevel.NONE  # not one reading: nothing was in force


@pytest.mark.parametrize("proc", ["v1", "v2"], indirect=True)
def test_a_strangers_computation_during_the_run_is_our_fault(world: Any, watch: Callable[..., Watch]) -> None:
    watching = watch(A, f"process GPU-a {OWN} 20000000 C", f"process GPU-a {ZOMBIE} 20000000 C")
    watching.look_again(STRANGER_READINGS + 2)
    assert not watching.ended.is_set()
    world.write(A, f"process GPU-a {OWN} 20000000 C", f"process GPU-a {STRANGER} 20000000 C")
    assert watching.ended.wait(PATIENCE_SECONDS)
    facts = watching.meter.facts()
    assert f"process {STRANGER}" in facts.fault
    assert not facts.limit_exceeded


def test_busy_seconds_are_time_times_utilisation(watch: Callable[..., Watch]) -> None:
    before = time.monotonic()
    watching = watch(A, "gpu GPU-c Big 80000000000 0 100 0")  # half of one, all of the other
    started = time.monotonic()
    watching.look_again(4)
    looked = time.monotonic()
    watching.look_again(1)
    busy_seconds = watching.meter.facts().busy_seconds
    assert busy_seconds is not None
    assert 1.5 * (looked - started) <= busy_seconds <= 1.5 * (time.monotonic() - before)


def test_a_gpu_with_no_more_memory_than_the_limit_is_a_hard_limit(watch: Callable[..., Watch]) -> None:
    assert watch(B).meter.facts().level is GpuLevel.HARD


def test_a_partition_is_a_hard_limit_only_if_it_is_small_enough(watch: Callable[..., Watch]) -> None:
    split = (A, "mig 0 MIG-1 10000000000 0")
    assert watch(*split, limit_bytes=10 * GIGABYTE).meter.facts().level is GpuLevel.HARD
    larger = watch(*split, limit_bytes=9 * GIGABYTE)
    assert larger.until(lambda facts: facts.peak_bytes is not None).level is GpuLevel.SAMPLED


def test_one_large_gpu_makes_the_level_sampled(watch: Callable[..., Watch]) -> None:
    watching = watch(A, B, baseline_bytes=(0, 0))
    assert watching.until(lambda facts: facts.peak_bytes is not None).level is GpuLevel.SAMPLED


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (0, GpuLevel.HARD),  # set, and read back
        (3, GpuLevel.SAMPLED),  # not supported
        (4, GpuLevel.SAMPLED),  # no permission
    ],
)
def test_the_drivers_own_limit_is_claimed_if_it_is_in_force(
    watch: Callable[..., Watch], answer: int, level: GpuLevel
) -> None:
    # A GPU of its own for each case: the stub, like a driver, remembers what was set.
    padding = [f"gpu GPU-{number} Small 1000 0 0 0" for number in range(answer)]
    watching = watch(*padding, A, f"limits {answer}", control_group=Path("/sys/fs/cgroup/x"))
    assert watching.until(lambda facts: facts.peak_bytes is not None).level is level


def test_a_driver_that_says_yes_and_sets_nothing_is_not_believed(watch: Callable[..., Watch]) -> None:
    padding = [f"gpu GPU-{number} Small 1000 0 0 0" for number in range(6)]
    watching = watch(*padding, A, "limits -1", control_group=Path("/sys/fs/cgroup/x"))
    assert watching.until(lambda facts: facts.peak_bytes is not None).level is GpuLevel.SAMPLED


def test_nothing_is_claimed_of_a_time_when_nobody_looked(
    watch: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.sandbox.meters.gpu_meter.LONGEST_GAP_SECONDS", 2.0)
    watching = watch(A, "sleep 2500")
    facts = watching.until(lambda facts: facts.peak_bytes is not None)
    assert facts.level is GpuLevel.NONE


def test_a_stopped_meter_judges_no_more(world: Any, watch: Callable[..., Watch]) -> None:
    watching = watch(A, f"process GPU-a {OWN} 20000000 C")
    watching.until(lambda facts: facts.peak_bytes is not None)
    watching.meter.stop()
    world.write("gpu GPU-a Big 80000000000 1000000 50 15")
    time.sleep(0.3)
    facts = watching.meter.facts()
    assert (facts.fault, facts.level, facts.peak_bytes) == ("", GpuLevel.SAMPLED, 20_000_000)
    assert not watching.ended.is_set()


@pytest.mark.parametrize(
    ("limit_bytes", "fraction"), [(80 * GIGABYTE, None), (40 * GIGABYTE + 600_000_000, 0.5), (1, 0.01)]
)
def test_torch_is_told_its_share_less_the_context(limit_bytes: int, fraction: float | None) -> None:
    gpu = nvml.Gpu(uuid="GPU-a", name="Big", memory_bytes=80 * GIGABYTE)
    assert Lease(gpus=(gpu,)).torch_fraction(limit_bytes) == fraction
    assert Lease().torch_fraction(limit_bytes) is None
