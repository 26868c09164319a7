"""GPUs for one container: chosen, found idle, and held by one harness at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.core.claims import claim_gpus
from harness.core.errors import ConfigError, SandboxError
from harness.core.limits import bytes_in_words
from harness.core.locks import Waiting
from harness.sandbox.meters import nvml
from harness.sandbox.meters.nvml import Gpu, GpuProcess, Trouble

INTERVAL_SECONDS = 0.1
IDLE_SECONDS = 10.0  # for the memory of an earlier container to be given back
IDLE_BYTES = 512 * 1024**2  # what a display and the driver may hold on an idle GPU
CONTEXT_BYTES = 600 * 1000**2  # left for the CUDA context, which torch's own limit does not count


def find_gpus() -> tuple[Gpu, ...]:
    """Return this host's GPUs, idle ones first, else in the driver's order; None if there is no driver.

    Raises:
        SandboxError: the driver is installed but does not answer.
    """
    with nvml.session() as there:
        if not there:
            return ()
        return tuple(sorted(nvml.list_gpus(), key=lambda gpu: _why_not_idle(gpu) is not None))


@dataclass(frozen=True, kw_only=True)
class Lease:
    """GPUs that this process holds, and what was on each of them before."""

    gpus: tuple[Gpu, ...] = ()
    baseline_bytes: tuple[int, ...] = ()

    def torch_fraction(self, limit_bytes: int) -> float | None:
        """Return the share of a GPU's memory that torch should keep to; None if it may have all.

        Friendly only: an honest package gets torch's own out-of-memory error, which it can handle, instead
        of being killed. A hostile one ignores it.
        """
        largest = max((gpu.memory_bytes for gpu in self.gpus), default=0)
        if largest <= limit_bytes:
            return None
        return max(0.01, (limit_bytes - CONTEXT_BYTES) / largest)


@contextmanager
def claimed(count: int, *, among: Sequence[Gpu], waiting: Waiting | None = None) -> Iterator[tuple[Gpu, ...]]:
    """Hold GPUs for as long as a run takes: idle ones that no other harness holds.

    Args:
        count: How many.
        among: What there is, the best first.
        waiting: Wait for those that other harnesses hold, and report to this meanwhile. If None, do not wait.

    Raises:
        ConfigError: too few are free, and waiting is not allowed.
        SandboxError: the driver does not answer.
    """
    if not count:
        yield ()
        return
    known = {gpu.uuid: gpu for gpu in among}
    with nvml.session() as there:
        if not there:
            raise _gone()
        with claim_gpus(
            count,
            among=tuple(known),
            fit=lambda uuid: _why_not_idle(known[uuid]) is None,
            waiting=waiting,
        ) as uuids:
            yield tuple(known[uuid] for uuid in uuids)


@contextmanager
def leased(
    uuids: Sequence[str], *, held: Iterable[str] = (), idle_seconds: float | None = None
) -> Iterator[Lease]:
    """Hold GPUs for one container, having found them idle. Without names, nothing is asked of the driver.

    Args:
        uuids: The GPUs.
        held: Those of them that this process has claimed already, for longer than this container.
        idle_seconds: For what ran on them before to be gone; `IDLE_SECONDS` if None.

    Raises:
        ConfigError: one is not there, is held by another harness, or is not idle.
        SandboxError: the driver does not answer.
    """
    if not uuids:
        yield Lease()
        return
    with ExitStack() as stack:
        if not stack.enter_context(nvml.session()):
            raise _gone()
        known = {gpu.uuid: gpu for gpu in nvml.list_gpus()}
        missing = [uuid for uuid in uuids if uuid not in known]
        if missing:
            raise SandboxError(
                f"this host has no GPU {', '.join(missing)}; it has {', '.join(known) or 'none'}",
                remedy="A GPU that was there before has failed or was split again: look at `nvidia-smi`.",
            )
        free = [uuid for uuid in uuids if uuid not in set(held)]
        stack.enter_context(claim_gpus(len(free), among=free))
        gpus = tuple(known[uuid] for uuid in uuids)
        seconds = IDLE_SECONDS if idle_seconds is None else idle_seconds
        yield Lease(gpus=gpus, baseline_bytes=tuple(_idle_bytes(gpu, seconds) for gpu in gpus))


def _gone() -> SandboxError:
    return SandboxError(
        "the GPU driver has gone", remedy="Look at `nvidia-smi`, then run again: the run resumes."
    )


def _idle_bytes(gpu: Gpu, idle_seconds: float) -> int:
    """Wait for a GPU to be idle, and return what is in use on it all the same."""
    deadline = time.monotonic() + idle_seconds
    while (why := _why_not_idle(gpu)) is not None:
        if time.monotonic() >= deadline:
            raise ConfigError(
                f"GPU {gpu.uuid} ({gpu.name}) is not idle: {why}",
                remedy="Stop what runs on it (`nvidia-smi` lists it), or run on another GPU or without one "
                "(`limits.gpus = 0`). The run resumes.",
            )
        time.sleep(INTERVAL_SECONDS)
    reading = nvml.read_gpu(gpu.uuid)
    if isinstance(reading, Trouble):
        raise SandboxError(reading.text, remedy="Look at `nvidia-smi`, then run again: the run resumes.")
    return reading.used_bytes


def _why_not_idle(gpu: Gpu) -> str | None:
    reading = nvml.read_gpu(gpu.uuid)
    if isinstance(reading, Trouble):
        return reading.text
    if reading.computing:
        return "; ".join(described(process) for process in reading.computing)
    if reading.used_bytes > IDLE_BYTES:
        return f"{bytes_in_words(reading.used_bytes)} of its memory are in use"
    return None


def described(process: GpuProcess) -> str:
    """Name a process on a GPU, and what it holds there."""
    try:
        name = Path(f"/proc/{process.process_id}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        name = "not visible from here"
    held = "" if process.memory_bytes is None else f" holds {bytes_in_words(process.memory_bytes)}"
    return f"process {process.process_id} ({name}){held}"
