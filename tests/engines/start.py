"""Starts container engines for the tests, each with storage and a socket of its own, and ends them."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

READY_SECONDS = 120.0
ROOTLESS = "podman-rootless"
USER = "harness-rootless"  # made if it is missing: a rootless engine needs a user with subordinate ids
AS_USER = ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups"]
# Where the highest allowed limits may not be raised, Podman's own defaults are above them.
PODMAN = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
init_path = "{init}"
[engine]
cgroup_manager = "{manager}"
"""
UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers").exists()


@contextlib.contextmanager
def podman(folder: Path) -> Iterator[str]:
    """Podman's service for Docker's API, as root, on runc: crun refuses both kinds of cgroups at once."""
    try:
        with started(_podman(folder, "overlay"), folder, _conf(folder)) as url:
            yield url
    finally:  # Podman mounts it on itself, and leaves it so
        subprocess.run(["umount", str(folder / "storage" / "overlay")], capture_output=True, check=False)


@contextlib.contextmanager
def podman_rootless(folder: Path) -> Iterator[str]:
    """The same as a user who is not root."""
    user = rootless_user()
    os.chown(folder, user.pw_uid, user.pw_gid)
    environment = {"HOME": user.pw_dir, "XDG_RUNTIME_DIR": str(folder)}
    manager, driver = "cgroupfs", "vfs"
    if UNIFIED:
        manager, driver = "systemd", "overlay"  # whose kernels know overlays of a user's own, too
        subprocess.run(["loginctl", "enable-linger", USER], check=True, capture_output=True)
        session = Path(f"/run/user/{user.pw_uid}")
        environment["XDG_RUNTIME_DIR"] = str(session)
        environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={session}/bus"
        deadline = time.monotonic() + READY_SECONDS
        while not (session / "bus").exists():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{USER} gets no session of systemd's, which makes its control groups")
            time.sleep(0.2)
    command = [*AS_USER, *_podman(folder, driver, manager)]
    with started(command, folder, _conf(folder, manager) | environment) as url:
        yield url


def rootless_user() -> pwd.struct_passwd:
    """Return the user of a rootless engine; it is made if it is missing."""
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", "--create-home", USER], check=True, capture_output=True)
        return pwd.getpwnam(USER)


@contextlib.contextmanager
def gvisor(folder: Path) -> Iterator[str]:
    """A Docker engine of its own whose containers are gVisor's."""
    runtimes = {"runsc": {"path": shutil.which("runsc") or "runsc", "runtimeArgs": ["--network=none"]}}
    (folder / "daemon.json").write_text(json.dumps({"default-runtime": "runsc", "runtimes": runtimes}))
    names = ("--containerd-namespace", f"test-{os.getpid()}")
    plugins = ("--containerd-plugins-namespace", f"plugins-{os.getpid()}")
    command = [
        *(
            "unshare",
            "--net",
            "dockerd",
            "--config-file",
            str(folder / "daemon.json"),
            "--data-root",
            str(folder / "data"),
        ),
        *("--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")),
        *("--host", f"unix://{folder / 'sock'}", "--bridge", "none", "--iptables=false", "--ip6tables=false"),
        *(*names, *plugins),
    ]
    with started(command, folder, dict(os.environ)) as url:
        yield url


ENGINES: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "podman": podman,
    "podman-rootless": podman_rootless,
    "gvisor": gvisor,
}


def _podman(folder: Path, driver: str, manager: str = "cgroupfs") -> list[str]:
    places = ("--root", str(folder / "storage"), "--runroot", str(folder / "run"))
    how = ("--storage-driver", driver, "--cgroup-manager", manager)
    runtime = ("--runtime", shutil.which("runc") or "runc")
    service = ("system", "service", "--time", "0", f"unix://{folder / 'sock'}")
    return ["podman", *places, *how, *runtime, *service]


def _conf(folder: Path, manager: str = "cgroupfs") -> dict[str, str]:
    init = shutil.which("catatonit") or "/usr/libexec/podman/catatonit"
    (folder / "containers.conf").write_text(PODMAN.format(init=init, manager=manager))
    return os.environ | {"CONTAINERS_CONF": str(folder / "containers.conf")}


@contextlib.contextmanager
def started(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Start an engine, wait until it answers, and end it.

    Raises:
        RuntimeError: it does not answer; with the end of what it said.
    """
    log = folder / "log"
    with log.open("wb") as stream:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment, cwd=folder
        )  # in its own folder: Podman's monitor leaves a file named `oom` where it was started
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
