"""Old and new places beside each other, with what moved each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.contest.regrade.regrade import Graded
from harness.contest.regrade.rescore import Effects
from harness.core.types import SetName


@dataclass(frozen=True, kw_only=True)
class Moved:
    """One run's place before and after, by rounded log loss; equal scores share a place."""

    run_id: str
    name: str  # the team, or the package if no team entered it
    rank_before: int
    rank_after: int
    before: float
    after: float
    effects: Effects


def ranks(runs: Sequence[Graded], *, by: SetName, decimals: int) -> tuple[Moved, ...]:
    """Rank the runs that count, by the new scores.

    Args:
        runs: As scored again.
        by: Which set's log loss.
        decimals: To which scores are rounded before they are compared.
    """
    counting = [
        (one, old, new)
        for one in runs
        if one.eligible and (old := one.before.get(by)) is not None and (new := one.after.get(by)) is not None
    ]
    before = _places([round(old, decimals) for _, old, _ in counting])
    after = _places([round(new, decimals) for _, _, new in counting])
    rows = [
        Moved(
            run_id=one.run_id,
            name=one.team or one.package,
            rank_before=first,
            rank_after=second,
            before=old,
            after=new,
            effects=one.effects[by],
        )
        for (one, old, new), first, second in zip(counting, before, after, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: (row.rank_after, row.after, row.run_id)))


def _places(scores: Sequence[float]) -> list[int]:
    first: dict[float, int] = {}
    for place, score in enumerate(sorted(scores), start=1):
        first.setdefault(score, place)
    return [first[score] for score in scores]
