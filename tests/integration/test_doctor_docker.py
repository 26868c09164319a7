"""The doctor against a real engine: our walls pass, and a container without them does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker
import pytest

import harness.diagnose.doctor
from harness.core.errors import SandboxError
from harness.core.types import Limits, Mount, SandboxSpec
from harness.diagnose.doctor.checkup import Level, Patient, examine
from harness.diagnose.doctor.engine import ENGINE_CHECKS
from harness.diagnose.doctor.inside import MARK, judge_failure, judge_probe, parse_probe, run_probe
from harness.sandbox.docker.sandbox import DockerSandbox

MakePackage = Callable[..., Path]
MakeSpec = Callable[..., SandboxSpec]

pytestmark = pytest.mark.docker

PROBE = Path(harness.diagnose.doctor.__file__).parent / "packages" / "probe" / "probe.py"
LIMITS = Limits(cpus=1.0, memory_bytes=256_000_000, tmp_bytes=16_000_000, shm_bytes=16_000_000, gpus=0)


@pytest.fixture
def patient(docker_client: docker.DockerClient, tmp_path: Path) -> Patient:
    return Patient(connect=lambda: docker_client, limits=LIMITS, cache=tmp_path, temporary=tmp_path)


def test_a_container_of_ours_has_every_wall(
    docker_client: docker.DockerClient, light_image: str, tmp_path: Path
) -> None:
    facts = run_probe(docker_client, light_image, limits=LIMITS, temporary=tmp_path, token="seen")
    assert {one.check: one.level for one in judge_probe(facts, limits=LIMITS, token="seen")} == {
        "bind mounts": Level.OK,
        "seccomp": Level.OK,
        "walls": Level.OK,
        "memory limit": Level.OK,
    }
    assert facts.keyctl_blocked
    assert list(tmp_path.iterdir()) == []


def test_a_container_without_walls_is_found_out(docker_client: docker.DockerClient, light_image: str) -> None:
    program = f"{PROBE.read_text(encoding='utf-8')}\nPredictor(Path('/tmp'))\n"
    said = docker_client.containers.run(
        light_image, ["-c", program], entrypoint="python3", network_mode="host",
        environment={"HARNESS_VIDEOS": "/tmp"}, security_opt=["seccomp=unconfined"],
        remove=True, stderr=True, stdout=False,
    )  # fmt: skip
    assert MARK in said.decode()
    facts = parse_probe(said.decode())
    found = {one.check: one.level for one in judge_probe(facts, limits=LIMITS, token="never staged")}
    assert found == dict.fromkeys(("bind mounts", "seccomp", "walls", "memory limit"), Level.FAILURE)


def test_an_engine_that_does_not_see_our_folders_is_named_as_such(
    docker_client: docker.DockerClient, light_image: str, make_package: MakePackage, make_spec: MakeSpec
) -> None:
    elsewhere = Mount(source=Path("/nowhere-on-the-engine-s-machine"), target="/videos")
    spec = replace(make_spec(make_package(), image=light_image), videos=elsewhere)
    with pytest.raises(SandboxError) as caught, DockerSandbox(docker_client).start(spec):
        pass
    assert judge_failure(caught.value).check == "bind mounts"


def test_the_engine_s_checks_all_answer(patient: Patient) -> None:
    checkup = examine(
        replace(patient, connect=docker.from_env), host=(), engine=ENGINE_CHECKS, say=lambda text: None
    )
    assert {"engine", "runc", "containerd", "control groups", "limits", "leftovers", "user namespace"} <= {
        one.check for one in checkup.diagnoses
    }
    assert "engine failed" not in " ".join(one.message for one in checkup.diagnoses)
