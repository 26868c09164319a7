"""`result.json`: everything recorded about one finished run, for the organiser; versioned and validated.

It holds scores of the private set: what a contestant may see of it is for `harness.report` to say. It holds
no label, no probability of a single video and no file name of one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from harness.core.errors import ResultError
from harness.core.files import write_text
from harness.core.text import describe, listed
from harness.core.types import FailureRule, ImageFacts, Limits, Mode, Outcome, OutcomeKind, SetName, Verdict
from harness.core.usage import GpuLevel, Usage
from harness.scoring.intervals import Gap
from harness.scoring.repeatability import Repeatability
from harness.scoring.score import SetScore

SCHEMA_VERSION = 1
NO_ISOLATION = "none"

Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, ser_json_inf_nan="constants")


class PackageFacts(_Part):
    """What was run."""

    name: str
    sha256: Sha256 = Field(description="over the package's canonical listing")
    size_bytes: Count
    mode: Mode


class ChallengeFacts(_Part):
    """On which challenge."""

    name: str
    sha256: Sha256
    public_decimals: Annotated[int, Field(ge=0, le=15)] = Field(
        default=4, description="what contestants see is rounded to this"
    )


class HostFacts(_Part):
    """On which machine. Nothing that identifies it to an outsider: no host name, no address."""

    system: str = ""
    kernel: str = ""
    cpu: str = ""
    cpu_cores: Count = 0
    memory_bytes: Count = 0
    gpus: tuple[str, ...] = ()
    engine: str = ""


class Clocks(_Part):
    """Time of one set's run, on the host's monotonic clock."""

    startup_seconds: Seconds | None = Field(description="container start to ready; None if it never was")
    billed_seconds: Seconds = Field(description="counted against the budget")
    budget_seconds: Seconds
    video_mean_seconds: Seconds | None
    video_median_seconds: Seconds | None
    video_p95_seconds: Seconds | None
    video_longest_seconds: Seconds | None


@dataclass(frozen=True, kw_only=True)
class Resources(Usage):
    """What one set's run used, as seen from outside; None if the engine does not say."""

    restarts: Count

    @classmethod
    def of(cls, usage: Usage, *, restarts: int) -> Resources:
        """Record what was used."""
        return cls(restarts=restarts, **{one.name: getattr(usage, one.name) for one in fields(Usage)})


class SetResult(_Part):
    """What happened to one video set."""

    set_name: SetName
    verdict: Verdict
    detail: str
    videos: Count
    left_out: Count = Field(default=0, description="sources that the harness itself could not read")
    outcomes: dict[OutcomeKind, Count]
    clocks: Clocks
    resources: Resources
    prepared_sha256: Sha256 = Field(description="of the prepared set's manifest")
    outcomes_sha256: Sha256 = Field(
        default="",
        description="of outcomes.jsonl as scored; empty if an earlier release wrote this or nothing ran",
    )
    score: SetScore
    repeat: Repeatability | None = Field(
        default=None,
        description="how the answers of further passes compare; None if no further pass was requested",
    )


class RegradeFacts(_Part):
    """Why a result was scored again, and from which one. Absent from a run's own result."""

    regrade: str = Field(description="its id, which sorts by time")
    reason: str
    of_sha256: Sha256 = Field(description="of the content of the result that held before")
    labels_sha256: dict[SetName, Sha256] = Field(description="over the labels in force, by set")
    labels_changed: Count
    videos_dropped: Count
    exact_values_only: bool = Field(description="no interval and no breakdown was computed")


class Eligibility(_Part):
    """Whether the run may enter a leaderboard, and why not."""

    eligible: bool
    reasons: tuple[str, ...] = ()


class Result(_Part):
    """One finished run."""

    schema_version: Literal[1] = 1
    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    created: AwareDatetime
    harness_version: str
    package: PackageFacts
    image: ImageFacts
    challenge: ChallengeFacts
    limits: dict[str, float] = Field(description="every limit that was in force, by name")
    seeds: dict[str, int]
    tools: dict[str, str] = Field(description="versions of the tools that had a part in it")
    host: HostFacts
    isolation: str = Field(description="docker, or none")
    gpu_level: GpuLevel
    failure_rule: FailureRule
    epsilon: float
    failed_probability: float
    sets: dict[SetName, SetResult]
    gaps: tuple[Gap, ...] = ()
    leaderboard: Eligibility
    stopped_early: str = Field(
        default="",
        description="why the private set was left unfinished, by a rule that the contest announced",
    )
    regrade: RegradeFacts | None = None

    @property
    def valid(self) -> bool:
        """Whether both sets have a score that counts; of a run that was stopped early, the public one."""
        return all(
            name in self.sets and self.sets[name].score.counts for name in _counting(self.stopped_early)
        )

    @property
    def practice(self) -> bool:
        """Whether the challenge has no private set, and the public score counts: nothing is wrong with it."""
        public = self.sets.get(SetName.PUBLIC)
        alone = SetName.PRIVATE not in self.sets and not self.stopped_early
        return alone and public is not None and public.score.counts


