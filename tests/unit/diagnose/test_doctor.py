"""What the doctor makes of what it sees: every sick machine gets its line, a healthy one none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from harness.cli.documents.machine import DoctorDocument
from harness.cli.views.doctor import render_checkup
from harness.core.errors import EngineUnavailableError, SandboxError
from harness.core.types import Limits
from harness.diagnose.doctor.checkup import Checkup, Diagnosis, Level, Patient, examine, fails, warns, well
from harness.diagnose.doctor.engine import component_holes, judge_leftovers, version_holes
from harness.diagnose.doctor.holes import KNOWN_HOLES, holes_of, is_distribution_build, version_of
from harness.diagnose.doctor.host import (
    HOST_CHECKS,
    judge_clock,
    judge_memory,
    judge_noise,
    judge_staging,
    mount_options,
    nearest,
)
from harness.diagnose.doctor.inside import NO_SOURCE, ProbeFacts, judge_failure, judge_probe
from harness.sandbox.docker.owner import Owner
from harness.sandbox.docker.sandbox import OWNER_LABEL

GIGABYTE = 10**9
LIMITS = Limits(memory_bytes=13 * GIGABYTE)
HEALTHY = ProbeFacts(
    seccomp_mode="2",
    no_new_privileges="1",
    capabilities="0" * 48,
    user=10001,
    keyctl_blocked=True,
    interfaces=("lo",),
    root_read_only=True,
    package_read_only=True,
    token="t",
    memory_limit="12999999488",  # the kernel rounds down to pages
    swap_limit="12999999488",
    swap_max="",
    user_map="0 0 4294967295",
)


def levels(found: object) -> dict[str, Level]:
    assert hasattr(found, "__iter__")
    return {one.check: one.level for one in found}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1.1.5", {"CVE-2024-21626", "CVE-2025-31133"}),
        ("1.1.11", {"CVE-2024-21626", "CVE-2025-31133"}),
        ("1.1.12", {"CVE-2025-31133"}),
        ("1.2.0", {"CVE-2025-31133"}),
        ("1.2.7", {"CVE-2025-31133"}),
        ("1.2.8", set()),
        ("1.3.2", {"CVE-2025-31133"}),
        ("1.3.3", set()),
        ("1.4.0", set()),
        ("2.0.0", set()),
    ],
)
def test_a_runc_has_the_holes_of_its_branch(text: str, names: set[str]) -> None:
    version = version_of(text)
    assert version is not None
    assert {hole.names[0] for hole in holes_of("runc", version)} == names


@pytest.mark.parametrize(
    ("text", "count"),
    [("1.16.1", 3), ("1.16.2", 2), ("1.17.3", 2), ("1.17.4", 1), ("1.17.8", 0), ("1.18.0", 0)],
)
def test_a_toolkit_has_the_holes_below_their_repairs(text: str, count: int) -> None:
    version = version_of(f"NVIDIA Container Toolkit CLI version {text}")
    assert version is not None
    assert len(holes_of("NVIDIA Container Toolkit", version)) == count


def test_every_hole_has_a_cve_and_its_repairs_in_order() -> None:
    for hole in KNOWN_HOLES:
        assert all(name.startswith("CVE-20") for name in hole.names)
        assert list(hole.fixed) == sorted(hole.fixed)
        assert len({good[:2] for good in hole.fixed}) == len(hole.fixed)


@pytest.mark.parametrize(
    ("text", "build", "level"),
    [
        ("1.1.5", "v1.1.5-0-gf19387a6", Level.FAILURE),
        ("1.1.5+ds1", "1.1.5+ds1-1+deb12u1", Level.WARNING),
        ("1.1.4-0ubuntu1~22.04.3", "", Level.WARNING),
        ("1.3.3", "v1.3.3-0-gd842d771", Level.OK),
        ("unknown", "", Level.WARNING),
        ("", "", Level.WARNING),
    ],
)
def test_a_distribution_s_build_is_never_called_broken_by_its_number(
    text: str, build: str, level: Level
) -> None:
    assert {one.level for one in version_holes("runc", text, build)} == {level}


def test_a_hole_for_local_users_alone_is_a_warning() -> None:
    assert {one.level for one in version_holes("containerd", "1.7.27")} == {Level.WARNING}


@pytest.mark.parametrize("text", ["v1.2.5-0-g59923ef", "1.7.27", "20.10.24"])
def test_an_upstream_build_is_not_taken_for_a_distribution_s(text: str) -> None:
    assert not is_distribution_build(text)


def test_a_part_that_the_engine_does_not_list_is_said_to_be_unknown() -> None:
    assert levels(component_holes([])) == {"runc": Level.WARNING, "containerd": Level.WARNING}


def test_a_healthy_container_has_no_complaint() -> None:
    assert set(levels(judge_probe(HEALTHY, limits=LIMITS, token="t")).values()) == {Level.OK}


@pytest.mark.parametrize(
    ("sick", "check"),
    [
        ({"seccomp_mode": "0"}, "seccomp"),
        ({"seccomp_mode": ""}, "seccomp"),
        ({"keyctl_blocked": False}, "seccomp"),
        ({"no_new_privileges": "0"}, "walls"),
        ({"capabilities": "00000000a80425fb" * 3}, "walls"),
        ({"user": 0}, "walls"),
        ({"interfaces": ("lo", "eth0")}, "walls"),
        ({"root_read_only": False}, "walls"),
        ({"package_read_only": False}, "walls"),
        ({"token": ""}, "bind mounts"),
        ({"memory_limit": "9223372036854771712"}, "memory limit"),
        ({"memory_limit": "max"}, "memory limit"),
        ({"memory_limit": ""}, "memory limit"),
    ],
)
def test_every_broken_wall_is_a_failure_of_its_own(sick: dict[str, object], check: str) -> None:
    found = levels(judge_probe(replace(HEALTHY, **sick), limits=LIMITS, token="t"))  # type: ignore[arg-type]  # one field
    assert {name for name, level in found.items() if level is Level.FAILURE} == {check}


@pytest.mark.parametrize(
    ("swap_limit", "swap_max", "level"),
    [
        ("", "0", Level.OK),
        ("", "max", Level.WARNING),
        ("", "", Level.WARNING),
        ("26000000000", "", Level.WARNING),
    ],
)
def test_swap_beyond_the_limit_is_seen_in_both_versions_of_control_groups(
    swap_limit: str, swap_max: str, level: Level
) -> None:
    facts = replace(HEALTHY, swap_limit=swap_limit, swap_max=swap_max)
    assert levels(judge_probe(facts, limits=LIMITS, token="t"))["memory limit"] is level


def test_an_engine_that_sees_other_folders_is_told_from_one_that_fails() -> None:
    elsewhere = SandboxError(f"the engine could not create the container: {NO_SOURCE}: /tmp/stage-1")
    assert judge_failure(elsewhere).check == "bind mounts"
    assert judge_failure(SandboxError("no space left on device")).check == "container"


@pytest.mark.parametrize(
    ("total", "available", "level"),
    [(16, 15, Level.OK), (16, 8, Level.WARNING), (8, 8, Level.FAILURE), (0, 0, Level.FAILURE)],
)
def test_memory_is_measured_against_the_limit(total: int, available: int, level: Level) -> None:
    found = {"MemTotal": total * GIGABYTE, "MemAvailable": available * GIGABYTE}
    assert levels(judge_memory(found, limit=LIMITS.memory_bytes))["memory"] is level


def test_swap_is_a_warning() -> None:
    found = {"MemTotal": 10**11, "MemAvailable": 10**11, "SwapTotal": GIGABYTE}
    assert levels(judge_memory(found, limit=1)) == {"memory": Level.OK, "swap": Level.WARNING}


@pytest.mark.parametrize(
    ("source", "monotonic", "level"),
    [
        ("tsc", True, Level.OK),
        ("kvm-clock", True, Level.OK),
        ("hpet", True, Level.WARNING),
        ("jiffies", True, Level.WARNING),
        ("", True, Level.WARNING),
        ("tsc", False, Level.FAILURE),
    ],
)
def test_a_slow_or_unknown_clock_is_named(source: str, monotonic: bool, level: Level) -> None:
    assert judge_clock(source, monotonic=monotonic).level is level


def test_a_busy_machine_and_a_greedy_hypervisor_are_warnings() -> None:
    stolen = [1000, 0, 0, 1000, 0, 0, 0, 100, 0, 0]
    assert set(levels(judge_noise(stolen, load=9.0, cores=2)).values()) == {Level.WARNING}
    quiet = [1000, 0, 0, 1000, 0, 0, 0, 10, 500, 500]  # guest time is part of user time, not of the whole
    assert set(levels(judge_noise(quiet, load=1.0, cores=2)).values()) == {Level.OK}


def test_an_old_kernel_that_counts_no_stolen_time_is_not_a_complaint() -> None:
    assert set(levels(judge_noise([1, 1, 1, 1], load=0, cores=1)).values()) == {Level.OK}


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:25 / /tmp rw,nosuid,nodev,noexec - tmpfs tmpfs rw
31 22 0:26 / /tmp/with\\040blank rw - tmpfs tmpfs rw
32 22 0:27 / /tmpfile ro - tmpfs tmpfs rw
garbage
"""


