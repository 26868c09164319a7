"""What commands about this machine print as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from harness.cli.documents import Document
from harness.diagnose.calibrate.speeds import Calibration, Reference
from harness.diagnose.doctor.checkup import Diagnosis
from harness.diagnose.selfcheck.judge import Check
from harness.diagnose.selfcheck.suite import Attacked


class DoctorDocument(Document):
    """What `doctor` looked at."""

    ok: bool = Field(description="nothing failed; warnings do not count")
    diagnoses: tuple[Diagnosis, ...] = Field(description="in the order of looking")


class CalibrateDocument(Document):
    """How fast this machine is."""

    here: Calibration
    reference: Reference = Field(description="the organiser's machine, as published")
    ratios: dict[str, float] = Field(
        description="by part: the organiser's seconds for one second of this machine"
    )
    published: str | None = Field(description="the file that --publish wrote")


@dataclass(frozen=True, kw_only=True)
class AttackRow:
    """One attack."""

    name: str
    family: str
    attack: str
    stopped_by: str
    held: bool
    seconds: float
    evidence: str
    checks: tuple[Check, ...]

    @classmethod
    def of(cls, found: Attacked) -> AttackRow:
        """Make it from what was seen."""
        expect = found.behaviour.expect
        return cls(
            name=found.behaviour.name,
            family=expect.family,
            attack=expect.attack,
            stopped_by=expect.stopped_by,
            held=found.held,
            seconds=round(found.seconds, 3),
            evidence=found.evidence,
            checks=found.checks,
        )


class SelfCheckDocument(Document):
    """What attacks on this machine's sandbox came to."""

    ok: bool = Field(description="none got through")
    runtime: str | None = Field(description="the engine's runtime; null is its default")
    attacks: tuple[AttackRow, ...]


class ImageDocument(Document):
    """The runtime image."""

    label: str = Field(description="its tag")
    digest: str = Field(description="what packages are run in")
    variant: str = Field(description="cpu or cuda")


class EnvironmentDocument(Document):
    """The image's packages as an environment of this machine."""

    python: str = Field(description="its interpreter")


class ReapDocument(Document):
    """What dead harnesses had left, and is gone now."""

    containers: tuple[str, ...]
    folders: tuple[str, ...]
