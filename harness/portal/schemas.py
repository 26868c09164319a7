"""What the API takes and answers. Nothing is in an answer that is not a field here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(max_length=200)]


class Asked(BaseModel):
    """What is asked: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Answer(BaseModel):
    """What is answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ErrorFacts(Answer):
    """What is wrong."""

    code: str = Field(description="for programs")
    message: str
    remedy: str | None
    rule: str | None = Field(description="of the contest, if a rule refuses it")
    count: int | None = Field(description="what the rule counted")
    limit: int | None
    again: str | None = Field(description="from when on it may be possible again")
    offset: int | None = Field(description="where an upload goes on")


class ErrorAnswer(BaseModel):
    """Every error. `check` is there with the code `check_failed`."""

    error: ErrorFacts
    check: CheckAnswer | None = None


class Health(Answer):
    """The portal answers."""

    status: Literal["ok"]


class Me(Answer):
    """Whom the token or session stands for."""

    role: str
    challenge: str | None
    team: str | None
    team_name: str | None
    label: str
    scopes: list[str]


class ChallengeLine(Answer):
    """One contest."""

    challenge: str
    title: str
    phase: str


class Challenges(Answer):
    """Every contest."""

    challenges: list[ChallengeLine]


class PhaseLine(Answer):
    """One phase; `begins` is None if no date is set, or the organiser had it begin before that."""

    phase: str
    begins: str | None
    begun: bool


class RulesAnswer(Answer):
    """What a team may do."""

    valid_per_day: int
    failed_per_day: int | None
    total: int | None
    finals: int
    shown: str
    step: float | None
    external_data_declaration: bool
    finals_until: str | None
    merge_until: str | None
    early_stopping: str | None  # in words; None: every entry is run to its end


class LimitLine(Answer):
    """One limit that packages are held to."""

    key: str
    value: str  # in words
    number: float
    meaning: str


class ChallengeAnswer(Answer):
    """One contest and its rules."""

    challenge: str
    title: str
    phase: str
    phases: list[PhaseLine]
    timezone: str
    limits: list[LimitLine]
    rules: RulesAnswer
    modes: list[str]
    failure_rule: str
    sets: list[str]
    about: str = Field(description="the organiser's own words, as plain text; empty if there are none")


class BoardLine(Answer):
    """One team's line. What is None is not known, or not shown by the contest's rules."""

    place: int
    team: str
    name: str
    score: float
    low: float | None
    high: float | None
    group: int | None
    best_percent: int | None
    entries: int
    last: str
    public_place: int | None


class BoardPart(Answer):
    """Scores of the first teams on the videos of one perturbation."""

    name: str
    videos: int
    scores: list[float]


class BoardAnswer(Answer):
    """A board."""

    challenge: str
    set: str
    version: str
    computed: str
    decimals: int
    rule: str
    rows: list[BoardLine]
    parts: list[BoardPart]


class AllowanceAnswer(Answer):
    """What a team's quota still allows today, in the contest's time zone."""

    day: str
    valid_left: int
    failed_left: int | None
    total_left: int | None
    grants_left: int
    next_day: str
    may_submit: bool
    why_not: str | None
    again: str | None


class MemberLine(Answer):
    """Somebody, or a program, that may act for the team."""

    access: str
    kind: str
    label: str
    scopes: list[str]
    created: str
    expires: str


class TeamAnswer(Answer):
    """One's own team."""

    team: str
    name: str
    allowance: AllowanceAnswer
    finals: list[str]
    finals_most: int
    judged_by: list[str] = Field(description="the entries that count at present")
    members: list[MemberLine]
    disqualified: str | None


class QueueAnswer(Answer):
    """Place 0 runs, place 1 is the next."""

    place: int
    of: int
    seconds: int | None
    error_seconds: int | None


class ProgressAnswer(Answer):
    """How far a run is. Of the private set there is no count: its pace could carry what it holds."""

    public_done: int
    public_total: int | None
    private: Literal["waiting", "running", "done"]


class ScoreAnswer(Answer):
    """The public score as the rules show it."""

    shown: float
    low: float | None
    high: float | None
    auc: float | None
    group: int | None
    place: int | None


class PartAnswer(Answer):
    """A log loss on the public videos of one perturbation."""

    name: str
    videos: int
    log_loss: float


class EntryAnswer(Answer):
    """One entry as its own team may see it."""

    entry: str
    number: int
    submitted: str
    status: str
    attempt: int
    package_name: str | None
    package_sha256: str
    queue: QueueAnswer | None
    progress: ProgressAnswer | None
    verdict: str | None = Field(description="of the public set")
    words: str
    private_valid: bool | None
    stopped_early: bool  # by the announced rule: it has no private score, and its public one stands
    score: ScoreAnswer | None
    private_score: float | None = Field(description="after release")
    hidden: str | None = Field(description="why no score is shown, though there is one")
    final: bool
    disqualified: str | None
    logs: bool
    parts: list[PartAnswer] = Field(description="of the entry that stands for its team; if asked for alone")


class EntriesAnswer(Answer):
    """A team's entries, the newest first."""

    entries: list[EntryAnswer]


class FinalsAsked(Asked):
    """The entries to be judged by; if none is named, the best by public score."""

    entries: Annotated[list[Name], Field(max_length=100)]


class FinalsAnswer(Answer):
    """The entries that were chosen."""

    finals: list[str]


class NothingAsked(Asked):
    """An empty object."""


class FindingAnswer(Answer):
    """One thing that the static check found."""

    code: str
    severity: str
    message: str
    place: str
    remedy: str
    reached: bool


class CheckAnswer(Answer):
    """What the static check found."""

    ok: bool
    name: str
    sha256: str
    size_bytes: int
    file_count: int
    findings: list[FindingAnswer]


ErrorAnswer.model_rebuild()
