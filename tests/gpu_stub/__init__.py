"""The real binding on a management library that tests write the answers for. See `nvml_stub.c`."""

from __future__ import annotations

import _ctypes
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pynvml
import pytest

STATE_VARIABLE = "NVML_STUB_STATE"
SOURCE = Path(__file__).with_name("nvml_stub.c")
LIBRARY = "libnvidia-ml.so.1"


def build(folder: Path) -> Path:
    """Compile the stub into a folder. Without a compiler this fails, for nothing else tests the meter."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.fail("the GPU tests compile a stub of NVIDIA's library: install gcc")
    path = folder / LIBRARY
    command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{LIBRARY}", "-o", str(path), str(SOURCE)]
    subprocess.run(command, check=True)
    return path


@contextmanager
def loaded(path: Path) -> Iterator[None]:
    """Have the binding of this process load the stub: it is there under the name the binding asks for."""
    _forget()
    handle = ctypes.CDLL(str(path))
    try:
        yield
    finally:
        binding = pynvml.nvmlLib
        _forget()
        for library in (handle, *([binding] if binding is not None else [])):
            _ctypes.dlclose(library._handle)


def _forget() -> None:
    pynvml.nvmlLib = None
    pynvml._nvmlGetFunctionPointer_cache.clear()


class World:
    """What the stub tells, and how a test changes it: whole, in one rename."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.write()

    def write(self, *statements: str) -> None:
        """Replace the world by these statements."""
        beside = self._path.with_suffix(".new")
        beside.write_text("".join(f"{statement}\n" for statement in statements), encoding="ascii")
        beside.replace(self._path)

    @property
    def environment(self) -> dict[str, str]:
        """The variables for a process that is to see this world."""
        return {STATE_VARIABLE: str(self._path)}


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Make this process see a world of its own, at first without a GPU."""
    made = World(folder / "nvml.txt")
    os.environ.update(made.environment)
    try:
        yield made
    finally:
        os.environ.pop(STATE_VARIABLE, None)
