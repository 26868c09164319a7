"""`make test-engines`: the contract and the hostile suite on other engines than Docker with runc.

    python -m tests.engines [podman] [podman-rootless] [gvisor] [--contract] [--part 2/5] [--costs]

Each engine is started here, with storage and a socket of its own, and ended afterwards; the machine's own
Docker is left alone. Prints a line for each engine and suite, and what a start and an answer cost there. What
cannot be started says why, and fails. A rootless engine on control groups of version 1 can hold a package to
no limit: there the one right thing is that the harness refuses it, and that is what is tried. On version 2 it
needs systemd, whose user session it makes its groups in; its suites run as its own user. `--part 2/5`
tries the second fifth of the hostile suite and nothing else; `--costs` measures, the machine's own too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import docker

from harness.core.errors import SandboxError
from harness.sandbox.docker.engine_facts import facts_of
from tests.engines.costs import light_image, measure

SUITES = {
    "contract": ["tests/contract/test_sandbox.py", "-k", "docker"],
    "hostile": ["tests/integration/test_hostile.py", "-k", "comes_to_what"],
}
# What an engine cannot do, as the table in SECURITY.md says: left out here, and said each time.
_GVISOR = (
    # Its own threads count against the limit of processes.
    *("fork_bomb", "setsid_daemon", "busy_threads", "frozen_children", "many_processes_honest", "socket_hog"),
    "zombies",
    # Its own kernel answers, or says less of itself.
    *("io_uring", "userns", "make_device", "become_root", "raise_priority", "system_v_memory"),
    *("ram_hog_quiet_child", "tmpfs_inodes"),
)
KNOWN = {
    "podman": {"hostile": " and not tmpfs_inodes"},
    "gvisor": {"hostile": f" and not ({' or '.join(_GVISOR)})"},
}
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
READY_SECONDS = 120.0
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
    parts = ("blackbox-video-harness/base", "blackbox-video-harness/test")
    wanted = [name for name in listed if name.startswith(parts)]
    with subprocess.Popen(["docker", "save", *wanted], stdout=subprocess.PIPE) as save:
        subprocess.run(["docker", "-H", url, "load"], stdin=save.stdout, capture_output=True, check=True)


def refuses(client: docker.DockerClient, why: str) -> str:
    """Say that the harness refuses an engine without limits.

    Raises:
        RuntimeError: it does not.
    """
    try:
        measure(client, "none")
    except SandboxError as error:
        if why in error.message:
            return f"refused, as it must be: {error.message}"
        raise
    raise RuntimeError("an engine that can hold a package to no limit was used")


def chosen_tests(name: str, suite: str, part: str) -> list[str]:
    """Name the tests of a suite that this engine is held to: all, or one part of so many."""
    *words, which = SUITES[suite]
    which += KNOWN.get(name, {}).get(suite, "")
    if not part:
        return [*words, which]
    listed = subprocess.run(
        [*PYTEST, "--collect-only", *words, which], capture_output=True, text=True, check=True
    )
    tests = [line for line in listed.stdout.splitlines() if "::" in line]
    number, parts = (int(word) for word in part.split("/"))
    return tests[number - 1 :: parts]


def try_on(name: str, url: str, suites: list[str], part: str) -> bool:
    """Run the suites on an engine; tells whether all passed."""
    client = docker.DockerClient(base_url=url, timeout=300)
    why = facts_of(client.version(), client.info()).no_limits
    if why:
        print(f"{name}: {refuses(client, why)}")
        return True
    bring_images(url)
    well = True
    for suite in suites:
        command = [*PYTEST, *chosen_tests(name, suite, part)]
        environment = os.environ | {"DOCKER_HOST": url}
        if name == "podman-rootless":  # it can mount only what its user can read, as a harness of that user's
            command = [*AS_USER, *command]
            home = rootless_user().pw_dir
            environment |= {"HOME": home, "HYPOTHESIS_STORAGE_DIRECTORY": f"{home}/hypothesis"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        lines = done.stdout.strip().splitlines()
        broken = [line for line in lines if line.startswith("FAILED")]
        said = lines[-1] if lines else done.stderr[-300:]
        what = f"{suite}{KNOWN.get(name, {}).get(suite, '')}{f', part {part}' if part else ''}"
        print(f"{name}, {what}: {said}", *broken, sep="\n  ", flush=True)
        well = well and done.returncode == 0
    print(f"{name}, costs: {json.dumps(measure(client, light_image(client)))}", flush=True)
    return well


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "engines", nargs="*", metavar="ENGINE", help=f"of {', '.join(ENGINES)}; all by default"
    )
    parser.add_argument("--contract", action="store_true", help="not the hostile suite")
    parser.add_argument("--part", default="", metavar="N/OF", help="of the hostile suite, and nothing else")
    parser.add_argument("--costs", action="store_true", help="no suite")
    asked = parser.parse_args()
    unknown = set(asked.engines) - set(ENGINES)
    if unknown:
        parser.error(f"no engine {', '.join(sorted(unknown))}; there are {', '.join(ENGINES)}")
    suites = ["contract"] if asked.contract else ["hostile"] if asked.part else list(SUITES)
    if asked.costs:
        suites, own = [], docker.from_env(timeout=300)
        print(f"docker, costs: {json.dumps(measure(own, light_image(own)))}", flush=True)
    failed = False
    for name in asked.engines or list(ENGINES):
        with tempfile.TemporaryDirectory(prefix=f"engine-{name}-", ignore_cleanup_errors=True) as folder:
            try:
                with ENGINES[name](Path(folder)) as url:
                    failed = not try_on(name, url, suites, asked.part) or failed
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                print(f"{name}: {error}")
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
