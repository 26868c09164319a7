"""From limits to container options: one pure function, whose every option a test holds.

What it does not do: protect from a hole in the kernel or the engine, or from what a package learns through
timing. `SandboxSpec.runtime = "runsc"` puts gVisor between the package and the kernel.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.core.types import Limits, Mount, SandboxSpec

ENTRYPOINT = ("python3", "-sPB", "/opt/harness/runner.py")  # in the image; -P: the package shadows nothing
USER = "10001:10001"  # in no image's passwd, so it owns nothing
USERS = range(10_001, 60_000)  # within a remapped user namespace
HOSTNAME = "sandbox"
OOM_SCORE_ADJUSTMENT = 500  # if the host itself runs out of memory, the package dies before the harness
PROCESS_IDS = 32_768  # the kernel's default
# What gVisor may have of its own on the host, beyond `limits.pids`. On its platform `ptrace` every process of
# the package has up to one host thread for each thread of gVisor's: 54 at rest, 91 for 4 busy processes, 354
# for 16, 3,005 for 62, 3,317 for a fork bomb held to 64 (gVisor of December 2022, two cores, 20 s). It ends
# where it gets none. A quarter of the ids: one package cannot use up a host's.
GVISOR_THREADS = PROCESS_IDS // 4
STANDBY_FOLDER = "package"  # in the folder that is mounted for a package still to come
CACHE_FOLDER = "/tmp/.cache"  # noqa: S108  (in the container: a fresh tmpfs)

Json = dict[str, Any]


def container_options(
    spec: SandboxSpec,
    *,
    labels: Mapping[str, str],
    cpuset: str,
    seccomp: str | None = None,
    cdi: bool = False,
    torch_fraction: float | None = None,
    user: str = USER,
    podman: bool = False,
    gvisor: bool = False,
) -> Json:
    """Build the body of the engine's "create a container" request.

    The same arguments give the same options. Nothing in them comes from the package: neither entrypoint nor
    environment, user, folder or label.

    Args:
        spec: What to start and its limits.
        labels: For the reaper.
        cpuset: The cores it may run on, in the kernel's list format, e.g. `0-1`.
        seccomp: The profile as the engine takes it: JSON, or for Podman the path of a file; the vendored one
            if it is not given.
        cdi: Whether the engine knows the GPUs as CDI devices.
        torch_fraction: See `environment`.
        user: Numeric `user:group`, one per container: the kernel counts inotify watchers, pipe buffers and
            more per user over all containers, and one entry could use up what another needs.
        podman: Whether Podman is the engine. Its service reads the profile from a file, and knows no limit on
            how many files a tmpfs holds: they are bounded by the memory that they take.
        gvisor: Whether gVisor runs the container. Its own threads count against the host's limit of
            processes, so that has room for them; gVisor's kernel holds the package to `limits.pids`.
    """
    limits = spec.limits
    profile = seccomp or (str(seccomp_file()) if podman else seccomp_profile())
    variables = environment(spec, cdi=cdi, torch_fraction=torch_fraction)
    return {
        "Image": spec.image,
        "Entrypoint": list(ENTRYPOINT),
        "Cmd": [],
        "User": user,
        "WorkingDir": spec.working_directory,
        "Env": [f"{name}={value}" for name, value in variables.items()],
        "Hostname": HOSTNAME,
        "Domainname": "",
        "Labels": dict(labels),
        "Healthcheck": {"Test": ["NONE"]},
        "NetworkDisabled": True,
        "Tty": False,
        "OpenStdin": True,
        "StdinOnce": False,  # a line that the engine drops must not look like the package's own end
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "Privileged": False,
            "CapDrop": ["ALL"],
            "CapAdd": [],
            "SecurityOpt": ["no-new-privileges", f"seccomp={profile}"],
            "IpcMode": "none",  # private, and without the engine's /dev/shm, which counts no files
            "CgroupnsMode": "private",
            "Init": True,  # reaps, and holds the pipes open, so that their end means the container's end
            "AutoRemove": False,  # facts are read after the end
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "LogConfig": {"Type": "none", "Config": {}},
            "PidsLimit": limits.pids + (GVISOR_THREADS if gvisor else 0),
            "Memory": limits.memory_bytes,
            "MemorySwap": limits.memory_bytes,  # 0 would mean twice the memory
            "OomKillDisable": False,
            "OomScoreAdj": OOM_SCORE_ADJUSTMENT,
            "NanoCpus": round(limits.cpus * 1_000_000_000),
            "CpusetCpus": cpuset,
            "Ulimits": _ulimits(limits, podman=podman, gvisor=gvisor),
            "Tmpfs": _tmpfs(spec, user, podman=podman),
            "Mounts": [_bind(mount) for mount in (spec.package, spec.videos, *spec.extra_mounts)],
            **_gpu(spec, cdi=cdi),
            **({"Runtime": spec.runtime} if spec.runtime else {}),
        },
    }


def environment(
    spec: SandboxSpec, *, cdi: bool = False, torch_fraction: float | None = None
) -> dict[str, str]:
    """Return the variables the runner and the package see, beside the image's own.

    Args:
        spec: What to start.
        cdi: GPUs come as CDI devices, and NVIDIA's own runtime must not interfere.
        torch_fraction: The share of a GPU's memory after which torch itself says that it is out of memory. It
            is friendly only: a package may undo it. Torch reads it when it first uses a GPU.
    """
    threads = str(max(1, math.floor(spec.limits.cpus)))
    return {
        "HARNESS_PACKAGE": spec.package.target + ("" if spec.standby is None else f"/{STANDBY_FOLDER}"),
        "HARNESS_VIDEOS": spec.videos.target,
        "HARNESS_MODE": spec.mode.value,
        "HOME": "/tmp",  # noqa: S108  (in the container: a fresh tmpfs)
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",  # the same package, run twice, should answer the same
        "PYTHONUNBUFFERED": "1",  # what it printed before it died is in the log
        "OMP_NUM_THREADS": threads,  # libraries count the host's cores, and then wait for each other
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "XDG_CACHE_HOME": CACHE_FOLDER,
        "TORCH_HOME": f"{CACHE_FOLDER}/torch",
        "TORCHINDUCTOR_CACHE_DIR": f"{CACHE_FOLDER}/inductor",
        "TRITON_CACHE_DIR": f"{CACHE_FOLDER}/triton",
        "NUMBA_CACHE_DIR": f"{CACHE_FOLDER}/numba",
        "MPLCONFIGDIR": f"{CACHE_FOLDER}/matplotlib",
        # An image's own `all` would hand out every GPU if NVIDIA's runtime is the default.
        "NVIDIA_VISIBLE_DEVICES": "void" if cdi else ",".join(spec.gpu_uuids) or "void",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility,video",
        **({} if spec.standby is None else {"HARNESS_STANDBY": " ".join(spec.standby)}),
        **({} if torch_fraction is None else {"PYTORCH_ALLOC_CONF": _torch_memory(torch_fraction)}),
    }


def _torch_memory(fraction: float) -> str:
    return f"per_process_memory_fraction:{fraction:.4f}"


def seccomp_profile() -> str:
    """Return the vendored profile as compact JSON. Its origin is in `seccomp.md` beside it."""
    return json.dumps(json.loads(seccomp_file().read_text(encoding="utf-8")), separators=(",", ":"))


def seccomp_file() -> Path:
    """Return where the vendored profile is on this machine, on which the engine is, too."""
    return Path(str(files("harness.sandbox.docker").joinpath("seccomp.json")))


def _ulimits(limits: Limits, *, podman: bool, gvisor: bool) -> list[Json]:
    # Never nproc on the host's kernel: it is counted per user id across all containers, so one entry could
    # starve another. Podman always sets it, to 2**20 if nothing is said, which a host may refuse; as many as
    # there are ids of processes limits nothing. gVisor's kernel is the container's own, and so is its count:
    # it says EAGAIN at the limit, as the host's control group does elsewhere.
    hard = {"core": 0, "nofile": limits.open_files, "fsize": limits.file_bytes}
    hard |= {"nproc": limits.pids} if gvisor else {"nproc": PROCESS_IDS} if podman else {}
    return [{"Name": name, "Soft": value, "Hard": value} for name, value in hard.items()]


def _tmpfs(spec: SandboxSpec, owner: str, *, podman: bool) -> dict[str, str]:
    limits = spec.limits
    # The owner too: some runtimes give a tmpfs the mode of the folder that they found or made in its place.
    user, _, group = owner.partition(":")
    flags = "mode=1777" if podman else f"nr_inodes={limits.tmp_inodes},mode=1777,uid={user},gid={group}"
    # exec: compilers of kernels (Triton, Inductor, Numba) load what they have just written.
    scratch = f"rw,exec,nosuid,nodev,size={limits.tmp_bytes},{flags}"
    shared = f"rw,noexec,nosuid,nodev,size={limits.shm_bytes},{flags}"
    # Where nothing is mounted, Podman puts a writable tmpfs without a limit of its own.
    shut = {"/var/tmp": "ro,noexec,nosuid,nodev,size=4096,mode=555"} if podman else {}  # noqa: S108  (a place in the container)
    return {**shut, "/tmp": scratch, **dict.fromkeys(spec.writable, scratch), "/dev/shm": shared}  # noqa: S108  (in the container)


def _bind(mount: Mount) -> Json:
    return {
        "Type": "bind",
        "Source": str(mount.source),
        "Target": mount.target,
        "ReadOnly": True,
        "BindOptions": {"Propagation": "rprivate"},
    }


def cdi_name(uuid: str) -> str:
    """Return the name that NVIDIA's generator of CDI specifications gives to a GPU or a partition."""
    return f"nvidia.com/gpu={uuid}"


def _gpu(spec: SandboxSpec, *, cdi: bool) -> Json:
    if not spec.gpu_uuids:
        return {"DeviceRequests": []}
    if cdi:
        return {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": [cdi_name(one) for one in spec.gpu_uuids]}]}
    request = {"Driver": "nvidia", "DeviceIDs": list(spec.gpu_uuids), "Capabilities": [["gpu"]]}
    return {"DeviceRequests": [request]}
