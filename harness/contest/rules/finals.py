"""By which entries a team is judged. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from harness.contest.events import ContestPhase
from harness.contest.rules.phases import phase_at
from harness.contest.state import UNFINISHED, Entry, EntryStatus, State

_OPEN_STATUS = UNFINISHED | {EntryStatus.VOIDED}  # may yet come to a score
_SETTLED = frozenset({ContestPhase.CLOSED, ContestPhase.RELEASED})


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


def settled_rivals(
    state: State, losses: Mapping[str, float], *, team: str, now: datetime
) -> tuple[float, ...]:
    """Return the private log losses that other teams will be judged by, whatever is still to come.

    Before the contest has closed and finals are chosen there is none: any team may still choose another
    entry, and what became of an entry on the private set tells its team of it. A team that chose nothing and
    has an entry without a score may yet be judged by that one. After a regrade losses are of several labels.

    Args:
        state: Of the contest.
        losses: Of finished runs, by run.
        team: Whose rivals.
        now: The moment.

    Raises:
        ValueError: there is no contest.
    """
    if state.rules is None:
        raise ValueError("there is no contest")
    until = state.rules.finals_until
    if phase_at(state, now) not in _SETTLED or (until is not None and now <= until) or state.regrades:
        return ()
    found = []
    for key, other in state.teams.items():
        waits = any(one.status in _OPEN_STATUS for one in state.entries_of(key))
        if key == team or (waits and not other.finals):
            continue
        finals = [one.run_id or "" for one in final_entries(state, key)]
        of_team = [losses[run_id] for run_id in finals if run_id in losses]
        found += [min(of_team)] if of_team else []
    return tuple(found)
