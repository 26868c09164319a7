"""Each option of a contestant's container, tried from inside a real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from harness.core.types import PreparedVideo, SandboxSpec
from harness.gateway.staging import Stage
from harness.sandbox.docker.hardening import USERS
from harness.sandbox.docker.sandbox import RUN_LABEL, DockerSandbox
from harness.sandbox.protocol import Ready, decode_reply, encode_predict

pytestmark = pytest.mark.docker

PROBE = r"""
import ctypes, json, multiprocessing, os, resource, socket, stat, sys, threading
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)

def tried(action):
    try:
        value = action()
    except BaseException as error:
        return f"{type(error).__name__} {getattr(error, 'errno', '')}".strip()
    return value if isinstance(value, (int, str, list, dict, bool)) else "ok"

def call(number, *arguments):
    ctypes.set_errno(0)
    return "ok" if libc.syscall(number, *arguments) >= 0 else ctypes.get_errno()

def fill(folder, size=1 << 20):
    written = 0
    try:
        for number in range(1000):
            with open(f"{folder}/fill{number}", "wb") as stream:
                written += stream.write(b"x" * size)
                stream.flush()
    except OSError as error:
        return [written, error.errno]
    finally:
        for path in Path(folder).glob("fill*"):
            path.unlink()
    return [written, 0]

def many(folder):
    made = 0
    try:
        for number in range(5000):
            open(f"{folder}/many{number}", "w").close()
            made += 1
    except OSError as error:
        return [made, error.errno]
    finally:
        for path in Path(folder).glob("many*"):
            path.unlink()
    return [made, 0]

def threads():
    stop, started = threading.Event(), []
    try:
        for _ in range(500):
            thread = threading.Thread(target=stop.wait)
            thread.start()
            started.append(thread)
    except RuntimeError:
        pass
    finally:
        stop.set()
    return len(started)

def large_file():
    with open("/tmp/large", "wb") as stream:
        try:
            stream.truncate(9_000_000)
        finally:
            os.unlink("/tmp/large")

