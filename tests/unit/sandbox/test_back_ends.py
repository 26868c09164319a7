"""The registry of sandboxes: each offers the same, and the command line knows each by its name."""

from __future__ import annotations

import pytest

from harness.cli.back_ends import SandboxKind
from harness.core.errors import ConfigError
from harness.sandbox import BACK_ENDS, back_end


def test_the_command_line_takes_every_back_end_by_its_name() -> None:
    assert set(SandboxKind) == set(BACK_ENDS)


@pytest.mark.parametrize("name", BACK_ENDS)
def test_a_back_end_that_isolates_nothing_warns_of_it(name: str) -> None:
    found = back_end(name)
    assert bool(found.WARNING) is (found.ISOLATION == "none")
    assert callable(found.make)


def test_an_unknown_one_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ConfigError, match="docker, process"):
        back_end("podman")
