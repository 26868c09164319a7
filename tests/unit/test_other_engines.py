"""What `make test-engines` holds other engines to: what is stated, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

from harness.diagnose.selfcheck.behaviour import core_behaviours, load_behaviours
from tests.engines.__main__ import UNTOLD, read_outcomes
from tests.engines.differences import (
    DIFFERENCES,
    as_stated,
    differences_table,
    protections_table,
    surprises,
)

ROOT = Path(__file__).parents[2]
BEHAVIOURS = (*core_behaviours(), *load_behaviours(ROOT / "tests" / "packages"))


def block(name: str) -> str:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- {name} -->\n(.*?)\n?<!-- /{name} -->", text, re.S)
    assert found is not None
    return found[1]


def test_security_md_shows_what_a_green_run_prints() -> None:
    table = protections_table(BEHAVIOURS, as_stated(BEHAVIOURS))
    assert block("engines") == table, f"put this between the marks of SECURITY.md:\n{table}"
    assert block("differences") == differences_table(), differences_table()


def test_every_stated_difference_is_of_one_behaviour_that_there_is() -> None:
    names = {one.name for one in BEHAVIOURS}
    for engine, listed in DIFFERENCES.items():
        stated = [name for one in listed for name in one.behaviours]
        assert len(set(stated)) == len(stated), engine
        assert set(stated) <= names
        assert all(one.broken for one in listed)


def test_a_new_difference_a_vanished_one_and_another_one_are_told() -> None:
    stated = as_stated(BEHAVIOURS)["podman"]
    assert list(surprises("podman", stated)) == []
    (new,) = surprises("podman", stated | {"network_tcp": frozenset({"no packet"})})
    assert new == "network_tcp: no packet did not hold"
    (vanished,) = surprises("podman", stated | {"tmpfs_inodes": frozenset()})
    assert "has vanished" in vanished
    (another,) = surprises("podman", stated | {"tmpfs_inodes": frozenset({"no container"})})
    assert another.startswith("tmpfs_inodes: no container did not hold; stated is")


def test_what_broke_is_read_from_what_pytest_writes(tmp_path: Path) -> None:
    place = tmp_path / "outcomes.xml"
    place.write_text(
        """<testsuites><testsuite>
        <testcase name="test_it_comes_to_what[fork_bomb]"><properties>
        <property name="broken" value="outcomes, verdict"/></properties>
        <failure message="AssertionError: x"/></testcase>
        <testcase name="test_it_comes_to_what[ptrace]"><properties>
        <property name="broken" value=""/></properties></testcase>
        <testcase name="test_it_comes_to_what[userns]"><error message="no engine"/></testcase>
        <testcase name="test_an_end_is_told[docker-0]"/>
        </testsuite></testsuites>"""
    )
    found, said = read_outcomes(place)
    assert found == {
        "fork_bomb": {"outcomes", "verdict"},
        "ptrace": frozenset(),
        "userns": UNTOLD,
        "test_an_end_is_told[docker-0]": frozenset(),
    }
    assert said == {"fork_bomb": "x", "userns": "no engine"}