class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        mounts = [line.split() for line in open("/proc/self/mountinfo")]
        status = dict(line.rstrip().split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
        found = {
            "interfaces": sorted(os.listdir("/sys/class/net")),
            "connect": tried(lambda: socket.create_connection(("192.0.2.1", 80), 2)),
            "resolve": tried(lambda: socket.getaddrinfo("example.com", 80)),
            "loopback": tried(lambda: socket.socket().bind(("127.0.0.1", 0))),
            "write_root": tried(lambda: open("/opt/x", "w")),
            "write_package": tried(lambda: open(self.package / "x", "w")),
            "write_video": tried(lambda: open(video, "ab")),
            "chmod_video": tried(lambda: os.chmod(video, 0o777)),
            "capabilities": [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
            "no_new_privileges": status["NoNewPrivs"],
            "seccomp": status["Seccomp"],
            "user": [os.getuid(), os.getgid(), os.getgroups()],
            "setuid": tried(lambda: os.setuid(0)),
            "threads": threads(),
            "limits": {
                name: list(resource.getrlimit(getattr(resource, name)))
                for name in ("RLIMIT_CORE", "RLIMIT_NOFILE", "RLIMIT_FSIZE")
            },
            "large_file": tried(large_file),
            "fill_tmp": fill("/tmp"), "fill_shm": fill("/dev/shm"),
            "many_tmp": many("/tmp"), "many_shm": many("/dev/shm"),
            "flags": {line[4]: line[5] for line in mounts},
            "hostname": socket.gethostname(),
            "pid_1": open("/proc/1/cmdline").read().split("\0")[0],
            "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
            "cores": len(os.sched_getaffinity(0)),
            "environment": dict(os.environ),
            "oom_score": open("/proc/self/oom_score_adj").read().strip(),
            "shared_memory_segments": len(open("/proc/sysvipc/shm").read().splitlines()) - 1,
            "docker_socket": os.path.exists("/var/run/docker.sock"),
            "devices": sorted(os.listdir("/dev")),
            "pool": tried(lambda: multiprocessing.get_context("fork").Pool(2).map(abs, [-1, -2])),
            "io_uring": call(425, 8, ctypes.create_string_buffer(256)),
            "ptrace": call(101, 0, 0, 0, 0),
            "unshare_user": call(272, 0x10000000),
            "clone_user": call(56, 0x10000000 | 17, 0, 0, 0, 0),
            "clone3": call(435, 0, 0),
            "mount": call(165, b"none", b"/tmp", b"tmpfs", 0, 0),
            "bpf": call(321, 0, 0, 0),
            "keyctl": call(250, 0, 0),
            "userfaultfd": call(323, 0),
            "perf_event_open": call(298, 0, 0, 0, 0, 0),
            "personality": call(135, 0x0040000),
            "sockets": {
                str(family): tried(lambda: socket.socket(family, kind, protocol).close())
                for family, kind, protocol in
                ((1, 1, 0), (2, 1, 0), (10, 1, 0), (16, 3, 0), (16, 3, 9), (17, 3, 0), (38, 5, 0), (40, 1, 0))
                if (family, protocol) != (16, 9)
            },
            "netlink_audit": tried(lambda: socket.socket(16, 3, 9).close()),
            "times": [video.stat().st_mtime, oct(video.stat().st_mode)],
            "names": sorted(os.listdir(video.parent)),
            "mountinfo": open("/proc/self/mountinfo").read(),
            "proc_writes": tried(lambda: open("/proc/sys/kernel/core_pattern", "w")),
            "cgroup_writes": tried(lambda: open("/sys/fs/cgroup/memory/memory.limit_in_bytes", "w")),
        }
        print("FOUND " + json.dumps(found), file=sys.stderr, flush=True)
        return 0.5
"""


@pytest.fixture(scope="module")
def inside(
    docker_client: docker.DockerClient, light_image: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What a package finds when it looks around and tries things, in one container for all tests."""
    from harness.core.types import Limits, Mount

    folder = tmp_path_factory.mktemp("hidden-place")
    package = folder / "package"
    package.mkdir()
    (package / "submission.toml").write_text('name = "probe"\nentry = "probe:Predictor"\n')
    (package / "probe.py").write_text(PROBE)
    video = folder / "REAL_secret_name.mp4"
    video.write_bytes(b"1234")
    limits = Limits(
        cpus=1.0,
        memory_bytes=256_000_000,
        pids=50,
        tmp_bytes=8 << 20,
        tmp_inodes=1000,
        shm_bytes=4 << 20,
        file_bytes=5_000_000,
        open_files=200,
    )
    with Stage() as stage:
        name = stage.put(
            PreparedVideo(video_id="a", path=video, source_id="REAL_secret_name.mp4", sha256="0" * 64)
        )
        spec = SandboxSpec(
            run_id="SECRETRUN",
            image=light_image,
            package=Mount(source=package, target="/package"),
            videos=Mount(source=stage.videos, target="/videos"),
            limits=limits,
        )
        with DockerSandbox(docker_client).start(spec) as process:
            assert isinstance(decode_reply(process.receive(120)), Ready)
            process.send(encode_predict(request_id="1", video=name))
            process.receive(300)
            process.kill()
            log = process.facts().log_tail
    found = json.loads(log.partition("FOUND ")[2].splitlines()[0])
    assert isinstance(found, dict)
    return {**found, "staged_name": name}


def test_there_is_no_network(inside: dict[str, Any]) -> None:
    assert inside["interfaces"] == ["lo"]
    assert inside["connect"] == "OSError 101"  # network is unreachable
    assert inside["resolve"].startswith("gaierror")
    assert inside["loopback"] == "ok"


def test_nothing_but_memory_can_be_written(inside: dict[str, Any]) -> None:
    read_only = "OSError 30"
    assert inside["write_root"] == read_only
    assert inside["write_package"] == read_only
    assert inside["write_video"] in {read_only, "PermissionError 13"}
    assert inside["chmod_video"] in {read_only, "PermissionError 1"}
    assert inside["flags"]["/"].split(",")[0] == "ro"
    assert inside["proc_writes"] in {read_only, "PermissionError 13"}
    assert inside["cgroup_writes"] != "ok"


def test_it_has_no_capability_and_cannot_gain_one(inside: dict[str, Any]) -> None:
    assert inside["capabilities"] == ["0000000000000000"] * 5
    assert inside["no_new_privileges"] == "1"
    user, group, groups = inside["user"]
    assert user in USERS
    assert group == user
    assert groups in ([], [user])
    assert inside["setuid"] == "PermissionError 1"


@pytest.mark.parametrize(
    "name",
    [
        *("io_uring", "ptrace", "unshare_user", "clone_user", "mount", "bpf", "keyctl", "userfaultfd"),
        *("perf_event_open", "personality"),
    ],
)
def test_the_profile_refuses_a_dangerous_call(inside: dict[str, Any], name: str) -> None:
    assert inside["seccomp"] == "2"
    assert inside[name] == 1  # EPERM


def test_the_c_library_is_told_to_use_the_older_clone(inside: dict[str, Any]) -> None:
    assert inside["clone3"] == 38  # ENOSYS


def test_only_plain_sockets_can_be_made(inside: dict[str, Any]) -> None:
    refused = "PermissionError 1"
    assert inside["sockets"] == {
        **dict.fromkeys(("1", "2", "10", "16"), "ok"),
        **dict.fromkeys(("17", "38", "40"), refused),  # packet, alg, vsock
    }
    assert inside["netlink_audit"] == refused


def test_processes_and_threads_are_counted(inside: dict[str, Any]) -> None:
    assert 20 < inside["threads"] < 50
    assert inside["processes"] < 10
    assert inside["pid_1"].endswith("docker-init")


def test_limits_per_process_are_hard(inside: dict[str, Any]) -> None:
    assert inside["limits"] == {
        "RLIMIT_CORE": [0, 0],
        "RLIMIT_NOFILE": [200, 200],
        "RLIMIT_FSIZE": [5_000_000, 5_000_000],
    }
    assert inside["large_file"] == "OSError 27"  # file too large


def test_temporary_disk_and_shared_memory_are_bounded_in_bytes_and_files(inside: dict[str, Any]) -> None:
    assert inside["fill_tmp"] == [8 << 20, 28]  # no space left
    assert inside["fill_shm"] == [4 << 20, 28]
    for name in ("many_tmp", "many_shm"):
        made, error = inside[name]
        assert 900 < made < 1000
        assert error == 28


def test_mounts_carry_no_programs_with_rights_and_no_devices(inside: dict[str, Any]) -> None:
    assert {"nosuid", "nodev"} <= set(inside["flags"]["/tmp"].split(","))
    assert {"nosuid", "nodev", "noexec"} <= set(inside["flags"]["/dev/shm"].split(","))
    assert "noexec" not in inside["flags"]["/tmp"]
    assert inside["flags"]["/package"].split(",")[0] == "ro"
    assert inside["flags"]["/videos"].split(",")[0] == "ro"


def test_the_place_says_nothing_of_host_or_run(inside: dict[str, Any]) -> None:
    assert inside["hostname"] == "sandbox"
    assert inside["docker_socket"] is False
    assert inside["shared_memory_segments"] == 0
    assert not any("SECRETRUN" in value for value in inside["environment"].values())
    assert not {"kvm", "fuse", "nvidia0", "mem", "kmsg"} & set(inside["devices"])
    assert "secret_name" not in inside["mountinfo"]


def test_a_video_looks_like_every_other(inside: dict[str, Any]) -> None:
    assert inside["names"] == [inside["staged_name"]]
    assert inside["times"] == [1577836800.0, "0o100444"]


def test_it_is_held_to_its_cores(inside: dict[str, Any]) -> None:
    assert inside["cores"] == 1


def test_where_the_host_runs_out_of_memory_the_package_goes_first(inside: dict[str, Any]) -> None:
    assert inside["oom_score"] == "500"


def test_honest_multiprocessing_works(inside: dict[str, Any]) -> None:
    assert inside["pool"] == [1, 2]


def test_what_cannot_be_seen_inside_is_asked_of_the_engine(
    docker_client: docker.DockerClient,
    light_image: str,
    make_package: Callable[..., Path],
    make_spec: Callable[..., SandboxSpec],
) -> None:
    spec = make_spec(make_package(), image=light_image)
    with DockerSandbox(docker_client).start(spec):
        (container,) = docker_client.containers.list(filters={"label": f"{RUN_LABEL}={spec.run_id}"})
        host = container.attrs["HostConfig"]
        assert host["Memory"] == host["MemorySwap"] == spec.limits.memory_bytes
        assert host["NanoCpus"] == 1_000_000_000
        assert host["LogConfig"]["Type"] == "none"
        assert host["AutoRemove"] is False
        assert host["RestartPolicy"]["Name"] in {"", "no"}
        assert host["Privileged"] is False
        assert host["OomKillDisable"] in {False, None}
        assert host["IpcMode"] == "none"
        assert host["PidMode"] == host["UTSMode"] == host["UsernsMode"] == ""
        assert container.attrs["Image"] == light_image
