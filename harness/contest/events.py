"""What can happen in a contest: one frozen value for each kind of event, and its JSON.

Events are never changed. If one needs another shape, its `VERSION` goes up and `_UPGRADES` says how an old
one reads; the state of a contest is a function of its events and of nothing else (`state.fold`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from pydantic import TypeAdapter, ValidationError

from harness.core.contest import ContestRules
from harness.core.errors import ResultError
from harness.core.text import describe, listed


class ContestPhase(StrEnum):
    """Where a contest is. Phases are entered in this order and never left for an earlier one."""

    ANNOUNCED = "announced"  # teams may register
    OPEN = "open"  # entries are taken, public scores shown
    BLIND = "blind"  # entries are taken, scores hidden
    CLOSED = "closed"  # no entry is taken; what waits is run
    RELEASED = "released"  # private scores are shown


class Purse(StrEnum):
    """What an entry is paid from."""

    QUOTA = "quota"  # the team's tries of the day, and its total
    GRANT = "grant"  # a try that the organiser granted: counts against no quota
    ORGANISER = "organiser"  # a repetition of what failed by our fault, if the team's quota is used up


@dataclass(frozen=True, kw_only=True)
class Event:
    """One decision or fact. `at` is in UTC and never before the event's predecessor."""

    VERSION: ClassVar[int] = 1

    at: datetime
    by: str  # who decided: "organiser", "harness", or a team's id


_E = TypeVar("_E", bound=type[Event])
EVENT_TYPES: dict[str, type[Event]] = {}
_UPGRADES: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}


def _event(kind: _E) -> _E:
    if kind.__name__ in EVENT_TYPES:
        raise ValueError(f"two events are called {kind.__name__}")
    EVENT_TYPES[kind.__name__] = kind
    return kind


@_event
@dataclass(frozen=True, kw_only=True)
class ContestCreated(Event):
    """A challenge became a contest, under these rules."""

    challenge: str  # its name: also the contest's
    challenge_sha256: str
    public_decimals: int
    rules: ContestRules


@_event
@dataclass(frozen=True, kw_only=True)
class RulesAmended(Event):
    """The organiser changed the rules from now on; phases that were entered stay entered."""

    rules: ContestRules
    reason: str


@_event
@dataclass(frozen=True, kw_only=True)
class PhaseEntered(Event):
    """A phase began, by the calendar or because the organiser said so."""

    phase: ContestPhase
    reason: str


@_event
@dataclass(frozen=True, kw_only=True)
class TeamRegistered(Event):
    """A team takes part."""

    team: str
    name: str


@_event
@dataclass(frozen=True, kw_only=True)
class TeamsMerged(Event):
    """`other` was merged into `into`, with its entries, grants and shown scores."""

    into: str
    other: str
    finals: tuple[str, ...]  # of the merged team: both selections if they fit, else none


@_event
@dataclass(frozen=True, kw_only=True)
class EntrySubmitted(Event):
    """An entry was taken, and paid for on a day of the contest's time zone."""

    entry: str
    team: str
    package_sha256: str
    external_data: tuple[str, ...] | None  # as declared; None: no declaration was requested or given
    day: date
    paid_by: Purse
    phase: ContestPhase


@_event
@dataclass(frozen=True, kw_only=True)
class EntryStarted(Event):
    """An entry's attempt began to run."""

    entry: str
    attempt: int


@_event
@dataclass(frozen=True, kw_only=True)
class EntryScored(Event):
    """An entry has scores on both sets. `public_loss` is exact and for the organiser; `shown` is public."""

    entry: str
    attempt: int
    run_id: str
    verdict: str  # under the lenient rule there is a score with verdicts other than OK, too
    result_sha256: str  # of the result that says so
    public_loss: float
    shown: float | None  # none in a blind phase


@_event
@dataclass(frozen=True, kw_only=True)
class EntryFailed(Event):
    """An entry's own fault kept it from a score."""

    entry: str
    attempt: int
    run_id: str
    verdict: str


@_event
@dataclass(frozen=True, kw_only=True)
class EntryVoided(Event):
    """Our fault kept an entry from a score: what it cost is refunded."""

    entry: str
    attempt: int
    reason: str


@_event
@dataclass(frozen=True, kw_only=True)
class EntryCancelled(Event):
    """An entry was withdrawn before it had a score: what it cost is refunded."""

    entry: str
    reason: str


@_event
@dataclass(frozen=True, kw_only=True)
class EntryRequeued(Event):
    """An entry that was voided waits again, as a further attempt."""

    entry: str
    attempt: int
    paid_by: Purse
    reason: str


@_event
@dataclass(frozen=True, kw_only=True)
class TriesGranted(Event):
    """The organiser gave a team further tries, on top of every quota."""

    team: str
    tries: int
    reason: str


@_event
@dataclass(frozen=True, kw_only=True)
class FinalsSelected(Event):
    """A team chose the entries that it is judged by; if None, the best by public score."""

    team: str
    entries: tuple[str, ...]


@_event
@dataclass(frozen=True, kw_only=True)
class Disqualified(Event):
    """A team, or one entry of it, is no longer on a board."""

    team: str
    entry: str | None  # None: the whole team
    reason: str  # for the organiser
    public_note: str


@_event
@dataclass(frozen=True, kw_only=True)
class Reinstated(Event):
    """A disqualification was lifted."""

    team: str
    entry: str | None
    reason: str


@_event
@dataclass(frozen=True, kw_only=True)
class Regraded(Event):
    """Recorded outcomes were scored again. What was decided before stays on record; these scores hold now."""

    regrade: str  # its id
    reason: str
    public_losses: Mapping[str, float]  # entry → exact
    shown: Mapping[str, float | None]
    results: Mapping[str, str]  # entry → sha256 of the result that holds now


def to_json(event: Event) -> dict[str, Any]:
    """Return an event as JSON can hold it: type, version, and its fields."""
    fields_ = _adapter(type(event)).dump_python(event, mode="json")
    return {"type": type(event).__name__, "version": event.VERSION, **fields_}


def from_json(document: Mapping[str, Any]) -> Event:
    """Read an event back, of any version that there ever was.

    Raises:
        ResultError: it is of an unknown type or a newer version, or a field is missing, unknown or wrong.
    """
    raw = dict(document)
    name, version = raw.pop("type", None), raw.pop("version", None)
    kind = EVENT_TYPES.get(name) if isinstance(name, str) else None
    if kind is None or not isinstance(version, int) or not 1 <= version <= kind.VERSION:
        raise ResultError(
            f"an event of type {name!r:.60} and version {version!r:.20} is unknown",
            place="the contest's log",
            remedy="Use the release of the harness that wrote it, or a newer one.",
        )
    for old in range(version, kind.VERSION):
        raw = _UPGRADES[kind.__name__, old](raw)
    try:
        unknown = sorted(set(raw) - {field.name for field in fields(kind)})
        if unknown:
            raise ValueError(f"unknown fields: {', '.join(unknown)}")
        return _adapter(kind).validate_json(json.dumps(raw), strict=True)
    except ValueError as error:  # pydantic's own is one
        found = error.errors() if isinstance(error, ValidationError) else []
        problems = [describe(one) for one in found] or [str(error)]
        raise ResultError(
            listed("is damaged", problems), place=f"{name} in the contest's log", remedy="Restore the log."
        ) from error


_ADAPTERS: dict[type[Event], TypeAdapter[Event]] = {}


def _adapter(kind: type[Event]) -> TypeAdapter[Event]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
