"""A folder of what was handed in: each thing is an entry, or is named with the reason why it is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.contest.waiting_entries import find_entries, in_turn
from harness.core.errors import ConfigError


def _zip(place: Path, *, moment: float = 1_000.0) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"PK")
    os.utime(place, (moment, moment))
    return place


def test_a_team_is_its_folder_or_its_zip_and_a_zip_may_be_in_capitals(tmp_path: Path) -> None:
    _zip(tmp_path / "eagles" / "first.zip")
    _zip(tmp_path / "eagles" / "SECOND.ZIP", moment=2_000)
    _zip(tmp_path / "lone.zip", moment=3_000)
    (tmp_path / "folder" / "package").mkdir(parents=True)
    (tmp_path / "folder" / "package" / "submission.toml").write_text("")
    found = find_entries(tmp_path)
    assert [(one.team, one.name) for one in found.entries] == [
        ("eagles", "first"),
        ("eagles", "SECOND"),
        ("lone", "lone"),
        ("folder", "package"),
    ]
    assert found.no_entries == ()
    assert [(turn, one.name) for turn, one in in_turn(found.entries)][-1] == (1, "SECOND")


@pytest.mark.parametrize(
    "team", ["\x1b[31mred", "\N{RIGHT-TO-LEFT OVERRIDE}evil", "a" * 81, os.fsdecode(b"bad\xff"), " "]
)
def test_one_name_that_no_team_can_have_spoils_nothing_and_is_named(tmp_path: Path, team: str) -> None:
    _zip(tmp_path / team / "entry.zip")
    good = _zip(tmp_path / "good" / "entry.zip")
    found = find_entries(tmp_path)
    assert [one.package for one in found.entries] == [good]
    ((place, why),) = found.no_entries
    assert place == tmp_path / team / "entry.zip"
    assert "name of a team" in why


def test_what_is_no_entry_is_named_with_its_reason_and_hidden_files_are_not_looked_at(tmp_path: Path) -> None:
    good = _zip(tmp_path / "good" / "entry.zip")
    (tmp_path / "README.txt").write_text("")
    (tmp_path / ".DS_Store").write_text("")
    (tmp_path / "empty").mkdir()
    _zip(tmp_path / "packed" / "entry.tar.gz")
    (tmp_path / "thief").mkdir()
    (tmp_path / "thief" / "entry.zip").symlink_to(good)
    os.mkfifo(tmp_path / "pipe.zip")
    found = find_entries(tmp_path)
    assert [one.package for one in found.entries] == [good]
    reasons = {str(place.relative_to(tmp_path)): why for place, why in found.no_entries}
    assert set(reasons) == {"README.txt", "empty", "packed/entry.tar.gz", "thief/entry.zip", "pipe.zip"}
    assert "link" in reasons["thief/entry.zip"]
    assert reasons["empty"] == "is an empty folder"


def test_a_folder_without_any_entry_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "entry.rar").write_text("")
    with pytest.raises(ConfigError, match=r"'entry.rar' is neither a zip nor"):
        find_entries(tmp_path)
