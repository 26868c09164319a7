"""One running container: its pipe, what is known of it from outside, and its end."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterable
from typing import Any, cast

import docker
import docker.errors

from harness.core.errors import ProcessEnded, SandboxError
from harness.core.types import SandboxFacts, SandboxSpec
from harness.core.usage import Usage
from harness.sandbox.docker.engine_errors import engine_errors
from harness.sandbox.docker.line import receive_exactly, receive_some, send_all
from harness.sandbox.inbox import Inbox, frame_cap
from harness.sandbox.meters.cgroup import CgroupMeter, EngineMeter, Sampler, StealMeter
from harness.sandbox.meters.gpu import Lease
from harness.sandbox.meters.gpu_meter import GpuFacts, GpuMeter
from harness.sandbox.meters.kernel_log import killed_for_memory
from harness.sandbox.protocol import frame

SEND_SECONDS = 5.0
OOM_NEWS_SECONDS = 2.0  # by which the engine's word of a kill for memory may come after that of the end
ENDED_SECONDS = 15.0  # for a busy engine to record an end that its streams have already shown
END_SECONDS = 30
CHUNK_BYTES = 64 * 1024
STDOUT = 1
KILLED = 137  # 128 + SIGKILL
TERMINATED = 143  # 128 + SIGTERM


class ContainerProcess:
    """A `SandboxProcess` in a container that is created and attached to; `begin` starts it.

    Args:
        api: Of the engine.
        container_id: The container.
        spec: What it was created from.
        cores: The cores that it may run on; the time that their own host steals is measured.
        lease: Its GPUs.
    """

    def __init__(
        self,
        api: docker.APIClient,
        container_id: str,
        spec: SandboxSpec,
        *,
        cores: Iterable[int] = (),
        lease: Lease | None = None,
    ) -> None:
        self._api = api
        self._id = container_id
        self._spec = spec
        self._cores = tuple(cores)
        self._lease = lease or Lease()
        self._inbox = Inbox(cap=frame_cap(spec.mode), log_bytes_max=spec.limits.log_bytes)
        self._log_limit_exceeded = threading.Event()
        self._killed_by_us = False
        self._final: SandboxFacts | None = None
        with engine_errors("attach to the container"):
            streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            self._stream = api.attach_socket(container_id, params=streams)
        # The client hands out a read-only file around the upgraded socket; sending needs the socket.
        self._socket = getattr(self._stream, "_sock", self._stream)
        self._socket.setblocking(False)
        self._reader = threading.Thread(target=self._read, name="container-reader", daemon=True)
        self._sampler: Sampler | None = None
        self._gpu_meter: GpuMeter | None = None

    def begin(self) -> None:
        """Start the container.

        Raises:
            SandboxError: the engine could not.
        """
        with engine_errors("start the container"):
            self._api.start(self._id)
            process_id = int(self._state()["Pid"])
        groups = CgroupMeter.of(process_id, self._id) if process_id > 0 else None
        if self._lease.gpus:
            self._gpu_meter = GpuMeter(
                lease=self._lease,
                container_id=self._id,
                limit_bytes=self._spec.limits.gpu_memory_bytes,
                end=self._end_at_once,
                control_group=groups.unified_folder if groups else None,
            )
        self._sampler = Sampler(
            groups or EngineMeter(api=self._api, container_id=self._id),
            steal=StealMeter(self._cores) if groups else None,  # else it would be another machine's
            gpu_memory_bytes=self._gpu_memory_bytes,
        )
        self._reader.start()

    def send(self, payload: bytes) -> None:
        """See `SandboxProcess.send`."""
        send_all(
            self._socket, frame(payload), timeout_seconds=SEND_SECONDS
        )  # if gone, the next receive says so

    def receive(self, timeout_seconds: float) -> bytes:
        """See `SandboxProcess.receive`.

        Raises:
            SandboxError: the engine dropped the line to a container that still runs.
        """
        try:
            return self._inbox.receive(timeout_seconds)
        except ProcessEnded:
            if self.facts().running:
                raise SandboxError(
                    "the container engine dropped the connection to a running container",
                    remedy="Look at the engine's own log, then run again: the run resumes.",
                ) from None
            raise

    def facts(self) -> SandboxFacts:
        """See `SandboxProcess.facts`.

        Raises:
            SandboxError: the engine does not answer, the container is no longer there, or its GPU was lost or
                taken by somebody else.
        """
        if self._final is not None:
            return self._final
        if not self._inbox.closed:
            return self._facts(running=True, exit_code=None, engine_says_oom=False)
        with engine_errors("inspect the container"):
            state = self._ended_state()
            if state["Running"]:
                return self._facts(running=True, exit_code=None, engine_says_oom=bool(state["OOMKilled"]))
            exit_code = int(state["ExitCode"])
            engine_says_oom = bool(state["OOMKilled"]) or (
                exit_code == KILLED and not self._killed_by_us and self._oom_was_announced()
            )
        self._stop_watching()
        final = self._facts(running=False, exit_code=exit_code, engine_says_oom=engine_says_oom)
        self._refuse_a_kill_from_outside(final)
        self._final = final
        return self._final

    def kill(self) -> None:
        """See `SandboxProcess.kill`. The end of a container's first process ends everything in it.

        Raises:
            SandboxError: the engine does not answer, or the container does not end.
        """
        if self._final is not None:
            return
        if self._gpu_meter is not None:
            self._gpu_meter.stop()  # nothing that happens from here on is the package's
        if self._sampler is not None:
            self._sampler.read()  # the control group goes with the container
        with engine_errors("kill the container"):
            self._killed_by_us = self._signal()
            self._api.wait(self._id, timeout=END_SECONDS)
        self._stop_watching()
        self._inbox.close()
        self.facts()

    def close(self) -> None:
        """Let go of the line to the container, whatever state it is in. May be called twice."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the reader of a container that still runs
        self._stop_watching()

    def _signal(self) -> bool:
        try:
            self._api.kill(self._id)
        except docker.errors.APIError as error:
            not_running = "state improper" in str(error)  # Podman's word for it, with status 500
            if error.status_code not in {404, 409} and not not_running:  # gone, or not running
                raise
            return False
        return True

    def _state(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self._api.inspect_container(self._id)["State"])

    def _ended_state(self) -> dict[str, Any]:
        """Read the state; the streams end a moment before the engine has written down the end."""
        deadline = time.monotonic() + ENDED_SECONDS
        state = self._state()
        while state["Running"] and time.monotonic() < deadline:
            time.sleep(0.02)
            state = self._state()
        return state

    def _oom_was_announced(self) -> bool:
        # An engine may mark the state after it has announced the end; its list of events has it by then, or a
        # moment later if the engine is busy: its two sources of such news are not in step.
        deadline = time.monotonic() + OOM_NEWS_SECONDS
        while not (announced := self._knows_of_oom()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return announced

    def _refuse_a_kill_from_outside(self, final: SandboxFacts) -> None:
        """Blame ourselves for a kill by the engine that we did not request: no package can reach it.

        Raises:
            SandboxError: somebody else told the engine to kill it.
        """
        by_limit = final.oom_killed or final.log_limit_exceeded or final.gpu_limit_exceeded
        if final.exit_code not in {KILLED, TERMINATED} or self._killed_by_us or by_limit:
            return
        with engine_errors("say who killed the container"):
            if self._knows_of("kill"):
                raise SandboxError(
                    "the container was killed from outside, by somebody who has access to the engine",
                    remedy="Not held against the package: the run resumes.",
                )

    def _knows_of_oom(self) -> bool:
        return self._knows_of("oom") or killed_for_memory(self._id)  # Podman 4.3 on cgroup v1 never says it

    def _knows_of(self, event: str) -> bool:
        # From the beginning of time: the wall clock may have been set back since the container was started.
        events = self._api.events(
            since=0,
            until=int(time.time()) + 1,
            filters={"container": self._id, "event": event},
            decode=True,
        )
        return any(True for _ in events)

    def _facts(self, *, running: bool, exit_code: int | None, engine_says_oom: bool) -> SandboxFacts:
        gpu = self._gpu_facts()
        reading = self._sampler.read() if self._sampler else None
        peak = self._sampler.peak_memory_bytes if self._sampler else None
        oom_killed = engine_says_oom or bool(reading and reading.oom_kills)
        if oom_killed:  # it was at its limit, whenever the last sample was taken
            peak = self._spec.limits.memory_bytes
        return SandboxFacts(
            running=running,
            exit_code=exit_code,
            oom_killed=oom_killed,
            log_limit_exceeded=self._log_limit_exceeded.is_set(),
            gpu_limit_exceeded=gpu.limit_exceeded,
            usage=Usage(
                peak_memory_bytes=peak,
                peak_gpu_memory_bytes=gpu.peak_bytes,
                cpu_seconds=reading.cpu_seconds if reading else None,
                throttled_seconds=reading.throttled_seconds if reading else None,
                steal_seconds=self._sampler.steal_seconds if self._sampler else None,
                gpu_seconds=gpu.busy_seconds,
                gpu_level=gpu.level,
            ),
            log_bytes=self._inbox.log_bytes,
            log_tail=self._inbox.log_tail(),
            samples=self._sampler.samples if self._sampler else (),
        )

    def _gpu_facts(self) -> GpuFacts:
        facts = self._gpu_meter.facts() if self._gpu_meter is not None else GpuFacts()
        if facts.fault:
            raise SandboxError(
                facts.fault,
                remedy="Not held against the package. See to the GPU (`nvidia-smi`), then run again: "
                "the run resumes.",
            )
        return facts

    def _gpu_memory_bytes(self) -> int | None:
        return self._gpu_meter.facts().memory_bytes if self._gpu_meter is not None else None

    def _stop_watching(self) -> None:
        if self._gpu_meter is not None:
            self._gpu_meter.stop()
        if self._sampler is not None:
            self._sampler.stop()
        if self._reader.is_alive():
            self._reader.join(timeout=SEND_SECONDS)  # the rest of the log is on its way
        with contextlib.suppress(OSError):
            self._socket.close()
        with contextlib.suppress(OSError):
            self._stream.close()

    def _read(self) -> None:
        """Take the engine's stream apart until it ends: 8 bytes of header, then bytes of one pipe."""
        try:
            while header := receive_exactly(self._socket, 8):
                kind, length = struct.unpack(">BxxxL", header)
                while length > 0:
                    data = receive_some(self._socket, min(length, CHUNK_BYTES))
                    if not data:
                        return
                    length -= len(data)
                    self._feed(kind, data)
        finally:
            self._inbox.close()

    def _feed(self, kind: int, data: bytes) -> None:
        if kind == STDOUT:
            self._inbox.feed_frames(data)
        elif not self._inbox.feed_log(data) and not self._log_limit_exceeded.is_set():
            self._log_limit_exceeded.set()
            # In its own thread: the engine ends a container only once somebody has read what it wrote.
            threading.Thread(target=self._end_at_once, name="flood-stopper", daemon=True).start()

    def _end_at_once(self) -> None:
        # Best effort, at once: the code that waits for a frame kills again, and gets the errors.
        with contextlib.suppress(docker.errors.DockerException, OSError):
            self._signal()
