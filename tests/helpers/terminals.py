"""A real pseudo-terminal for what is tested, of 80 columns."""

from __future__ import annotations

import os
import pty
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from fcntl import ioctl
from pathlib import Path

PATIENCE_SECONDS = 300.0


def on_a_terminal(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    typed: bytes = b"",
    columns: int = 80,
) -> tuple[int, bytes, bytes]:
    """Run a command with standard output and error on a terminal each.

    Args:
        command: The program and its arguments.
        environment: All of it.
        folder: Where it runs.
        typed: What is typed ahead.
        columns: Of both terminals.

    Returns:
        Its exit code, and what each of the terminals was sent.
    """
    ends = [pty.openpty() for _ in range(2)]
    for _, theirs in ends:
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    said: list[list[bytes]] = [[], []]
    readers = [
        threading.Thread(target=_read, args=(ours, parts))
        for (ours, _), parts in zip(ends, said, strict=True)
    ]
    with subprocess.Popen(
        command,
        stdin=ends[0][1],
        stdout=ends[0][1],
        stderr=ends[1][1],
        env=environment,
        cwd=folder,
        start_new_session=True,
    ) as process:
        for reader in readers:
            reader.start()
        os.write(ends[0][0], typed)
        try:
            code = process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    for _, theirs in ends:
        os.close(theirs)
    for reader in readers:
        reader.join()
    for ours, _ in ends:
        os.close(ours)
    return code, b"".join(said[0]), b"".join(said[1])


def _read(end: int, parts: list[bytes]) -> None:
    while True:
        try:
            part = os.read(end, 65536)
        except OSError:  # nobody holds the other end any more
            return
        if not part:
            return
        parts.append(part)
