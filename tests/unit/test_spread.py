"""The order in which test processes are given their tests."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from spread import LONG_MODULES, spread

TESTS = Path(__file__).parents[1]
Modules = st.dictionaries(st.text(max_size=3), st.lists(st.integers(), max_size=9), max_size=9)


@given(modules=Modules, seconds=st.data(), processes=st.integers(1, 5))
def test_every_test_is_given_once_and_modules_stay_whole(
    modules: dict[str, list[int]], seconds: st.DataObject, processes: int
) -> None:
    named = {name: [(name, number) for number in range(len(found))] for name, found in modules.items()}
    long = seconds.draw(st.dictionaries(st.sampled_from(sorted(named)), st.floats(1, 9))) if named else {}
    order = spread(named, seconds=long, processes=processes)
    assert sorted(order) == sorted(item for found in named.values() for item in found)
    for name, found in named.items():
        assert [item for item in order if item[0] == name] == found


def test_the_long_ones_are_dealt_out_and_come_first() -> None:
    modules = {name: [name] * 4 for name in ("a", "b", "long", "longer", "longest")}
    order = spread(modules, seconds={"longest": 9, "longer": 5, "long": 3}, processes=2)
    assert order == [*["longest"] * 4, *["a"] * 4, *["b"] * 2, *["longer"] * 4, *["long"] * 4, *["b"] * 2]


def test_the_table_names_modules_that_there_are() -> None:
    assert [name for name in LONG_MODULES if not (TESTS / name).is_file()] == []
