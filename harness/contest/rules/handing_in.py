"""The rules about entries: handing in, the end of an attempt, withdrawing, running again."""

from __future__ import annotations

import math
import re
from datetime import datetime

from harness.contest.events import (
    ContestPhase,
    EntryCancelled,
    EntryFailed,
    EntryRequeued,
    EntryScored,
    EntryStarted,
    EntrySubmitted,
    EntryVoided,
    Purse,
)
from harness.contest.rules.commands import (
    CancelEntry,
    RecordFailure,
    RecordScore,
    Refusal,
    RequeueEntry,
    Role,
    Rule,
    Start,
    Submit,
    VoidAttempt,
)
from harness.contest.rules.deciders import Asking, Decided, no_text, on
from harness.contest.rules.public_scores import shown_score
from harness.contest.rules.quotas import day_of, grants_left, next_day, quota_refusal
from harness.contest.rules.teams import ID, unfit
from harness.contest.state import UNFINISHED, Entry, EntryStatus
from harness.core.types import Verdict

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_OWN_DOING = frozenset(set(Verdict) - {Verdict.HARNESS_ERROR})
TEAM_ATTEMPTS = 3  # of one entry, at its team's own word
CANCELLED_PER_DAY = 10  # of a day's entries, at their team's own word
_TAKING = frozenset({ContestPhase.OPEN, ContestPhase.BLIND})


@on(Submit)
def submit(asking: Asking, command: Submit) -> Decided:
    """In an open or blind phase, declared, and paid by the day's quota or by a granted try."""
    refused = _takes_none(asking) or unfit(asking.state, command.team) or _malformed(asking, command)
    if refused is not None:
        return refused
    rules = asking.rules
    if rules.external_data_declaration and command.external_data is None:
        return Refusal(
            rule=Rule.EXTERNAL_DATA,
            message="declare what it was trained on (external_data in its manifest), or nothing",
        )
    day = day_of(asking.now, rules.zone)
    no_quota = quota_refusal(
        rules,
        asking.state.entries_of(command.team),
        day=day,
        again=_next_chance(asking),
    )
    if no_quota is not None and grants_left(asking.state, command.team) < 1:
        return no_quota
    return (
        EntrySubmitted(
            **asking.stamp,
            entry=command.entry,
            team=command.team,
            package_sha256=command.package_sha256,
            external_data=command.external_data,
            day=day,
            paid_by=Purse.QUOTA if no_quota is None else Purse.GRANT,
            phase=asking.state.phase,
        ),
    )


@on(Start)
def start(asking: Asking, command: Start) -> Decided:
    """Only the attempt that waits; doing it twice changes nothing."""
    found = _attempt(asking, command.entry, command.attempt)
    if isinstance(found, Refusal):
        return found
    if found.status is EntryStatus.RUNNING:
        return ()
    return (EntryStarted(**asking.stamp, entry=command.entry, attempt=command.attempt),)


@on(RecordScore)
def record_score(asking: Asking, command: RecordScore) -> Decided:
    """Only the attempt that waits or runs; a late report of an earlier one changes nothing."""
    found = _attempt(asking, command.entry, command.attempt)
    if isinstance(found, Refusal):
        return found
    if not math.isfinite(command.public_loss) or command.public_loss < 0.0:
        return Refusal(rule=Rule.ENTRY, message=f"{command.public_loss} is not a log loss")
    if command.verdict not in _OWN_DOING:
        return Refusal(rule=Rule.ENTRY, message=f"{command.verdict[:40]!r} is not a verdict that has a score")
    shown = None
    if found.phase is not ContestPhase.BLIND:
        shown = shown_score(
            command.public_loss,
            best_shown=asking.state.teams[found.team].best_shown,
            scores=asking.rules.public_scores,
            public_decimals=asking.state.public_decimals,
        )
    return (
        EntryScored(
            **asking.stamp,
            entry=command.entry,
            attempt=command.attempt,
            run_id=command.run_id,
            verdict=command.verdict,
            result_sha256=command.result_sha256,
            public_loss=command.public_loss,
            shown=shown,
        ),
    )


@on(RecordFailure)
def record_failure(asking: Asking, command: RecordFailure) -> Decided:
    """Only the attempt that waits or runs, and never for our own fault."""
    found = _attempt(asking, command.entry, command.attempt)
    if isinstance(found, Refusal):
        return found
    if command.verdict not in _OWN_DOING:
        return Refusal(
            rule=Rule.ENTRY, message=f"{command.verdict[:40]!r} is not a verdict that is an entry's own fault"
        )
    return (
        EntryFailed(
            **asking.stamp,
            entry=command.entry,
            attempt=command.attempt,
            run_id=command.run_id,
            verdict=command.verdict,
        ),
    )


@on(VoidAttempt)
def void(asking: Asking, command: VoidAttempt) -> Decided:
    """Only the attempt that waits or runs. What it cost is refunded by this alone."""
    found = _attempt(asking, command.entry, command.attempt)
    if isinstance(found, Refusal):
        return found
    return (EntryVoided(**asking.stamp, entry=command.entry, attempt=command.attempt, reason=command.reason),)


