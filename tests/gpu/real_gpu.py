"""Containers with a real GPU: `make test-gpu`, on a machine that has one. Not part of `make test`.

The engine must hand GPUs out: as CDI devices, or with NVIDIA's container toolkit. The packages speak to the
driver's own library through ctypes, so that the tests' light image will do: no torch, no CUDA toolkit.

Each answer says what the package saw: 0.25 is a call that the driver refused, 0.75 one that it granted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from harness.core.errors import ConfigError, ProcessEnded
from harness.core.types import OutcomeKind, PreparedVideo, SandboxSpec, Terms, Verdict
from harness.core.usage import GpuLevel
from harness.gateway.feed import run_set
from harness.gateway.journal import Journal, header_of
from harness.gateway.staging import Stage
from harness.sandbox import SandboxProcess
from harness.sandbox.docker.sandbox import DockerSandbox
from harness.sandbox.meters import nvml
from harness.sandbox.protocol import Answer, Ready, decode_reply, encode_predict

pytestmark = pytest.mark.docker
PATIENCE_SECONDS = 120.0
GIGABYTE = 1_000_000_000
CONTEXT_BYTES = 2 * GIGABYTE  # a context of CUDA takes some hundred megabytes
REFUSED, GRANTED = 0.25, 0.75
TALKS_TO_THE_DRIVER = """
import ctypes, os, subprocess, sys, time

