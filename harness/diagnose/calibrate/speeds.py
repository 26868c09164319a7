"""Speeds of machines: what `harness calibrate` measures and what an organiser publishes.

A speed is the seconds that each part of the standard workload takes: decoding a clip, finding faces, one
pass of an EfficientNet. All of it runs in a container under the limits of a run. Of several rounds the
fastest counts: it is the one that other work on the machine disturbed least.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from harness.core.errors import ConfigError, ResultError
from harness.core.files import write_text
from harness.core.text import describe, listed

PARTS = ("decode", "detect", "network")
Seconds = Annotated[float, Field(gt=0, le=3600)]
_REFERENCE = "reference.toml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PartSeconds(_Strict):
    """Seconds of one round of each part."""

    decode: Seconds
    detect: Seconds
    network: Seconds

    def of(self, part: str) -> float:
        """Return one part's seconds."""
        return float(getattr(self, part))


class Reference(_Strict):
    """The organiser's machine, as the organiser published it."""

    workload: Literal[1]
    name: Annotated[str, Field(min_length=1, max_length=80)]
    machine: Annotated[str, Field(max_length=200)] = ""
    device: Literal["cpu", "cuda"] = "cpu"
    provisional: bool = Field(default=False, description="measured while the machine had other work")
    seconds: PartSeconds


class Calibration(_Strict):
    """This machine, as measured."""

    workload: Literal[1] = 1
    created: AwareDatetime
    image: str = Field(description="of the runtime image: another one may be faster")
    cpus: float = Field(description="the limit it was measured under")
    cpu: str
    device: Literal["cpu", "cuda"]
    load: float = Field(description="the machine's load when it began; above the number of cores it disturbs")
    busy: bool
    rounds: int
    seconds: PartSeconds
    spread: float = Field(description="of the rounds: the widest part's quartile distance over its median")


def load_reference(path: Path | None = None) -> Reference:
    """Read an organiser's published speeds; the shipped ones if no file is given.

    Raises:
        ConfigError: the file cannot be read, or is not what it should be; every wrong key is named.
    """
    place = path or _REFERENCE
    try:
        text = (
            files("harness.diagnose.calibrate").joinpath(_REFERENCE).read_text(encoding="utf-8")
            if path is None
            else path.read_text(encoding="utf-8")
        )
        return Reference.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise ConfigError(
            listed(f"{error.error_count()} wrong keys", [describe(one) for one in error.errors()]),
            place=place,
            remedy="`harness calibrate --publish FILE` writes such a file.",
        ) from error
    except (OSError, ValueError, RecursionError) as error:  # not UTF-8 and not TOML are ValueErrors
        raise ConfigError(
            f"published speeds cannot be read: {error}", place=place, remedy="Ask the organiser for the file."
        ) from error


def reference_at(cache: Path) -> Path:
    """Return where an organiser's published speeds are kept, once they were given."""
    return cache / _REFERENCE


def kept_reference(cache: Path) -> Reference:
    """Return the organiser's speeds that were given last; the shipped ones if none were.

    Raises:
        ConfigError: what is kept is damaged.
    """
    path = reference_at(cache)
    return load_reference(path if path.exists() else None)


def reference_toml(found: Calibration, *, name: str) -> str:
    """Return what an organiser publishes of a machine."""
    lines = [
        f"workload = {found.workload}",
        f"name = {_quoted(name)}",
        f"machine = {_quoted(f'{found.cpus:g} cores of {found.cpu}')}",
        f'device = "{found.device}"',
        f"provisional = {'true' if found.busy else 'false'}",
        "",
        "[seconds]",
        *(f"{part} = {found.seconds.of(part):.6f}" for part in PARTS),
    ]
    return "\n".join(lines) + "\n"


def kept_at(cache: Path) -> Path:
    """Return where this machine's calibration is kept."""
    return cache / "calibration.json"


def keep(found: Calibration, cache: Path) -> Path:
    """Write this machine's calibration, and return where."""
    write_text(kept_at(cache), found.model_dump_json(indent=2) + "\n")
    return kept_at(cache)


def kept(cache: Path) -> Calibration | None:
    """Read this machine's calibration; None if there is none, or one of another version.

    Raises:
        ResultError: it is damaged.
    """
    path = kept_at(cache)
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ResultError("cannot be read", place=path, remedy="Run `harness calibrate` again.") from error


def _quoted(text: str) -> str:
    plain = "".join(char if char.isprintable() and char not in '"\\' else " " for char in text)
    return f'"{plain}"'
