"""Bytes to and from the socket of an attached container that does not block and may close at any time."""

from __future__ import annotations

import select
import time
from typing import Any, cast


def send_all(connection: Any, data: bytes, *, timeout_seconds: float) -> None:
    """Send bytes until all are gone, the time is over or the other side is; the sender is not told which.

    Args:
        connection: A socket that does not block.
        data: What to send.
        timeout_seconds: For all of it.
    """
    rest = memoryview(data)
    deadline = time.monotonic() + timeout_seconds
    while rest and (remaining := deadline - time.monotonic()) > 0:
        if connection.fileno() < 0:
            return
        if not _wait(connection, select.POLLOUT, remaining):
            return
        try:
            rest = rest[connection.send(rest) :]
        except BlockingIOError:
            continue
        except OSError:
            return


def receive_exactly(connection: Any, count: int) -> bytes:
    """Return so many bytes, or none if the line ends before."""
    data = b""
    while len(data) < count:
        more = receive_some(connection, count - len(data))
        if not more:
            return b""
        data += more
    return data


def receive_some(connection: Any, count: int) -> bytes:
    """Wait for bytes and return at most so many; none if the line has ended."""
    while True:
        try:
            return cast("bytes", connection.recv(count))
        except BlockingIOError:
            _wait(connection, select.POLLIN, None)
        except (OSError, ValueError):
            return b""  # closed, by the engine or by us


def _wait(connection: Any, event: int, timeout_seconds: float | None) -> bool:
    poll = select.poll()
    poll.register(connection, event)
    return bool(poll.poll(None if timeout_seconds is None else max(1, round(timeout_seconds * 1000))))
