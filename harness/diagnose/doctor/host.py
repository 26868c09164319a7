"""What `harness doctor` asks of the machine itself: memory, disk, clock, noise, staging, GPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pynvml

from harness.core.limits import bytes_in_words
from harness.diagnose.doctor.checkup import Check, Diagnosis, Patient, fails, warns, well
from harness.diagnose.doctor.engine import version_holes
from harness.image.runtime_image import has_nvidia_gpu

PROC = Path("/proc")
CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
# Read by the processor itself, in nanoseconds. The others (hpet, acpi_pm) cost a trip to a device, and
# jiffies count in milliseconds.
GOOD_CLOCKS = frozenset({"tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "xen"})
CACHE_BYTES = 5_000_000_000  # a prepared set of 10,000 clips of half a megabyte
STAGING_BYTES = 2_000_000_000  # the largest video that a limit on file sizes allows, once
STEAL_SHARE = 0.01
NEUTRAL_FOLDERS = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/run"))  # noqa: S108  (recognised, not written)


def memory(patient: Patient) -> Iterator[Diagnosis]:
    """Compare the memory limit with what the machine has."""
    yield from judge_memory(_meminfo(), limit=patient.limits.memory_bytes)


def judge_memory(found: dict[str, int], *, limit: int) -> Iterator[Diagnosis]:
    """Judge `/proc/meminfo`, in bytes, against the memory limit of a run."""
    total, available = found.get("MemTotal", 0), found.get("MemAvailable", 0)
    words = (
        f"{bytes_in_words(available)} available of {bytes_in_words(total)};"
        f" a run may use {bytes_in_words(limit)}"
    )
    if total < limit:
        yield fails(
            "memory",
            f"{words}: a package could exhaust the machine before its limit",
            "Use a larger machine, or lower limits.memory_bytes in challenge.toml.",
        )
    elif available < limit:
        yield warns("memory", words, "Stop what else uses memory before a run that counts.")
    else:
        yield well("memory", words)
    swap = found.get("SwapTotal", 0)
    if swap:
        yield warns(
            "swap",
            f"{bytes_in_words(swap)}: packages get none, but the harness and the engine may be swapped out,"
            " and times then say nothing",
            "`swapoff -a` for the time of a run that counts.",
        )
    else:
        yield well("swap", "off")


def disk(patient: Patient) -> Iterator[Diagnosis]:
    """Look for room where the harness writes."""
    for what, folder, needed in (
        ("cache", patient.cache, CACHE_BYTES),
        ("staging", patient.temporary, STAGING_BYTES),
    ):
        free = shutil.disk_usage(nearest(folder)).free
        words = f"{bytes_in_words(free)} free at {folder}"
        if free < needed:
            level = fails if free < needed / 10 else warns
            yield level(
                f"disk: {what}",
                f"{words}; {bytes_in_words(needed)} are wise",
                "Make room, or name another place (--cache, TMPDIR).",
            )
        else:
            yield well(f"disk: {what}", words)


def nearest(folder: Path) -> Path:
    """Return the folder, or the closest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def clock(patient: Patient) -> Iterator[Diagnosis]:
    """Look at the clock that everything is measured with."""
    try:
        source = CLOCK_SOURCE.read_text(encoding="ascii").strip()
    except OSError:
        source = ""
    yield judge_clock(source, monotonic=time.get_clock_info("monotonic").monotonic)


def judge_clock(source: str, *, monotonic: bool) -> Diagnosis:
    """Judge the kernel's clock source; the time of day has no part in any measurement."""
    if not monotonic:
        return fails("clock", "Python's monotonic clock is not monotonic here", "Use another kernel.")
    if not source:
        return warns(
            "clock", "the kernel does not say its clock source", "Look at `dmesg | grep clocksource`."
        )
    if source not in GOOD_CLOCKS:
        return warns(
            "clock",
            f"{source}: slow or coarse, often chosen because the processor's own counter was found unstable",
            "See `dmesg | grep -i clocksource`; on virtual machines ask the provider.",
        )
    return well("clock", f"{source}, monotonic")


