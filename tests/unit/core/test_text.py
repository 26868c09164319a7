"""Foreign text: made safe for terminals, pages and spreadsheets."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.text import table_cell

FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"
NAMES = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", '"=1', "a;=1+1", "a, @x", "x|=cmd", "\uff1d1")


def cells(text: str, delimiter: str) -> list[str]:
    """Cut a line as a spreadsheet of a country with this delimiter does."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow((1, table_cell(text), 2))
    return [cell for row in csv.reader(io.StringIO(stream.getvalue()), delimiter=delimiter) for cell in row]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_no_name_is_a_formula_wherever_a_spreadsheet_cuts(name: str, delimiter: str) -> None:
    assert not any(cell.lstrip(' \t"').startswith(tuple(FORMULA)) for cell in cells(name, delimiter))


@given(st.text(alphabet=FORMULA + "ab;,|\t\n '\"", max_size=12))
def test_whatever_a_team_writes(name: str) -> None:
    for delimiter in ",;|":
        assert not any(cell.lstrip(' \t\n"').startswith(tuple(FORMULA)) for cell in cells(name, delimiter))


@given(st.text(alphabet=st.characters(categories=("L", "N", "Zs")), max_size=30))
def test_what_holds_no_formula_stays(name: str) -> None:
    assert table_cell(name) == name
