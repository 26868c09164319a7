"""An observer that only remembers."""

from __future__ import annotations

from harness.core.types import Limits, SetName
from harness.gateway.set_run import SetProgress, SetRun
from harness.results.result import SetResult
from harness.videos.prepare import PrepareProgress


class Silent:
    """See `harness.run.passes.Observer`."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.ran: list[tuple[SetName, int]] = []

    def step(self, text: str) -> None:
        self.told.append(text)

    say = warn = step

    def preparing(self, name: SetName, progress: PrepareProgress) -> None:
        self.told.append(f"prepared {progress.done} of {name}")

    def running(self, name: SetName, progress: SetProgress) -> None:
        self.ran.append((name, progress.done))

    def judged(self, one: SetResult, run: SetRun, limits: Limits) -> None:
        self.told.append(f"judged {one.set_name}: {one.verdict}")
