"""`make test-engines`: the contract and the hostile suite on Podman (as root) and on gVisor.

    python -m tests.engines [podman] [gvisor] [--contract]

Each engine is started here, with storage and a socket of its own, and ended afterwards; the machine's own
Docker is left alone. Prints a line for each engine and suite; what cannot be started says why, and fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

SUITES = {
    "contract": ["tests/contract/test_sandbox.py", "-k", "docker"],
    "hostile": ["tests/integration/test_hostile.py", "-k", "comes_to_what"],
}
READY_SECONDS = 120.0
# Where the highest allowed limits may not be raised, Podman's own defaults are above them.
PODMAN = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
init_path = "{init}"
[engine]
cgroup_manager = "cgroupfs"
"""


@contextlib.contextmanager
def podman(folder: Path) -> Iterator[str]:
    """Podman's service for Docker's API, as root, on runc: crun refuses both kinds of cgroups at once."""
    init = shutil.which("catatonit") or "/usr/libexec/podman/catatonit"
    (folder / "containers.conf").write_text(PODMAN.format(init=init))
    command = [
        *("podman", "--root", str(folder / "storage"), "--runroot", str(folder / "run")),
        *(
            "--storage-driver",
            "vfs",
            "--cgroup-manager",
            "cgroupfs",
            "--runtime",
            shutil.which("runc") or "runc",
        ),
        *("system", "service", "--time", "0", f"unix://{folder / 'sock'}"),
    ]
    environment = os.environ | {"CONTAINERS_CONF": str(folder / "containers.conf")}
    with started(command, folder, environment) as url:
        yield url


@contextlib.contextmanager
def gvisor(folder: Path) -> Iterator[str]:
    """A Docker engine of its own whose containers are gVisor's."""
    runtimes = {"runsc": {"path": shutil.which("runsc") or "runsc", "runtimeArgs": ["--network=none"]}}
    (folder / "daemon.json").write_text(json.dumps({"default-runtime": "runsc", "runtimes": runtimes}))
    command = [
        *("dockerd", "--config-file", str(folder / "daemon.json"), "--data-root", str(folder / "data")),
        *("--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")),
        *("--host", f"unix://{folder / 'sock'}", "--bridge", "none", "--iptables=false", "--ip6tables=false"),
        *(
            "--containerd-namespace",
            f"test-{os.getpid()}",
            "--containerd-plugins-namespace",
            f"plugins-{os.getpid()}",
        ),
    ]
    with started(command, folder, dict(os.environ)) as url:
        yield url


ENGINES: dict[str, Callable[[Path], AbstractContextManager[str]]] = {"podman": podman, "gvisor": gvisor}


@contextlib.contextmanager
def started(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Start an engine, wait until it answers, and end it.

    Raises:
        RuntimeError: it does not answer; with the end of what it said.
    """
    log = folder / "log"
    with log.open("wb") as stream:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment
        )
    url = f"unix://{folder / 'sock'}"
    try:
        deadline = time.monotonic() + READY_SECONDS
        while subprocess.run(["docker", "-H", url, "info"], capture_output=True, check=False).returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"does not answer: {log.read_text(errors='replace')[-600:]}")
            time.sleep(0.5)
        yield url
    finally:
        server.terminate()
        server.wait()


def bring_images(url: str) -> None:
    """Give the engine the images that the tests need, which the machine's own engine has."""
    listed = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    wanted = [
        name
        for name in listed
        if name.startswith(("blackbox-video-harness/base", "blackbox-video-harness/test"))
    ]
    with subprocess.Popen(["docker", "save", *wanted], stdout=subprocess.PIPE) as save:
        subprocess.run(["docker", "-H", url, "load"], stdin=save.stdout, capture_output=True, check=True)


def main() -> int:
    names = [name for name in sys.argv[1:] if name in ENGINES] or list(ENGINES)
    suites = ["contract"] if "--contract" in sys.argv else list(SUITES)
    failed = False
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"engine-{name}-", ignore_cleanup_errors=True) as folder:
            try:
                with ENGINES[name](Path(folder)) as url:
                    bring_images(url)
                    for suite in suites:
                        command = [
                            sys.executable,
                            "-m",
                            "pytest",
                            "-q",
                            "-p",
                            "no:cacheprovider",
                            *SUITES[suite],
                        ]
                        done = subprocess.run(
                            command,
                            env=os.environ | {"DOCKER_HOST": url},
                            capture_output=True,
                            text=True,
                            check=False,
                        )
                        lines = done.stdout.strip().splitlines()
                        broken = [line for line in lines if line.startswith("FAILED")]
                        print(
                            f"{name}, {suite}: {lines[-1] if lines else done.stderr[-300:]}",
                            *broken,
                            sep="\n  ",
                        )
                        failed = failed or done.returncode != 0
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                print(f"{name}: {error}")
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
