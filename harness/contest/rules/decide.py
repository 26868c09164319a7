"""`decide(state, command, now)`: the events that a command comes to, or a refusal. Pure.

Phases that the calendar began are written down first, with their own moments, so that the log reads in order;
a command that is refused leaves nothing behind, those phases included: they are due again at the next one.
"""

from __future__ import annotations

from datetime import UTC, datetime

from harness.contest.events import PhaseEntered
from harness.contest.rules import handing_in, organising, teams
from harness.contest.rules.commands import (
    HARNESS_MAY,
    ORGANISER,
    TEAMS_MAY,
    Actor,
    CancelEntry,
    Command,
    CreateContest,
    Refusal,
    RequeueEntry,
    Role,
    Rule,
    SelectFinals,
    Submit,
    Tick,
)
from harness.contest.rules.deciders import RULES, Asking, Decided, on
from harness.contest.rules.phases import due
from harness.contest.state import State, fold

BY_CALENDAR = "by the calendar"
MODULES = (handing_in, organising, teams)  # importing them is what registers their rules


def decide(state: State, command: Command, now: datetime, by: Actor = ORGANISER) -> Decided:
    """Decide what a command comes to.

    Args:
        state: The contest as it stands.
        command: What is wanted.
        now: The moment, with an offset. If it is before the last event, that event's moment is taken:
            the clocks of several machines differ, and the log's does not run backwards.
        by: Who gives the command.

    Returns:
        Events to append, in their order, perhaps none; or why not.

    Raises:
        ValueError: `now` has no offset.
    """
    if now.tzinfo is None:
        raise ValueError("a moment needs its offset from UTC")
    moment = max(now.astimezone(UTC), state.last or now.astimezone(UTC))
    if state.rules is None and not isinstance(command, CreateContest):
        return Refusal(rule=Rule.NO_CONTEST, message="there is no contest of this name yet")
    begun = tuple(
        PhaseEntered(at=max(when, state.last or when), by=BY_CALENDAR, phase=phase, reason=BY_CALENDAR)
        for phase, when in due(state, moment)
    )
    asking = Asking(state=fold(begun, state) if begun else state, now=moment, by=by)
    refused = _may(asking, command)
    if refused is not None:
        return refused
    decided = RULES[type(command)](asking, command)
    return decided if isinstance(decided, Refusal) else (*begun, *decided)


@on(Tick)
def _tick(_asking: Asking, _command: Tick) -> Decided:
    return ()


def _may(asking: Asking, command: Command) -> Refusal | None:
    role = asking.by.role
    if role is Role.ORGANISER or (role is Role.HARNESS and isinstance(command, HARNESS_MAY)):
        return None
    if role is Role.TEAM and isinstance(command, TEAMS_MAY):
        if isinstance(command, Submit | SelectFinals):
            owner = command.team
        elif isinstance(command, CancelEntry | RequeueEntry):
            entry = asking.state.entries.get(command.entry)
            owner = asking.by.name if entry is None else entry.team
        else:
            owner = asking.by.name
        if owner == asking.by.name:
            return None
    return Refusal(rule=Rule.ROLE, message=f"{asking.by} may not ask for this")
