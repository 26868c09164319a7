"""`submission.toml`: what a contestant says about a package; every error names file, key and remedy."""

from __future__ import annotations

import codecs
import fnmatch
import re
import tomllib
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from harness.core.text import describe, printable
from harness.core.types import Mode
from harness.package.findings import Finding, found

MANIFEST_NAME = "submission.toml"
MANIFEST_BYTES_MAX = 64 * 1024
PATTERN_SLASHES_MAX = 8
LEFT_OUT_BY_DEFAULT = (
    *(".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints"),
    *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".idea", ".vscode", "*.pyc"),
    *(".DS_Store", "__MACOSX", "Thumbs.db", ".gitignore", ".gitattributes"),
)
_ENTRY = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*)")
_STRICT = ConfigDict(extra="forbid", frozen=True)
_Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
_Text = Annotated[str, Field(min_length=1, max_length=500)]


class Layout(StrEnum):
    """Which paths a package finds in the container."""

    PLAIN = "plain"
    KAGGLE = "kaggle"


class ExternalData(BaseModel):
    """One source that weights were trained on."""

    model_config = _STRICT

    name: _Text
    licence: _Text
    consent: _Text = Field(description="how the people shown agreed, or why they did not have to")
    url: Annotated[str, Field(max_length=500)] = ""


class Kaggle(BaseModel):
    """Options of `layout = "kaggle"`."""

    model_config = _STRICT

    slug: _Slug | None = Field(
        default=None, description="the contest's folder in /kaggle/input; default: the challenge's"
    )
    datasets: dict[_Slug, _Text] | None = Field(
        default=None,
        max_length=64,
        description="slug → folder of the package; default: every top-level folder under its own name",
    )

    @field_validator("datasets")
    @classmethod
    def _folders_inside(cls, datasets: dict[str, str] | None) -> dict[str, str] | None:
        for folder in (datasets or {}).values():
            if folder.startswith("/") or not set(folder.split("/")).isdisjoint({"", ".", ".."}):
                raise ValueError(f"{printable(folder)!r} is not a folder inside the package")
        return datasets


