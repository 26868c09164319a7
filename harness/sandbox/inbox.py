"""What comes out of a sandbox: frames on one stream, log text on the other. Both are hostile and capped.

Fed by a reader thread, read by the gateway. Memory is bounded whatever arrives: one frame in the making, a
few complete ones, and the end of the log.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from harness.core.errors import ProcessEnded, ProtocolViolation, ReceiveTimeout
from harness.core.text import safe_text
from harness.core.types import Mode
from harness.sandbox.protocol import (
    ANSWER_BYTES_MAX,
    HEADER_BYTES,
    TABLE_BYTES_MAX,
    payload_length,
)

LOG_TAIL_BYTES = 64 * 1024
PENDING_FRAMES_MAX = 4  # an honest runner never has more than one on its way


def frame_cap(mode: Mode) -> int:
    """Return how many bytes a frame of this mode may have."""
    return TABLE_BYTES_MAX if mode is Mode.BATCH else ANSWER_BYTES_MAX


class Inbox:
    """Frames and log of one process. Every method may be called from any thread."""

    def __init__(self, *, cap: int, log_bytes_max: int) -> None:
        self._cap = cap
        self._log_bytes_max = log_bytes_max
        self._changed = threading.Condition()
        self._partial = bytearray()
        self._frames: deque[bytes] = deque()
        self._violation: ProtocolViolation | None = None
        self._closed = False
        self._log = bytearray()
        self._log_bytes = 0
        self._tail = (0, "")  # how many bytes had been seen when it was last made printable

    def feed_frames(self, data: bytes) -> None:
        """Take bytes of the protocol stream. After a violation nothing more is kept."""
        with self._changed:
            if self._violation is not None:
                return
            self._partial += data
            try:
                self._cut_frames()
            except ProtocolViolation as violation:
                self._violation = violation
                self._partial.clear()
            self._changed.notify_all()

    def feed_log(self, data: bytes) -> bool:
        """Take log bytes, and tell whether the log is still within its limit."""
        with self._changed:
            self._log_bytes += len(data)
            self._log += data
            del self._log[:-LOG_TAIL_BYTES]
            return self._log_bytes <= self._log_bytes_max

    def close(self) -> None:
        """Record that nothing more will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the streams have ended."""
        with self._changed:
            return self._closed

    @property
    def log_bytes(self) -> int:
        """How many log bytes were seen."""
        with self._changed:
            return self._log_bytes

    def log_tail(self) -> str:
        """Return the end of the log, safe to print: control characters are replaced."""
        with self._changed:
            seen, text = self._tail
            if seen != self._log_bytes:
                text = safe_text(bytes(self._log).decode("utf-8", errors="replace"))
                self._tail = (self._log_bytes, text)
            return text

    def receive(self, timeout_seconds: float) -> bytes:
        """Wait for one frame. See `SandboxProcess.receive`."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while not self._frames:
                if self._violation is not None:
                    raise self._violation
                if self._closed:
                    raise ProcessEnded("the process has ended")
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise ReceiveTimeout(f"no answer within {timeout_seconds:.3f} s")
                self._changed.wait(min(remaining, threading.TIMEOUT_MAX))
            return self._frames.popleft()

    def _cut_frames(self) -> None:
        while len(self._partial) >= HEADER_BYTES:
            length = payload_length(bytes(self._partial[:HEADER_BYTES]), cap=self._cap)
            if len(self._partial) < HEADER_BYTES + length:
                return
            if len(self._frames) >= PENDING_FRAMES_MAX:
                raise ProtocolViolation(f"more than {PENDING_FRAMES_MAX} frames that nobody requested")
            self._frames.append(bytes(self._partial[HEADER_BYTES : HEADER_BYTES + length]))
            del self._partial[: HEADER_BYTES + length]
