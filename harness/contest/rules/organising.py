"""The rules about what the organiser alone decides: the contest itself, its phases, grants, regrades."""

from __future__ import annotations

import math

from harness.contest.events import (
    ContestCreated,
    ContestPhase,
    PhaseEntered,
    Regraded,
    RulesAmended,
    TriesGranted,
)
from harness.contest.rules.commands import (
    AmendRules,
    CreateContest,
    EnterPhase,
    GrantTries,
    RecordRegrade,
    Refusal,
    Rule,
)
from harness.contest.rules.deciders import Asking, Decided, no_text, on
from harness.contest.rules.phases import moment_of
from harness.contest.rules.public_scores import shown_again
from harness.contest.rules.teams import unfit
from harness.contest.state import PHASE_RANK, PHASES, EntryStatus

TRIES_MAX = 10_000


@on(CreateContest)
def create(asking: Asking, command: CreateContest) -> Decided:
    """Once."""
    if asking.state.rules is not None:
        return Refusal(rule=Rule.CONTEST_EXISTS, message=f"{asking.state.challenge} is already a contest")
    return (
        ContestCreated(
            **asking.stamp,
            challenge=command.challenge,
            challenge_sha256=command.challenge_sha256,
            public_decimals=command.public_decimals,
            rules=command.rules,
        ),
    )


@on(AmendRules)
def amend(asking: Asking, command: AmendRules) -> Decided:
    """From now on; what began keeps its moment, and what has not cannot begin in the past."""
    refused = no_text(a_reason=command.reason)
    if refused is not None:
        return refused
    if command.rules.timezone != asking.rules.timezone:
        return Refusal(rule=Rule.SCHEDULE, message="the time zone stays: entries were counted by its days")
    for phase in PHASES[1:]:
        before, after = moment_of(asking.rules, phase), moment_of(command.rules, phase)
        begun = PHASE_RANK[phase] <= PHASE_RANK[asking.state.phase]
        if begun and before != after:
            return Refusal(rule=Rule.SCHEDULE, message=f"{phase} has begun: its moment stays {before}")
        if not begun and after is not None and after != before and after <= asking.now:
            return Refusal(
                rule=Rule.SCHEDULE, message=f"{phase} cannot begin in the past; begin it with `phase`"
            )
    return (RulesAmended(**asking.stamp, rules=command.rules, reason=command.reason),)


@on(EnterPhase)
def enter_phase(asking: Asking, command: EnterPhase) -> Decided:
    """Only a later phase; scores are released when no entry waits or runs."""
    state = asking.state
    refused = no_text(a_reason=command.reason)
    if refused is not None:
        return refused
    if PHASE_RANK[command.phase] <= PHASE_RANK[state.phase]:
        return Refusal(
            rule=Rule.PHASE, message=f"the contest is {state.phase}: it does not go back to {command.phase}"
        )
    if command.phase is ContestPhase.RELEASED and state.unfinished:
        return Refusal(
            rule=Rule.PHASE,
            message=f"{state.unfinished} entries have no result yet: run or cancel them first",
            count=state.unfinished,
            limit=0,
        )
    return (PhaseEntered(**asking.stamp, phase=command.phase, reason=command.reason),)


@on(GrantTries)
def grant(asking: Asking, command: GrantTries) -> Decided:
    """To a team in good standing, with a reason, at any time."""
    refused = unfit(asking.state, command.team) or no_text(a_reason=command.reason)
    if refused is not None:
        return refused
    if not 1 <= command.tries <= TRIES_MAX:
        return Refusal(
            rule=Rule.TEAM,
            message=f"1 to {TRIES_MAX} tries can be granted",
            count=command.tries,
            limit=TRIES_MAX,
        )
    return (TriesGranted(**asking.stamp, team=command.team, tries=command.tries, reason=command.reason),)


@on(RecordRegrade)
def regrade(asking: Asking, command: RecordRegrade) -> Decided:
    """Entries that had a score have one still; what is shown is worked out again, entry by entry."""
    state = asking.state
    refused = no_text(a_reason=command.reason)
    if refused is not None:
        return refused
    if command.regrade in state.regrades:
        return Refusal(rule=Rule.REGRADE, message=f"{command.regrade} is already on record")
    scored = {name for name, one in state.entries.items() if one.status is EntryStatus.SCORED}
    if set(command.public_losses) != scored or set(command.results) != scored:
        missing, extra = scored - set(command.public_losses), set(command.public_losses) - scored
        return Refusal(
            rule=Rule.REGRADE,
            message=f"needs just the entries with a score: {len(missing)} missing, {len(extra)} extra",
            count=len(command.public_losses),
            limit=len(scored),
        )
    if any(not math.isfinite(loss) or loss < 0.0 for loss in command.public_losses.values()):
        return Refusal(rule=Rule.REGRADE, message="a public loss is not a log loss")
    shown: dict[str, float | None] = {}
    for team in state.teams:
        own = [one for one in state.entries_of(team) if one.status is EntryStatus.SCORED]
        open_ones = [(one.entry, command.public_losses[one.entry]) for one in own if one.shown is not None]
        again = shown_again(
            open_ones, scores=asking.rules.public_scores, public_decimals=state.public_decimals
        )
        shown |= {one.entry: again.get(one.entry) for one in own}
    return (
        Regraded(
            **asking.stamp,
            regrade=command.regrade,
            reason=command.reason,
            public_losses=dict(command.public_losses),
            shown=shown,
            results=dict(command.results),
        ),
    )
