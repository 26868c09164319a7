"""How a checkup looks in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.diagnose.doctor.checkup import Checkup, Level

_STYLES = {Level.FAILURE: "bold red", Level.WARNING: "yellow", Level.OK: "green"}
_WORDS = {Level.FAILURE: "failure", Level.WARNING: "warning", Level.OK: "OK"}


def render_checkup(checkup: Checkup) -> RenderableType:
    """Return a checkup for rich: a line for each thing looked at, its remedy below, and a summary."""
    table = Table.grid(padding=(0, 2))
    for one in checkup.diagnoses:
        body = Text(one.message)
        if one.remedy:
            body.append(f"\n→ {one.remedy}", style="dim")
        table.add_row(Text(_WORDS[one.level], style=_STYLES[one.level]), Text(one.check, "bold"), body)
    counts = f"{checkup.count(Level.FAILURE)} failures, {checkup.count(Level.WARNING)} warnings"
    summary = (
        Text.assemble(("This machine is fit", "bold green"), f"  ({counts})")
        if checkup.ok
        else Text.assemble(("This machine is not fit", "bold red"), f"  ({counts})")
    )
    return Group(table, summary)
