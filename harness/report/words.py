"""Verdicts, numbers and hostile text as people read them. Pure functions, no HTML."""

from __future__ import annotations

from collections.abc import Mapping

from harness.core.limits import bytes_in_words, seconds_in_words
from harness.core.text import outcomes_in_words, safe_text
from harness.core.types import OutcomeKind, SetName, Verdict
from harness.core.usage import Usage
from harness.results.result import SetResult
from harness.scoring.comparison import compared
from harness.scoring.intervals import Gap, Interval
from harness.scoring.score import SetScore

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
        "What came back was not an answer to the question: bytes on the answer pipe, an answer for "
        "another video, or two for one."
    ),
    Verdict.RUNTIME_ERROR: "The package raised an exception, crashed or ended early.",
    Verdict.INVALID_PREDICTION: "The package answered with something that is not a number between 0 and 1.",
    Verdict.OK: (
        "Every video was answered within every limit, or no more failed than the lenient rule allows."
    ),
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
    """Write a score with a fixed number of decimals, or a dash."""
    return "–" if value is None else f"{value:.{decimals}f}"


def signed(value: float, decimals: int = 4) -> str:
    """Write a difference with its sign, with a true minus."""
    return f"{value:+.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def interval(found: Interval | None, decimals: int = 4) -> str:
    """Write an interval with its ends, or a dash if there is none."""
    return "–" if found is None else f"{score(found.low, decimals)} to {score(found.high, decimals)}"


def percent(value: float | None) -> str:
    """Write a share as a percentage with one decimal, or a dash."""
    return "–" if value is None else f"{100 * value:.1f}%"


def seconds(value: float | None) -> str:
    """Write a duration, or a dash."""
    return "–" if value is None else seconds_in_words(value)


def cpu(used: Usage) -> str:
    """CPU time, and what kept the package from it: its own limit, or a neighbour.

    A package that is slow by itself shows neither. If the kernel says nothing, neither is mentioned.
    """
    parts = [seconds(used.cpu_seconds)]
    if used.throttled_seconds is not None:
        parts.append(f"held back {seconds(used.throttled_seconds)} by its own limit")
    if used.steal_seconds is not None:
        parts.append(f"{seconds(used.steal_seconds)} stolen by this machine's host")
    return "; ".join(parts)


def size(value: float | None) -> str:
    """Write a size in decimal units, or a dash."""
    return "–" if value is None else bytes_in_words(value)


def limits(values: Mapping[str, float]) -> tuple[tuple[str, str], ...]:
    """Limits as a result records them, by name, each in the unit that its name carries."""
    return tuple((name.replace("_", " "), _limit(name, value)) for name, value in values.items())


def _limit(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return bytes_in_words(value)
    return seconds_in_words(value) if name.endswith("_seconds") else f"{value:,.10g}"


def clean(text: str, *, characters: int = MESSAGE_CHARACTERS, keep_end: bool = False) -> str:
    """Return text from a package as `safe_text` shows it, capped; how much was left out is said."""
    dropped = len(text) - characters
    if dropped > 0:
        kept = text[-characters:] if keep_end else text[:characters]
        note = f"[{dropped} characters left out]"
        text = f"{note}\n{kept}" if keep_end else f"{kept} {note}"
    return safe_text(text)


def one_line(text: str, *, characters: int = NAME_CHARACTERS) -> str:
    """`clean`, and on one line."""
    return " ".join(clean(text, characters=characters).split())


def against_half(score_set: SetScore, decimals: int = 4) -> str:
    """Say how a log loss compares with that of a constant one half: no more than its interval carries."""
    return f"{score_set.comparison} a constant 0.5 ({score(score_set.anchors.constant_half, decimals)})"


def gap_in_words(gap: Gap) -> str:
    """Say whether a set went better or worse than another, or that they are not distinguishable."""
    return f"{gap.second} {compared(gap.interval, 0.0)} {gap.first}"


def verdict_in_words(one: SetResult) -> str:
    """Say what a set's verdict means for it; OK does not mean without a failure."""
    if one.verdict is not Verdict.OK or not one.score.failed:
        return VERDICT_WORDS[one.verdict]
    return (
        f"{outcomes_in_words(one.outcomes)}. The run counts: up to {percent(one.score.max_failed_share)} of "
        f"the videos may fail, and each scores {one.score.failed_probability:g}."
    )
