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
