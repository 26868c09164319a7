"""What `harness run --repeat N` found, as both pages show it. No video is named and no answer shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.report import words
from harness.results.result import SetResult
from harness.scoring.repeatability import Steadiness

STEADINESS_WORDS: Mapping[Steadiness, str] = {
    Steadiness.DETERMINISTIC: "Every video was given the same answer each time, up to rounding.",
    Steadiness.ORDER_DEPENDENT: "Answers depend on the order, or on the videos seen before.",
    Steadiness.NON_DETERMINISTIC: (
        "Answers differ by chance: the order and earlier videos alone do not explain it. In batch mode, "
        "if names are drawn again for each pass, these cannot be told apart and chance is named."
    ),
    Steadiness.NOT_COMPARED: "No video was answered twice.",
}


@dataclass(frozen=True, kw_only=True)
class RepeatView:
    """How the answers of one set compare over all passes."""

    title: str
    steadiness: str
    steady: bool
    words: str
    passes: int
    compared: int
    duplicates: int
    differing: int
    tolerance: str
    largest_difference: str


def repeat_view(one: SetResult | None) -> RepeatView | None:
    """Return what to show of a set; None if it was not run again."""
    if one is None or one.repeat is None:
        return None
    found = one.repeat
    return RepeatView(
        title=words.SET_WORDS[one.set_name],
        steadiness=found.steadiness.value,
        steady=found.steadiness is Steadiness.DETERMINISTIC,
        words=STEADINESS_WORDS[found.steadiness],
        passes=found.passes,
        compared=found.compared,
        duplicates=found.duplicates,
        differing=found.differing,
        tolerance=f"{found.tolerance:g}",
        largest_difference="–" if found.largest_difference is None else f"{found.largest_difference:.3g}",
    )
