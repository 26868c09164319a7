"""Every option of a contestant's container, one promise each: a test falls when an option does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.types import Limits, Mode, Mount, SandboxSpec
from harness.sandbox.docker.hardening import (
    GVISOR_THREADS,
    container_options,
    environment,
    seccomp_profile,
)

LIMITS = Limits(
    cpus=1.5,
    memory_bytes=111,
    pids=22,
    tmp_bytes=333,
    tmp_inodes=44,
    shm_bytes=555,
    file_bytes=666,
    open_files=77,
)
SPEC = SandboxSpec(
    run_id="run-1",
    image="sha256:0123",
    package=Mount(source=Path("/host/p"), target="/package"),
    videos=Mount(source=Path("/host/v"), target="/videos"),
    limits=LIMITS,
)
TMPFS = "rw,exec,nosuid,nodev,size=333,nr_inodes=44,mode=1777,uid=10001,gid=10001"


def options(**changes: Any) -> dict[str, Any]:
    return container_options(
        replace(SPEC, **changes), labels={"owner": "me"}, cpuset="2-3", seccomp='{"profile":1}'
    )


def host(**changes: Any) -> dict[str, Any]:
    found = options(**changes)["HostConfig"]
    assert isinstance(found, dict)
    return found


GOLDEN = {
    "Image": "sha256:0123",
    "Entrypoint": ["python3", "-sPB", "/opt/harness/runner.py"],
    "Cmd": [],
    "User": "10001:10001",
    "WorkingDir": "/tmp",
    "Hostname": "sandbox",
    "Domainname": "",
    "Labels": {"owner": "me"},
    "Healthcheck": {"Test": ["NONE"]},
    "NetworkDisabled": True,
    "Tty": False,
    "OpenStdin": True,
    "StdinOnce": False,
    "AttachStdin": True,
    "AttachStdout": True,
    "AttachStderr": True,
}
GOLDEN_HOST = {
    "NetworkMode": "none",
    "ReadonlyRootfs": True,
    "Privileged": False,
    "CapDrop": ["ALL"],
    "CapAdd": [],
    "SecurityOpt": ["no-new-privileges", 'seccomp={"profile":1}'],
    "IpcMode": "none",
    "CgroupnsMode": "private",
    "Init": True,
    "AutoRemove": False,
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    "LogConfig": {"Type": "none", "Config": {}},
    "PidsLimit": 22,
    "Memory": 111,
    "MemorySwap": 111,
    "OomKillDisable": False,
    "OomScoreAdj": 500,
    "NanoCpus": 1_500_000_000,
    "CpusetCpus": "2-3",
    "Ulimits": [
        {"Name": "core", "Soft": 0, "Hard": 0},
        {"Name": "nofile", "Soft": 77, "Hard": 77},
        {"Name": "fsize", "Soft": 666, "Hard": 666},
    ],
    "Tmpfs": {
        "/tmp": TMPFS,
        "/dev/shm": "rw,noexec,nosuid,nodev,size=555,nr_inodes=44,mode=1777,uid=10001,gid=10001",
    },
    "Mounts": [
        {
            "Type": "bind",
            "Source": "/host/p",
            "Target": "/package",
            "ReadOnly": True,
            "BindOptions": {"Propagation": "rprivate"},
        },
        {
            "Type": "bind",
            "Source": "/host/v",
            "Target": "/videos",
            "ReadOnly": True,
            "BindOptions": {"Propagation": "rprivate"},
        },
    ],
    "DeviceRequests": [],
}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_each_option_is_as_agreed(name: str) -> None:
    assert options()[name] == GOLDEN[name]


@pytest.mark.parametrize("name", sorted(GOLDEN_HOST))
def test_each_host_option_is_as_agreed(name: str) -> None:
    assert host()[name] == GOLDEN_HOST[name]


def test_there_is_no_option_that_no_test_holds() -> None:
    assert set(options()) == {*GOLDEN, "Env", "HostConfig"}
    assert set(host()) == set(GOLDEN_HOST)


def test_every_mount_is_read_only_whatever_the_layout() -> None:
    extra = (
        Mount(source=Path("/host/a"), target="/kaggle/input/a"),
        Mount(source=Path("/host/b"), target="/kaggle/input/b"),
    )
    mounts = host(extra_mounts=extra)["Mounts"]
    assert [mount["Target"] for mount in mounts] == [
        "/package",
        "/videos",
        "/kaggle/input/a",
        "/kaggle/input/b",
    ]
    assert all(mount["ReadOnly"] for mount in mounts)


def test_what_is_writable_is_in_memory_and_bounded() -> None:
    found = host(writable=("/kaggle/working",))["Tmpfs"]
    assert found["/kaggle/working"] == TMPFS
    assert options(working_directory="/kaggle/working")["WorkingDir"] == "/kaggle/working"


def test_gpus_are_asked_for_by_their_uuid() -> None:
    assert host(gpu_uuids=("GPU-a", "GPU-b"))["DeviceRequests"] == [
        {"Driver": "nvidia", "DeviceIDs": ["GPU-a", "GPU-b"], "Capabilities": [["gpu"]]}
    ]
    assert environment(replace(SPEC, gpu_uuids=("GPU-a",)))["NVIDIA_VISIBLE_DEVICES"] == "GPU-a"


def test_gpus_that_the_engine_lists_as_cdi_devices_are_asked_for_by_that_name() -> None:
    spec = replace(SPEC, gpu_uuids=("GPU-a",))
    asked = container_options(spec, labels={}, cpuset="0", cdi=True)
    assert asked["HostConfig"]["DeviceRequests"] == [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=GPU-a"]}]
    assert "NVIDIA_VISIBLE_DEVICES=void" in asked["Env"]


def test_torch_gets_its_share_only_if_there_is_one() -> None:
    assert (
        environment(SPEC, torch_fraction=0.25)["PYTORCH_ALLOC_CONF"] == "per_process_memory_fraction:0.2500"
    )
    assert "PYTORCH_ALLOC_CONF" not in environment(SPEC)


def test_without_a_gpu_none_is_visible_whatever_the_image_says() -> None:
    assert environment(SPEC)["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_another_runtime_is_passed_on() -> None:
    assert host(runtime="runsc")["Runtime"] == "runsc"


@pytest.mark.parametrize("podman", [False, True])
def test_gvisor_gets_room_for_itself_and_holds_the_package_to_the_limit(podman: bool) -> None:
    asked = container_options(SPEC, labels={}, cpuset="0", podman=podman, gvisor=True)["HostConfig"]
    assert asked["PidsLimit"] == LIMITS.pids + GVISOR_THREADS
    assert {"Name": "nproc", "Soft": LIMITS.pids, "Hard": LIMITS.pids} in asked["Ulimits"]
    assert [one["Name"] for one in asked["Ulimits"]].count("nproc") == 1


def test_the_environment_is_the_harness_own() -> None:
    found = dict(pair.split("=", 1) for pair in options(mode=Mode.BATCH)["Env"])
    assert found == environment(replace(SPEC, mode=Mode.BATCH))
    assert found["HARNESS_PACKAGE"] == "/package"
    assert found["HARNESS_VIDEOS"] == "/videos"
    assert found["HARNESS_MODE"] == "batch"
    assert found["OMP_NUM_THREADS"] == "1"
    assert not any("/host" in value or "run-1" in value for value in found.values())


def test_nothing_names_the_run_or_the_host_where_the_package_can_look() -> None:
    seen = {key: value for key, value in options().items() if key not in {"Labels", "HostConfig"}}
    assert "run-1" not in json.dumps(seen)
    assert "/host" not in json.dumps(seen)


def test_the_vendored_profile_is_used_unless_another_is_given() -> None:
    found = container_options(SPEC, labels={}, cpuset="0")["HostConfig"]["SecurityOpt"]
    assert found == ["no-new-privileges", f"seccomp={seccomp_profile()}"]


def test_podman_gets_a_file_and_only_what_its_service_knows_everything_else_stays() -> None:
    def built(*, podman: bool) -> dict[str, Any]:
        return container_options(SPEC, labels={}, cpuset="0", podman=podman)

    docker, podman = built(podman=False)["HostConfig"], built(podman=True)["HostConfig"]
    profile = podman["SecurityOpt"][1].removeprefix("seccomp=")
    assert json.loads(Path(profile).read_text()) == PROFILE
    assert podman["Tmpfs"]["/tmp"] == "rw,exec,nosuid,nodev,size=333,mode=1777"
    assert podman["Ulimits"][:-1] == docker["Ulimits"]
    assert podman["Ulimits"][-1]["Name"] == "nproc"
    differ = {key for key in docker if docker[key] != podman[key]}
    assert differ == {"SecurityOpt", "Tmpfs", "Ulimits"}


PROFILE = json.loads(seccomp_profile())
FORBIDDEN = (
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "ptrace", "process_vm_readv"),
    *("process_vm_writev", "bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key"),
    *("mount", "umount2", "pivot_root", "move_mount", "open_tree", "fsopen", "unshare", "setns", "chroot"),
    *("open_by_handle_at", "name_to_handle_at", "kexec_load", "init_module", "finit_module"),
    *("delete_module", "reboot", "swapon", "settimeofday", "clock_settime", "quotactl", "acct"),
    *("pidfd_getfd", "kcmp", "memfd_secret", "modify_ldt", "iopl", "ioperm", "syslog", "vmsplice"),
)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_dangerous_call_is_in_no_rule(name: str) -> None:
    assert not any(name in rule["names"] for rule in PROFILE["syscalls"])


def test_what_is_not_allowed_fails() -> None:
    assert PROFILE["defaultAction"] == "SCMP_ACT_ERRNO"
    actions = {(rule["action"], tuple(rule["names"])) for rule in PROFILE["syscalls"]}
    assert {names for action, names in actions if action != "SCMP_ACT_ALLOW"} == {("clone3",)}


def test_only_four_kinds_of_sockets_can_be_made() -> None:
    families = {
        rule["args"][0]["value"]: len(rule["args"])
        for rule in PROFILE["syscalls"]
        if "socket" in rule["names"]
    }
    assert families == {1: 1, 2: 1, 10: 1, 16: 2}  # unix, inet, inet6, netlink with a protocol


def test_no_table_of_older_system_calls_is_open() -> None:
    assert all(entry["subArchitectures"] == [] for entry in PROFILE["archMap"])
