"""The state of a contest: a pure function of its events.

What an entry cost is not counted anywhere: it follows from the entry's status and from what it was paid from,
so that no refund can be forgotten and none given twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar

from harness.contest import events as ev
from harness.contest.events import ContestPhase, Event, Purse
from harness.core.contest import ContestRules

PHASES = tuple(ContestPhase)
PHASE_RANK = {phase: rank for rank, phase in enumerate(PHASES)}


class EntryStatus(StrEnum):
    """What happened to an entry's latest attempt."""

    WAITING = "waiting"
    RUNNING = "running"
    SCORED = "scored"
    FAILED = "failed"
    VOIDED = "voided"  # our fault: refunded
    CANCELLED = "cancelled"  # withdrawn before it had a score: refunded


UNFINISHED = frozenset({EntryStatus.WAITING, EntryStatus.RUNNING})
REFUNDED = frozenset({EntryStatus.VOIDED, EntryStatus.CANCELLED})


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry as it stands."""

    entry: str
    team: str  # now: after a merge, the merged team
    package_sha256: str
    submitted: datetime
    day: date  # in the contest's time zone
    phase: ContestPhase  # in which it was submitted
    paid_by: Purse
    number: int  # within the contest
    external_data: tuple[str, ...] | None = None
    status: EntryStatus = EntryStatus.WAITING
    attempt: int = 1
    run_id: str | None = None
    verdict: str | None = None
    result_sha256: str | None = None  # of the result that holds now: a regrade may have made it
    public_loss: float | None = None  # exact: for the organiser
    shown: float | None = None  # what contestants see
    disqualified: str | None = None  # the public note

    @property
    def costs(self) -> Purse | None:
        """What it is charged to at present; None if it was refunded."""
        return None if self.status in REFUNDED else self.paid_by


@dataclass(frozen=True, kw_only=True)
class Team:
    """One team as it stands."""

    team: str
    name: str
    registered: datetime
    entries: tuple[str, ...] = ()
    finals: tuple[str, ...] = ()  # as selected; empty: the best by public score
    granted: int = 0  # tries, in all
    merged_into: str | None = None
    disqualified: str | None = None  # the public note
    best_shown: float | None = None  # by the ladder


@dataclass(kw_only=True)
class State:
    """A contest as it stands. To be read only: `fold` is all that may change one, and it changes a copy."""

    challenge: str = ""
    challenge_sha256: str = ""
    public_decimals: int = 4
    rules: ContestRules | None = None  # None: there is no contest yet
    phase: ContestPhase = ContestPhase.ANNOUNCED
    created: datetime | None = None
    last: datetime | None = None  # the moment of the last event
    events: int = 0
    teams: dict[str, Team] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    unfinished: int = 0  # entries that wait or run
    regrades: tuple[str, ...] = ()

    def entries_of(self, team: str) -> tuple[Entry, ...]:
        """Return a team's entries, the first first."""
        return tuple(self.entries[entry] for entry in self.teams[team].entries)


def fold(events: Iterable[Event], onto: State | None = None) -> State:
    """Return the state after these events.

    Args:
        events: In their order.
        onto: The state before them, which is left as it is; None if nothing has happened yet.
    """
    state = State() if onto is None else replace(onto, teams=dict(onto.teams), entries=dict(onto.entries))
    for event in events:
        _APPLY[type(event)](state, event)
        state.events += 1
        state.last = event.at
    return state


_Apply = Callable[[State, Any], None]
_F = TypeVar("_F", bound=_Apply)
_APPLY: dict[type[Event], _Apply] = {}


def _on(*kinds: type[Event]) -> Callable[[_F], _F]:
    def register(function: _F) -> _F:
        for kind in kinds:
            _APPLY[kind] = function
        return function

    return register


def _set_team(state: State, team: str, **changes: Any) -> None:
    state.teams[team] = replace(state.teams[team], **changes)


def _set_entry(state: State, entry: str, **changes: Any) -> None:
    before = state.entries[entry]
    after = replace(before, **changes)
    state.entries[entry] = after
    state.unfinished += (after.status in UNFINISHED) - (before.status in UNFINISHED)


@_on(ev.ContestCreated)
def _created(state: State, event: ev.ContestCreated) -> None:
    state.challenge, state.challenge_sha256 = event.challenge, event.challenge_sha256
    state.public_decimals, state.rules = event.public_decimals, event.rules
    state.created = event.at


@_on(ev.RulesAmended)
def _amended(state: State, event: ev.RulesAmended) -> None:
    state.rules = event.rules


