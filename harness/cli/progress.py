"""What a person sees while the harness works: steps, bars and warnings, on standard error."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.text import Text
from tqdm import tqdm

from harness.core.limits import bytes_in_words, seconds_in_words
from harness.core.types import SetName

if TYPE_CHECKING:
    from typing import Any

    from harness.gateway.set_run import SetProgress
    from harness.videos.prepare import PrepareProgress


class ConsoleObserver:
    """Prints the steps of a run and keeps one bar for whatever takes long.

    Without a terminal the bars stay, but are renewed only every ten seconds, so that a log stays readable.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: tqdm[Any] | None = None
        self._title = ""
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def step(self, text: str) -> None:
        """Say that the next step has begun."""
        self._close()
        self.console.print(Text(text, "bold"))

    def say(self, text: str) -> None:
        """Say something about the current step."""
        self._close()
        self.console.print(Text(f"  {text}"))

    def warn(self, text: str) -> None:
        """Say something that a person should not miss."""
        self._close()
        self.console.print(Text.assemble(("warning:", "yellow"), f" {text}"))

    def preparing(self, name: SetName, progress: PrepareProgress) -> None:
        """Show how far the perturbing of one set is."""
        bar = self._show(f"preparing {name}", progress.total, "video")
        rate = progress.frames / progress.wall_seconds if progress.wall_seconds else 0.0
        bar.set_postfix_str(
            f"{rate:.0f} frames/s, {bytes_in_words(progress.bytes_written)}, reused {progress.reused}",
            refresh=False,
        )
        self._move(bar, progress.done)

    def running(self, name: SetName, progress: SetProgress) -> None:
        """Show how far the package is on one set, what time it has left, and what failed."""
        bar = self._show(f"{name} set", progress.total, "video")
        score = "" if progress.log_loss is None else f"log loss so far {progress.log_loss:g}, "
        left = max(0.0, progress.budget_seconds - progress.billed_seconds)
        bar.set_postfix_str(
            f"{progress.phase}, {score}failed {progress.failures}, budget left {seconds_in_words(left)}",
            refresh=False,
        )
        self._move(bar, progress.done)

    def counting(self, title: str, done: int, total: int) -> None:
        """Show how far anything else is."""
        self._move(self._show(title, total, "file"), done)

    def _move(self, bar: tqdm[Any], done: int) -> None:
        bar.update(done - bar.n)
        if self.console.is_terminal:
            bar.refresh()

    def _show(self, title: str, total: int, unit: str) -> tqdm[Any]:
        if self._bar is None or self._title != title:
            self._close()
            terminal = self.console.is_terminal
            self._title = title
            self._bar = tqdm(
                total=total,
                desc=f"  {title}",
                unit=unit,
                file=self.console.file,
                dynamic_ncols=terminal,
                ncols=None if terminal else 100,
                mininterval=0.1 if terminal else 10.0,
                leave=True,
            )
        return self._bar

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
