"""What an audit says: findings, and the figures behind them. Plain frozen values that print to JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.core.types import SetName
from harness.diagnose.audit.leaks import AucTest
from harness.package.findings import Severity

EVIDENCE_MAX = 12


class Subject(StrEnum):
    """Which files of a set were audited."""

    SOURCES = "sources"  # the organiser's clean videos
    PREPARED = "prepared"  # what contestants are fed


@dataclass(frozen=True, kw_only=True)
class AuditFinding:
    """One thing that is wrong, or worth knowing. The codes are in `RULES` and docs/audit.md."""

    code: str
    severity: Severity
    sets: tuple[SetName, ...]
    message: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class ClassifierResult:
    """A cross-validated classifier on all features; `test.p` is one-sided, not yet corrected."""

    name: str
    test: AucTest


@dataclass(frozen=True, kw_only=True)
class FeatureResult:
    """One feature alone; `test.p` is corrected for the number of features of the set."""

    name: str
    also: tuple[str, ...]  # features that order this set's videos in the same way
    test: AucTest


@dataclass(frozen=True, kw_only=True)
class BalanceRow:
    """How often a perturbation was given to fakes and to reals; `p` is Fisher's, corrected for the rows."""

    what: str
    fakes_with: int
    reals_with: int
    p: float


@dataclass(frozen=True, kw_only=True)
class SetAudit:
    """The figures of one set."""

    name: SetName
    subject: Subject
    videos: int
    fakes: int
    unit: str  # what was exchanged in the permutation tests: sources or single videos
    relabelings: int
    smallest_p: float
    classifiers: tuple[ClassifierResult, ...] = ()
    features_tested: int = 0
    features: tuple[FeatureResult, ...] = ()  # the most telling ones
    modified: tuple[FeatureResult, ...] = ()
    neighbours_alike: float | None = None  # share of neighbours by name with one label
    neighbours_expected: float | None = None
    neighbours_p: float | None = None
    balance: tuple[BalanceRow, ...] = ()

    @property
    def tests(self) -> int:
        """How many p-values of this set are looked at: the audit's correction counts them all."""
        families = (self.features, self.modified, self.neighbours_p is not None, self.balance)
        return len(self.classifiers) + sum(map(bool, families))


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """The whole audit of a challenge."""

    challenge: str
    sets: tuple[SetAudit, ...]
    findings: tuple[AuditFinding, ...]
    tests: int  # the p-values of all sets are multiplied by this

    @property
    def clean(self) -> bool:
        """Whether there is no error; warnings and notes do not count."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


@dataclass(frozen=True, kw_only=True)
class AuditRule:
    """One row of the table of codes."""

    severity: Severity
    title: str
    remedy: str


_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
_STAGING = "Staging gives every video a random name and a fixed time"

RULES: Mapping[str, AuditRule] = {
    code: AuditRule(severity=severity, title=title, remedy=remedy)
    for code, severity, title, remedy in (
        (
            "A101",
            _ERROR,
            "videos cannot be read",
            "Repair them, or take them and their labels out of the set.",
        ),
        ("A102", _ERROR, "prepared videos and labels do not fit", "Prepare the set again from its sources."),
        ("A103", _ERROR, "prepared videos are not the files of the manifest", "Prepare the set again."),
        (
            "A201",
            _ERROR,
            "a classifier that never sees a picture predicts the label",
            "Remove what these features reveal, then audit again.",
        ),
        (
            "A202",
            _ERROR,
            "a feature of the files predicts the label",
            "Depends on the feature, and is printed with the finding.",
        ),
        (
            "A203",
            _ERROR,
            "the order of the names reveals labels",
            "Give the files random names, or prepare the set: that does.",
        ),
        (
            "A204",
            _WARNING,
            "the modification times predict the label",
            f"{_STAGING}; before you publish the folder, give all files one time (touch).",
        ),
        ("A205", _WARNING, "may predict the label", "Audit a larger set of the same making to be sure."),
        (
            "A206",
            _NOTE,
            "too few videos to prove a leak",
            "The audit cannot show a leak in a set this small; it takes about 14 videos.",
        ),
        ("A301", _ERROR, "the same file is in two sets", "Keep it in one of them."),
        ("A302", _ERROR, "copies of the same footage are in two sets", "Keep all copies in one of the sets."),
        ("A303", _ERROR, "the same source is in two sets", "Split the sets by source, not by video."),
        (
            "A304",
            _WARNING,
            "the same person is in two sets",
            "Split the sets by person if there are enough; otherwise say so with the scores.",
        ),
        ("A311", _ERROR, "the same file is both real and fake", "Correct the labels, or remove the files."),
        ("A312", _WARNING, "the same file is there more than once", "Keep one of them."),
        (
            "A313",
            _WARNING,
            "copies of the same footage have different sources",
            "Give copies and fakes of one video the same `source` in the labels; remove true duplicates.",
        ),
        (
            "A314",
            _NOTE,
            "copies of one source with both labels: real and fake pairs, as expected",
            "None needed.",
        ),
        ("A401", _ERROR, "all videos have the same label", "Add videos of the other label."),
        (
            "A402",
            _WARNING,
            "real and fake are far from half and half",
            "A constant prediction gains by it: balance the set, or publish the share.",
        ),
        (
            "A403",
            _ERROR,
            "a perturbation predicts the label",
            "Draw perturbations without looking at the label: prepare real and fake together, by one recipe.",
        ),
    )
}


def audit_finding(
    code: str,
    sets: Sequence[SetName],
    message: str,
    *,
    evidence: Sequence[str] = (),
    remedy: str | None = None,
) -> AuditFinding:
    """Make a finding of a known code; evidence beyond the first dozen is counted, not listed."""
    rule = RULES[code]
    more = len(evidence) - EVIDENCE_MAX
    kept = (*evidence[:EVIDENCE_MAX], f"… and {more} more") if more > 0 else tuple(evidence)
    return AuditFinding(
        code=code,
        severity=rule.severity,
        sets=tuple(sets),
        message=message,
        evidence=kept,
        remedy=rule.remedy if remedy is None else remedy,
    )


def rules_markdown() -> str:
    """Return the table of findings that docs/audit.md prints."""
    rows = [f"| `{code}` | {rule.severity} | {rule.title} | {rule.remedy} |" for code, rule in RULES.items()]
    return "\n".join(["| code | severity | what | remedy |", "|---|---|---|---|", *rows])
