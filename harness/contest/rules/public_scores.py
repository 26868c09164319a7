"""What contestants are shown of a public score: rounded, or by the Ladder. Pure.

The Ladder (Blum and Hardt 2015, "The Ladder: a reliable leaderboard for machine learning competitions",
algorithm 1): a team's shown score changes only where the new one is better than the shown by more than a
step, and then to the new one rounded to the step. Whoever probes labels learns nothing from all the others.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.core.contest import PublicScores, ShownRule


def shown_score(
    loss: float, *, best_shown: float | None, scores: PublicScores, public_decimals: int
) -> float:
    """Return what is shown for a new public log loss.

    Args:
        loss: Exact.
        best_shown: What the Ladder shows the team so far; none: nothing yet.
        scores: The contest's rule.
        public_decimals: To which scores are rounded where they are only rounded.
    """
    if scores.rule is ShownRule.ROUNDED:
        return round(loss, public_decimals)
    if best_shown is None or loss < best_shown - scores.step:
        return round(round(loss / scores.step) * scores.step, 12)  # no 0.30000000000000004
    return best_shown


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
