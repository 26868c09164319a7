"""From entries to ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.core.types import SetName
from harness.results.run_row import RunRow


class Choice(StrEnum):
    """Which of a team's entries stands for it."""

    BEST = "best"
    LAST = "last"


@dataclass(frozen=True, kw_only=True)
class LeaderboardRow:
    """One team's place. Teams whose rounded scores are equal share a rank."""

    rank: int
    team: str
    log_loss: float  # rounded
    run_id: str
    package: str
    submitted: str
    entries: int  # of this team that count


def ranked(
    rows: Sequence[RunRow], *, by: SetName, choice: Choice, decimals: int
) -> tuple[LeaderboardRow, ...]:
    """Rank teams by the log loss of a set, the lowest first; within a rank the earlier entry is first.

    Args:
        rows: The entries that count: submitted, and scored on both sets.
        by: Public or private.
        choice: Which of a team's entries stands for it.
        decimals: To which scores are rounded before they are compared.
    """

    def loss(row: RunRow) -> float:
        exact = row.public_log_loss if by is SetName.PUBLIC else row.private_log_loss
        return round(exact or 0.0, decimals)

    def moment(row: RunRow) -> tuple[str, str]:
        return row.submitted or "", row.run_id

    teams: dict[str, list[RunRow]] = {}
    for row in rows:
        teams.setdefault(row.team or "", []).append(row)
    chosen = {
        team: min(own, key=lambda row: (loss(row), moment(row)))
        if choice is Choice.BEST
        else max(own, key=moment)
        for team, own in teams.items()
    }
    order = sorted(chosen.items(), key=lambda pair: (loss(pair[1]), moment(pair[1])))
    losses = [loss(row) for _, row in order]
    return tuple(
        LeaderboardRow(
            rank=losses.index(loss(row)) + 1,
            team=team,
            log_loss=loss(row),
            run_id=row.run_id,
            package=row.package,
            submitted=row.submitted or "",
            entries=len(teams[team]),
        )
        for team, row in order
    )