@pytest.mark.parametrize(
    ("folder", "has_noexec"),
    [
        ("/tmp", True),
        ("/tmp/a/b", True),
        ("/tmp/with blank/c", False),
        ("/tmpfile/x", False),
        ("/home", False),
    ],
)
def test_the_options_are_those_of_the_nearest_mount(folder: str, has_noexec: bool) -> None:
    assert ("noexec" in mount_options(Path(folder), MOUNTS)) is has_noexec


def test_a_staging_folder_that_reveals_something_or_runs_nothing_is_a_warning() -> None:
    assert levels(judge_staging(Path("/home/anna/deepfakes"), MOUNTS)) == {"staging": Level.WARNING}
    found = levels(judge_staging(Path("/tmp"), MOUNTS))
    assert found == {"staging": Level.OK, "staging: exec": Level.WARNING}


def test_the_nearest_folder_of_one_that_is_not_there_is_above_it(tmp_path: Path) -> None:
    assert nearest(tmp_path / "a" / "b") == tmp_path


def test_leftovers_are_the_dead_ones_alone() -> None:
    here = Owner.current()
    dead = replace(here, started="1")  # the process id is in use again, by another process
    elsewhere = replace(dead, machine="another")
    listed = [
        {"Id": "1", "Names": [f"/{name}"], "Labels": {OWNER_LABEL: owner}}
        for name, owner in (("living", str(here)), ("elsewhere", str(elsewhere)), ("nobody", "?"))
    ]
    assert judge_leftovers(listed).level is Level.OK
    found = judge_leftovers([*listed, {"Id": "2", "Names": ["/dead"], "Labels": {OWNER_LABEL: str(dead)}}])
    assert found.level is Level.WARNING
    assert found.message == "1 containers of dead harnesses: dead"
    assert "harness reap" in found.remedy


