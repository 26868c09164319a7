"""Phases by the calendar. Pure: what the time is comes in as an argument."""

from __future__ import annotations

from datetime import datetime

from harness.contest.events import ContestPhase
from harness.contest.state import PHASE_RANK, PHASES, State
from harness.core.contest import ContestRules


def moment_of(rules: ContestRules, phase: ContestPhase) -> datetime | None:
    """Return when the calendar has a phase begin; None if it has no such phase, or no date for it."""
    return {
        ContestPhase.ANNOUNCED: None,
        ContestPhase.OPEN: rules.opens,
        ContestPhase.BLIND: rules.blind_from,
        ContestPhase.CLOSED: rules.closes,
        ContestPhase.RELEASED: rules.releases,
    }[phase]


def due(state: State, now: datetime) -> tuple[tuple[ContestPhase, datetime], ...]:
    """Return the phases that the calendar has begun and nobody has written down, with their moments.

    Scores are not released while an entry waits or runs: its team would be judged without it.
    """
    if state.rules is None:
        return ()
    found = []
    for phase in PHASES[PHASE_RANK[state.phase] + 1 :]:
        moment = moment_of(state.rules, phase)
        held_back = phase is ContestPhase.RELEASED and state.unfinished > 0
        if moment is not None and moment <= now and not held_back:
            found.append((phase, moment))
    return tuple(found)


def phase_at(state: State, now: datetime) -> ContestPhase:
    """Return the phase at a moment that is not before the last event."""
    begun = due(state, now)
    return begun[-1][0] if begun else state.phase


def next_moment(state: State, phase: ContestPhase, now: datetime) -> datetime | None:
    """Return when a later phase will begin; None if it began, or the organiser decides."""
    if state.rules is None or PHASE_RANK[phase] <= PHASE_RANK[phase_at(state, now)]:
        return None
    return moment_of(state.rules, phase)
