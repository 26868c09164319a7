"""What may be said of a number and its comparison: no more than its interval carries."""

from __future__ import annotations

from enum import StrEnum

from harness.scoring.intervals import Interval


class Comparison(StrEnum):
    """How a score compares with another, in words that go before what it is compared with."""

    BETTER = "better than"
    WORSE = "worse than"
    UNDECIDED = "not distinguishable from"


def compared(interval: Interval | None, against: float) -> Comparison:
    """Compare a score of which less is better, such as a log loss, or a gap with 0.

    It is better or worse only if its whole interval is; without an interval nothing can be said.
    """
    if interval is None or interval.low <= against <= interval.high:
        return Comparison.UNDECIDED
    return Comparison.BETTER if interval.high < against else Comparison.WORSE
