"""The `[contest]` table of `challenge.toml`: phases, quotas, finals and what public scores show.

A challenge without the table is scored in the same way. Times without an offset are local times of
`timezone`; after reading, every time is in UTC. Nothing here reads the clock.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

TIMES = ("opens", "blind_from", "closes", "releases", "merge_until", "finals_until")
_STRICT = ConfigDict(extra="forbid", frozen=True)


class ShownRule(StrEnum):
    """What contestants are shown of a public score."""

    ROUNDED = "rounded"
    LADDER = "ladder"


class PublicScores(BaseModel):
    """What contestants are shown of public scores; `docs/contest.md` says what to choose."""

    model_config = _STRICT

    rule: ShownRule = Field(
        default=ShownRule.ROUNDED,
        description="rounded: to scoring.public_decimals. ladder: a new score only if it is better by a step",
    )
    step: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.005, description="step of the ladder, in log loss; shown scores are multiples of it"
    )


class StopRule(StrEnum):
    """How to find that an entry no longer has any chance of a prize place."""

    CERTAIN = "certain"  # even the best possible rest would not help
    SEQUENTIAL = "sequential"  # up to a stated probability of error


class EarlyStopping(BaseModel):
    """Entries that can no longer reach the prize places are stopped on the private set, and told so."""

    model_config = _STRICT

    rule: StopRule = Field(description="certain, or sequential: with a stated probability of error")
    prizes: Annotated[int, Field(ge=1, le=1000)] = Field(description="how many places are to be reached")
    error: Annotated[float, Field(gt=0, le=0.1)] = Field(
        default=0.001, description="of the sequential rule, for each entry over all looks"
    )

    def in_words(self) -> str:
        """Announce it."""
        places = "the prize place" if self.prizes == 1 else f"any of the {self.prizes} prize places"
        what = f"an entry that can no longer reach {places}"
        if self.rule is StopRule.CERTAIN:
            what += ", whatever it still answers,"
        said = f"Once the contest has closed, {what} is not run to its end on the private set."
        if self.rule is StopRule.SEQUENTIAL:
            at_most = f"{100 * self.error:.6g}%"
            said += f" For each entry, the probability that this is a mistake is at most {at_most}."
        return f"{said} It keeps its public score, gets no private one, and its team is told."


class ContestRules(BaseModel):
    """The rules of one contest. All times are in UTC after reading."""

    model_config = _STRICT

    timezone: str = Field(
        description="IANA name, e.g. Europe/Paris: days of the quota begin at midnight there"
    )
    opens: AwareDatetime = Field(description="entries are taken from this moment")
    blind_from: AwareDatetime | None = Field(
        default=None,
        description="from then on entries are accepted and their scores hidden; if not given, never",
    )
    closes: AwareDatetime = Field(description="no entry is taken from this moment")
    releases: AwareDatetime | None = Field(
        default=None, description="private scores are shown; if not given, when the organiser says so"
    )
    merge_until: AwareDatetime | None = Field(
        default=None, description="last moment at which teams may merge; if not given, until it closes"
    )
    finals_until: AwareDatetime | None = Field(
        default=None, description="last moment at which finals may be chosen; if not given, until it closes"
    )
    valid_per_day: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=2, description="valid entries per team and day"
    )
    failed_per_day: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="failed entries per team and day; if not given, they count like valid ones"
    )
    total: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="entries per team over the whole contest; if not given, no such limit"
    )
    finals: Annotated[int, Field(ge=1, le=100)] = Field(
        default=2, description="entries that a team may choose to be judged by"
    )
    external_data_declaration: bool = Field(
        default=True, description="an entry must come with a declaration of the data it was trained on"
    )
    public_scores: PublicScores = PublicScores()
    early_stopping: EarlyStopping | None = Field(
        default=None,
        description="stop entries without a chance of a prize place; if not given, all are run to the end",
    )

    @model_validator(mode="before")
    @classmethod
    def _times_are_local_to_the_zone(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        zone = _zone(raw.get("timezone")) or ZoneInfo("UTC")  # if it is wrong, its own validator reports it
        return raw | {key: _in_utc(key, raw[key], zone) for key in TIMES if raw.get(key) is not None}

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if _zone(name) is None:
            raise ValueError("there is no such time zone; use an IANA name such as Europe/Paris or UTC")
        return name

    @model_validator(mode="after")
    def _times_are_in_order(self) -> ContestRules:
        order = [(key, getattr(self, key)) for key in ("opens", "blind_from", "closes") if getattr(self, key)]
        wrong = [
            f"{later} must be after {earlier}"
            for (earlier, first), (later, second) in pairwise(order)
            if first >= second
        ]
        if self.releases is not None and self.releases < self.closes:
            wrong.append("releases must not be before closes")
        if self.merge_until is not None and self.merge_until > self.closes:
            wrong.append("merge_until must not be after closes")
        if self.finals_until is not None:
            if self.finals_until <= self.opens:
                wrong.append("finals_until must be after opens")
            if self.releases is not None and self.finals_until > self.releases:
                wrong.append("finals_until must not be after releases")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which days begin."""
        return ZoneInfo(self.timezone)


def local_time(moment: datetime, zone: ZoneInfo) -> datetime:
    """Turn a local time without an offset into UTC; if clocks were put back, the earlier of the two.

    Raises:
        ValueError: clocks in the zone jump over this time.
    """
    found = moment.replace(tzinfo=zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) != moment:
        raise ValueError(f"{moment.isoformat(' ')} does not exist in {zone.key}: clocks jump over it")
    return found


def _in_utc(key: str, value: Any, zone: ZoneInfo) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value  # pydantic says what is wrong with it
    if isinstance(value, datetime):
        try:
            return value.astimezone(UTC) if value.tzinfo else local_time(value, zone)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{key}: {error}") from error
    if isinstance(value, date):
        raise ValueError(f"{key} is a day; write the time as well, e.g. {value.isoformat()}T12:00:00")
    return value


def _zone(name: object) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if isinstance(name, str) and name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