@_on(ev.PhaseEntered)
def _entered(state: State, event: ev.PhaseEntered) -> None:
    state.phase = event.phase


@_on(ev.TeamRegistered)
def _registered(state: State, event: ev.TeamRegistered) -> None:
    state.teams[event.team] = Team(team=event.team, name=event.name, registered=event.at)


@_on(ev.TeamsMerged)
def _merged(state: State, event: ev.TeamsMerged) -> None:
    one, other = state.teams[event.into], state.teams[event.other]
    for entry in other.entries:
        _set_entry(state, entry, team=event.into)
    together = sorted({*one.entries, *other.entries}, key=lambda entry: state.entries[entry].number)
    shown = [best for best in (one.best_shown, other.best_shown) if best is not None]
    _set_team(
        state,
        event.into,
        entries=tuple(together),
        finals=event.finals,
        granted=one.granted + other.granted,
        best_shown=min(shown, default=None),
    )
    _set_team(state, event.other, entries=(), finals=(), granted=0, merged_into=event.into, best_shown=None)


@_on(ev.EntrySubmitted)
def _submitted(state: State, event: ev.EntrySubmitted) -> None:
    state.entries[event.entry] = Entry(
        entry=event.entry,
        team=event.team,
        package_sha256=event.package_sha256,
        submitted=event.at,
        day=event.day,
        phase=event.phase,
        paid_by=event.paid_by,
        number=len(state.entries) + 1,
        external_data=event.external_data,
    )
    state.unfinished += 1
    _set_team(state, event.team, entries=(*state.teams[event.team].entries, event.entry))


@_on(ev.EntryStarted)
def _started(state: State, event: ev.EntryStarted) -> None:
    _set_entry(state, event.entry, status=EntryStatus.RUNNING)


@_on(ev.EntryScored)
def _scored(state: State, event: ev.EntryScored) -> None:
    _set_entry(
        state,
        event.entry,
        status=EntryStatus.SCORED,
        run_id=event.run_id,
        verdict=event.verdict,
        result_sha256=event.result_sha256,
        public_loss=event.public_loss,
        shown=event.shown,
    )
    _note_shown(state, state.entries[event.entry])


@_on(ev.EntryFailed)
def _failed(state: State, event: ev.EntryFailed) -> None:
    _set_entry(state, event.entry, status=EntryStatus.FAILED, run_id=event.run_id, verdict=event.verdict)


@_on(ev.EntryVoided)
def _voided(state: State, event: ev.EntryVoided) -> None:
    _set_entry(state, event.entry, status=EntryStatus.VOIDED, verdict="HARNESS_ERROR")


@_on(ev.EntryCancelled)
def _cancelled(state: State, event: ev.EntryCancelled) -> None:
    _set_entry(state, event.entry, status=EntryStatus.CANCELLED)


@_on(ev.EntryRequeued)
def _requeued(state: State, event: ev.EntryRequeued) -> None:
    _set_entry(
        state,
        event.entry,
        status=EntryStatus.WAITING,
        attempt=event.attempt,
        paid_by=event.paid_by,
        verdict=None,
    )


@_on(ev.TriesGranted)
def _granted(state: State, event: ev.TriesGranted) -> None:
    _set_team(state, event.team, granted=state.teams[event.team].granted + event.tries)


@_on(ev.FinalsSelected)
def _finals(state: State, event: ev.FinalsSelected) -> None:
    _set_team(state, event.team, finals=event.entries)


@_on(ev.Disqualified)
def _disqualified(state: State, event: ev.Disqualified) -> None:
    if event.entry is None:
        _set_team(state, event.team, disqualified=event.public_note)
    else:
        _set_entry(state, event.entry, disqualified=event.public_note)


@_on(ev.Reinstated)
def _reinstated(state: State, event: ev.Reinstated) -> None:
    if event.entry is None:
        _set_team(state, event.team, disqualified=None)
    else:
        _set_entry(state, event.entry, disqualified=None)


@_on(ev.Regraded)
def _regraded(state: State, event: ev.Regraded) -> None:
    for entry, loss in event.public_losses.items():
        _set_entry(
            state, entry, public_loss=loss, shown=event.shown[entry], result_sha256=event.results[entry]
        )
    for team in {state.entries[entry].team for entry in event.public_losses}:
        _set_team(state, team, best_shown=None)
        for one in state.entries_of(team):
            _note_shown(state, one)
    state.regrades = (*state.regrades, event.regrade)


def _note_shown(state: State, entry: Entry) -> None:
    best = state.teams[entry.team].best_shown
    if entry.shown is not None and (best is None or entry.shown < best):
        _set_team(state, entry.team, best_shown=entry.shown)
