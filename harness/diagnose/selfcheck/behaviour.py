"""One hostile package and what is expected of it, read from its folder."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.core.errors import ConfigError
from harness.core.types import Limits, OutcomeKind, Verdict
from harness.diagnose.selfcheck.archives import Member, write_links, write_zip

EXPECT_NAME = "expect.toml"
KNOWLEDGE_NAME = "knowledge.json"  # of the host, told to the attacker: more than any contestant knows
_TEXT_SUFFIX = ".py.txt"
_MEGABYTE = 1_000_000
SMALL_LIMITS: Mapping[str, int | float] = {
    "startup_seconds": 60.0,
    "video_seconds": 30.0,
    "mean_video_seconds": 60.0,
    "cpus": 1.0,
    "memory_bytes": 128 * _MEGABYTE,
    "pids": 64,
    "package_bytes": 4 * _MEGABYTE,
    "package_files": 200,
    "tmp_bytes": 16 * _MEGABYTE,
    "tmp_inodes": 1000,
    "shm_bytes": 16 * _MEGABYTE,
    "file_bytes": 8 * _MEGABYTE,
    "open_files": 256,
    "log_bytes": _MEGABYTE,
    "restarts": 2,
    "gpus": 0,
}
_STRICT = ConfigDict(extra="forbid", frozen=True)


class After(StrEnum):
    """What must be true of the host after every behaviour; `expect.toml` names what its attack aims at."""

    CONTAINER = "no container"
    PROCESS = "no process"
    FILE = "no file"
    PACKET = "no packet"
    PACKAGE = "package unchanged"
    VIDEO = "videos unchanged"
    GROWTH = "no growth"
    MEMORY = "memory within limit"
    CPU = "CPU within limit"
    SILENCE = "nothing said"


class Verdicts(BaseModel):
    """The verdict of a set's run under each failure rule."""

    model_config = _STRICT

    lenient: Verdict
    strict: Verdict


class Expect(BaseModel):
    """What `expect.toml` may hold."""

    model_config = _STRICT

    attack: Annotated[str, Field(min_length=10)] = Field(description="what it does")
    family: Annotated[str, Field(min_length=3)] = Field(description="its group in the table")
    stopped_by: Annotated[str, Field(min_length=5)] = Field(description="what stops it, or why it may")
    verdicts: Verdicts
    afterwards: tuple[After, ...] = Field(min_length=1)
    outcomes: tuple[OutcomeKind, ...] = Field(
        default=(), description="of each video, in the order they are asked for; empty: it is never started"
    )
    probabilities: tuple[float, ...] = Field(
        default=(), description="of the videos answered; a probe says 0 for nowhere and 1 for broken through"
    )
    findings: tuple[str, ...] = Field(default=(), description="codes that the check must find")
    restarts: int | None = None
    sets: Annotated[int, Field(ge=1, le=3)] = 1
    private: bool = Field(default=False, description="run as a private set: nothing it says is kept")
    allowed: bool = Field(default=False, description="no attack: shown because it is permitted")
    billed_seconds_min: float = 0.0
    limits: dict[str, int | float] = {}
    zipped: bool = Field(default=False, description="hand the folder in as a zip, with `members` added")
    members: tuple[Member, ...] = Field(default=(), description="what the zip, or the folder, also holds")

    @model_validator(mode="after")
    def _fits_together(self) -> Expect:
        never_started = self.verdicts.strict is Verdict.INVALID_PACKAGE
        if never_started == bool(self.outcomes):
            raise ValueError("`outcomes` are given exactly if the package is started")
        if never_started != bool(self.findings):
            raise ValueError("`findings` are given exactly if the package is refused")
        answered = self.outcomes.count(OutcomeKind.PREDICTED)
        if self.probabilities and len(self.probabilities) != answered:
            raise ValueError("`probabilities` are as many as videos are PREDICTED")
        unknown = set(self.limits) - set(SMALL_LIMITS)
        if unknown:
            raise ValueError(f"unknown limits: {', '.join(sorted(unknown))}")
        return self


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """A folder of the suite."""

    name: str
    folder: Path
    expect: Expect

    @property
    def limits(self) -> Limits:
        """The small limits it runs under."""
        return Limits(**(dict(SMALL_LIMITS) | self.expect.limits))  # type: ignore[arg-type]  # whole numbers stay

    def hand_in(self, folder: Path, knowledge: Mapping[str, Any]) -> Path:
        """Write the package as its author would hand it in, and return its path.

        Args:
            folder: An empty folder.
            knowledge: What the attacker knows of the host, put into the package.
        """
        package = folder / self.name
        package.mkdir()
        for source in sorted(self.folder.rglob("*")):
            relative = source.relative_to(self.folder).as_posix()
            if source.is_dir() or relative == EXPECT_NAME or "__pycache__" in relative:
                continue
            target = package / (
                relative.removesuffix(".txt") if relative.endswith(_TEXT_SUFFIX) else relative
            )
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        (package / KNOWLEDGE_NAME).write_text(json.dumps(dict(knowledge)), encoding="utf-8")
        if not self.expect.zipped:
            write_links(package, self.expect.members, knowledge)
            return package
        archive = folder / f"{self.name}.zip"
        write_zip(archive, package, self.expect.members, knowledge)
        shutil.rmtree(package)
        return archive


def load_behaviour(folder: Path) -> Behaviour:
    """Read one folder.

    Raises:
        ConfigError: `expect.toml` is missing or wrong.
    """
    place = folder / EXPECT_NAME
    try:
        expect = Expect.model_validate(tomllib.loads(place.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigError(f"cannot be used: {error}", place=place, remedy="Correct it.") from error
    return Behaviour(name=folder.name, folder=folder, expect=expect)


def load_behaviours(root: Path) -> tuple[Behaviour, ...]:
    """Read every folder with an `expect.toml`, sorted by name.

    Raises:
        ConfigError: one is wrong.
    """
    return tuple(load_behaviour(place.parent) for place in sorted(root.glob(f"*/{EXPECT_NAME}")))


def core_behaviours() -> tuple[Behaviour, ...]:
    """Read the behaviours that ship with the harness.

    Raises:
        ConfigError: one is wrong.
    """
    # The harness is installed as files, never run from a zip: the folder outlives the context.
    with as_file(files("harness.diagnose.selfcheck").joinpath("packages")) as root:
        return load_behaviours(root)
