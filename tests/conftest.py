"""What tests share: an engine, images, and tiny packages and videos.

A missing engine is a failure, never a skip: a suite that passes without a container says nothing.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Before numpy: the threads of a small matrix product wait for each other, and each test process has a core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import docker
import pytest
from hypothesis import HealthCheck, settings
from spread import LONG_MODULES, spread

from harness.core.locks import exclusive, machine_folder
from harness.core.types import ImageFacts, Limits, Mode, Mount, PreparedVideo, SandboxSpec
from harness.gateway.staging import Stage
from harness.image.base_image import BaseImage, ensure_base
from harness.sandbox import Backend
from harness.sandbox.docker.sandbox import DockerSandbox

TESTS = Path(__file__).parent
RUNNER = TESTS.parent / "harness" / "image" / "runtime" / "runner.py"
SLOW_MODULE = re.compile(r"^pytestmark = pytest\.mark\.slow\b", re.MULTILINE)
MEGABYTE = 1_000_000
# How long to wait for what must come: far longer than the slowest machine needs, and never waited out by a
# test that passes. What a test measures is never compared with it.
PATIENCE_SECONDS = 120.0
# How much longer than a quiet machine needs a limit is that a test waits out: more, only if it was too short.
PACES = (1.0, 6.0, 36.0)

# Inputs are judged by what they do to the code, not by how long this machine took to make or read them.
settings.register_profile(
    "patient", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

Eventually = Callable[[Callable[[], object]], bool]
Unhurried = Callable[[Callable[[float], object]], None]
MakePackage = Callable[..., Path]
MakeSpec = Callable[..., SandboxSpec]
MakeVideos = Callable[..., tuple[PreparedVideo, ...]]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out modules that are slow as a whole where no slow test is wanted: to import them takes long."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    return bool(SLOW_MODULE.search(collection_path.read_text(encoding="utf-8"))) or None


@pytest.hookimpl(trylast=True)  # of what is left to run
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the long modules begin first, where several processes share the tests."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if processes == 1:
        return
    modules: dict[str, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.path.relative_to(TESTS).as_posix(), []).append(item)
    items[:] = spread(modules, seconds=LONG_MODULES, processes=processes)


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
def unhurried() -> Unhurried:
    """Repeat what must be done within a limit of time, with ever longer limits, until this machine can do it.

    What is wrong with the code is wrong at every pace. The attempt gets a factor for all its times, and holds
    the promise with assertions.
    """

    def repeat(attempt: Callable[[float], object]) -> None:
        for pace in PACES[:-1]:
            with suppress(AssertionError):
                attempt(pace)
                return
        attempt(PACES[-1])

    return repeat


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
    base = ensure_base(docker_client, say=print)
    with exclusive(machine_folder() / "test-image"):  # of all workers, one builds it
        return _light_image_on(docker_client, base)


def _light_image_on(docker_client: docker.DockerClient, base: BaseImage) -> str:
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


def is_running(process_id: int) -> bool:
    """Tell whether a process is more than an entry that nobody has asked for yet."""
    with suppress(OSError):
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
        return state.rpartition(")")[2].split()[0] not in {"Z", "X"}
    return False


class OwnEngine:
    """A second engine, whose death harms nobody else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix://{folder}/s"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers; on a busy machine its own parts may miss each other."""
        for _ in range(3):
            if self._answers_after_a_start():
                return
            self.end(signal.SIGKILL)
        pytest.fail("the second engine does not answer:\n" + (self.folder / "log").read_text()[-2000:])

    def _answers_after_a_start(self) -> bool:
        arguments = ["--host", self.address, "--data-root", f"{self.folder}/data"]
        arguments += ["--exec-root", f"{self.folder}/x", "--pidfile", f"{self.folder}/pid"]
        arguments += ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        program = shutil.which("dockerd", path=path)
        assert program is not None, "an engine to kill: dockerd is not installed"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["unshare", "--net", program, *arguments],  # it would remove the bridge of the first
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"PATH": path},
            )
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            # By hand: the SDK leaves its sockets open where nobody answers.
            with socket.socket(socket.AF_UNIX) as line, suppress(OSError):
                line.settimeout(30)
                line.connect(f"{self.folder}/s")
                line.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
                if b"200 OK" in line.recv(4096):
                    return True
            if self._process.poll() is not None:
                return False
            time.sleep(0.1)
        return False

    @contextmanager
    def client(self) -> Iterator[docker.DockerClient]:
        client = docker.DockerClient(base_url=self.address, version="auto", timeout=300)
        try:
            yield client
        finally:
            client.close()

    def end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(timeout=180)
        if how is signal.SIGKILL:  # its other half may outlive it, and then keeps the next one out
            with suppress(OSError, ValueError):
                other_half = int((self.folder / "x" / "containerd" / "containerd.pid").read_text())
                if str(self.folder) in Path(f"/proc/{other_half}/cmdline").read_text():
                    os.kill(other_half, signal.SIGKILL)
                    deadline = time.monotonic() + 60
                    while is_running(other_half) and time.monotonic() < deadline:
                        time.sleep(0.01)


@pytest.fixture
def fresh_engine() -> Iterator[OwnEngine]:
    """A second engine that has no image yet, and whose death harms nobody else. It takes root."""
    folder = Path(tempfile.mkdtemp(prefix="he-", dir="/tmp"))  # short: the names of sockets are
    engine = OwnEngine(folder)
    try:
        # In memory: to remove an image's thousands of files from a disk takes longer than a test.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", str(folder)], check=True)
        engine.start()
        yield engine
    finally:
        engine.end(signal.SIGTERM)
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        for mount in sorted((line.split()[1] for line in mounts if str(folder) in line), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(folder, ignore_errors=True)
