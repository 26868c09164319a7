"""What `board` and `plan` print as JSON. What does not exist, or cannot be told, is null."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from harness.cli.documents import Document
from harness.contest.board.answers import Absent, BoardEntry
from harness.contest.board.forecast import Forecast
from harness.contest.board.set_size import Components, Separation, Size
from harness.contest.board.statistics import Difference
from harness.core.types import SetName
from harness.scoring.clusters import Unit
from harness.scoring.curves import BrierParts, CalibrationBin
from harness.scoring.intervals import Interval


@dataclass(frozen=True, kw_only=True)
class CutName:
    """Some of the set's videos."""

    column: str  # perturbation, severity, or a column of the labels
    name: str
    severity: int | None


@dataclass(frozen=True, kw_only=True)
class StandingRow:
    """One entry's line."""

    entry: BoardEntry
    place: int  # 1 is the best; entries of equal rounded scores share one
    log_loss: float
    interval: Interval | None
    roc_auc: float | None
    roc_auc_interval: Interval | None
    failed: int  # videos
    group: int | None  # tie group
    rank_low: int | None  # 95 of 100 replicates have it between these ranks
    rank_high: int | None
    best: float | None  # share of replicates in which it is first
    to_first: Difference | None
    to_next: Difference | None
    column: int  # where it was read
    calibration_error: float | None
    brier_parts: BrierParts
    calibration: tuple[CalibrationBin, ...]
    curve_area: float | None
    worse_on: tuple[CutName, ...]  # where it surely does worse than on the rest


@dataclass(frozen=True, kw_only=True)
class CutRow:
    """Every entry's log loss on some of the videos; lists have an item per standing."""

    column: str
    name: str
    severity: int | None
    videos: int
    clusters: int
    log_loss: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    above_rest: tuple[float | None, ...]
    told: tuple[int, ...]  # 1 if surely higher than on the rest, -1 surely lower, 0 if it cannot be told


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Log loss by the strongest severity of a video."""

    severities: tuple[int, ...]
    log_loss: tuple[tuple[float | None, ...], ...]  # a row per severity, an item per standing


class BoardDocument(Document):
    """A ranking with what can and cannot be told apart."""

    challenge: str
    set_name: SetName
    videos: int
    fakes: int
    clusters: int = Field(description="people, footage or videos that the intervals draw")
    unit: Unit
    people: int
    decimals: int
    replicates: int
    seed: int
    standings: tuple[StandingRow, ...] = Field(description="the best first")
    absent: tuple[Absent, ...] = Field(description="entries without a place, each with why")
    pairs: tuple[Difference, ...] = Field(description="of the first entries, each with each after it")
    rank_shares: tuple[tuple[float, ...], ...] = Field(
        description="for each of the first standings, how often it had each rank"
    )
    forecast: Forecast | None
    separation: Separation | None = Field(description="of places 1 and 2")
    warnings: tuple[str, ...]
    cuts: tuple[CutRow, ...]
    curve: Curve


class PlanDocument(Document):
    """How large a set must be."""

    difference: float = Field(description="of log loss, to be told")
    power: float
    pairs: int = Field(description="of entries, whose variance is pooled")
    unit: Unit
    components: Components
    sizes: tuple[Size, ...]
