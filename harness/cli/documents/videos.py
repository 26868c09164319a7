"""What commands about video sets and perturbations print as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from harness.cli.documents import Document
from harness.contest.regrade.doubts import Doubt
from harness.core.types import SetName
from harness.diagnose.audit.report import AuditFinding, AuditReport, SetAudit
from harness.videos.perturb.registry import (
    CATALOGUE_VERSION,
    AudioEffect,
    Family,
    Perturbation,
    Strength,
    catalogue,
)
from harness.videos.prepared_set import PreparedSet


class AuditDocument(Document):
    """What an audit found."""

    clean: bool = Field(description="no error; warnings and notes do not count")
    challenge: str
    tests: int = Field(description="the p-values of all sets are multiplied by this")
    sets: tuple[SetAudit, ...]
    findings: tuple[AuditFinding, ...]

    @classmethod
    def of(cls, report: AuditReport) -> AuditDocument:
        """Make it from a report."""
        return cls(
            clean=report.clean,
            challenge=report.challenge,
            tests=report.tests,
            sets=report.sets,
            findings=report.findings,
        )


@dataclass(frozen=True, kw_only=True)
class DoubtsRow:
    """One set's labels."""

    set_name: SetName
    witnesses: tuple[str, ...]  # the runs that were asked, the best first
    doubts: tuple[Doubt, ...]


class LabelsDocument(Document):
    """Which labels all good entries contradict."""

    clean: bool = Field(description="no label is in doubt")
    page: str
    table: str = Field(description="CSV with these labels turned round, for `regrade --labels`")
    sets: tuple[DoubtsRow, ...]


@dataclass(frozen=True, kw_only=True)
class KindRow:
    """One kind of perturbation."""

    name: str
    family: Family
    stage: str
    group: str  # kinds of one group are never combined
    imitates: str
    unit: str
    source: str  # where the strengths come from
    strengths: dict[str, tuple[Strength, ...]]  # five of each, mild to harsh
    in_contest: bool  # one of those of the DeepFake Detection Challenge
    audio: AudioEffect
    since: int  # the catalogue's version that had it first

    @classmethod
    def of(cls, kind: Perturbation) -> KindRow:
        """Make it from a kind."""
        return cls(
            name=kind.name,
            family=kind.family,
            stage=kind.stage.name.lower(),
            group=kind.group,
            imitates=kind.imitates,
            unit=kind.unit,
            source=kind.source,
            strengths=dict(kind.strengths),
            in_contest=kind.in_contest,
            audio=kind.audio,
            since=kind.since,
        )


class KindsDocument(Document):
    """Every kind of perturbation."""

    catalogue_version: int = CATALOGUE_VERSION
    kinds: tuple[KindRow, ...]

    @classmethod
    def of_catalogue(cls) -> KindsDocument:
        """Make it from the catalogue."""
        return cls(kinds=tuple(KindRow.of(kind) for kind in catalogue().values()))


@dataclass(frozen=True, kw_only=True)
class ShareRow:
    """How many of a set's videos have a kind."""

    kind: str
    expected: float
    actual: float


@dataclass(frozen=True, kw_only=True)
class UnreadableRow:
    """A video that could not be read."""

    source: str
    reason: str


class RenderDocument(Document):
    """A set that was rendered."""

    recipe: str
    manifest: str
    videos: int
    reused: int = Field(description="of these, already done before")
    shares: tuple[ShareRow, ...]
    unreadable: tuple[UnreadableRow, ...]

    @classmethod
    def of(
        cls, recipe: str, prepared: PreparedSet, *, expected: Mapping[str, float], actual: Mapping[str, float]
    ) -> RenderDocument:
        """Make it from a prepared set and the shares of its kinds."""
        return cls(
            recipe=recipe,
            manifest=str(prepared.manifest_path),
            videos=len(prepared.videos),
            reused=prepared.reused,
            shares=tuple(
                ShareRow(kind=kind, expected=share, actual=actual.get(kind, 0.0))
                for kind, share in expected.items()
            ),
            unreadable=tuple(UnreadableRow(source=name, reason=why) for name, why in prepared.unreadable),
        )
