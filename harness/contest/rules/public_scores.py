"""What contestants are shown of a public score: rounded, or by the Ladder. Pure.

The Ladder (Blum and Hardt 2015, "The Ladder: a reliable leaderboard for machine learning competitions",
algorithm 1): a team's shown score changes only if the new one is better than the shown by more than a
step, and then to the new one rounded to the step. Whoever probes labels learns nothing from all the others.

One thing differs from the paper: it begins at the score of a constant 0.5, not at infinity. From infinity a
team could begin with an awful entry and descend a step at a time, reading a label with each
(`harness.contest.oracle` does so); nobody needs to be told by how much they are worse than a constant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from harness.core.contest import PublicScores, ShownRule

CONSTANT_HALF = math.log(2.0)  # the log loss of answering 0.5 to everything


def shown_score(
    loss: float, *, best_shown: float | None, scores: PublicScores, public_decimals: int
) -> float:
    """Return what is shown for a new public log loss.

    Args:
        loss: Exact.
        best_shown: What the Ladder shows the team so far; None if nothing yet.
        scores: The contest's rule.
        public_decimals: To which scores are rounded if they are only rounded.
    """
    if scores.rule is ShownRule.ROUNDED:
        return round(loss, public_decimals)
    best = _multiple(CONSTANT_HALF, scores.step) if best_shown is None else best_shown
    return _multiple(loss, scores.step) if loss < best - scores.step else best


def _multiple(loss: float, step: float) -> float:
    return round(round(loss / step) * step, 12)  # no 0.30000000000000004


def shown_again(
    losses: Iterable[tuple[str, float]], *, scores: PublicScores, public_decimals: int
) -> dict[str, float]:
    """Return what is shown for a team's losses, (entry, exact) in their order, as if all were new."""
    found: dict[str, float] = {}
    best: float | None = None
    for entry, loss in losses:
        found[entry] = shown_score(loss, best_shown=best, scores=scores, public_decimals=public_decimals)
        best = found[entry] if best is None else min(best, found[entry])
    return found
