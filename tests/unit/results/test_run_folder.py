"""The folder of a run: resumed only where everything agrees, never half written, never shared."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.core.errors import ConfigError, ResultError
from harness.core.files import write_text
from harness.results.run_folder import RunFolder, RunIdentity, locked, new_run, unfinished_run

IDENTITY = RunIdentity(
    package_sha256="p", challenge_sha256="c", image="sha256:i", isolation="docker", sets_sha256="s"
)


def test_an_unfinished_run_of_the_same_things_is_found(tmp_path: Path) -> None:
    folder = new_run(tmp_path, IDENTITY)
    assert unfinished_run(tmp_path, IDENTITY) == folder


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(RunIdentity)])
def test_a_run_of_anything_else_is_not_resumed(tmp_path: Path, field: str) -> None:
    new_run(tmp_path, IDENTITY)
    assert unfinished_run(tmp_path, dataclasses.replace(IDENTITY, **{field: "other"})) is None


def test_a_finished_run_is_not_resumed(tmp_path: Path) -> None:
    write_text(new_run(tmp_path, IDENTITY).result, "{}")
    assert unfinished_run(tmp_path, IDENTITY) is None


def test_the_seed_is_kept_and_differs_between_runs(tmp_path: Path) -> None:
    first, second = new_run(tmp_path, IDENTITY), new_run(tmp_path, IDENTITY)
    assert first.seed() == RunFolder(path=first.path).seed() != second.seed()
    assert new_run(tmp_path, IDENTITY, order_seed=7).seed() == 7


def test_a_damaged_run_is_left_alone_and_said_so(tmp_path: Path) -> None:
    folder = new_run(tmp_path, IDENTITY)
    folder.request.write_text("{")
    assert unfinished_run(tmp_path, IDENTITY) is None
    with pytest.raises(ResultError, match="Remedy"):
        folder.seed()


def test_two_harnesses_never_work_on_one_run(tmp_path: Path) -> None:
    folder = new_run(tmp_path, IDENTITY)
    with locked(folder), pytest.raises(ConfigError, match="another harness"), locked(folder):
        pass
    with locked(folder):
        pass


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
