"""The Makefile is the manual: what it lists is there, what is there is listed, and CI runs the same."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer

from harness.cli.app import app
from harness.image.runtime_image import RUNTIME_FOLDER

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
CI = ROOT / ".ci" / "run"
TARGETS = re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_help_lists_every_target_with_one_line_each() -> None:
    listed = re.findall(r"^  make ([a-z-]+) +\S", make("help").stdout, re.MULTILINE)
    assert listed == TARGETS
    assert len(listed) == len(set(listed))


def test_every_target_is_phony() -> None:
    match = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert match is not None
    assert sorted(match[1].split()) == sorted(TARGETS)


def test_make_alone_helps() -> None:
    assert make().stdout == make("help").stdout


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_planned(target: str) -> None:
    done = make("--dry-run", target)
    assert done.returncode == 0, done.stderr


def test_a_submission_with_spaces_and_further_options_reach_the_harness_whole() -> None:
    done = make(
        "-n", "run-submission", "SUBMISSION=my entry.zip", "CHALLENGE=a b.toml", "ARGS=--fresh --seed 1"
    )
    assert '.venv/bin/harness run "my entry.zip" --challenge "a b.toml" --fresh --seed 1' in done.stdout


def test_every_harness_command_of_the_makefile_exists() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    assert set(re.findall(r"/harness ([a-z-]+)", MAKEFILE)) <= set(group.commands)


def test_ci_stops_at_the_first_failure_and_runs_both_commands() -> None:
    text = CI.read_text(encoding="utf-8")
    assert os.access(CI, os.X_OK)
    assert "set -euo pipefail" in text
    called = [
        target for line in re.findall(r"^make (.*?)(?: #.*)?$", text, re.MULTILINE) for target in line.split()
    ]
    assert set(called) <= set(TARGETS)
    assert {"lint", "types", "run-submission"} <= set(called)
    assert called[-1] == "test"
    assert "|| true" not in text


def test_every_direct_dependency_is_constrained_to_its_own_pin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    ours = f"{project['name']}["  # an extra that takes in another one, whose lines are here already
    direct = [requirement for requirement in direct if not requirement.startswith(ours)]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().splitlines()
    for requirement in direct:
        pin = re.sub(r"\[.*?\]", "", requirement).lower()
        assert pin in lines, f"constraints.txt does not have {pin}"


def test_the_pins_name_no_place() -> None:
    for path in (
        ROOT / "constraints.txt",
        *RUNTIME_FOLDER.glob("requirements*.txt"),
    ):
        assert not re.search(r"://| @ |^-|file:", path.read_text(encoding="utf-8"), re.MULTILINE), path.name


def test_the_hooks_before_a_commit_are_the_tools_of_ci_and_fetch_nothing() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    recipe = "".join(make("--dry-run", "--always-make", target).stdout for target in ("lint", "types"))
    entries = re.findall(r"^ +entry: (\S+)", text, re.MULTILINE)
    assert {entry.removeprefix(".venv/bin/") for entry in entries} == {"ruff", "mypy"}
    assert all(entry in recipe for entry in entries)
    assert re.findall(r"- repo: (\S+)", text) == ["local"]


def test_the_editor_and_the_formatter_agree_on_the_length_of_a_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    editor = (ROOT / ".editorconfig").read_text(encoding="utf-8")
    assert f"max_line_length = {project['tool']['ruff']['line-length']}\n" in editor
