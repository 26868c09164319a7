"""How far an upload and an entry are: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console

from harness.cli.views.remote import entry_in_a_line
from harness.core.limits import bytes_in_words
from harness.portal.client.replies import EntryView

if TYPE_CHECKING:
    from typing import Any

    from tqdm import tqdm

STEP = 10  # per cent, of the lines in a pipe


class RemoteProgress:
    """Tells of an upload and of an entry, on standard error. A context manager that closes its bar."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: tqdm[Any] | None = None
        self._step = -1
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._close()

    def uploading(self, done: int, total: int) -> None:
        """Show how many bytes have arrived."""
        if self._console.is_terminal:
            self._show(done, total)
        elif (step := 100 * done // max(total, 1) // STEP) > self._step:
            self._step = step
            self.line(f"sent {step * STEP}% of {bytes_in_words(total)}")
        if done >= total:
            self._close()

    def entry(self, found: EntryView) -> None:
        """Say how an entry is, if that is other than before."""
        text = entry_in_a_line(found.document)
        if text != self._last:
            self._last = text
            self.line(text)

    def line(self, text: str) -> None:
        """Say something."""
        self._close()
        self._console.print(text, highlight=False)

    def _show(self, done: int, total: int) -> None:
        if self._bar is None:
            from tqdm import tqdm  # only an upload has a bar

            self._bar = tqdm(
                total=total,
                initial=done,
                desc="  sending",
                unit="B",
                unit_scale=True,
                file=self._console.file,
                dynamic_ncols=True,
            )
        self._bar.update(done - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
