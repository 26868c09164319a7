"""What may be said of a number and its comparison: no more than its interval carries."""

from __future__ import annotations

from enum import StrEnum

from harness.scoring.intervals import Interval

ROUNDING = 1e-9  # of a mean loss: what the order of a sum may add; no comparison may rest on it


class Comparison(StrEnum):
    """How a score compares with another, in words that go before what it is compared with."""

    BETTER = "better than"
    WORSE = "worse than"
    UNDECIDED = "not distinguishable from"


def compared(interval: Interval | None, against: float) -> Comparison:
    """Compare a score of which less is better, such as a log loss, or a gap with 0.

    It is better or worse only if its whole interval is, by more than rounding: a constant answer has an
    interval without width. Without an interval nothing can be said.
    """
    if interval is None:
        return Comparison.UNDECIDED
    if interval.high < against - ROUNDING:
        return Comparison.BETTER
    return Comparison.WORSE if interval.low > against + ROUNDING else Comparison.UNDECIDED
