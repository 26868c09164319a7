"""What commands about results print as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from harness.cli.documents import Document
from harness.contest.regrade.ranks import Moved
from harness.core.types import SetName, Verdict
from harness.results.failures import FailureGroup
from harness.results.leaderboard import Choice, LeaderboardRow
from harness.results.result import Result
from harness.results.seal import SealState
from harness.scoring.score import SetScore


class RunDocument(Document):
    """One finished run, and where it is."""

    ok: bool = Field(description="every set's verdict is OK, and both scores count")
    folder: str
    report: str = Field(description="for the organiser")
    contestant_report: str
    failures: tuple[FailureGroup, ...] = Field(description="of the public set, the most frequent first")
    log_tail: str = Field(description="of the public set: the package's own words")
    projection: str = Field(description="what the organiser's machine would need; empty if not known")
    result: Result = Field(description="result.json, whole: for the organiser")


class ScoreDocument(Document):
    """The score of a table of predictions."""

    score: SetScore


@dataclass(frozen=True, kw_only=True)
class ScoredClip:
    """One video and its answer."""

    video: str
    fake: bool
    failure: str  # empty if it was answered
    probability: float  # as scored: the published constant if it failed
    log_loss: float


class ScoreFolderDocument(Document):
    """A package's score on one's own clips."""

    ok: bool = Field(description="it has a score, and no video failed")
    verdict: Verdict
    detail: str
    log_loss: float | None
    roc_auc: float | None
    constant_half: float = Field(description="log loss of a constant 0.5 on these clips")
    clips: tuple[ScoredClip, ...] = Field(description="the worst first")
    failures: tuple[FailureGroup, ...]
    report: str


class LeaderboardDocument(Document):
    """The teams of a challenge, ranked."""

    challenge: str
    by: SetName
    choice: Choice = Field(description="which entry represents a team")
    decimals: int = Field(description="to which scores are rounded before they are compared")
    rows: tuple[LeaderboardRow, ...]


class RebuildDocument(Document):
    """What the index holds now."""

    runs: int
    entries: int
    problems: tuple[str, ...] = Field(description="folders that could not be read, each with why")


class RegradeDocument(Document):
    """What a regrade changed."""

    ok: bool = Field(description="it holds, or was a dry run")
    regrade: str = Field(description="its id")
    dry_run: bool
    refused: str = Field(description="why the contest's log does not say that it holds; empty if it does")
    by: SetName
    runs: int
    labels_changed: int
    seconds: float
    moved: tuple[Moved, ...] = Field(description="every ranked run, by its new place")
    left_out: tuple[str, ...] = Field(description="folders that were not scored again, each with why")


class VerifyDocument(Document):
    """Whether a result is as it was sealed."""

    ok: bool
    path: str
    state: SealState
    outcomes_checked: int = Field(
        description="sets whose outcomes.jsonl was compared; 0 if the result names none, or lies by itself"
    )
    mismatches: tuple[str, ...] = Field(
        description="what it was not made from: another challenge or package, or outcomes that were changed"
    )
