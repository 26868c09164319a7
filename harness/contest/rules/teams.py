"""The rules about teams: registering, merging, choosing finals, disqualification."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

from harness.contest.events import (
    ContestPhase,
    Disqualified,
    FinalsSelected,
    Reinstated,
    TeamRegistered,
    TeamsMerged,
)
from harness.contest.rules.commands import (
    Disqualify,
    MergeTeams,
    Refusal,
    RegisterTeam,
    Reinstate,
    Rule,
    SelectFinals,
)
from harness.contest.rules.deciders import Asking, Decided, no_text, on
from harness.contest.rules.phases import phase_at
from harness.contest.rules.quotas import day_of, spent
from harness.contest.state import PHASE_RANK, EntryStatus, State
from harness.core.text import team_name

ID_CHARACTERS_MAX = 64
ID = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{ID_CHARACTERS_MAX - 1}}}", re.ASCII)
_BEFORE_CLOSE = frozenset({ContestPhase.ANNOUNCED, ContestPhase.OPEN, ContestPhase.BLIND})
_CHOOSING = frozenset({ContestPhase.OPEN, ContestPhase.BLIND})


@on(RegisterTeam)
def register(asking: Asking, command: RegisterTeam) -> Decided:
    """Until it closes; under an id and a name that no team has, merged ones included."""
    state = asking.state
    if state.phase not in _BEFORE_CLOSE:
        return Refusal(rule=Rule.PHASE, message=f"the contest is {state.phase}: no team may join now")
    if not ID.fullmatch(command.team):
        return Refusal(
            rule=Rule.TEAM,
            message=f"{command.team[:70]!r} is not an id of a team: use a-z, 0-9 and -, 64 at most",
        )
    name = team_name(command.name)
    if name is None:
        return Refusal(rule=Rule.TEAM, message="a team's name is 1 to 80 printable characters")
    taken = {team.name.casefold() for team in state.teams.values()}
    if command.team in state.teams or name.casefold() in taken:
        return Refusal(rule=Rule.TEAM, message=f"there is a team {command.team!r} or {name!r} already")
    return (TeamRegistered(**asking.stamp, team=command.team, name=name),)


@on(MergeTeams)
def merge(asking: Asking, command: MergeTeams) -> Decided:
    """Until `merge_until`; both in good standing; together no more entries than one team could have had."""
    state, rules = asking.state, asking.rules
    for team in (command.into, command.other):
        refused = unfit(state, team)
        if refused is not None:
            return refused
    if command.into == command.other:
        return Refusal(rule=Rule.MERGE, message="a team cannot merge with itself")
    if state.phase not in _BEFORE_CLOSE or (rules.merge_until and asking.now > rules.merge_until):
        return Refusal(
            rule=Rule.MERGE, message=f"teams could merge until {rules.merge_until or rules.closes}"
        )
    used = spent((*state.entries_of(command.into), *state.entries_of(command.other))).all
    allowed = _allowed_so_far(asking)
    if used > allowed:
        return Refusal(
            rule=Rule.MERGE,
            message=f"together they have {used} entries, and one team could have had {allowed} by now",
            count=used,
            limit=allowed,
        )
    both = (*state.teams[command.into].finals, *state.teams[command.other].finals)
    finals = both if len(both) <= rules.finals else ()
    return (TeamsMerged(**asking.stamp, into=command.into, other=command.other, finals=finals),)


def _allowed_so_far(asking: Asking) -> int:
    """Count the entries one team could have handed in since the opening: the rule of Kaggle's contests."""
    rules = asking.rules
    days = max(0, (day_of(asking.now, rules.zone) - day_of(rules.opens, rules.zone)).days + 1)
    by_days = days * (rules.valid_per_day + (rules.failed_per_day or 0))
    return by_days if rules.total is None else min(by_days, rules.total)


