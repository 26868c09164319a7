"""What engines say of themselves, and what follows for the containers started on them."""

from __future__ import annotations

from typing import Any

import pytest

from harness.sandbox.docker.engine_facts import facts_of

# As they answered: Docker 20.10 and 28.2, Podman 4.3 as root and rootless.
DOCKER = {"Components": [{"Name": "Engine"}, {"Name": "containerd"}, {"Name": "runc"}]}
PODMAN = {"Components": [{"Name": "Podman Engine"}, {"Name": "Conmon"}]}
ROOTLESS_DOCKER = {"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}


@pytest.mark.parametrize(("version", "podman"), [(DOCKER, False), (PODMAN, True), ({}, False)])
def test_podman_is_recognised(version: dict[str, Any], podman: bool) -> None:
    assert facts_of(version, {"CgroupVersion": "1"}).podman is podman


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"CgroupVersion": "1", "CgroupDriver": "cgroupfs"}, ""),
        ({"CgroupVersion": "2", "Rootless": True}, ""),
        (ROOTLESS_DOCKER | {"CgroupVersion": "2", "CgroupDriver": "systemd"}, ""),
        (ROOTLESS_DOCKER | {"CgroupVersion": "1", "CgroupDriver": "none"}, "no control groups"),
        ({"CgroupVersion": "1", "CgroupDriver": "cgroupfs", "Rootless": True}, "rootless"),
        ({"Rootless": True}, "rootless"),
    ],
)
def test_an_engine_without_limits_is_recognised(info: dict[str, Any], words: str) -> None:
    found = facts_of(PODMAN, info).no_limits
    assert words in found
    assert bool(found) is bool(words)


RUNC = {"runc": {"path": "runc"}}
RUNSC = RUNC | {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs": ["--network=none"]}}


@pytest.mark.parametrize(
    ("info", "runtime", "gvisor"),
    [
        ({"DefaultRuntime": "runc", "Runtimes": RUNC}, None, False),
        ({"DefaultRuntime": "runc", "Runtimes": RUNSC}, None, False),
        ({"DefaultRuntime": "runc", "Runtimes": RUNSC}, "runsc", True),
        ({"DefaultRuntime": "runsc", "Runtimes": RUNSC}, None, True),
        ({"DefaultRuntime": "runsc", "Runtimes": RUNSC}, "runc", False),
        ({"DefaultRuntime": "walled", "Runtimes": {"walled": {"path": "/opt/runsc"}}}, None, True),
        ({"Runtimes": {"walled": {"runtimeType": "io.containerd.runsc.v1"}}}, "walled", True),
        ({"DefaultRuntime": "runc", "Runtimes": RUNC}, "io.containerd.runsc.v1", True),
        ({"DefaultRuntime": "crun", "Runtimes": {"crun": None}}, None, False),
        ({"DefaultRuntime": "runc", "Runtimes": {"runc": {"path": "/opt/runsc/bin/runc"}}}, None, False),
        ({}, None, False),
    ],
)
def test_gvisor_is_recognised_as_the_default_and_by_name(
    info: dict[str, Any], runtime: str | None, gvisor: bool
) -> None:
    assert facts_of(DOCKER, info).runs_on_gvisor(runtime) is gvisor
