"""What only a real engine can show: memory, CPU, the reaper, and what happens when the engine says no."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from harness.core.errors import ImageError, ProcessEnded, ReceiveTimeout, SandboxError
from harness.core.types import SandboxSpec
from harness.sandbox import SandboxProcess
from harness.sandbox.docker.container import ContainerProcess
from harness.sandbox.docker.owner import Owner
from harness.sandbox.docker.sandbox import OWNER_LABEL, RUN_LABEL, DockerSandbox, reap
from harness.sandbox.meters.cgroup import EngineMeter
from harness.sandbox.protocol import Answer, Failed, Ready, Reply, decode_reply, encode_predict

pytestmark = pytest.mark.docker
MEGABYTE = 1_000_000
PATIENCE_SECONDS = 120.0  # for what must come; a test that passes never waits it out
Eventually = Callable[[Callable[[], object]], bool]


@pytest.fixture
def spec_of(
    light_image: str, make_package: Callable[..., Path], make_spec: Callable[..., SandboxSpec]
) -> Callable[..., SandboxSpec]:
    def make(predict: str = "return 0.5", **limits: float) -> SandboxSpec:
        return make_spec(make_package(predict), image=light_image, **limits)

    return make


@pytest.fixture
def sandbox(docker_client: docker.DockerClient) -> DockerSandbox:
    return DockerSandbox(docker_client)


def ask(process: SandboxProcess, timeout_seconds: float = PATIENCE_SECONDS) -> Reply:
    process.send(encode_predict(request_id="1", video="none"))
    return decode_reply(process.receive(timeout_seconds))


def ready(process: SandboxProcess) -> None:
    assert isinstance(decode_reply(process.receive(PATIENCE_SECONDS)), Ready)


def test_a_package_that_takes_too_much_memory_is_told_as_that(
    sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec]
) -> None:
    predict = "hog = []\nwhile True: hog.append(bytearray(4_000_000))"
    with sandbox.start(spec_of(predict, memory_bytes=100 * MEGABYTE)) as process:
        ready(process)
        with pytest.raises(ProcessEnded):
            ask(process)
        facts = process.facts()
    assert (facts.oom_killed, facts.exit_code) == (True, 137)
    assert facts.usage.peak_memory_bytes == 100 * MEGABYTE


def test_memory_taken_by_a_child_is_told_although_the_package_lives(
    sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec]
) -> None:
    predict = (
        "hog = 'x = []\\nwhile True: x.append(bytearray(4_000_000))'\n"
        "child = subprocess.run([sys.executable, '-c', hog])\n"
        "assert child.returncode == -9\nreturn 0.5"
    )
    with sandbox.start(spec_of(predict, memory_bytes=100 * MEGABYTE)) as process:
        ready(process)
        assert not process.facts().oom_killed
        assert isinstance(ask(process), Answer)
        assert process.facts().oom_killed
        process.kill()
        assert process.facts().oom_killed


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
def test_files_in_memory_count_as_memory(
    sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec], folder: str
) -> None:
    predict = f"pathlib.Path('{folder}/x').write_bytes(bytes(150_000_000))\nreturn 0.5"
    room = {"tmp_bytes": 500 * MEGABYTE, "shm_bytes": 500 * MEGABYTE, "file_bytes": 500 * MEGABYTE}
    with sandbox.start(spec_of(predict, memory_bytes=100 * MEGABYTE, **room)) as process:
        ready(process)
        with pytest.raises(ProcessEnded):
            ask(process)
        assert process.facts().oom_killed


def test_a_kill_by_its_own_hand_is_not_a_memory_limit(
    sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec]
) -> None:
    with sandbox.start(spec_of("os.kill(os.getpid(), signal.SIGKILL)")) as process:
        ready(process)
        with pytest.raises(ProcessEnded):
            ask(process)
        facts = process.facts()
    assert (facts.oom_killed, facts.exit_code) == (False, 137)


def test_memory_and_cpu_are_measured_from_outside(
    sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec]
) -> None:
    predict = (
        "began = time.process_time()\nhog = bytearray(b'x') * 60_000_000\n"
        "while time.process_time() < began + 1: pass\nreturn (time.process_time() - began) / 100"
    )
    with sandbox.start(spec_of(predict)) as process:
        ready(process)
        before = process.facts().usage.cpu_seconds
        answer = ask(process)
        after = process.facts().usage.cpu_seconds
        process.kill()
        facts = process.facts()
    assert before is not None
    assert after is not None
    assert isinstance(answer, Answer)
    assert isinstance(answer.probability, float)
    inside = 100 * answer.probability  # by the package's own count; the rest is the runner's, for one request
    assert 1.0 <= inside <= after - before + 0.01 < inside + 0.5
    assert facts.usage.peak_memory_bytes is not None
    assert 60 * MEGABYTE < facts.usage.peak_memory_bytes < 90 * MEGABYTE
    assert len(facts.samples) >= 2
    assert [sample.seconds for sample in facts.samples] == sorted(s.seconds for s in facts.samples)


def test_an_engine_elsewhere_measures_the_same(
    docker_client: docker.DockerClient, sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec]
) -> None:
    spec = spec_of()
    with sandbox.start(spec) as process:
        ready(process)
        (container,) = docker_client.containers.list(filters={"label": f"{RUN_LABEL}={spec.run_id}"})
        before = process.facts()
        reading = EngineMeter(api=docker_client.api, container_id=str(container.id)).read()
        facts = process.facts()
    assert reading.cpu_seconds is not None
    assert before.usage.cpu_seconds is not None
    assert facts.usage.cpu_seconds is not None
    assert before.usage.cpu_seconds - 0.01 <= reading.cpu_seconds <= facts.usage.cpu_seconds + 0.01
    assert reading.memory_bytes is not None
    assert facts.usage.peak_memory_bytes is not None
    assert abs(reading.memory_bytes - facts.usage.peak_memory_bytes) < 20 * MEGABYTE


def test_a_process_that_leaves_its_session_dies_with_the_container(
    sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec], eventually: Eventually
) -> None:
    marker = f"sleep 6{os.getpid()}"
    predict = f"subprocess.Popen({marker.split()!r}, start_new_session=True)\nreturn 0.5"
    with sandbox.start(spec_of(predict)) as process:
        ready(process)
        ask(process)
        # The answer may be here before the kernel shows the child's new command line.
        assert eventually(lambda: is_running(marker))
        process.kill()
        # At once: a namespace's first process is not reported dead before every other one in it is gone.
        assert not is_running(marker)


def test_a_fork_bomb_is_stopped_by_its_own_limit(
    sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec]
) -> None:
    predict = "while True:\n    try: os.fork()\n    except OSError: time.sleep(0.01)"
    with sandbox.start(spec_of(predict, pids=30)) as process:
        ready(process)
        with pytest.raises(ReceiveTimeout):
            ask(process, timeout_seconds=1.5)
        process.kill()  # raises where the container does not end
        assert not process.facts().running


def test_an_image_that_is_not_there_is_our_fault(
    sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec]
) -> None:
    spec = replace(spec_of(), image="sha256:" + "0" * 64)
    with pytest.raises(ImageError, match="never pulled"):
        enter(sandbox, spec)


def test_a_runtime_that_is_not_there_is_our_fault_and_leaves_nothing(
    docker_client: docker.DockerClient, sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec]
) -> None:
    spec = replace(spec_of(), runtime="no-such-runtime")
    with pytest.raises(SandboxError, match="no-such-runtime"):
        enter(sandbox, spec)
    assert docker_client.containers.list(all=True, filters={"label": f"{RUN_LABEL}={spec.run_id}"}) == []


def test_more_cores_than_the_engine_has_are_refused_with_the_remedy(
    sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec]
) -> None:
    with pytest.raises(SandboxError, match="limits ask for 4096"):
        enter(sandbox, spec_of(cpus=4096))


def test_two_runs_at_once_get_different_cores(
    docker_client: docker.DockerClient,
    sandbox: DockerSandbox,
    spec_of: Callable[..., SandboxSpec],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if int(docker_client.info()["NCPU"]) < 2:
        pytest.fail("this test needs an engine with two cores")
    spec = spec_of()
    mine = f"{RUN_LABEL}={spec.run_id}"
    containers = docker_client.api.containers

    def of_this_test(*, filters: dict[str, str]) -> object:
        return containers(filters={"label": [filters["label"], mine]})

    # Other workers' containers come and go between our two starts, and would shift what is least used.
    monkeypatch.setattr(docker_client.api, "containers", of_this_test)
    with sandbox.start(spec), sandbox.start(spec):
        found = [one["Id"] for one in containers(filters={"label": mine})]
        held = {docker_client.api.inspect_container(one)["HostConfig"]["CpusetCpus"] for one in found}
        assert (len(found), len(held)) == (2, 2)


def test_a_container_that_vanishes_under_us_is_our_fault(
    docker_client: docker.DockerClient, sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec]
) -> None:
    def run() -> None:
        spec = spec_of("time.sleep(600)")
        with sandbox.start(spec) as process:
            ready(process)
            (container,) = docker_client.containers.list(filters={"label": f"{RUN_LABEL}={spec.run_id}"})
            container.remove(force=True)
            ask(process)

    with pytest.raises(SandboxError):
        run()


def test_a_line_that_the_engine_drops_is_our_fault_not_the_package_s(
    sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The package does not end here, so there is nothing for the engine to record however long it gets.
    monkeypatch.setattr("harness.sandbox.docker.container.ENDED_SECONDS", 1.0)

    def run() -> None:
        with sandbox.start(spec_of()) as process:
            ready(process)
            drop_line(process)
            process.receive(PATIENCE_SECONDS)

    with pytest.raises(SandboxError, match="dropped the connection"):
        run()


HARNESS = """
import sys, time
from pathlib import Path
import docker
from harness.sandbox.docker.sandbox import DockerSandbox
from harness.gateway.staging import Stage
from harness.core.types import Limits, Mount, SandboxSpec