@on(SelectFinals)
def select_finals(asking: Asking, command: SelectFinals) -> Decided:
    """Own entries with a score, at most as many as the rules say, until `finals_until` or the close."""
    state, rules = asking.state, asking.rules
    refused = unfit(state, command.team) or _too_late(asking)
    if refused is not None:
        return refused
    if len(command.entries) > rules.finals:
        return Refusal(
            rule=Rule.FINALS,
            message=f"{len(command.entries)} entries, and a team may choose {rules.finals}",
            count=len(command.entries),
            limit=rules.finals,
        )
    if len(set(command.entries)) < len(command.entries):
        return Refusal(rule=Rule.FINALS, message="an entry is named twice")
    own = set(state.teams[command.team].entries)
    for entry in command.entries:
        if entry not in own:
            return Refusal(rule=Rule.FINALS, message=f"{entry[:70]!r} is not an entry of this team")
        found = state.entries[entry]
        if found.status is not EntryStatus.SCORED or found.disqualified is not None:
            return Refusal(
                rule=Rule.FINALS, message=f"{entry} has no score that counts: it is {found.status}"
            )
    return (FinalsSelected(**asking.stamp, team=command.team, entries=command.entries),)


def _too_late(asking: Asking) -> Refusal | None:
    state, rules = asking.state, asking.rules
    if state.phase is ContestPhase.ANNOUNCED:
        return Refusal(rule=Rule.FINALS, message="there is nothing to choose from yet", again=rules.opens)
    until: datetime | None = rules.finals_until
    in_time = state.phase is not ContestPhase.RELEASED and (
        state.phase in _CHOOSING if until is None else asking.now <= until
    )
    if in_time:
        return None
    if until is not None and asking.now > until:
        ended = f"{until:%Y-%m-%d %H:%M} UTC"
    else:  # by the calendar, or sooner because the organiser said so
        ended = "scores were released" if until is not None else "the contest closed"
    return Refusal(rule=Rule.FINALS, message=f"finals could be chosen until {ended}")


@on(Disqualify)
def disqualify(asking: Asking, command: Disqualify) -> Decided:
    """At any time; with a reason, and a note that everybody reads."""
    refused = _standing(asking.state, command.team, command.entry) or no_text(
        a_reason=command.reason, a_public_note=command.public_note
    )
    if refused is not None:
        return refused
    if _note(asking.state, command.team, command.entry) is not None:
        return Refusal(rule=Rule.DISQUALIFIED, message="is disqualified already")
    return (
        Disqualified(
            **asking.stamp,
            team=command.team,
            entry=command.entry,
            reason=command.reason,
            public_note=command.public_note,
        ),
    )


@on(Reinstate)
def reinstate(asking: Asking, command: Reinstate) -> Decided:
    """At any time, with a reason."""
    refused = _standing(asking.state, command.team, command.entry) or no_text(a_reason=command.reason)
    if refused is not None:
        return refused
    if _note(asking.state, command.team, command.entry) is None:
        return Refusal(rule=Rule.DISQUALIFIED, message="is not disqualified")
    return (Reinstated(**asking.stamp, team=command.team, entry=command.entry, reason=command.reason),)


def team_id(name: str) -> str:
    """Return an id made of a team's name; no id if nothing of it can be written in ASCII."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:ID_CHARACTERS_MAX]


def unfit(state: State, team: str) -> Refusal | None:
    """Refuse a team that does not exist, went up in another, or is disqualified."""
    refused = _standing(state, team, None)
    if refused is not None:
        return refused
    note = state.teams[team].disqualified
    return None if note is None else Refusal(rule=Rule.DISQUALIFIED, message=f"team {team}: {note}")


def _standing(state: State, team: str, entry: str | None) -> Refusal | None:
    found = state.teams.get(team)
    if found is None:
        return Refusal(rule=Rule.TEAM, message=f"there is no team {team[:70]!r}")
    if found.merged_into is not None:
        return Refusal(rule=Rule.TEAM, message=f"team {team} went up in {found.merged_into}")
    if entry is not None and entry not in found.entries:
        return Refusal(rule=Rule.ENTRY, message=f"{entry[:70]!r} is not an entry of team {team}")
    return None


def _note(state: State, team: str, entry: str | None) -> str | None:
    return state.teams[team].disqualified if entry is None else state.entries[entry].disqualified


def scores_are_shown(state: State, now: datetime) -> bool:
    """Tell whether private scores may be shown to contestants at a moment."""
    return PHASE_RANK[phase_at(state, now)] >= PHASE_RANK[ContestPhase.RELEASED]
