"""The GPU meter on real containers. The GPU is a stub; processes, control groups and kills are real."""

from __future__ import annotations

import importlib.util
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import docker
import pytest

from harness.core.errors import ConfigError, ProcessEnded, SandboxError
from harness.core.types import FailureRule, OutcomeKind, PreparedVideo, SandboxSpec, Terms, Verdict
from harness.core.usage import GpuLevel
from harness.gateway.feed import run_set
from harness.gateway.journal import Journal, header_of, read_journal
from harness.gateway.staging import Stage, shuffled
from harness.sandbox.docker.sandbox import RUN_LABEL, DockerSandbox
from harness.sandbox.protocol import Ready, decode_reply, encode_predict

pytestmark = pytest.mark.docker
GPU = "gpu GPU-a Big 80000000000 1000000 50 0"
RUN = f"gpu-test-{os.getpid()}"  # other workers run these tests too
PATIENCE_SECONDS = 120.0  # for what must come; a test that passes never waits it out
Eventually = Callable[[Callable[[], object]], bool]


def _stub() -> ModuleType:
    path = Path(__file__).parents[1] / "gpu_stub" / "__init__.py"
    spec = importlib.util.spec_from_file_location("gpu_stub", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stub = _stub()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    path = stub.build(tmp_path)
    # These tests share their cores with others: here a gap between two readings is nobody's fault.
    monkeypatch.setattr("harness.sandbox.meters.gpu_meter.LONGEST_GAP_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr("harness.sandbox.meters.gpu_meter.STUCK_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr("harness.sandbox.meters.gpu.IDLE_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setenv("HARNESS_CLAIMS", str(tmp_path / "claims"))  # nobody else's
    with stub.loaded(path), stub.world(tmp_path) as made:
        made.write(GPU)
        yield made


class Engine:
    """The engine's client without its GPUs: what it is asked for is remembered, and not passed on."""

    def __init__(self, client: docker.DockerClient) -> None:
        self.client = client
        self.asked: list[dict[str, Any]] = []
        create: Any = client.api.create_container_from_config

        def without_gpus(config: dict[str, Any], name: str) -> Any:
            self.asked.append(config)
            host = config["HostConfig"] | {"DeviceRequests": []}
            return create(config | {"HostConfig": host}, name)

        setattr(client.api, "create_container_from_config", without_gpus)  # noqa: B010  (the client's types)

    def process_id(self, *, attempt: int = 1) -> int:
        """Wait for the container of this test, and return its first process's id on the host."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if len(self.asked) >= attempt:
                for container in self.client.api.containers(filters={"label": f"{RUN_LABEL}={RUN}"}):
                    return int(self.client.api.inspect_container(container["Id"])["State"]["Pid"])
            time.sleep(0.02)
        pytest.fail("no container")


@pytest.fixture
def engine() -> Iterator[Engine]:
    client = docker.from_env()
    yield Engine(client)
    client.close()


@pytest.fixture
def spec(
    light_image: str, make_package: Callable[..., Path], make_spec: Callable[..., SandboxSpec]
) -> SandboxSpec:
    package = make_package("while self.count == 1: time.sleep(0.1)\nreturn 0.5")
    made = make_spec(package, image=light_image, gpu_memory_bytes=16_000_000_000)
    return replace(made, run_id=RUN, gpu_uuids=("GPU-a",))


def test_a_container_over_the_limit_is_killed_within_a_second(
    world: Any, engine: Engine, spec: SandboxSpec
) -> None:
    seconds = math.inf
    for attempt in range(
        1, 4
    ):  # a busy machine may be slow once; a meter that looks too seldom is every time
        with DockerSandbox(engine.client).start(spec) as process:
            assert isinstance(decode_reply(process.receive(PATIENCE_SECONDS)), Ready)
            process.send(encode_predict(request_id="1", video="none"))
            process_id = engine.process_id(attempt=attempt)
            started = time.monotonic()
            world.write(GPU, f"process GPU-a {process_id} 17000000000 C")
            with pytest.raises(ProcessEnded):
                process.receive(PATIENCE_SECONDS)
            seconds = min(seconds, time.monotonic() - started)
            facts = process.facts()
            world.write(GPU)
        assert (facts.running, facts.gpu_limit_exceeded, facts.oom_killed) == (False, True, False)
        assert (facts.usage.gpu_level, facts.usage.peak_gpu_memory_bytes) == (
            GpuLevel.SAMPLED,
            17_000_000_000,
        )
        assert facts.usage.gpu_seconds is not None
        if seconds < 5:
            break
    assert seconds < 5, "a second on a machine with time for it; see the benchmark"


def test_the_engine_is_asked_for_the_gpu_by_uuid_and_torch_told_its_share(
    world: Any, engine: Engine, spec: SandboxSpec
) -> None:
    with DockerSandbox(engine.client).start(spec):
        pass
    (config,) = engine.asked
    assert config["HostConfig"]["DeviceRequests"] == [
        {"Driver": "nvidia", "DeviceIDs": ["GPU-a"], "Capabilities": [["gpu"]]}
    ]
    assert "NVIDIA_VISIBLE_DEVICES=GPU-a" in config["Env"]
    assert "PYTORCH_ALLOC_CONF=per_process_memory_fraction:0.1925" in config["Env"]


def test_an_engine_that_lists_the_gpu_as_a_cdi_device_is_asked_for_that(
    world: Any, engine: Engine, spec: SandboxSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = engine.client.api.info
    listed = [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}, {"Source": "cdi", "ID": "nvidia.com/gpu=GPU-a"}]
    monkeypatch.setattr(engine.client.api, "info", lambda: info() | {"DiscoveredDevices": listed})
    with DockerSandbox(engine.client).start(spec):
        pass
    (config,) = engine.asked
    assert config["HostConfig"]["DeviceRequests"] == [
        {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=GPU-a"]}
    ]
    assert "NVIDIA_VISIBLE_DEVICES=void" in config["Env"]


def test_a_gpu_that_is_not_idle_starts_nothing(
    world: Any, engine: Engine, spec: SandboxSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.sandbox.meters.gpu.IDLE_SECONDS", 0.5)
    world.write(GPU, "process GPU-a 1 5000000 C")
    with pytest.raises(ConfigError, match="not idle"), DockerSandbox(engine.client).start(spec):
        pass
    assert engine.asked == []


def test_an_engine_without_nvidias_toolkit_is_told_with_the_remedy(world: Any, spec: SandboxSpec) -> None:
    client = docker.from_env()
    try:
        with (
            pytest.raises(SandboxError, match="device driver") as caught,
            DockerSandbox(client).start(spec),
        ):
            pass
        assert caught.value.remedy is not None
        assert "container toolkit" in caught.value.remedy
        assert client.containers.list(all=True, filters={"label": f"{RUN_LABEL}={RUN}"}) == []
    finally:
        client.close()


def test_one_video_over_the_limit_costs_that_video(
    world: Any,
    engine: Engine,
    spec: SandboxSpec,
    stage: Stage,
    make_package: Callable[..., Path],
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    tmp_path: Path,
    eventually: Eventually,
) -> None:
    videos = make_videos(2)
    first_asked = shuffled(videos, 1)[0].path.read_bytes()[0]
    waits = f"while video.read_bytes()[0] == {first_asked}: time.sleep(0.1)\nreturn 0.5"
    waiting = replace(spec, package=replace(spec.package, source=make_package(waits)))

    def hog() -> None:
        first = engine.process_id()
        assert eventually(lambda: any(stage.videos.iterdir()))  # it is asked for its first video
        world.write(GPU, f"process GPU-a {first} 17000000000 C")
        assert eventually(lambda: not Path(f"/proc/{first}").exists())
        world.write(GPU)

    hogging = threading.Thread(target=hog, daemon=True)
    hogging.start()
    header = header_of(videos=videos, limits=spec.limits, order_seed=1)
    with Journal(tmp_path / "outcomes.jsonl", header) as journal:
        run = run_set(
            sandbox=DockerSandbox(engine.client),
            spec=waiting,
            stage=stage,
            videos=videos,
            order_seed=1,
            journal=journal,
            terms=Terms(limits=spec.limits, failure_rule=FailureRule.STRICT),
        )
    hogging.join()
    assert sorted(outcome.kind for outcome in run.outcomes) == [
        OutcomeKind.GPU_MEMORY_LIMIT,
        OutcomeKind.PREDICTED,
    ]
    assert run.restarts == 1
    assert (run.usage.gpu_level, run.usage.peak_gpu_memory_bytes) == (GpuLevel.SAMPLED, 17_000_000_000)
    assert run.verdict is Verdict.GPU_MEMORY_LIMIT


def test_a_gpu_that_falls_off_the_bus_is_never_counted_against_the_contestant(
    world: Any,
    engine: Engine,
    spec: SandboxSpec,
    stage: Stage,
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    tmp_path: Path,
    eventually: Eventually,
) -> None:
    videos = make_videos(2)

    def lose() -> None:
        assert eventually(lambda: any(stage.videos.iterdir()))  # it is asked for its first video
        world.write("gpu GPU-a Big 80000000000 1000000 50 15")

    losing = threading.Thread(target=lose, daemon=True)
    losing.start()
    header = header_of(videos=videos, limits=spec.limits, order_seed=1)
    with (
        Journal(tmp_path / "outcomes.jsonl", header) as journal,
        pytest.raises(SandboxError, match="GPU was lost") as caught,
    ):
        run_set(
            sandbox=DockerSandbox(engine.client),
            spec=spec,
            stage=stage,
            videos=videos,
            order_seed=1,
            journal=journal,
            terms=Terms(limits=spec.limits, failure_rule=FailureRule.STRICT),
        )
    losing.join()
    assert caught.value.remedy is not None
    assert read_journal(tmp_path / "outcomes.jsonl")[1] == ()
    assert engine.client.containers.list(all=True, filters={"label": f"{RUN_LABEL}={RUN}"}) == []
