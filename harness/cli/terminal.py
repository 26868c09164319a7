"""What the command line writes to: one place that knows its width, and what it can show.

A terminal has the width that it has. A pipe or a file has none, so that nothing is folded that somebody cuts
out with other tools.
"""

from __future__ import annotations

import os
from typing import Final

from rich.console import Console, ConsoleDimensions

NO_TERMINAL_COLUMNS: Final = 200


class Printer(Console):
    """A console that asks the stream itself what it is, each time."""

    @property  # type: ignore[misc]  # rich lets it be set; nobody here does
    def size(self) -> ConsoleDimensions:
        """Return columns and lines; many columns if it is not a terminal."""
        if not self.is_terminal and "COLUMNS" not in os.environ:
            return ConsoleDimensions(NO_TERMINAL_COLUMNS, 25)
        return super().size

    @property
    def encoding(self) -> str:
        """Return the stream's encoding in lower case; by it rich chooses how it draws tables."""
        return (getattr(self.file, "encoding", None) or "utf-8").lower()

    @property
    def redraws(self) -> bool:
        """Whether a line can be drawn over: not in a file, a pipe or a dumb terminal."""
        return self.is_terminal and not self.is_dumb_terminal


def printer(*, errors: bool = False) -> Printer:
    """Return what writes to standard output, or to standard error, whose lines are left to the terminal.

    A string is printed as it is: `[red]` or `:dog:` in a path or a name means nothing. `Text` has styles.
    """
    plain = bool(os.environ.get("NO_COLOR"))  # nor bold: whoever asks for none wants plain text
    return Printer(
        stderr=errors,
        soft_wrap=errors,
        color_system=None if plain else "auto",
        markup=False,
        emoji=False,
    )
