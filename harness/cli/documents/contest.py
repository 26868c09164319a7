"""What the commands of a contest print as JSON, for its organiser: exact scores are in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from harness.cli.documents import Document
from harness.contest.events import ContestPhase
from harness.contest.kept_packages import KeptPackages, UnneededPackage
from harness.contest.plan import CostPlan
from harness.contest.progress import ContestProgress, RunProgress
from harness.contest.rules.finals import final_entries
from harness.contest.rules.phases import next_moment, phase_at
from harness.contest.rules.quotas import Allowance, allowance
from harness.contest.state import PHASES, Entry, State
from harness.results.store.drivers import DriverRow, Wish


class ContestPackagesDocument(Document):
    """What the folder of packages contains, and what of it no entry needs."""

    removed: bool = Field(description="whether `unneeded` was removed; false if it only could be")
    needed: int
    needed_bytes: int
    unneeded: tuple[UnneededPackage, ...]
    unneeded_bytes: int

    @classmethod
    def of(cls, found: KeptPackages, *, removed: bool) -> ContestPackagesDocument:
        """Make it from what was found."""
        return cls(
            removed=removed,
            needed=found.needed,
            needed_bytes=found.needed_bytes,
            unneeded=found.unneeded,
            unneeded_bytes=found.unneeded_bytes,
        )


class ContestPlanDocument(Document):
    """What a contest will cost."""

    plan: CostPlan


class ContestStatusDocument(Document):
    """How far a contest is."""

    driver: str | None = Field(description="who drives it; null if nobody does")
    since: str | None = Field(description="when it began; null if nobody drives")
    heartbeat: str | None = Field(description="when it was last heard of")
    wish: Wish
    cost: float = Field(description="so far, at --price-per-hour")
    worker_seconds: float
    videos_done: int
    shards_left: int = Field(description="of entries whose package was opened")
    unseen: int = Field(description="entries that wait beyond these, as the driver last said")
    places: int | None = Field(description="shards at a time, as the driver last said")
    left_seconds: float | None = Field(description="until all is done on these places; null if unknown")
    runs: tuple[RunProgress, ...]

    @classmethod
    def of(
        cls, progress: ContestProgress, driver: DriverRow | None, price_per_hour: float
    ) -> ContestStatusDocument:
        """Make it from what the database says."""
        return cls(
            driver=driver.driver if driver else None,
            since=driver.since if driver else None,
            heartbeat=driver.heartbeat if driver else None,
            wish=driver.wish if driver else Wish.RUN,
            cost=progress.cost(price_per_hour),
            worker_seconds=progress.worker_seconds,
            videos_done=progress.videos_done,
            shards_left=progress.shards_left,
            unseen=progress.unseen,
            places=driver.places if driver else None,
            left_seconds=progress.left_seconds,
            runs=progress.runs,
        )


@dataclass(frozen=True, kw_only=True)
class PhaseRow:
    """A phase that is to come."""

    phase: ContestPhase
    begins: datetime


@dataclass(frozen=True, kw_only=True)
class TeamRow:
    """One team, and what its quota still allows today."""

    team: str
    name: str
    registered: datetime
    entries: tuple[str, ...]
    judged_by: tuple[str, ...]
    merged_into: str | None
    disqualified: str | None  # the public note
    left: Allowance | None  # of its quota; null if it went up in another team


class ContestShowDocument(Document):
    """A contest as it stands."""

    exists: bool = Field(description="false before `contest init`")
    challenge: str
    challenge_sha256: str
    phase: ContestPhase | None
    ahead: tuple[PhaseRow, ...]
    events: int
    teams: tuple[TeamRow, ...]
    entries: tuple[Entry, ...]
    regrades: tuple[str, ...]

    @classmethod
    def of(cls, state: State, *, now: datetime, team: str | None) -> ContestShowDocument:
        """Make it from a state; with a team, only of its entries."""
        exists = state.rules is not None
        moments = ((phase, next_moment(state, phase, now)) for phase in PHASES)
        return cls(
            exists=exists,
            challenge=state.challenge,
            challenge_sha256=state.challenge_sha256,
            phase=phase_at(state, now) if exists else None,
            ahead=tuple(PhaseRow(phase=phase, begins=at) for phase, at in moments if at is not None),
            events=state.events,
            teams=tuple(_team(state, key, now) for key in state.teams),
            entries=tuple(one for one in state.entries.values() if team is None or one.team == team),
            regrades=state.regrades,
        )


def _team(state: State, key: str, now: datetime) -> TeamRow:
    one = state.teams[key]
    left = None if one.merged_into is not None else allowance(state, key, now)
    return TeamRow(
        team=key,
        name=one.name,
        registered=one.registered,
        entries=one.entries,
        judged_by=() if left is None else tuple(entry.entry for entry in final_entries(state, key)),
        merged_into=one.merged_into,
        disqualified=one.disqualified,
        left=left,
    )