image, package, run_id = sys.argv[1:]
with Stage() as stage:
    spec = SandboxSpec(
        run_id=run_id, image=image, package=Mount(source=Path(package), target="/package"),
        videos=Mount(source=stage.videos, target="/videos"), limits=Limits(cpus=1, memory_bytes=128_000_000),
    )
    with DockerSandbox(docker.from_env()).start(spec):
        print("started", flush=True)
        time.sleep(3600)
"""


def start_harness(image: str, package: Path, run_id: str) -> subprocess.Popen[str]:
    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS, image, str(package), run_id], stdout=subprocess.PIPE, text=True
    )
    assert harness.stdout is not None
    assert harness.stdout.readline() == "started\n"
    return harness


def test_the_reaper_removes_what_a_killed_harness_left_and_nothing_else(
    docker_client: docker.DockerClient, light_image: str, make_package: Callable[..., Path]
) -> None:
    def left(run_id: str) -> int:
        return len(docker_client.containers.list(all=True, filters={"label": f"{RUN_LABEL}={run_id}"}))

    package = make_package()
    names = [f"reap-{kind}-{secrets.token_hex(6)}" for kind in ("dead", "alive")]
    dead, alive = (start_harness(light_image, package, name) for name in names)
    elsewhere = str(replace(Owner.current(), machine="elsewhere"))
    stranger = docker_client.containers.create(light_image, command=["true"], labels={OWNER_LABEL: elsewhere})
    try:
        assert [left(name) for name in names] == [1, 1]
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        reap(docker_client)  # another worker's harness may have done it before us
        assert [left(name) for name in names] == [0, 1]
        stranger.reload()
    finally:
        stranger.remove(force=True)
        for harness in (dead, alive):
            harness.send_signal(signal.SIGINT)
            harness.wait(timeout=PATIENCE_SECONDS)
            if harness.stdout:
                harness.stdout.close()
    assert left(names[1]) == 0  # a harness that is interrupted cleans up itself


def test_the_reaper_names_what_it_removed(docker_client: docker.DockerClient, light_image: str) -> None:
    nobody = str(replace(Owner.current(), started="0"))

    def told() -> bool:
        left = docker_client.containers.create(light_image, command=["true"], labels={OWNER_LABEL: nobody})
        return left.name in reap(docker_client)

    assert any(told() for _ in range(5))  # a harness of another worker may be quicker, but hardly every time


def test_harnesses_that_clear_up_at_the_same_time_do_not_disturb_each_other(
    docker_client: docker.DockerClient, light_image: str
) -> None:
    nobody = str(replace(Owner.current(), started="0"))
    left = [
        docker_client.api.create_container(light_image, command=["true"], labels={OWNER_LABEL: nobody})["Id"]
        for _ in range(8)
    ]

    def clear_up(_: int) -> tuple[str, ...]:
        client = docker.from_env(timeout=300)
        try:
            return reap(client)
        finally:
            client.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(clear_up, range(4)))  # raises where one of them failed
    there = {one["Id"] for one in docker_client.api.containers(all=True)}
    assert not there & set(left)


def test_a_failed_package_is_answered_for_and_goes_on(
    sandbox: DockerSandbox, spec_of: Callable[..., SandboxSpec]
) -> None:
    with sandbox.start(spec_of("if self.count == 1: sys.exit('enough')\nreturn 0.5")) as process:
        ready(process)
        first = ask(process)
        assert isinstance(first, Failed)
        assert "enough" in first.message
        assert isinstance(ask(process), Answer)


def enter(sandbox: DockerSandbox, spec: SandboxSpec) -> None:
    with sandbox.start(spec):
        pass


def drop_line(process: ContainerProcess) -> None:
    """Cut the line as a failing engine would: there is no way to ask an engine for that."""
    import socket

    process._socket.shutdown(socket.SHUT_RDWR)


def is_running(command: str) -> bool:
    wanted = b"\0".join(command.encode().split()) + b"\0"
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == wanted:
                return True
        except OSError:
            continue
    return False