def no_engine() -> docker.DockerClient:
    raise EngineUnavailableError("no container engine answers", remedy="Start one.")


def patient(tmp_path: Path) -> Patient:
    return Patient(connect=no_engine, limits=Limits(), cache=tmp_path / "cache", temporary=tmp_path)


def test_without_an_engine_the_machine_is_looked_at_all_the_same(tmp_path: Path) -> None:
    def never(client: docker.DockerClient, patient: Patient) -> list[Diagnosis]:
        raise AssertionError("there is no engine to ask")

    checkup = examine(patient(tmp_path), host=HOST_CHECKS, engine=[never], say=lambda text: None)
    assert not checkup.ok
    assert checkup.diagnoses[0].remedy == "Start one."
    assert {"memory", "clock", "load", "disk: cache"} <= {one.check for one in checkup.diagnoses}
    assert not (tmp_path / "cache").exists()


def test_every_complaint_has_a_remedy(tmp_path: Path) -> None:
    for one in examine(patient(tmp_path), host=HOST_CHECKS, engine=(), say=lambda text: None).diagnoses:
        assert bool(one.remedy) is (one.level is not Level.OK)


def test_warnings_alone_leave_a_machine_fit() -> None:
    assert Checkup(diagnoses=(well("a", "m"), warns("b", "m", "r"))).ok
    assert not Checkup(diagnoses=(well("a", "m"), fails("b", "m", "r"))).ok


def test_the_json_has_what_the_terminal_shows() -> None:
    from rich.console import Console

    checkup = Checkup(diagnoses=(fails("engine", "[bold]it[/bold] is down", "Start it."),))
    document = json.loads(DoctorDocument(ok=checkup.ok, diagnoses=checkup.diagnoses).model_dump_json())
    assert (document["schema_version"], document["ok"]) == (1, False)
    assert document["diagnoses"] == [
        {"check": "engine", "level": "failure", "message": "[bold]it[/bold] is down", "remedy": "Start it."}
    ]
    console = Console(width=100)
    with console.capture() as shown:
        console.print(render_checkup(checkup))
    for text in ("failure", "[bold]it[/bold] is down", "Start it.", "not fit"):
        assert text in shown.get()
