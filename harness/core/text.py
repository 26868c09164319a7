"""Text for people: lists of errors, and foreign text made safe to print. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from harness.core.types import OutcomeKind

ERRORS_SHOWN: Final = 20
SHOWN_CHARACTERS_MAX: Final = 300
TEAM_CHARACTERS_MAX: Final = 80
# At the start of a cell, and behind what a spreadsheet of another country cuts cells at.
_FORMULA: Final = re.compile(r"(^|[;,|\t\r\n])([\s'\"]*)([=+\-@\uff1d\uff0b\uff0d\uff20])")


def outcomes_in_words(kinds: Iterable[OutcomeKind] | Mapping[OutcomeKind, int]) -> str:
    """Say what happened to videos, given or counted: `1 of 16 answered, 15 failed: RUNTIME_ERROR`."""
    counts = Counter(kinds)
    total, answered = counts.total(), counts.pop(OutcomeKind.PREDICTED, 0)
    not_reached = counts.pop(OutcomeKind.NOT_REACHED, 0)
    parts = [f"{answered} of {total} answered"]
    if counts:
        kind = next(iter(counts))
        by_kind = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
        parts.append(f"{counts.total()} failed: {kind if len(counts) == 1 else by_kind}")
    if not_reached:
        parts.append(f"{not_reached} not reached")
    return ", ".join(parts)


def listed(summary: str, errors: list[str]) -> str:
    """Put a list of errors under its summary, the first twenty of them."""
    more = [f"… and {len(errors) - ERRORS_SHOWN} more"] if len(errors) > ERRORS_SHOWN else []
    return "\n  - ".join([f"{summary}:", *errors[:ERRORS_SHOWN], *more])


def describe(problem: Any) -> str:
    """Say in one line which key of a pydantic error is wrong and why."""
    key = ".".join(str(part) for part in problem["loc"] if part != "[key]") or "(top level)"
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    if problem["type"] == "missing":
        return f"{key}: missing"
    return f"{key}: {problem['msg'].removeprefix('Value error, ')} (got {str(problem['input'])[:60]!r})"


def safe_text(text: str) -> str:
    """Return foreign text as it may be stored, shown and printed; its lines and tabs stay.

    Anything that acts on a terminal, moves or hides characters, or is not a character becomes U+FFFD. It is
    *not* escaped for HTML or for a terminal's markup; the code that puts it there does that.
    """
    return "\n".join(line if line.isprintable() else "".join(map(_shown, line)) for line in text.split("\n"))


def safe_document(value: Any) -> Any:
    """Return a JSON value from elsewhere with each text and key in it as `safe_text` shows it.

    Raises:
        RecursionError: it is nested too deeply to be anything that was meant.
    """
    if isinstance(value, str):
        return safe_text(value)
    if isinstance(value, list):
        return [safe_document(one) for one in value]
    if isinstance(value, dict):
        return {safe_text(key): safe_document(one) for key, one in value.items()}
    return value


def printable(text: str, *, cap: int = SHOWN_CHARACTERS_MAX) -> str:
    """Return foreign text on one line of at most `cap` characters, each as `safe_text` shows it."""
    line = " ".join(safe_text(text[: cap + 1]).split())
    return line if len(text) <= cap else f"{line[:cap]}…"


def table_cell(text: str) -> str:
    """Return foreign text as a cell of a CSV that no spreadsheet takes for a formula: `=1+1` becomes `'=1+1`.

    Quotes do not keep a semicolon in its cell where semicolons part cells: what is behind one counts, too.
    """
    return _FORMULA.sub(r"\1\2'\3", text)


def _shown(character: str) -> str:
    plain = character.isprintable() or character == "\t" or unicodedata.category(character) == "Zs"
    return character if plain else "\N{REPLACEMENT CHARACTER}"


def team_name(text: str) -> str | None:
    """Return a team's name as it is kept, one line of 1 to 80 printable characters; None if it is not one."""
    name = unicodedata.normalize("NFC", " ".join(text.split()))
    return name if 0 < len(name) <= TEAM_CHARACTERS_MAX and name.isprintable() else None
