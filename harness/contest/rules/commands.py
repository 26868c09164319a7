"""The commands to a contest, who may give them, and how it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from harness.contest.events import ContestPhase
from harness.core.contest import ContestRules


class Rule(StrEnum):
    """The rule that a refusal is by."""

    NO_CONTEST = "no contest"
    CONTEST_EXISTS = "the contest exists"
    ROLE = "who may"
    PHASE = "phase"
    TEAM = "team"
    ENTRY = "entry"
    VALID_PER_DAY = "valid entries a day"
    FAILED_PER_DAY = "failed entries a day"
    TOTAL = "entries in all"
    EXTERNAL_DATA = "declaration of external data"
    FINALS = "finals"
    MERGE = "merging teams"
    DISQUALIFIED = "disqualified"
    TEXT = "a text that must be there"
    SCHEDULE = "schedule"
    REGRADE = "regrade"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a command was refused: a value, not an exception.

    Attributes:
        rule: By which rule.
        message: In words, with what was counted; may be shown to whoever gave the command.
        count: What was counted, if the rule counts.
        limit: What it may come to.
        again: From when on it may be possible again; None if waiting does not help.
    """

    rule: Rule
    message: str
    count: int | None = None
    limit: int | None = None
    again: datetime | None = None

    def in_words(self, zone: ZoneInfo | None = None) -> str:
        """Return one line with the moment from which on it is possible again, in a zone's time."""
        if self.again is None:
            return f"{self.rule}: {self.message}"
        when = self.again if zone is None else self.again.astimezone(zone)
        return f"{self.rule}: {self.message}; possible again from {when:%Y-%m-%d %H:%M:%S %Z}"


class Role(StrEnum):
    """In which capacity somebody asks."""

    ORGANISER = "organiser"
    HARNESS = "harness"  # the driver that runs entries
    TEAM = "team"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who gives a command."""

    role: Role
    name: str  # of a team: its id

    def __str__(self) -> str:
        return self.name if self.role is not Role.TEAM else f"team {self.name}"


ORGANISER = Actor(role=Role.ORGANISER, name="organiser")
HARNESS = Actor(role=Role.HARNESS, name="harness")


def team_actor(team: str) -> Actor:
    """Return a team as the one who asks."""
    return Actor(role=Role.TEAM, name=team)


@dataclass(frozen=True, kw_only=True)
class Command:
    """Something that a contest should do."""


@dataclass(frozen=True, kw_only=True)
class CreateContest(Command):
    """Make a contest of a challenge."""

    challenge: str
    challenge_sha256: str
    public_decimals: int
    rules: ContestRules


@dataclass(frozen=True, kw_only=True)
class AmendRules(Command):
    """Change the rules from now on; a phase that began keeps its moment."""

    rules: ContestRules
    reason: str


@dataclass(frozen=True, kw_only=True)
class EnterPhase(Command):
    """Begin a phase before its time, or one that has none."""

    phase: ContestPhase
    reason: str


@dataclass(frozen=True, kw_only=True)
class Tick(Command):
    """Write down the phases that the calendar has begun since the last event."""


@dataclass(frozen=True, kw_only=True)
class RegisterTeam(Command):
    """Let a team take part."""

    team: str
    name: str


@dataclass(frozen=True, kw_only=True)
class MergeTeams(Command):
    """Merge `other` into `into`."""

    into: str
    other: str


@dataclass(frozen=True, kw_only=True)
class Submit(Command):
    """Hand in an entry."""

    entry: str
    team: str
    package_sha256: str
    external_data: tuple[str, ...] | None = None  # None: nothing was declared; (): "none was used"


@dataclass(frozen=True, kw_only=True)
class Start(Command):
    """Say that an attempt runs."""

    entry: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class RecordScore(Command):
    """Say that an attempt ended with scores on both sets."""

    entry: str
    attempt: int
    run_id: str
    verdict: str
    result_sha256: str
    public_loss: float


@dataclass(frozen=True, kw_only=True)
class RecordFailure(Command):
    """Say that an attempt ended without a score by the entry's own fault."""

    entry: str
    attempt: int
    run_id: str
    verdict: str


@dataclass(frozen=True, kw_only=True)
class VoidAttempt(Command):
    """Say that an attempt ended by our fault (HARNESS_ERROR)."""

    entry: str
    attempt: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class CancelEntry(Command):
    """Withdraw an entry that has no score yet."""

    entry: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class RequeueEntry(Command):
    """Run an entry again that our fault had spoiled; its team may ask for that itself, a few times."""

    entry: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class GrantTries(Command):
    """Give a team further tries."""

    team: str
    tries: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class SelectFinals(Command):
    """Choose the entries to be judged by; if None, the best by public score."""

    team: str
    entries: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Disqualify(Command):
    """Take a team, or one of its entries, off every board."""

    team: str
    reason: str
    public_note: str
    entry: str | None = None


@dataclass(frozen=True, kw_only=True)
class Reinstate(Command):
    """Lift a disqualification."""

    team: str
    reason: str
    entry: str | None = None


@dataclass(frozen=True, kw_only=True)
class RecordRegrade(Command):
    """Say that outcomes were scored again, and what the public losses are now."""

    regrade: str
    reason: str
    public_losses: Mapping[str, float]  # entry → exact
    results: Mapping[str, str]  # entry → sha256 of the result that holds now


TEAMS_MAY = (Submit, CancelEntry, RequeueEntry, SelectFinals, Tick)  # on what is their own
HARNESS_MAY = (Start, RecordScore, RecordFailure, VoidAttempt, RequeueEntry, Tick)