@on(CancelEntry)
def cancel(asking: Asking, command: CancelEntry) -> Decided:
    """While it waits or runs; what it cost is refunded.

    A team may do so for `CANCELLED_PER_DAY` of a day's entries: whoever hands in and cancels on and on fills
    the disk with packages and the machines with runs, and pays for none.
    """
    found = asking.state.entries.get(command.entry)
    if found is None:
        return _no_entry(command.entry)
    if found.status not in UNFINISHED:
        return Refusal(
            rule=Rule.ENTRY, message=f"{command.entry} is {found.status}: there is nothing to cancel"
        )
    refused = _cancelled_too_often(asking, found)
    if refused is not None:
        return refused
    return (EntryCancelled(**asking.stamp, entry=command.entry, reason=command.reason),)


@on(RequeueEntry)
def requeue(asking: Asking, command: RequeueEntry) -> Decided:
    """Run again what our fault spoiled, until scores are released.

    The refund is taken back if the quota of that day still has room, or else a granted try; if the team
    has used both meanwhile, the organiser pays. A team may ask for it until an entry has had `TEAM_ATTEMPTS`:
    what is spoiled each time may not be our fault alone, and somebody should look.
    """
    state = asking.state
    found = state.entries.get(command.entry)
    if found is None:
        return _no_entry(command.entry)
    if found.status is not EntryStatus.VOIDED:
        return Refusal(
            rule=Rule.ENTRY,
            message=f"{command.entry} is {found.status}: only what our fault spoiled is run again",
        )
    if state.phase is ContestPhase.RELEASED:
        return Refusal(rule=Rule.PHASE, message="scores are released: no entry is run again")
    refused = no_text(a_reason=command.reason) or _spoiled_too_often(asking, found)
    if refused is not None:
        return refused
    others = tuple(one for one in state.entries_of(found.team) if one.entry != found.entry)
    if quota_refusal(asking.rules, others, day=found.day, again=None) is None:
        purse = Purse.QUOTA
    else:
        purse = Purse.GRANT if grants_left(state, found.team) > 0 else Purse.ORGANISER
    return (
        EntryRequeued(
            **asking.stamp,
            entry=command.entry,
            attempt=found.attempt + 1,
            paid_by=purse,
            reason=command.reason,
        ),
    )


def _spoiled_too_often(asking: Asking, found: Entry) -> Refusal | None:
    if asking.by.role is not Role.TEAM:
        return None
    refused = unfit(asking.state, found.team)
    if refused is not None or found.attempt < TEAM_ATTEMPTS:
        return refused
    return Refusal(
        rule=Rule.ENTRY,
        message=f"{found.entry} was spoiled {found.attempt} times: the organiser has to look at it first",
        count=found.attempt,
        limit=TEAM_ATTEMPTS,
    )


def _cancelled_too_often(asking: Asking, found: Entry) -> Refusal | None:
    if asking.by.role is not Role.TEAM:
        return None
    of_the_day = [one for one in asking.state.entries_of(found.team) if one.day == found.day]
    count = sum(one.status is EntryStatus.CANCELLED for one in of_the_day)
    if count < CANCELLED_PER_DAY:
        return None
    return Refusal(
        rule=Rule.ENTRY,
        message=f"{count} entries of {found.day} are cancelled already: ask the organiser to cancel more",
        count=count,
        limit=CANCELLED_PER_DAY,
    )


def _attempt(asking: Asking, entry: str, attempt: int) -> Entry | Refusal:
    found = asking.state.entries.get(entry)
    if found is None:
        return _no_entry(entry)
    if found.attempt != attempt:
        return Refusal(
            rule=Rule.ENTRY,
            message=f"attempt {attempt} of {entry} is over: {found.attempt} is the latest",
            count=attempt,
            limit=found.attempt,
        )
    if found.status not in UNFINISHED:
        return Refusal(rule=Rule.ENTRY, message=f"{entry} is {found.status} already")
    return found


def _no_entry(entry: str) -> Refusal:
    return Refusal(rule=Rule.ENTRY, message=f"there is no entry {entry[:70]!r}")


def _takes_none(asking: Asking) -> Refusal | None:
    phase = asking.state.phase
    if phase in _TAKING:
        return None
    early = phase is ContestPhase.ANNOUNCED
    return Refusal(
        rule=Rule.PHASE,
        message=f"the contest is {phase}: no entries {'yet' if early else 'any more'}",
        again=asking.rules.opens if early else None,
    )


def _malformed(asking: Asking, command: Submit) -> Refusal | None:
    if not ID.fullmatch(command.entry):
        return Refusal(rule=Rule.ENTRY, message=f"{command.entry[:70]!r} is not an id of an entry")
    if command.entry in asking.state.entries:
        return Refusal(rule=Rule.ENTRY, message=f"there is already an entry {command.entry}")
    if not _SHA256.fullmatch(command.package_sha256):
        return Refusal(rule=Rule.ENTRY, message="an entry needs its package's sha256")
    return None


def _next_chance(asking: Asking) -> datetime | None:
    """When the next day begins; None if the contest closes before."""
    again = next_day(asking.now, asking.rules.zone)
    return again if again < asking.rules.closes else None