def _counting(stopped_early: str) -> tuple[SetName, ...]:
    return (SetName.PUBLIC,) if stopped_early else (SetName.PUBLIC, SetName.PRIVATE)


def eligibility(sets: Mapping[SetName, SetResult], *, isolation: str, stopped_early: str = "") -> Eligibility:
    """Decide whether a run may enter a leaderboard: isolated, and both sets have a score that counts.

    One that a rule stopped early on the private set may enter the public one.
    """
    reasons = []
    if isolation == NO_ISOLATION:
        reasons.append("it ran without isolation")
    for name in _counting(stopped_early):
        if name not in sets:
            reasons.append(f"the {name} set was not run")
        elif not sets[name].score.scored:
            reasons.append(f"the {name} set has no score")
        elif not sets[name].score.counts:
            reasons.append(f"the {name} set: {sets[name].score.why_not}")
    return Eligibility(eligible=not reasons, reasons=tuple(reasons))


def clocks_of(
    outcomes: Sequence[Outcome],
    *,
    startup_seconds: float | None,
    billed_seconds: float,
    budget_seconds: float,
) -> Clocks:
    """Summarise the times of one set; videos that were never reached took none."""
    seconds = [one.wall_seconds for one in outcomes if one.kind is not OutcomeKind.NOT_REACHED]
    mean, median, p95, longest = (
        (float(np.mean(seconds)), *(float(np.quantile(seconds, q)) for q in (0.5, 0.95, 1.0)))
        if seconds
        else (None, None, None, None)
    )
    return Clocks(
        startup_seconds=startup_seconds,
        billed_seconds=billed_seconds,
        budget_seconds=budget_seconds,
        video_mean_seconds=mean,
        video_median_seconds=median,
        video_p95_seconds=p95,
        video_longest_seconds=longest,
    )


def write_result(result: Result, path: Path) -> None:
    """Write a result beside its place, flush it and rename it: there is never half a result.

    Raises:
        ValueError: a number in it is not finite, which no JSON can hold.
    """
    text = json.dumps(result.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_result(path: Path) -> Result:
    """Read and validate a result.

    Raises:
        ResultError: it cannot be read, is of an unknown version, or does not fit the schema; every wrong
            key is named.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(
            f"cannot be read: {error}", place=path, remedy="Run the package again, or restore the file."
        ) from error
    return parse_result(document, place=path)


def parse_result(document: object, *, place: Path | str) -> Result:
    """Validate a result that was read from JSON. See `read_result`."""
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise ResultError(
            f"is of schema version {version!r:.40}; this harness reads version {SCHEMA_VERSION}",
            place=place,
            remedy="Use the release of the harness that wrote it.",
        )
    try:
        result = Result.model_validate_json(json.dumps(document))
    except (ValidationError, ValueError) as error:
        problems = error.errors() if isinstance(error, ValidationError) else []
        raise ResultError(
            listed(f"{len(problems)} wrong keys", [describe(problem) for problem in problems]),
            place=place,
            remedy="The schema is docs/result.schema.json.",
        ) from error
    unknown = sorted(_unknown_keys(document, result.model_dump(mode="json")))
    if unknown:
        raise ResultError(
            listed(f"{len(unknown)} unknown keys", unknown),
            place=place,
            remedy="The schema is docs/result.schema.json.",
        )
    return result


def limits_of(result: Result) -> Limits:
    """Return the limits that were in force; what an earlier release did not record has its default."""
    kinds: dict[str, Any] = {one.name: type(one.default) for one in fields(Limits)}
    return Limits(**{name: kinds[name](value) for name, value in result.limits.items() if name in kinds})


def result_schema() -> dict[str, Any]:
    """Return the JSON schema of `result.json`; `docs/result.schema.json` is this, and a test holds it so."""
    schema = Result.model_json_schema(mode="serialization")
    for part in (schema, *schema.get("$defs", {}).values()):
        if "properties" in part:
            part["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _unknown_keys(given: object, known: object, place: str = "") -> list[str]:
    """Name what validation dropped: keys of the dataclasses inside, which ignore what they do not know."""
    if isinstance(given, dict) and isinstance(known, dict):
        extra = [f"{place}{key}" for key in given if key not in known]
        return extra + [
            name
            for key in given
            if key in known
            for name in _unknown_keys(given[key], known[key], f"{place}{key}.")
        ]
    if isinstance(given, list) and isinstance(known, list):
        return [
            name
            for index, (one, other) in enumerate(zip(given, known, strict=False))
            for name in _unknown_keys(one, other, f"{place}{index}.")
        ]
    return []


if __name__ == "__main__":
    sys.stdout.write(json.dumps(result_schema(), indent=2, ensure_ascii=False) + "\n")