class Manifest(BaseModel):
    """What `submission.toml` may hold."""

    model_config = _STRICT

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,63}$")]
    entry: str | None = Field(default=None, description='stream mode: "module:Class"')
    command: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="batch mode: the program and its arguments"
    )
    layout: Layout = Layout.PLAIN
    kaggle: Kaggle = Kaggle()
    # Few and short: a hostile zip may ask for every pattern against every part of many thousand deep paths.
    exclude: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=256)], ...], Field(max_length=16)
    ] = ()
    external_data: Annotated[tuple[ExternalData, ...], Field(max_length=256)] = ()

    @property
    def mode(self) -> Mode:
        """How the package is fed: its entry one by one, or its command all at once."""
        return Mode.STREAM if self.entry is not None else Mode.BATCH

    @field_validator("entry")
    @classmethod
    def _names_a_class(cls, entry: str | None) -> str | None:
        if entry is not None and (len(entry) > 200 or not _ENTRY.fullmatch(entry)):
            raise ValueError('must be "module:Class", e.g. "predictor:Predictor"')
        return entry

    @field_validator("command")
    @classmethod
    def _has_no_nul(cls, command: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if any("\0" in part for part in command or ()):
            raise ValueError("holds a NUL character")
        return command

    @field_validator("exclude")
    @classmethod
    def _stays_inside(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            if pattern.startswith("/") or ".." in pattern.split("/") or "\\" in pattern:
                raise ValueError(f"{pattern!r} must be relative to the package, with / and without ..")
            if pattern.count("/") > PATTERN_SLASHES_MAX:
                raise ValueError(f"{pattern!r} has more than {PATTERN_SLASHES_MAX} slashes")
            if matches(pattern, MANIFEST_NAME):
                raise ValueError(f"{pattern!r} would leave out {MANIFEST_NAME} itself")
        return patterns

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.entry is None) == (self.command is None):
            raise ValueError("exactly one of `entry` (stream mode) and `command` (batch mode) is needed")
        if self.layout is Layout.KAGGLE and self.command is None:
            raise ValueError('layout = "kaggle" needs `command`: that contract is a script\'s')
        if self.layout is Layout.PLAIN and self.kaggle != Kaggle():
            raise ValueError('[kaggle] needs layout = "kaggle"')
        if self.layout is Layout.PLAIN and self.command is not None:
            missing = [name for name in ("{videos}", "{output}") if not any(name in p for p in self.command)]
            if missing:
                raise ValueError(f"command must hold {' and '.join(missing)}")
        return self


def parse_manifest(raw: bytes) -> tuple[Manifest | None, tuple[Finding, ...]]:
    """Read a manifest from bytes.

    Returns:
        The manifest, or None and every finding about it: one per wrong key.
    """
    if len(raw) > MANIFEST_BYTES_MAX:
        return None, (found("P202", f"is larger than {MANIFEST_BYTES_MAX} bytes", place=MANIFEST_NAME),)
    if raw.startswith(codecs.BOM_UTF8):
        return None, (
            found("P202", "starts with a byte order mark; save it as plain UTF-8", place=MANIFEST_NAME),
        )
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        return None, (found("P202", f"is not TOML: {printable(str(error))}", place=MANIFEST_NAME),)
    try:
        return Manifest.model_validate(document), ()
    except ValidationError as error:
        problems = [printable(describe(problem)) for problem in error.errors()]
        return None, tuple(found("P203", problem, place=MANIFEST_NAME) for problem in problems)


def left_out_by(patterns: tuple[str, ...]) -> Callable[[str], str | None]:
    """Return the test for what is not part of a package: the defaults and a manifest's `exclude`.

    The test takes a path relative to the package's root, and returns the outermost part of it that is left
    out (a folder takes all it holds with it), or None if the path belongs to the package.
    """
    by_name = [re.compile(fnmatch.translate(p)) for p in LEFT_OUT_BY_DEFAULT if "*" in p]
    plain = frozenset(LEFT_OUT_BY_DEFAULT)

    def left_out(path: str) -> str | None:
        names = path.split("/")
        counts = [
            next(
                (
                    count
                    for count, name in enumerate(names, start=1)
                    if name in plain or any(pattern.fullmatch(name) for pattern in by_name)
                ),
                0,
            ),
            *(min(_matched(pattern, names) - {0}, default=0) for pattern in patterns),
        ]
        outermost = min(filter(None, counts), default=0)
        return "/".join(names[:outermost]) or None

    return left_out


def matches(pattern: str, path: str) -> bool:
    """Tell whether a glob matches a path.

    `*`, `?` and `[…]` stay within one name, `**` spans any number of folders; `training/**` also matches
    `training` itself. A pattern without `/` (a last one aside) matches a name at any depth.
    """
    names = path.split("/")
    return len(names) in _matched(pattern, names)


def _matched(pattern: str, names: list[str]) -> set[int]:
    """Return how many of the names, from the first on, the whole pattern can match.

    Written out segment by segment because a contestant writes the pattern: one regular expression over the
    whole path can be made to take years.
    """
    parts = pattern.rstrip("/").split("/")
    if len(parts) == 1 and parts != ["**"]:
        parts = ["**", *parts]
    reachable = {0}
    for segment in parts:
        if segment == "**":
            reachable = set(range(min(reachable), len(names) + 1))
        else:
            test = _segment(segment)
            reachable = {i + 1 for i in reachable if i < len(names) and test.fullmatch(names[i])}
        if not reachable:
            break
    return reachable


@lru_cache(maxsize=1024)
def _segment(segment: str) -> re.Pattern[str]:
    # fnmatch writes atomic groups, so that many stars cost no more than their product with the name's length.
    return re.compile(fnmatch.translate(segment))