def noise(patient: Patient) -> Iterator[Diagnosis]:
    """Look for what else uses the processor, and for a hypervisor that takes it away."""
    fields = (PROC / "stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    yield from judge_noise([int(one) for one in fields], load=os.getloadavg()[0], cores=os.cpu_count() or 1)


def judge_noise(ticks: list[int], *, load: float, cores: int) -> Iterator[Diagnosis]:
    """Judge the load, and the first line of `/proc/stat`, whose eighth number is the time that was stolen."""
    if load > cores:
        yield warns(
            "load",
            f"{load:.1f} on {cores} cores: a package would be timed while it waits for others",
            "Stop what else runs before a run that counts.",
        )
    else:
        yield well("load", f"{load:.1f} on {cores} cores")
    steal = ticks[7] / max(1, sum(ticks[:8])) if len(ticks) > 7 else 0.0
    if steal > STEAL_SHARE:
        yield warns(
            "stolen time",
            f"the hypervisor took {steal:.1%} of the processor's time since boot",
            "Use a machine with dedicated cores for runs that count.",
        )
    else:
        yield well("stolen time", f"{steal:.1%} since boot")


def staging(patient: Patient) -> Iterator[Diagnosis]:
    """Look at the folder whose path and mount options a package can see."""
    yield from judge_staging(
        patient.temporary.resolve(),
        (PROC / "self" / "mountinfo").read_text(encoding="utf-8", errors="replace"),
    )


def judge_staging(folder: Path, mountinfo: str) -> Iterator[Diagnosis]:
    """Judge the place where packages and videos are put for a container.

    Args:
        folder: Resolved.
        mountinfo: The kernel's table of mounts.
    """
    if not any(folder == one or one in folder.parents for one in NEUTRAL_FOLDERS):
        yield warns(
            "staging",
            f"{folder} can be read by the package, and may say something about this machine",
            "Unset TMPDIR, or set it to a folder below /var/tmp.",
        )
    else:
        yield well("staging", f"{folder} says nothing")
    options = mount_options(folder, mountinfo)
    if "noexec" in options:
        yield warns(
            "staging: exec",
            f"{folder} is mounted noexec: packages that bring native libraries (.so) cannot load them",
            "Set TMPDIR to a folder on a file system without noexec.",
        )


def mount_options(folder: Path, mountinfo: str) -> frozenset[str]:
    """Return the options of the mount that a folder is on; the last of several on the same place holds."""
    best, options = "", frozenset[str]()
    for line in mountinfo.splitlines():
        fields = line.split()
        if len(fields) < 6:
            continue
        place = fields[4].replace("\\040", " ")
        covers = folder == Path(place) or Path(place) in folder.parents
        if covers and len(place) >= len(best):
            best, options = place, frozenset(fields[5].split(","))
    return options


def gpu(patient: Patient) -> Iterator[Diagnosis]:
    """Look for GPUs, whether anybody uses them, and for the toolkit that hands them to containers."""
    if not has_nvidia_gpu():
        yield well("gpu", "none that NVIDIA's driver lists: packages run on the processor")
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        yield fails("gpu", f"NVIDIA's driver does not answer: {error}", "See `nvidia-smi` and `dmesg`.")
        return
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            yield _one_gpu(index)
    except pynvml.NVMLError as error:
        yield fails("gpu", f"NVIDIA's driver failed: {error}", "See `nvidia-smi` and `dmesg`.")
    finally:
        pynvml.nvmlShutdown()
    yield from _toolkit()


def _one_gpu(index: int) -> Diagnosis:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    room = pynvml.nvmlDeviceGetMemoryInfo(handle)
    named = f"{index}: {pynvml.nvmlDeviceGetName(handle)}, {bytes_in_words(room.total)}"
    users = len(pynvml.nvmlDeviceGetComputeRunningProcesses(handle))
    if users:
        return warns(
            "gpu",
            f"{named}, used by {users} processes",
            "Stop them before a run that counts; see `nvidia-smi`.",
        )
    return well("gpu", f"{named}, idle")


def _toolkit() -> Iterator[Diagnosis]:
    tool = shutil.which("nvidia-ctk") or shutil.which("nvidia-container-cli")
    if tool is None:
        yield warns(
            "nvidia container toolkit",
            "not found: containers get no GPU",
            "Install nvidia-container-toolkit, run `nvidia-ctk runtime configure`, restart the engine.",
        )
        return
    try:
        done = subprocess.run(  # noqa: S603  (our own arguments)
            [tool, "--version"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield warns("nvidia container toolkit", f"it does not run: {error}", "Install it again.")
        return
    yield from version_holes("NVIDIA Container Toolkit", (done.stdout.strip().splitlines() or [""])[0])


def _meminfo() -> dict[str, int]:
    found = {}
    for line in (PROC / "meminfo").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()
        if number and number[0].isdecimal():
            found[name] = int(number[0]) * 1024
    return found


HOST_CHECKS: tuple[Check, ...] = (memory, disk, clock, noise, staging, gpu)
