"""The workers that `harness serve` starts beside the portal."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.told_to_end import clears_up_when_told_to_end

if TYPE_CHECKING:
    from harness.portal.config import PortalConfig

WORKER_SECONDS = 20.0  # for a worker to end by itself


@contextlib.contextmanager
def workers_beside(config: PortalConfig, challenges: list[Path]) -> Iterator[None]:
    """Run workers beside the portal, each a process of its own: a page never runs a package."""
    started = []
    with clears_up_when_told_to_end(aloud=False):  # uvicorn raises it again once it has ended
        try:
            for challenge in challenges:
                command = [
                    *(
                        sys.executable,
                        "-m",
                        "harness",
                        "contest",
                        "run",
                        str(challenge),
                        "--entries",
                        "store",
                    ),
                    *("--watch", "--store", config.store, "--runs", str(config.runs)),
                    *("--packages", str(config.packages), "--price-per-hour", str(config.price_per_hour)),
                ]
                started.append(subprocess.Popen(command))  # noqa: S603  (our own command)
            yield
        finally:
            for process in started:
                process.terminate()
            for process in started:
                try:
                    process.wait(WORKER_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