class Driver:
    def __init__(self):
        self.cuda = ctypes.CDLL("libcuda.so.1")
        self.check(self.cuda.cuInit(0))
        count = ctypes.c_int()
        self.check(self.cuda.cuDeviceGetCount(ctypes.byref(count)))
        self.count = count.value
        context = ctypes.c_void_p()
        self.check(self.cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
        self.check(self.cuda.cuCtxSetCurrent(context))

    def check(self, code):
        if code:
            raise RuntimeError(f"the driver says {code}")

    def take(self, size):
        place = ctypes.c_uint64()
        return self.cuda.cuMemAlloc_v2(ctypes.byref(place), ctypes.c_size_t(size)) == 0

class Predictor:
    def __init__(self, package):
        self.package = package
        self.count = 0

    def predict(self, video):
        self.count += 1
"""


@pytest.fixture(scope="module")
def gpu() -> Iterator[str]:
    """The first GPU of this machine; none is a failure."""
    with nvml.session() as found:
        assert found, "no driver of a GPU answers: `make test-gpu` is for a machine that has one"
        (first, *_) = nvml.list_gpus()
        yield first.uuid


@pytest.fixture
def made(
    gpu: str, light_image: str, make_package: Callable[..., Path], make_spec: Callable[..., SandboxSpec]
) -> Callable[..., SandboxSpec]:
    """Describe a run of a package with a GPU from the body of its `predict`."""

    def make(body: str, *, gpu_memory_bytes: int = 16 * GIGABYTE, gpus: int = 1) -> SandboxSpec:
        lines = "".join(f"        {line}\n" for line in body.splitlines())
        package = make_package(module=TALKS_TO_THE_DRIVER + lines)
        spec = make_spec(
            package,
            image=light_image,
            memory_bytes=8 * GIGABYTE,
            gpu_memory_bytes=gpu_memory_bytes,
            gpus=gpus,
        )
        return replace(spec, gpu_uuids=(gpu,) if gpus else ())

    return make


def _ask(process: SandboxProcess, request_id: str = "1") -> float:
    process.send(encode_predict(request_id=request_id, video="none"))
    reply = decode_reply(process.receive(PATIENCE_SECONDS))
    assert isinstance(reply, Answer), reply
    return float(reply.probability)  # type: ignore[arg-type]  # it is what these packages answer


def _ready(process: SandboxProcess) -> None:
    reply = decode_reply(process.receive(PATIENCE_SECONDS))
    assert isinstance(reply, Ready), reply


def test_a_package_sees_the_gpu_that_it_was_given_and_computes_on_it(
    docker_client: docker.DockerClient, made: Callable[..., SandboxSpec]
) -> None:
    spec = made("driver = Driver()\nreturn 0.75 if driver.count == 1 and driver.take(10**9) else 0.25")
    with DockerSandbox(docker_client).start(spec) as process:
        _ready(process)
        assert _ask(process) == GRANTED
        usage = process.facts().usage
    assert usage.gpu_level in {GpuLevel.SAMPLED, GpuLevel.HARD}


def test_a_package_without_a_gpu_finds_none(
    docker_client: docker.DockerClient, made: Callable[..., SandboxSpec]
) -> None:
    looks = (
        "found = [name for name in os.listdir('/dev') if 'nvidia' in name or 'dri' in name]\n"
        "try:\n"
        "    Driver()\n"
        "except (OSError, RuntimeError):\n"
        "    return 0.75 if found else 0.25\n"
        "return 0.75"
    )
    with DockerSandbox(docker_client).start(made(looks, gpus=0)) as process:
        _ready(process)
        assert _ask(process) == REFUSED
        assert process.facts().usage.gpu_level is GpuLevel.NONE


def test_the_peak_is_what_the_package_took(
    docker_client: docker.DockerClient, made: Callable[..., SandboxSpec]
) -> None:
    spec = made(
        "driver = Driver()\nheld = driver.take(6 * 10**9)\ntime.sleep(2)\nreturn 0.75 if held else 0.25"
    )
    with DockerSandbox(docker_client).start(spec) as process:
        _ready(process)
        assert _ask(process) == GRANTED
        usage = process.facts().usage
    assert usage.peak_gpu_memory_bytes is not None
    assert 6 * GIGABYTE <= usage.peak_gpu_memory_bytes <= 6 * GIGABYTE + CONTEXT_BYTES


@pytest.mark.parametrize("who", ["the package", "a child", "a child that left its session"])
def test_who_takes_more_than_the_limit_is_killed(
    docker_client: docker.DockerClient, made: Callable[..., SandboxSpec], who: str
) -> None:
    takes = "Driver().take(6 * 10**9)\ntime.sleep(600)\nreturn 0.75"
    if who != "the package":
        leaves = "os.setsid()\n    " if "session" in who else ""
        takes = f"if os.fork() == 0:\n    {leaves}Driver().take(6 * 10**9)\n    time.sleep(600)\n" + (
            "time.sleep(600)\nreturn 0.75"
        )
    spec = made(takes, gpu_memory_bytes=4 * GIGABYTE)
    with DockerSandbox(docker_client).start(spec) as process:
        _ready(process)
        asked = time.monotonic()
        process.send(encode_predict(request_id="1", video="none"))
        with pytest.raises(ProcessEnded):
            process.receive(PATIENCE_SECONDS)
        print(f"{who}: killed {time.monotonic() - asked:.2f} s after it was asked", end="; ")
        facts = process.facts()
    assert (facts.running, facts.gpu_limit_exceeded, facts.oom_killed) == (False, True, False)
    assert facts.usage.peak_gpu_memory_bytes is not None
    assert facts.usage.peak_gpu_memory_bytes > 4 * GIGABYTE


def test_two_containers_never_share_a_gpu(
    docker_client: docker.DockerClient, made: Callable[..., SandboxSpec]
) -> None:
    spec = made("return 0.75 if Driver().take(10**9) else 0.25")
    sandbox = DockerSandbox(docker_client)
    with sandbox.start(spec) as process:
        _ready(process)
        assert _ask(process) == GRANTED
        with pytest.raises(ConfigError, match=r"GPU"), sandbox.start(made("return 0.75")):
            pass
        assert process.facts().running


def test_a_gpu_is_free_again_when_its_container_is_gone(
    docker_client: docker.DockerClient, made: Callable[..., SandboxSpec]
) -> None:
    spec = made("return 0.75 if Driver().take(8 * 10**9) else 0.25")
    for _ in range(3):  # the second and third start only if it is idle
        with DockerSandbox(docker_client).start(spec) as process:
            _ready(process)
            assert _ask(process) == GRANTED


def test_a_run_counts_the_video_that_took_too_much_and_goes_on(
    docker_client: docker.DockerClient,
    made: Callable[..., SandboxSpec],
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    stage: Stage,
    tmp_path: Path,
) -> None:
    videos = make_videos(3)
    greedy = "greedy = video.read_bytes()[0] == 1\nDriver().take(6 * 10**9 if greedy else 10**9)\n"
    spec = made(greedy + "time.sleep(600 if greedy else 0)\nreturn 0.75", gpu_memory_bytes=4 * GIGABYTE)
    header = header_of(videos=videos, limits=spec.limits, order_seed=1)
    with Journal(tmp_path / "outcomes.jsonl", header) as journal:
        run = run_set(
            sandbox=DockerSandbox(docker_client),
            spec=spec,
            stage=stage,
            videos=videos,
            order_seed=1,
            journal=journal,
            terms=Terms(limits=spec.limits),
        )
    kinds = sorted(outcome.kind for outcome in run.outcomes)
    assert kinds == [OutcomeKind.GPU_MEMORY_LIMIT, OutcomeKind.PREDICTED, OutcomeKind.PREDICTED]
    assert run.usage.gpu_level in {GpuLevel.SAMPLED, GpuLevel.HARD}
    assert run.verdict is Verdict.GPU_MEMORY_LIMIT  # a third of three is more than a tenth


def test_the_driver_that_the_meter_reads_is_the_real_one(gpu: str) -> None:
    assert gpu.startswith("GPU-")
    assert "gpu_stub" not in os.environ.get("LD_PRELOAD", "")
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    assert "nvml_stub" not in maps
    assert "libnvidia-ml" in maps
