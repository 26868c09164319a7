"""Which runs the board of a contest is of: its ledger decides, the run folders hold the answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from harness.contest.rules.finals import final_entries
from harness.contest.state import EntryStatus, State
from harness.core.types import SetName


def judged_runs(state: State, *, by: SetName) -> Mapping[str, str]:
    """Return the runs that a board ranks, each with its team's name.

    By the public set it is every entry with a score, by the private set only the final entries of each team
    (`rules.finals.final_entries`). What was disqualified is on neither.

    Args:
        state: Of the contest.
        by: Public or private.

    Raises:
        ValueError: there is no contest.
    """
    found: dict[str, str] = {}
    for key, team in state.teams.items():
        if team.disqualified is not None or team.merged_into is not None:
            continue
        entries = final_entries(state, key) if by is SetName.PRIVATE else state.entries_of(key)
        for entry in entries:
            counts = entry.status is EntryStatus.SCORED and entry.disqualified is None
            if counts and entry.run_id is not None:
                found[entry.run_id] = team.name
    return found
