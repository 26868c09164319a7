"""How the findings of a check look in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.core.limits import bytes_in_words
from harness.package.check import CheckReport
from harness.package.findings import Finding, Severity

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_PLURALS = {Severity.ERROR: "errors", Severity.WARNING: "warnings", Severity.NOTE: "notes"}


def render_report(report: CheckReport) -> RenderableType:
    """Return a report for rich: a line of facts, every finding with its remedy, and the outcome.

    A contestant's own words are shown as plain text; markup in them has no effect.
    """
    facts = Text.assemble(
        (report.name or report.source, "bold"),
        f"  {report.file_count} files, {bytes_in_words(report.size_bytes)}",
        f", sha256 {report.sha256[:16]}" if report.sha256 else "",
    )
    table = Table.grid(padding=(0, 2))
    for finding in report.findings:
        table.add_row(
            Text(finding.severity.value, style=_STYLES[finding.severity]),
            Text(finding.code, style="dim"),
            _body(finding),
        )
    return Group(facts, table, _outcome(report))


def _body(finding: Finding) -> Text:
    body = Text(f"{finding.place}: ", style="bold") if finding.place else Text()
    body.append(finding.message, style="not bold")
    if finding.remedy:
        body.append(f"\n→ {finding.remedy}", style="not bold dim")
    return body


def _outcome(report: CheckReport) -> Text:
    counts = ", ".join(
        f"{report.count(severity)} {severity.value if report.count(severity) == 1 else _PLURALS[severity]}"
        for severity in Severity
    )
    if report.ok:
        return Text.assemble(("This package will be run", "bold green"), f"  ({counts})")
    return Text.assemble(("This package will not be run", "bold red"), f"  ({counts})")
