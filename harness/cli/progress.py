"""What a person sees while the harness works: steps, bars and warnings, on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from rich.text import Text
from tqdm import tqdm

from harness.cli.terminal import Printer
from harness.core.limits import bytes_in_words, seconds_in_words

if TYPE_CHECKING:
    from harness.core.types import Limits
    from harness.gateway.set_run import SetProgress, SetRun
    from harness.results.result import SetResult
    from harness.videos.prepare import PrepareProgress

LINE_EVERY_SECONDS: Final = 10.0  # if nothing can be redrawn


class Bar(Protocol):
    """What is moved as work goes on: tqdm's bar, or lines."""

    @property
    def n(self) -> float:
        """Return how far it is."""

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """Say something beside the numbers."""

    def update(self, n: float | None = 1) -> object:
        """Count."""

    def refresh(self) -> object:
        """Draw it now."""

    def close(self) -> None:
        """Leave its last state."""


class Lines:
    """A bar for a log, a pipe or a dumb terminal: a whole line every ten seconds, and one at the end."""

    def __init__(self, title: str, total: int, unit: str, *, write: Callable[[str], None]) -> None:
        self.n = 0
        self._words = f"  {title}: {{done}} of {total} {unit}s"
        self._write = write
        self._beside = ""
        self._said = 0
        self._began = self._last = time.monotonic()

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """Keep what the next line says."""
        del refresh
        self._beside = s

    def update(self, n: float | None = 1) -> None:
        """Count; say it if it is time."""
        self.n += int(n or 0)
        if time.monotonic() >= self._last + LINE_EVERY_SECONDS:
            self._say()

    def refresh(self) -> None:
        """Do nothing: a line cannot be drawn again."""

    def close(self) -> None:
        """Say the last state, if it was not said."""
        if self.n != self._said:
            self._say()

    def _say(self) -> None:
        self._last, self._said = time.monotonic(), self.n
        beside = f", {self._beside}" if self._beside else ""
        seconds = seconds_in_words(self._last - self._began)
        self._write(f"{self._words.format(done=self.n)} in {seconds}{beside}")


class ConsoleObserver:
    """Prints the steps of a run and keeps one bar for whatever takes long."""

    def __init__(self, console: Printer) -> None:
        self.console = console
        self._bar: Bar | None = None
        self._title = ""

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

    def preparing(self, name: str, progress: PrepareProgress) -> None:
        """Show how far the perturbing of one set is."""
        bar = self._show(f"preparing {name}", progress.total, "video")
        rate = progress.frames / progress.wall_seconds if progress.wall_seconds else 0.0
        bar.set_postfix_str(
            f"{rate:.0f} frames/s, {bytes_in_words(progress.bytes_written)}, reused {progress.reused}",
            refresh=False,
        )
        self._move(bar, progress.done)

    def running(self, name: str, progress: SetProgress) -> None:
        """Show how far the package is on one set, what time it has left, and what failed."""
        bar = self._show(f"{name} set", progress.total, "video")
        score = "" if progress.log_loss is None else f"log loss so far {progress.log_loss:g}, "
        left = max(0.0, progress.budget_seconds - progress.billed_seconds)
        bar.set_postfix_str(
            f"{progress.phase}, {score}failed {progress.failures}, budget left {seconds_in_words(left)}",
            refresh=False,
        )
        self._move(bar, progress.done)

    def judged(self, one: SetResult, run: SetRun, limits: Limits) -> None:
        """Show the public set's score, and what failed, before any other set is prepared."""
        from harness.cli.views.failures import render_failures  # most commands judge nothing
        from harness.cli.views.scores import score_line

        self._close()
        self.console.print(score_line(one))
        for line in render_failures(run, limits):
            self.console.print(line)
        if not one.score.videos - one.score.failed:
            self.warn("the other sets are run all the same; Ctrl-C ends it here")

    def counting(self, title: str, done: int, total: int, *, unit: str = "file", beside: str = "") -> None:
        """Show how far anything else is."""
        bar = self._show(title, total, unit)
        if beside:
            bar.set_postfix_str(beside, refresh=False)
        self._move(bar, done)

    def _move(self, bar: Bar, done: int) -> None:
        bar.update(done - bar.n)
        bar.refresh()

    def _show(self, title: str, total: int, unit: str) -> Bar:
        if self._bar is None or self._title != title:
            self._close()
            self._title = title
            self._bar = self._bar_of(title, total, unit)
        return self._bar

    def _bar_of(self, title: str, total: int, unit: str) -> Bar:
        if not self.console.redraws:
            return Lines(title, total, unit, write=lambda line: self.console.print(Text(line)))
        return tqdm(
            total=total, desc=f"  {title}", unit=unit, file=self.console.file, dynamic_ncols=True, leave=True
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
