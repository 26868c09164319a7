"""A name is printed as it is, whatever it looks like."""

from __future__ import annotations

import pytest
from rich.table import Table

from harness.cli.terminal import printer

NAMES = [
    "runs[red]/x",
    "closed [/]",
    "[link=https://evil.example]here[/link]",
    "a:dog:b",
    "\\[bold]",
    "[[x]]",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_looks_like_markup_is_printed_as_it_is(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # links and colours would be written
    printer().print(name, highlight=False)
    table = Table(title=name)
    table.add_column(name)
    table.add_row(name)
    printer().print(table, highlight=False)
    seen = capsys.readouterr().out
    assert seen.startswith(f"{name}\n")
    assert seen.count(name) == 4
