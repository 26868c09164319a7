"""Who left this: a reaper must be certain before it removes anything."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from harness.sandbox.docker.owner import Owner


def test_we_are_alive_and_survive_being_written_down() -> None:
    owner = Owner.current()
    assert Owner.parse(str(owner)) == owner
    assert owner.process_id == os.getpid()
    assert not owner.is_dead()


def test_a_process_that_has_ended_is_dead() -> None:
    code = "from harness.sandbox.docker.owner import Owner; print(Owner.current())"
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    owner = Owner.parse(text.strip())
    assert owner is not None
    assert owner.is_dead()


def test_a_number_that_was_given_to_another_process_is_dead() -> None:
    assert replace(Owner.current(), started="1").is_dead()


def test_an_owner_from_before_a_restart_is_dead() -> None:
    assert replace(Owner.current(), boot="another").is_dead()


@pytest.mark.parametrize("change", [{"machine": "elsewhere"}, {"namespace": "pid:[1]"}])
def test_what_cannot_be_judged_from_here_counts_as_alive(change: dict[str, str]) -> None:
    stranger = replace(Owner.current(), process_id=2**22 - 1, **change)
    assert not stranger.is_dead()


@pytest.mark.parametrize("text", ["", "a|b|c", "a|b|c|d|e", "a|b|c|-1|e", "a|b|c|1|e|f", "nonsense"])
def test_what_is_not_an_owner_reads_as_none(text: str) -> None:
    assert Owner.parse(text) is None
