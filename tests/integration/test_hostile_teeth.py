"""The suite can fail: with a protection removed, its attack gets through and is seen to.

Never removed here are the limits of memory and of forks: the machine of the tests would be what is attacked.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import pytest

import harness.sandbox.docker.sandbox
from harness.diagnose.selfcheck.attack import Target, attack
from harness.diagnose.selfcheck.behaviour import Behaviour, core_behaviours, load_behaviours
from harness.diagnose.selfcheck.judge import judge
from harness.sandbox import Backend
from harness.sandbox.docker.hardening import container_options
from harness.sandbox.process import ProcessSandbox

pytestmark = pytest.mark.docker

PACKAGES = Path(__file__).parents[1] / "packages"
BEHAVIOURS = {one.name: one for one in (*core_behaviours(), *load_behaviours(PACKAGES))}
Json = dict[str, Any]


def broken(behaviour: Behaviour, target: Target) -> set[str]:
    """Attack, and return what did not hold. Processes that got away are ended."""
    observed = attack(behaviour, target)
    for process in observed.processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return {check.name for check in judge(behaviour, observed) if not check.held}


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("network_tcp", {"answers", "no packet"}),
        ("write_root", {"answers", "no file"}),
        ("read_labels", {"answers"}),
        ("setsid_daemon", {"no process"}),
        ("persist_between_sets", {"answers"}),
        ("abstract_socket", {"answers", "no packet"}),
    ],
)
def test_without_a_sandbox_the_attack_is_seen(name: str, seen: set[str]) -> None:
    target = Target(backend=Backend(sandbox=ProcessSandbox()), client=None)
    assert broken(BEHAVIOURS[name], target) >= seen


def set_host(**changes: Any) -> Callable[[Json], None]:
    return lambda options: options["HostConfig"].update(changes)


def drop_tmpfs_option(prefix: str) -> Callable[[Json], None]:
    def change(options: Json) -> None:
        tmpfs = options["HostConfig"]["Tmpfs"]
        for place, flags in tmpfs.items():
            tmpfs[place] = ",".join(flag for flag in flags.split(",") if not flag.startswith(prefix))

    return change


def without_seccomp(options: Json) -> None:
    options["HostConfig"]["SecurityOpt"] = ["no-new-privileges", "seccomp=unconfined"]


def with_writable_mounts(options: Json) -> None:
    for mount in options["HostConfig"]["Mounts"]:
        mount["ReadOnly"] = False
    options["User"] = "0:0"


def without_ulimits(options: Json) -> None:
    options["HostConfig"]["Ulimits"] = []


def as_root(options: Json) -> None:
    options["User"] = "0:0"
    options["HostConfig"]["CapDrop"] = []


def with_a_network(options: Json) -> None:
    options["NetworkDisabled"] = False
    options["HostConfig"]["NetworkMode"] = "host"


def all_of(*changes: Callable[[Json], None]) -> Callable[[Json], None]:
    def change(options: Json) -> None:
        for one in changes:
            one(options)

    return change


@pytest.mark.parametrize(
    ("name", "weaken", "seen"),
    [
        ("network_tcp", with_a_network, {"answers", "no packet"}),
        ("abstract_socket", with_a_network, {"answers", "no packet"}),
        ("io_uring", without_seccomp, {"answers"}),
        ("userns", without_seccomp, {"answers"}),
        ("network_vsock", without_seccomp, {"answers"}),
        ("zombies", set_host(PidsLimit=0), {"answers"}),
        ("tmpfs_bytes", drop_tmpfs_option("size="), {"answers"}),
        ("tmpfs_inodes", drop_tmpfs_option("nr_inodes="), {"answers"}),
        ("large_file", without_ulimits, {"answers"}),
        ("open_files", without_ulimits, {"answers"}),
        ("write_package", with_writable_mounts, {"answers"}),
        ("write_video", with_writable_mounts, {"answers"}),
        ("write_root", all_of(as_root, set_host(ReadonlyRootfs=False)), {"answers"}),
        ("chroot", all_of(as_root, without_seccomp), {"answers"}),
        ("become_root", as_root, {"answers"}),
    ],
)
def test_without_its_protection_the_attack_is_seen(
    name: str,
    weaken: Callable[[Json], None],
    seen: set[str],
    docker_client: docker.DockerClient,
    light_backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def weakened(*args: Any, **kwargs: Any) -> Json:
        options = container_options(*args, **kwargs)
        weaken(options)
        return options

    monkeypatch.setattr(harness.sandbox.docker.sandbox, "container_options", weakened)
    target = Target(backend=light_backend, client=docker_client)
    assert broken(BEHAVIOURS[name], target) >= seen
