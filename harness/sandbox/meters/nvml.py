"""NVIDIA's management library, as far as a meter needs it: which GPUs there are, and who holds how much.

It reads; the one thing it can set is a memory limit of a control group. Every function needs `session`, and a
driver of release 510 or later, the first that tells processes in this form.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pynvml

from harness.core.errors import SandboxError

_Value = TypeVar("_Value")
_NO_DRIVER = {pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED}
_NOT_OFFERED = {
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
}
_LOST = {
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_RESET_REQUIRED,
    pynvml.NVML_ERROR_GPU_NOT_FOUND,
    pynvml.NVML_ERROR_NOT_FOUND,
    pynvml.NVML_ERROR_UNINITIALIZED,
}


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU, or one hardware partition of one (MIG)."""

    uuid: str
    name: str
    memory_bytes: int
    partition: bool = False


@dataclass(frozen=True, kw_only=True)
class GpuProcess:
    """A process with memory on a GPU."""

    process_id: int  # in the driver's, that is the host's, numbering
    memory_bytes: int | None  # its context included; None if the driver does not say


@dataclass(frozen=True, kw_only=True)
class GpuReading:
    """One GPU at one moment."""

    used_bytes: int
    computing: tuple[GpuProcess, ...]
    drawing: tuple[GpuProcess, ...]
    busy_share: float | None  # of the last sample period, in [0, 1]; partitions do not tell


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why there is no reading."""

    text: str
    lost: bool  # for good, as when the GPU has fallen off the bus; otherwise the next try may succeed


@contextmanager
def session() -> Iterator[bool]:
    """Open the library; yields whether there is one with a driver behind it.

    Raises:
        SandboxError: the driver is installed but does not answer.
    """
    there = _initialised()
    try:
        yield there
    finally:
        if there:
            with contextlib.suppress(pynvml.NVMLError):  # a driver that has gone needs no farewell
                pynvml.nvmlShutdown()


def _initialised() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if error.value in _NO_DRIVER:
            return False
        raise SandboxError(
            f"the GPU driver does not answer: {error}",
            remedy="Look at `nvidia-smi`; a driver that was just updated needs a restart of the machine.",
        ) from error
    return True


def list_gpus() -> tuple[Gpu, ...]:
    """Return every GPU, in the driver's order; one that is split appears as its partitions.

    Raises:
        SandboxError: the driver cannot tell.
    """
    try:
        whole = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return tuple(_gpu(part, partition) for one in whole for part, partition in _parts(one))
    except pynvml.NVMLError as error:
        raise SandboxError(
            f"the GPU driver cannot list its GPUs: {error}", remedy="Look at `nvidia-smi`."
        ) from error


def read_gpu(uuid: str) -> GpuReading | Trouble:
    """Read one GPU now."""
    try:
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        # By their versions: without one, the binding raises what is not an NVMLError if the driver is older.
        computing = pynvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)
        computing += _offered(pynvml.nvmlDeviceGetMPSComputeRunningProcesses_v3, handle, otherwise=[])
        drawing: list[Any] = _offered(pynvml.nvmlDeviceGetGraphicsRunningProcesses_v3, handle, otherwise=[])
        rates = _offered(pynvml.nvmlDeviceGetUtilizationRates, handle, otherwise=None)
        return GpuReading(
            used_bytes=int(_memory(handle).used),
            computing=tuple(map(_process, computing)),
            drawing=tuple(map(_process, drawing)),
            busy_share=None if rates is None else rates.gpu / 100,
        )
    except pynvml.NVMLError as error:
        return Trouble(text=f"GPU {uuid}: {error}", lost=error.value in _LOST)


def limit_control_group(uuid: str, control_group: str, limit_bytes: int) -> bool:
    """Ask the driver to hold a control group to a limit on one GPU.

    Offered from driver release 615 on with cgroup version 2; needs root.

    Returns:
        Whether the limit is in force, as the driver itself reports it afterwards.
    """
    group = control_group.encode()
    wanted = pynvml.c_nvmlSetMemoryLimits_v1_t(nameSpace=group, softLimit=0, hardLimit=limit_bytes)
    found = pynvml.c_nvmlGetMemoryLimits_v1_t(nameSpace=group, hardLimit=pynvml.NVML_DEVICE_MEMORY_LIMIT_MAX)
    try:
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        pynvml.nvmlDeviceSetMemoryLimits_v1(handle, wanted)
        pynvml.nvmlDeviceGetMemoryLimits_v1(handle, found)
    except (pynvml.NVMLError, ctypes.ArgumentError):
        return False  # whatever it is, the limit is not in force, and the meter is there
    return 0 < int(found.hardLimit) <= limit_bytes


def _parts(handle: Any) -> Iterator[tuple[Any, bool]]:
    split, _ = _offered(pynvml.nvmlDeviceGetMigMode, handle, otherwise=(0, 0))
    if not split:
        yield handle, False
        return
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            yield pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index), True
        except pynvml.NVMLError as error:
            if error.value not in {pynvml.NVML_ERROR_NOT_FOUND, pynvml.NVML_ERROR_INVALID_ARGUMENT}:
                raise  # otherwise: no partition in this place


def _gpu(handle: Any, partition: bool) -> Gpu:
    return Gpu(
        uuid=str(pynvml.nvmlDeviceGetUUID(handle)),
        name=str(pynvml.nvmlDeviceGetName(handle)),
        memory_bytes=int(_memory(handle).total),
        partition=partition,
    )


def _memory(handle: Any) -> Any:
    """Ask in the form that keeps what the driver holds for itself out of `used`, if it is known."""
    try:
        return pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    except pynvml.NVMLError as error:
        if error.value not in _NOT_OFFERED:
            raise
        return pynvml.nvmlDeviceGetMemoryInfo(handle)


def _process(found: Any) -> GpuProcess:
    used = found.usedGpuMemory
    return GpuProcess(process_id=int(found.pid), memory_bytes=None if used is None else int(used))


def _offered(function: Any, handle: Any, *, otherwise: _Value) -> _Value:
    """Call what not every driver or GPU offers."""
    try:
        answer: _Value = function(handle)
    except pynvml.NVMLError as error:
        if error.value not in _NOT_OFFERED:
            raise
        return otherwise
    return answer
