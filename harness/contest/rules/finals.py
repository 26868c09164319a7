"""By which entries a team is judged. Pure."""

from __future__ import annotations

from harness.contest.state import Entry, EntryStatus, State


def final_entries(state: State, team: str) -> tuple[Entry, ...]:
    """Return the entries that a team is judged by: those it chose, or its best by exact public log loss.

    Entries without a score and disqualified ones never count; of equal ones the earlier is better. A team
    that is disqualified, or was merged into another, is judged by none.

    Raises:
        ValueError: there is no contest.
        KeyError: there is no such team.
    """
    if state.rules is None:
        raise ValueError("there is no contest")
    found = state.teams[team]
    if found.disqualified is not None or found.merged_into is not None:
        return ()
    counting = {
        one.entry: one
        for one in state.entries_of(team)
        if one.status is EntryStatus.SCORED and one.disqualified is None
    }
    if found.finals:
        return tuple(counting[entry] for entry in found.finals if entry in counting)[: state.rules.finals]
    by_loss = sorted(counting.values(), key=lambda one: (one.public_loss or 0.0, one.number))
    return tuple(by_loss[: state.rules.finals])
