"""An audit for the terminal: a table per set, then the findings, the worst first."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.diagnose.audit.leaks import AucTest
from harness.diagnose.audit.report import AuditFinding, AuditReport, SetAudit
from harness.diagnose.audit.sets import ALPHA, MARGIN
from harness.package.findings import Severity

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_FEATURES_SHOWN = 3


def render_audit(report: AuditReport) -> RenderableType:
    """Return what a terminal shows of an audit."""
    parts: list[RenderableType] = [_set_table(one, report.tests) for one in report.sets]
    parts += [_finding(finding) for finding in report.findings]
    counts = {severity: sum(one.severity is severity for one in report.findings) for severity in Severity}
    summary = ", ".join(f"{count} {severity.value}s" for severity, count in counts.items())
    said = "clean" if report.clean else "NOT clean"
    parts.append(
        Text(f"{report.challenge}: {said} ({summary})", style="green" if report.clean else "bold red")
    )
    parts.append(
        Text(
            f"A leak is an AUC whose 95% interval lies above {0.5 + MARGIN:.2f} and whose p, times the "
            f"{report.tests} tests of this audit, is at most {ALPHA}.",
            style="dim",
        )
    )
    return Group(*parts)


def _set_table(audit: SetAudit, tests: int) -> Table:
    table = Table(
        title=f"{audit.name} ({audit.subject.value}): {audit.videos} videos, {audit.fakes} fake",
        title_justify="left",
        caption=f"{audit.features_tested} features; {audit.relabelings} relabelings by {audit.unit}",
        caption_justify="left",
    )
    table.add_column("what predicts the label", overflow="fold")
    for heading in ("AUC", "95% interval", "p, corrected"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in audit.classifiers:
        table.add_row(f"all of it ({one.name})", *_figures(one.test, tests))
    for feature in audit.features[:_FEATURES_SHOWN]:
        also = f" (and {len(feature.also)} like it)" if feature.also else ""
        table.add_row(Text(f"{feature.name}{also}"), *_figures(feature.test, tests))
    if audit.neighbours_alike is not None and audit.neighbours_p is not None:
        shares = f"{audit.neighbours_alike:.0%} of {audit.neighbours_expected:.0%}"
        table.add_row("neighbours by name alike", "", shares, _p(audit.neighbours_p * tests))
    for row in audit.balance[:1]:
        counts = f"{row.fakes_with} : {row.reals_with}"
        table.add_row(Text(f"{row.what} (fakes : reals)"), "", counts, _p(row.p * tests))
    return table


def _figures(test: AucTest, tests: int) -> tuple[str, str, str]:
    return f"{test.auc:.3f}", f"{test.interval.low:.3f} - {test.interval.high:.3f}", _p(test.p * tests)


def _p(corrected: float) -> str:
    return "1" if corrected >= 1 else f"{corrected:.2g}"


def _finding(finding: AuditFinding) -> Text:
    text = Text()
    text.append(f"{finding.severity.value} {finding.code} ", style=_STYLES[finding.severity])
    text.append(finding.message)
    for line in finding.evidence:
        text.append(f"\n    {line}", style="dim")
    if finding.remedy:
        text.append(f"\n  Remedy: {finding.remedy}", style="italic")
    return text
