"""What a team's quota still allows, by the days of the contest's time zone. Pure.

An entry that waits or runs may still become valid or failed, so until then it holds a place in both quotas:
however it ends, neither is ever exceeded. Days are days of the calendar there, of 23, 24 or 25 hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from harness.contest.events import Purse
from harness.contest.rules.commands import Refusal, Rule
from harness.contest.state import UNFINISHED, Entry, EntryStatus, State
from harness.core.contest import ContestRules

_DAYS_LOOKED_AHEAD = 3  # a zone may skip a day (Samoa skipped 30 December 2011)


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    """Return the day of the calendar that a moment falls on."""
    return moment.astimezone(zone).date()


def next_day(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment of the next day, in UTC: after 23, 24 or 25 hours, as the zone has it."""
    today = day_of(moment, zone)
    for days in range(1, _DAYS_LOOKED_AHEAD + 1):
        # If clocks jump over midnight, fold 0 reads it by the offset before: the moment of the jump.
        start = datetime.combine(today + timedelta(days=days), time(), zone).astimezone(UTC)
        if start > moment and day_of(start, zone) > today:
            return start
    return moment + timedelta(days=1)  # no zone of the world comes here


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a team's quota was charged: refunds are out, and so are entries that the quota did not pay."""

    valid: int
    failed: int
    unfinished: int

    @property
    def all(self) -> int:
        """Every entry that is charged."""
        return self.valid + self.failed + self.unfinished


def spent(entries: tuple[Entry, ...], day: date | None = None) -> Spent:
    """Count what the quota was charged, on one day or on all."""
    charged = [entry for entry in entries if entry.costs is Purse.QUOTA and (day is None or entry.day == day)]
    return Spent(
        valid=sum(entry.status is EntryStatus.SCORED for entry in charged),
        failed=sum(entry.status is EntryStatus.FAILED for entry in charged),
        unfinished=sum(entry.status in UNFINISHED for entry in charged),
    )


def grants_left(state: State, team: str) -> int:
    """Return how many granted tries a team has not used."""
    used = sum(entry.costs is Purse.GRANT for entry in state.entries_of(team))
    return state.teams[team].granted - used


def quota_refusal(
    rules: ContestRules, entries: tuple[Entry, ...], *, day: date, again: datetime | None
) -> Refusal | None:
    """Say why the quota does not pay for one more entry on a day; None if it does.

    Args:
        rules: Of the contest.
        entries: The team's, without the one that is asked about.
        day: Of the contest's time zone.
        again: When the next day begins.
    """
    whole = spent(entries)
    if rules.total is not None and whole.all >= rules.total:
        return Refusal(
            rule=Rule.TOTAL,
            message=f"{whole.all} of {rules.total} entries are used",
            count=whole.all,
            limit=rules.total,
        )
    found = spent(entries, day)
    waiting = f", {found.unfinished} of them without a score yet" if found.unfinished else ""
    if rules.failed_per_day is None:
        if found.all >= rules.valid_per_day:
            return Refusal(
                rule=Rule.VALID_PER_DAY,
                message=f"{found.all} of {rules.valid_per_day} entries of {day} are used{waiting};"
                " failed ones count",
                count=found.all,
                limit=rules.valid_per_day,
                again=again,
            )
        return None
    for rule, kind, count, limit in (
        (Rule.VALID_PER_DAY, "valid", found.valid + found.unfinished, rules.valid_per_day),
        (Rule.FAILED_PER_DAY, "failed", found.failed + found.unfinished, rules.failed_per_day),
    ):
        if count >= limit:
            return Refusal(
                rule=rule,
                message=f"{count} of {limit} {kind} entries of {day} are used{waiting}",
                count=count,
                limit=limit,
                again=again,
            )
    return None


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What a team may still hand in, for the page that shows it."""

    day: date
    valid_left: int
    failed_left: int | None  # None: failed ones count like valid ones
    total_left: int | None
    grants_left: int
    next_day: datetime


def allowance(state: State, team: str, now: datetime) -> Allowance:
    """Return what a team's quota still allows on the day of `now`.

    Raises:
        ValueError: there is no contest.
        KeyError: there is no such team.
    """
    rules = state.rules
    if rules is None:
        raise ValueError("there is no contest")
    entries, day = state.entries_of(team), day_of(now, rules.zone)
    today, whole = spent(entries, day), spent(entries)
    used = today.all if rules.failed_per_day is None else today.valid + today.unfinished
    return Allowance(
        day=day,
        valid_left=max(0, rules.valid_per_day - used),
        failed_left=None
        if rules.failed_per_day is None
        else max(0, rules.failed_per_day - today.failed - today.unfinished),
        total_left=None if rules.total is None else max(0, rules.total - whole.all),
        grants_left=grants_left(state, team),
        next_day=next_day(now, rules.zone),
    )
