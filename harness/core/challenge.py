"""`challenge.toml`: video sets, recipes, limits and scoring rules; every error names file, key and remedy."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from harness.core.contest import ContestRules
from harness.core.errors import ChallengeError
from harness.core.text import describe, listed
from harness.core.types import FailureRule, Limits, Mode, SetName, Terms

SCHEMA_VERSION = 1
_STRICT = ConfigDict(extra="forbid", frozen=True)
_CONTEST_TABLE = re.compile(r"\s*\[{1,2}\s*contest\s*[.\]]")
_ZERO_ALLOWED = frozenset({"gpus", "restarts", "restart_share"})


class SetSpec(BaseModel):
    """One video set: where its clean videos and labels are, and the law by which it is perturbed."""

    model_config = _STRICT

    videos: Path = Field(description="folder of clean videos, relative to challenge.toml")
    labels: Path = Field(description="CSV with filename,label[,method,source,identity]")
    recipe: str = Field(description="a shipped recipe's name, or a TOML file relative to challenge.toml")
    seed: Annotated[int, Field(ge=0)] = Field(description="seed of the set's perturbations")


class Scoring(BaseModel):
    """How outcomes become scores."""

    model_config = _STRICT

    failure_rule: FailureRule = FailureRule.LENIENT
    epsilon: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        default=1e-15, description="log loss clips to [ε, 1-ε]"
    )
    failed_probability: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="what a failed video scores in lenient mode"
    )
    max_failed_share: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.1,
        description="share of a set's videos: a lenient run with more failures gets no place",
    )
    public_decimals: Annotated[int, Field(ge=0, le=15)] = Field(
        default=4, description="scores shown to contestants are rounded to this"
    )
    bootstrap_samples: Annotated[int, Field(ge=100, le=100_000)] = 2000


class Contract(BaseModel):
    """What a package may be."""

    model_config = _STRICT

    modes: tuple[Mode, ...] = (Mode.STREAM, Mode.BATCH)
    kaggle_slug: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,99}$")] = "deepfake-detection-challenge"
    external_data_required: bool = True


class Challenge(BaseModel):
    """A whole challenge. Paths are absolute after loading."""

    model_config = _STRICT

    schema_version: Literal[1] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    title: str = ""
    sets: dict[SetName, SetSpec]
    limits: Limits = Limits()
    scoring: Scoring = Scoring()
    contract: Contract = Contract()
    contest: ContestRules | None = None
    sha256: str = Field(default="", exclude=True)

    @property
    def terms(self) -> Terms:
        """What the run of one set is held to."""
        return Terms(
            limits=self.limits,
            failure_rule=self.scoring.failure_rule,
            max_failed_share=self.scoring.max_failed_share,
            kaggle_slug=self.contract.kaggle_slug,
        )

    @field_validator("sets")
    @classmethod
    def _has_both_sets(cls, sets: dict[SetName, SetSpec]) -> dict[SetName, SetSpec]:
        missing = [name.value for name in (SetName.PUBLIC,) if name not in sets]
        if SetName.CONTROL in sets and SetName.PRIVATE not in sets:
            missing.append(SetName.PRIVATE.value)  # which it is the control of
        if missing:
            raise ValueError(f"needs [sets.{'] and [sets.'.join(missing)}]")
        return {name: sets[name] for name in SetName if name in sets}

    @field_validator("limits", mode="before")
    @classmethod
    def _limits_by_name(cls, raw: object) -> Limits:
        if isinstance(raw, Limits):
            return raw
        known = {field.name for field in fields(Limits)}
        unknown = sorted(set(raw) - known) if isinstance(raw, dict) else []
        if unknown:
            raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        limits = TypeAdapter(Limits).validate_python(raw, strict=False)
        for field in fields(Limits):
            value = getattr(limits, field.name)
            if not (value >= 0 if field.name in _ZERO_ALLOWED else value > 0) or value == float("inf"):
                raise ValueError(f"{field.name} = {value}: must be a finite number above zero")
        return limits


def load_challenge(path: Path) -> Challenge:
    """Read a challenge and check that what it points to exists.

    Raises:
        ChallengeError: names the file, every wrong key, and the remedy.
    """
    try:
        raw_bytes = path.read_bytes()
    except OSError as error:
        raise ChallengeError(
            f"cannot be read: {error.strerror}",
            place=path,
            remedy="Give the path of a challenge.toml, e.g. sample_videos/challenge.toml.",
        ) from error
    challenge = parse_challenge(raw_bytes, place=path)
    folder = path.resolve().parent
    sets = {name: _absolute(spec, folder, name, path) for name, spec in challenge.sets.items()}
    return challenge.model_copy(
        update={"sets": sets, "sha256": hashlib.sha256(_judged(raw_bytes)).hexdigest()}
    )


def _judged(raw_bytes: bytes) -> bytes:
    """Return a challenge's bytes without its [contest] tables: dates and quotas change no result.

    A contest that is amended stays the same challenge, so that what was run stands beside what will be.
    """
    kept, skip = [], False
    for line in raw_bytes.decode("utf-8").splitlines(keepends=True):
        if line.lstrip().startswith("["):
            skip = _CONTEST_TABLE.match(line) is not None
        kept += [] if skip else [line]
    document = tomllib.loads(raw_bytes.decode("utf-8"))
    document.pop("contest", None)
    try:
        alike = tomllib.loads("".join(kept)) == document
    except ValueError:
        alike = False
    return "".join(kept).encode() if alike else raw_bytes  # a text of several lines looked like a table


def parse_challenge(raw_bytes: bytes, *, place: Path | str) -> Challenge:
    """Read a challenge from bytes; nothing is looked up on disk. See `load_challenge`."""
    try:
        document = tomllib.loads(raw_bytes.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
        raise ChallengeError(
            f"is not TOML: {error}", place=place, remedy="Fix the syntax at that line."
        ) from error
    try:
        return Challenge.model_validate(document)
    except ValidationError as error:
        raise ChallengeError(
            listed(f"{error.error_count()} wrong keys", [describe(problem) for problem in error.errors()]),
            place=place,
            remedy="Correct these keys; docs/organisers.md lists all of them.",
        ) from error


def _absolute(spec: SetSpec, folder: Path, name: SetName, place: Path) -> SetSpec:
    videos, labels = folder / spec.videos, folder / spec.labels
    for key, found in ((f"sets.{name}.videos", videos.is_dir()), (f"sets.{name}.labels", labels.is_file())):
        if not found:
            target = videos if key.endswith("videos") else labels
            raise ChallengeError(
                f"{key}: {target} does not exist",
                place=place,
                remedy="Paths are relative to challenge.toml.",
            )
    recipe = spec.recipe
    if recipe.endswith(".toml"):
        recipe_path = folder / recipe
        if not recipe_path.is_file():
            raise ChallengeError(
                f"sets.{name}.recipe: {recipe_path} does not exist",
                place=place,
                remedy="Name a TOML file relative to challenge.toml, or a shipped recipe.",
            )
        recipe = str(recipe_path)
    return spec.model_copy(update={"videos": videos, "labels": labels, "recipe": recipe})
