"""A package as a plain process of this machine: for stepping through one's own package in a debugger.

It isolates NOTHING: the package reads and writes what you can, keeps the network, and may leave processes
behind. Of the limits only the clocks and the log volume hold. Its results never enter a leaderboard.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from harness.core.errors import SandboxError
from harness.core.types import ImageFacts, SandboxFacts, SandboxSpec
from harness.core.usage import Usage
from harness.sandbox import Backend, Wanted
from harness.sandbox.docker.hardening import environment
from harness.sandbox.inbox import Inbox, frame_cap
from harness.sandbox.protocol import frame

SEND_SECONDS = 5.0
END_SECONDS = 30.0
DRAIN_SECONDS = 1.0
EXIT_SECONDS = 5.0
CHUNK_BYTES = 64 * 1024
ISOLATION = "none"
WARNING = (
    "--sandbox process isolates nothing: the package runs with your rights and your network. "
    "It is for stepping through your own package; its result never enters a leaderboard."
)
LIKE_A_RUN = False
_INSIDE_ONLY = {"HOME", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"}


def make(wanted: Wanted) -> Backend:
    """Run packages as plain processes of this machine. See `harness.sandbox.BackEnd`."""
    return Backend(
        sandbox=ProcessSandbox(python=wanted.python or sys.executable),
        image=ImageFacts(label="no image: the host's own Python", digest="none", variant="cpu"),
        engine="no container engine",
    )


class ProcessSandbox:
    """A `Sandbox` that isolates nothing.

    Args:
        python: The interpreter that has what the package imports.
    """

    isolation = ISOLATION

    def __init__(self, *, python: str = sys.executable) -> None:
        self._python = python

    @contextmanager
    def start(self, spec: SandboxSpec) -> Iterator[PlainProcess]:
        """See `Sandbox.start`.

        Raises:
            SandboxError: it cannot be started, or the package expects mounts that only a container has.
        """
        if spec.extra_mounts or spec.writable:
            raise SandboxError(
                "the kaggle layout needs the paths of a container",
                remedy="Run this package without `--sandbox process`.",
            )
        scratch = Path(tempfile.mkdtemp(prefix="harness-process-"))
        try:
            with as_file(files("harness.image.runtime").joinpath("runner.py")) as runner:
                process = PlainProcess([self._python, "-sPB", str(runner)], spec, scratch)
                try:
                    yield process
                finally:
                    process.kill()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


class PlainProcess:
    """A `SandboxProcess` that is a process group of this machine."""

    def __init__(self, command: list[str], spec: SandboxSpec, scratch: Path) -> None:
        self._inbox = Inbox(cap=frame_cap(spec.mode), log_bytes_max=spec.limits.log_bytes)
        self._log_limit_exceeded = threading.Event()
        self._peak_memory_bytes: int | None = None
        self._cpu_seconds: float | None = None
        self._closed = False
        inside = {key: value for key, value in environment(spec).items() if key not in _INSIDE_ONLY}
        paths = {"HARNESS_PACKAGE": str(spec.package.source), "HARNESS_VIDEOS": str(spec.videos.source)}
        try:
            self._process = subprocess.Popen(  # noqa: S603  (to run the contestant's own code is the purpose)
                command,
                cwd=scratch,
                env=os.environ | inside | paths,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(
                f"cannot start the runner: {error.strerror}",
                place=command[0],
                remedy="Check the interpreter.",
            ) from error
        self._input, self._output, self._log = _pipes(self._process)
        os.set_blocking(self._input, False)
        self._stopped, self._stop = os.pipe()
        self._reader = threading.Thread(target=self._read, name="process-reader", daemon=True)
        self._reader.start()

    def send(self, payload: bytes) -> None:
        """See `SandboxProcess.send`."""
        if self._closed:
            return
        rest = memoryview(frame(payload))
        deadline = time.monotonic() + SEND_SECONDS
        while rest and (remaining := deadline - time.monotonic()) > 0:
            poll = select.poll()
            poll.register(self._input, select.POLLOUT)
            if not poll.poll(max(1, round(remaining * 1000))):
                return
            try:
                rest = rest[os.write(self._input, rest) :]
            except BlockingIOError:
                continue
            except OSError:
                return  # gone: the next receive reports it

    def receive(self, timeout_seconds: float) -> bytes:
        """See `SandboxProcess.receive`."""
        return self._inbox.receive(timeout_seconds)

    def facts(self) -> SandboxFacts:
        """See `SandboxProcess.facts`. Memory and CPU are the runner's own, without its children's."""
        exit_code = self._exit_code()
        if exit_code is None:
            self._measure()
        return SandboxFacts(
            running=exit_code is None,
            exit_code=exit_code if exit_code is None or exit_code >= 0 else 128 - exit_code,
            log_limit_exceeded=self._log_limit_exceeded.is_set(),
            usage=Usage(peak_memory_bytes=self._peak_memory_bytes, cpu_seconds=self._cpu_seconds),
            log_bytes=self._inbox.log_bytes,
            log_tail=self._inbox.log_tail(),
        )

    def kill(self) -> None:
        """See `SandboxProcess.kill`; a child that has left the process group survives.

        Raises:
            SandboxError: the process does not end.
        """
        if self._process.poll() is None:
            self._measure()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        try:
            self._process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise SandboxError(
                f"process {self._process.pid} does not end",
                remedy="End it (`kill -9`), and run the same command again.",
            ) from error
        if self._closed:
            return
        self._closed = True
        self._reader.join(
            timeout=DRAIN_SECONDS
        )  # a child that has left the group may hold the pipes for ever
        os.close(self._stop)
        self._reader.join()
        os.close(self._stopped)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _exit_code(self) -> int | None:
        if self._inbox.closed:  # the pipe closes a moment before the process can be waited for
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=EXIT_SECONDS)
        return self._process.poll()

    def _measure(self) -> None:
        folder = Path(f"/proc/{self._process.pid}")
        try:
            status = (folder / "status").read_text(encoding="utf-8", errors="replace")
            ticks = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return  # not Linux, or just ended
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                self._peak_memory_bytes = int(line.split()[1]) * 1024
        self._cpu_seconds = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")

    def _read(self) -> None:
        poll = select.poll()
        for descriptor in (self._output, self._log, self._stopped):
            poll.register(descriptor, select.POLLIN)
        open_pipes = 2
        try:
            while open_pipes:
                for descriptor, _ in poll.poll():
                    if descriptor == self._stopped:
                        return
                    data = os.read(descriptor, CHUNK_BYTES)
                    if not data:
                        poll.unregister(descriptor)
                        open_pipes -= 1
                        if descriptor == self._output:
                            self._inbox.close()
                    elif descriptor == self._output:
                        self._inbox.feed_frames(data)
                    elif not self._inbox.feed_log(data):
                        self._log_limit_exceeded.set()
                        with contextlib.suppress(ProcessLookupError):
                            os.killpg(self._process.pid, signal.SIGKILL)
        finally:
            self._inbox.close()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[int, int, int]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise SandboxError(
            "the runner was started without pipes",
            remedy="Run the same command again: what was done is kept.",
        )
    return process.stdin.fileno(), process.stdout.fileno(), process.stderr.fileno()
