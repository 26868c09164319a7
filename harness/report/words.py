"""Verdicts, numbers and hostile text as people read them. Pure functions, no HTML."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from harness.core.limits import bytes_in_words, seconds_in_words
from harness.core.types import OutcomeKind, SetName, Verdict
from harness.results.result import Resources

MESSAGE_CHARACTERS = 600
LOG_CHARACTERS = 8_000
NAME_CHARACTERS = 120

VERDICT_WORDS: Mapping[Verdict, str] = {
    Verdict.HARNESS_ERROR: (
        "The harness or its host failed. This is not the package's fault: the run is not scored, "
        "does not count, and may be repeated."
    ),
    Verdict.INVALID_PACKAGE: (
        "The package could not be run at all: it is unsafe, too large, or its manifest or entry is "
        "wrong. `harness check` lists what to change."
    ),
    Verdict.STARTUP_TIMEOUT: (
        "The package was not ready in time: loading its code and weights took longer than the limit."
    ),
    Verdict.TIME_LIMIT: "The time for the whole set, or for one video, ran out.",
    Verdict.MEMORY_LIMIT: "The package used more memory than the limit and was killed.",
    Verdict.GPU_MEMORY_LIMIT: "The package used more GPU memory than the limit and was stopped.",
    Verdict.OUTPUT_LIMIT: "The package printed more than the limit, or sent an answer that is far too large.",
    Verdict.PROTOCOL_ERROR: (
        "What came back was no answer to the question: bytes on the answer pipe, an answer for "
        "another video, or two for one."
    ),
    Verdict.RUNTIME_ERROR: "The package raised an exception, crashed or ended early.",
    Verdict.INVALID_PREDICTION: "The package answered with something that is no number between 0 and 1.",
    Verdict.OK: "Every video was answered within every limit.",
}

OUTCOME_WORDS: Mapping[OutcomeKind, str] = {
    OutcomeKind.PREDICTED: "answered",
    OutcomeKind.VIDEO_TIMEOUT: "was cut off by the clock: one video's limit, or the end of the set's budget",
    OutcomeKind.MEMORY_LIMIT: "ran out of memory",
    OutcomeKind.GPU_MEMORY_LIMIT: "ran out of GPU memory",
    OutcomeKind.OUTPUT_LIMIT: "printed or sent too much",
    OutcomeKind.PROTOCOL_ERROR: "sent no proper answer",
    OutcomeKind.RUNTIME_ERROR: "raised or crashed",
    OutcomeKind.INVALID_PREDICTION: "gave no number between 0 and 1",
    OutcomeKind.NOT_REACHED: "the run was over before its turn",
}

SET_WORDS: Mapping[SetName, str] = {
    SetName.CONTROL: "Control",
    SetName.PUBLIC: "Public",
    SetName.PRIVATE: "Private",
}


def score(value: float | None, decimals: int = 4) -> str:
    """A score with a fixed number of decimals, or a dash."""
    return "–" if value is None else f"{value:.{decimals}f}"


def signed(value: float, decimals: int = 4) -> str:
    """A difference with its sign, a true minus included."""
    return f"{value:+.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal, or a dash."""
    return "–" if value is None else f"{100 * value:.1f}%"


def seconds(value: float | None) -> str:
    """A duration with about three digits: milliseconds, seconds, minutes or hours."""
    if value is None:
        return "–"
    if value < 1.0:
        return f"{1000 * value:.0f} ms"
    if value < 10.0:
        return f"{value:.2f} s"
    if value < 120.0:
        return f"{value:.1f} s"
    if value < 7200.0:
        return f"{value / 60:.1f} min"
    return f"{value / 3600:.1f} h"


def cpu(used: Resources) -> str:
    """CPU time, and what kept the package from it: its own limit, or a neighbour.

    A package that is slow by itself shows neither. Where the kernel tells nothing, nothing is said.
    """
    parts = [seconds(used.cpu_seconds)]
    if used.throttled_seconds is not None:
        parts.append(f"held back {seconds(used.throttled_seconds)} by its own limit")
    if used.steal_seconds is not None:
        parts.append(f"{seconds(used.steal_seconds)} stolen by this machine's host")
    return "; ".join(parts)


def size(value: float | None) -> str:
    """A size in decimal units, or a dash."""
    return "–" if value is None else bytes_in_words(value)


def limits(values: Mapping[str, float]) -> tuple[tuple[str, str], ...]:
    """Limits as a result records them, by name, each in the unit that its name carries."""
    return tuple((name.replace("_", " "), _limit(name, value)) for name, value in values.items())


def _limit(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return bytes_in_words(value)
    return seconds_in_words(value) if name.endswith("_seconds") else f"{value:,.10g}"


def clean(text: str, *, characters: int = MESSAGE_CHARACTERS, keep_end: bool = False) -> str:
    """Make text from a package safe to lay out: capped, and no character that moves or hides others.

    Control, bidirectional and other invisible format characters become U+FFFD; lines and tabs stay. The
    text is *not* escaped for HTML or for a terminal's markup; whoever puts it there does that.
    """
    dropped = len(text) - characters
    if dropped > 0:
        kept = text[-characters:] if keep_end else text[:characters]
        note = f"[{dropped} characters left out]"
        text = f"{note}\n{kept}" if keep_end else f"{kept} {note}"
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_unsafe(one) else one for one in text)


def one_line(text: str, *, characters: int = NAME_CHARACTERS) -> str:
    """`clean`, and on one line."""
    return " ".join(clean(text, characters=characters).split())


def _is_unsafe(character: str) -> bool:
    return character not in "\n\t" and unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
