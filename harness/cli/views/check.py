"""How the findings of a check look in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.core.limits import bytes_in_words
from harness.package.check import CheckReport
from harness.package.findings import Finding, Severity

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_FILES_SHOWN = 3
_FOUND_BY_TRYING = {"P601", "P602", "P603"}
_PLURALS = {Severity.ERROR: "errors", Severity.WARNING: "warnings", Severity.NOTE: "notes"}


def render_report(report: CheckReport, *, everything: bool = False) -> RenderableType:
    """Return a report for rich: a line of facts, every finding with its remedy, and the outcome.

    A contestant's own words are shown as plain text; markup in them has no effect.

    Args:
        report: What was found.
        everything: Show findings in files that the entry's imports do not reach, not only their number.
    """
    facts = Text.assemble(
        (report.name or report.source, "bold"),
        f"  {report.file_count} files, {bytes_in_words(report.size_bytes)}",
        f", sha256 {report.sha256[:16]}" if report.sha256 else "",
    )
    table = Table.grid(padding=(0, 2))
    aside = () if everything else tuple(one for one in report.findings if _is_aside(one))
    for finding in (one for one in report.findings if one not in aside):
        table.add_row(
            Text(finding.severity.value, style=_STYLES[finding.severity]),
            Text(finding.code, style="dim"),
            _body(finding),
        )
    return Group(facts, table, *_aside(aside), _outcome(report))


def _is_aside(finding: Finding) -> bool:
    return not finding.reached and finding.severity is not Severity.ERROR


def _aside(findings: tuple[Finding, ...]) -> list[Text]:
    if not findings:
        return []
    files = sorted({finding.place.partition(":")[0] for finding in findings})
    more = f" and {len(files) - _FILES_SHOWN} more" if len(files) > _FILES_SHOWN else ""
    return [
        Text(
            f"{len(findings)} more in files that the entry's imports do not reach "
            f"({', '.join(files[:_FILES_SHOWN])}{more}); --all shows them",
            style="dim",
        )
    ]


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
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    only_tried = all(finding.code in _FOUND_BY_TRYING for finding in errors)
    word = "fails when it is run" if only_tried else "will not be run"
    return Text.assemble((f"This package {word}", "bold red"), f"  ({counts})")
