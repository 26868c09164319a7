"""What commands about one package print as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from harness.cli.documents import Document
from harness.core.limits import limits_table
from harness.core.types import Limits
from harness.package.check import CheckReport
from harness.package.findings import Finding


class CheckDocument(Document):
    """What `check` found."""

    ok: bool = Field(description="the package will be run")
    source: str
    name: str = Field(description="of the package; empty if its manifest cannot be read")
    sha256: str = Field(description="over its canonical listing; empty if its files cannot all be read")
    size_bytes: int
    file_count: int
    opens: bool = Field(description="it can be started at all, whatever its code looks like")
    findings: tuple[Finding, ...] = Field(description="the worst first")
    projections: tuple[str, ...] = Field(description="what the organiser's machine would need, in words")

    @classmethod
    def of(cls, report: CheckReport, projections: list[str]) -> CheckDocument:
        """Make it from a report."""
        return cls(
            ok=report.ok,
            source=report.source,
            name=report.name,
            sha256=report.sha256,
            size_bytes=report.size_bytes,
            file_count=report.file_count,
            opens=report.opens,
            findings=report.findings,
            projections=tuple(projections),
        )


@dataclass(frozen=True, kw_only=True)
class LimitRow:
    """One limit."""

    key: str  # in [limits] of challenge.toml
    value: float  # in the unit that the key ends with
    words: str
    meaning: str


class LimitsDocument(Document):
    """Every limit with its default."""

    limits: tuple[LimitRow, ...]

    @classmethod
    def of(cls, limits: Limits) -> LimitsDocument:
        """Make it from limits."""
        rows = (
            LimitRow(key=key, value=getattr(limits, key), words=words, meaning=meaning)
            for key, words, meaning in limits_table(limits)
        )
        return cls(limits=tuple(rows))


class PackDocument(Document):
    """The zip that was made."""

    path: str
    file_count: int
    sha256: str = Field(description="of the package, over its canonical listing: not of the zip's bytes")


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """What a package said of one video."""

    video: str
    probability: float | None  # P(fake); null if it failed
    failure: str  # its kind, or what was raised; empty if it was answered
    wall_seconds: float | None  # null if it was not timed alone


class PredictDocument(Document):
    """What a package said of the videos it was asked about."""

    ok: bool = Field(description="every video was answered")
    startup_seconds: float | None = Field(description="until it was ready; null if it never was")
    answers: tuple[AnswerRow, ...]
