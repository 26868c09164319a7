"""What tests share: an engine, images, and tiny packages and videos.

A missing engine is a failure, never a skip: a suite that passes without a container says nothing.
"""

from __future__ import annotations

import hashlib
import io
import secrets
import signal
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from hypothesis import HealthCheck, settings

from harness.core.types import ImageFacts, Limits, Mode, Mount, PreparedVideo, SandboxSpec
from harness.gateway.staging import Stage
from harness.sandbox import Backend
from harness.sandbox.docker.sandbox import DockerSandbox

RUNNER = Path(__file__).parent.parent / "harness" / "image" / "runtime" / "runner.py"
MEGABYTE = 1_000_000
# How long to wait for what must come: far longer than the slowest machine needs, and never waited out by a
# test that passes. What a test measures is never compared with it.
PATIENCE_SECONDS = 120.0

# Inputs are judged by what they do to the code, not by how long this machine took to make or read them.
settings.register_profile(
    "patient", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

Eventually = Callable[[Callable[[], object]], bool]
MakePackage = Callable[..., Path]
MakeSpec = Callable[..., SandboxSpec]
MakeVideos = Callable[..., tuple[PreparedVideo, ...]]


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Let what the tests start hear Ctrl-C, also where the suite itself runs in a shell's background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Wait until something is so that comes about by itself; tells whether it ever was."""

    def wait(condition: Callable[[], object]) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (met := bool(condition())) and time.monotonic() < deadline:
            time.sleep(0.02)
        return met

    return wait


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=300)
    try:
        client.ping()
    except Exception as error:  # whatever is wrong with the engine, this is what the developer must read
        pytest.fail(f"these tests need a container engine: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def light_image(docker_client: docker.DockerClient) -> str:
    """The base of the runtime image and the runner, nothing else: built in a second, no torch."""
    from harness.image.base_image import ensure_base

    base = ensure_base(docker_client, say=print)
    dockerfile = f"FROM {base.name}\nCOPY runner.py /opt/harness/runner.py\n".encode()
    digest = hashlib.sha256(dockerfile + RUNNER.read_bytes() + base.image_id.encode()).hexdigest()[:12]
    tag = f"blackbox-video-harness/test:{digest}"
    try:
        return str(docker_client.images.get(tag).id)
    except docker.errors.ImageNotFound:
        pass
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, data in (("Dockerfile", dockerfile), ("runner.py", RUNNER.read_bytes())):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    context.seek(0)
    image, _ = docker_client.images.build(
        fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True, pull=False
    )
    return str(image.id)


@pytest.fixture(scope="session")
def light_backend(docker_client: docker.DockerClient, light_image: str) -> Backend:
    """Containers of the light image."""
    facts = ImageFacts(label="light", digest=light_image, variant="cpu")
    return Backend(sandbox=DockerSandbox(docker_client), image=facts, engine="Docker")


@pytest.fixture(scope="session")
def runtime_image(docker_client: docker.DockerClient) -> str:
    """The real runtime image, with all that contestants expect."""
    from harness.image.runtime_image import ensure_image

    return ensure_image(docker_client, say=print).reference


@pytest.fixture
def make_package(tmp_path: Path) -> MakePackage:
    """Make a stream package from the body of its `predict`, or from a whole module."""

    def make(
        predict: str = "return 0.25",
        *,
        module: str | None = None,
        manifest: str = 'name = "test"\nentry = "predictor:Predictor"\n',
        files: dict[str, str] | None = None,
    ) -> Path:
        folder = tmp_path / f"package-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        if module is None:
            body = "\n".join(f"        {line}" for line in predict.splitlines())
            module = (
                "import json, math, os, pathlib, signal, subprocess, sys, threading, time\n"
                "class Predictor:\n"
                "    def __init__(self, package):\n"
                "        self.package, self.count = package, 0\n"
                "    def predict(self, video):\n"
                "        self.count += 1\n"
                f"{body}\n"
            )
        for name, text in {"submission.toml": manifest, "predictor.py": module, **(files or {})}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        return folder

    return make


@pytest.fixture
def make_videos(tmp_path: Path) -> MakeVideos:
    """Make files that stand for videos; the first byte of each is its number."""

    def make(count: int = 3, *, size: int = 1000, suffix: str = ".mp4") -> tuple[PreparedVideo, ...]:
        folder = tmp_path / f"videos-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        videos = []
        for number in range(count):
            path = folder / f"v{number:03d}{suffix}"
            path.write_bytes(bytes([number % 256]) * size)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            videos.append(
                PreparedVideo(video_id=path.name, path=path, source_id=f"secret_{number}.mp4", sha256=digest)
            )
        return tuple(videos)

    return make


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as folder:
        yield folder


@pytest.fixture
def make_spec(stage: Stage) -> MakeSpec:
    """Describe a run of a package under small limits; keyword arguments replace single limits.

    The clocks are generous: a test that is about one sets it. Each run has a name of its own, so that what a
    test finds on the engine is not another worker's.
    """

    def make(package: Path, *, image: str = "none", mode: Mode = Mode.STREAM, **limits: float) -> SandboxSpec:
        small = {
            "startup_seconds": PATIENCE_SECONDS,
            "video_seconds": PATIENCE_SECONDS,
            "mean_video_seconds": PATIENCE_SECONDS,
            "cpus": 1.0,
            "memory_bytes": 128 * MEGABYTE,
            "pids": 64,
            "tmp_bytes": 16 * MEGABYTE,
            "tmp_inodes": 1000,
            "shm_bytes": 16 * MEGABYTE,
            "file_bytes": 8 * MEGABYTE,
            "open_files": 256,
            "log_bytes": MEGABYTE,
            "restarts": 2,
            "gpus": 0,
        }
        return SandboxSpec(
            run_id=f"test-{secrets.token_hex(6)}",
            image=image,
            package=Mount(source=package, target="/package"),
            videos=Mount(source=stage.videos, target="/videos"),
            limits=Limits(**(small | limits)),  # type: ignore[arg-type]  # whole numbers stay whole
            mode=mode,
        )

    return make
