"""The documents say what the code does: tables are the code's own, and what is documented exists."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from harness.cli.app import app, run_command
from harness.core.limits import limits_markdown
from harness.core.types import Limits, Verdict
from harness.report.words import VERDICT_WORDS

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "sample_videos" / "README.md")


def verdicts_markdown() -> str:
    rows = [f"| `{verdict}` | {VERDICT_WORDS[verdict]} |" for verdict in Verdict]
    return "\n".join(["| verdict | what it means |", "|---|---|", *rows])


def commands_of(group: TyperGroup) -> set[str]:
    """Return every command as it is typed, groups included."""
    found: set[str] = set()
    for name, command in group.commands.items():
        found.add(name)
        if isinstance(command, TyperGroup):
            found |= {f"{name} {inner}" for inner in commands_of(command)}
    return found


def code_in(text: str) -> list[str]:
    """Return the lines of code blocks, and every piece of inline code."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines()] + re.findall(
        r"`([^`\n]+)`", text
    )


root_command = typer.main.get_command(app)
assert isinstance(root_command, TyperGroup)
COMMANDS = commands_of(root_command)


@pytest.mark.parametrize(
    ("name", "table"), [("limits", limits_markdown(Limits())), ("verdicts", verdicts_markdown())]
)
def test_a_table_of_the_readme_is_the_code_s_own(name: str, table: str) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(rf"<!-- {name} -->\n(.*?)\n?<!-- /{name} -->", text, re.DOTALL)
    assert block is not None
    assert block[1] == table, f"paste this between the marks:\n{table}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_documented_command_exists(path: Path) -> None:
    for line in code_in(path.read_text(encoding="utf-8")):
        words = line.split()
        if words and words[0] in {"harness", ".venv/bin/harness"} and len(words) > 1:
            typed = [word for word in words[1:3] if re.fullmatch(r"[a-z][a-z-]*", word)]
            known = words[1].startswith("-") or typed[0] in COMMANDS
            assert known, f"{path.name}: {line}"
            if typed and any(command.startswith(f"{typed[0]} ") for command in COMMANDS):
                assert " ".join(typed) in COMMANDS, f"{path.name}: {line}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_documented_target_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for line in code_in(path.read_text(encoding="utf-8")):
        words = line.split()
        if len(words) > 1 and words[0] == "make":
            assert words[1] in targets, f"{path.name}: {line}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    hooks = (ROOT / "docs" / "site_hooks.py").read_text(encoding="utf-8")
    made = set(re.findall(r'^[A-Z]+_PAGE = "(.+)"$', hooks, re.MULTILINE))  # with the site, from the code
    for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert link in made or (path.parent / link).exists(), f"{path.name}: {link}"


@pytest.mark.parametrize("command", ["", *sorted(COMMANDS)])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*command.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Usage" in shown
    assert len(shown.splitlines()) > 4


def test_the_picture_of_the_rooms_is_drawn_from_the_code() -> None:
    spec = importlib.util.spec_from_file_location("draw_rooms", ROOT / "docs" / "draw_rooms.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn = (ROOT / "docs" / "images" / "rooms.svg").read_text(encoding="utf-8")
    assert drawn == module.picture(), "run: python docs/draw_rooms.py"


def test_every_file_that_a_change_touches_exists_and_there_are_three_at_most() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- changes -->\n(.*?)<!-- /changes -->", text, re.DOTALL)
    assert block is not None
    rows = block[1].strip().splitlines()[2:]
    assert len(rows) >= 10
    for row in rows:
        files = re.findall(r"`([^`]+)`", row.split("|")[2])
        assert 1 <= len(files) <= 3, row
        assert all((ROOT / name).exists() for name in files), row


def test_every_module_that_the_architecture_names_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", text):
        assert (ROOT / "harness" / name).exists() or (ROOT / name).exists(), name


def all_errors() -> list[Any]:
    spec = importlib.util.spec_from_file_location("all_errors", ROOT / "docs" / "all_errors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["all_errors"] = module  # where its dataclass looks for itself
    spec.loader.exec_module(module)
    return list(module.raised_errors())


def test_every_error_that_reaches_a_person_has_a_remedy() -> None:
    """Errors about one video of a set are listed beside its name, and its set's own error has the remedy."""
    found = all_errors()
    assert len(found) > 200
    without = [f"{one.place} {one.kind}: {one.message}" for one in found if not one.remedy]
    # The portal's client passes on the portal's own words, which have the remedy.
    assert [one for one in without if "VideoError" not in one and "portal/client/" not in one] == []
