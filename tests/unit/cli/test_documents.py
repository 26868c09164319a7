"""What commands print as JSON: a schema for each, kept in docs/schemas, which real output is held to."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
from typer.core import TyperGroup

from harness.cli.app import app, run_command
from harness.cli.documents import DOCUMENTS, OF_THE_API, document_type, print_document, schema_name, schema_of
from harness.cli.documents.contest import ContestShowDocument
from harness.cli.documents.package import PackDocument
from harness.contest.state import State

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT / "docs" / "schemas"
# Commands without --json, and what makes that right.
NOTHING_TO_LIST = {
    "new": "writes files, and names them line by line",
    "new-challenge": "writes files",
    "shell": "is a terminal",
    "submit": "does one thing, and says so in a line",
    "contest log": "prints JSON lines as it is",
    "contest run": "works, and says how far it is: `contest status --json` has the state",
    "contest node": "becomes another program",
    "perturb preview": "draws a picture",
    "perturb table": "prints Markdown for a page: `perturb list --json` has the same",
    "serve": "serves until it is stopped",
    "remote logs": "prints a package's own words as they are",
} | dict.fromkeys(
    (
        *("access organiser", "access team", "access revoke", "backup restore"),
        *("remote login", "remote logout"),
        *(f"contest {name}" for name in ("amend", "cancel", "cancel-run", "disqualify", "drain", "finals")),
        *(
            f"contest {name}"
            for name in ("grant", "init", "pause", "phase", "rebuild", "record", "reinstate")
        ),
        *(f"contest {name}" for name in ("requeue", "requeue-run", "resume", "submit")),
        *("contest team add", "contest team merge"),
    ),
    "decides or changes one thing, and says so in a line",
)


def commands_of(group: TyperGroup, above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            found |= commands_of(command, f"{above}{name} ")
        else:
            found[f"{above}{name}"] = command
    return found


root_command = typer.main.get_command(app)
assert isinstance(root_command, TyperGroup)
COMMANDS = commands_of(root_command)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_that_lists_or_reports_prints_json(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert ("--json" in options) is (name in {*DOCUMENTS, *OF_THE_API})
    assert (name in {*DOCUMENTS, *OF_THE_API}) is not (name in NOTHING_TO_LIST), (
        f"give {name} --json and a row in harness.cli.documents.DOCUMENTS, or say here why it lists nothing"
    )


@pytest.mark.parametrize("command", sorted(DOCUMENTS))
def test_its_schema_is_in_docs(command: str) -> None:
    kept = json.loads((SCHEMAS / schema_name(command)).read_text(encoding="utf-8"))
    assert kept == schema_of(command), "run: python -m harness.cli.documents"
    jsonschema.Draft202012Validator.check_schema(kept)


def test_no_schema_is_left_of_a_command_that_is_gone() -> None:
    assert {path.name for path in SCHEMAS.iterdir()} == {schema_name(command) for command in DOCUMENTS}


@pytest.mark.parametrize("command", sorted(DOCUMENTS))
def test_no_key_of_a_document_is_unknown_to_its_schema(command: str) -> None:
    schema = schema_of(command)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["schema_version"]["const"] == 1
    assert document_type(command).__doc__


def held_to(command: str, printed: str) -> dict[str, Any]:
    document = json.loads(printed)
    jsonschema.validate(document, json.loads((SCHEMAS / schema_name(command)).read_text(encoding="utf-8")))
    return dict(document)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("limits", 0),
        ("perturb list", 0),
        ("check --static examples/constant", 0),
        ("check --static docs", 1),
        ("leaderboard --store sqlite:///{tmp}/index.db sample_videos/challenge.toml", 0),
        ("rebuild {tmp} --store sqlite:///{tmp}/index.db", 0),
        ("pack examples/constant -o {tmp}/x.zip", 0),
        ("score {tmp}/answers.csv --labels {tmp}/labels.csv", 0),
        ("plan --pilot {tmp}/answers.csv --pilot {tmp}/others.csv --labels {tmp}/labels.csv", 0),
        ("contest show --store sqlite:///{tmp}/index.db -c sample_videos/challenge.toml", 0),
        ("contest status sample_videos/challenge.toml --store sqlite:///{tmp}/index.db", 0),
        ("access list --store sqlite:///{tmp}/index.db", 0),
        ("backup make {tmp}/kept --store sqlite:///{tmp}/index.db --runs {tmp}/e --packages {tmp}/p", 0),
        ("backup list {tmp}", 0),
        ("contest plan sample_videos/challenge.toml --entries {tmp}/e --store sqlite:///{tmp}/index.db", 0),
    ],
)
def test_what_a_command_prints_is_as_its_schema_says(
    typed: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "e" / "team").mkdir(parents=True)
    (tmp_path / "e" / "team" / "x.zip").write_bytes(b"PK")
    names = [f"{number}.mp4" for number in range(8)]
    for table, cell in (("answers", "0.4"), ("others", "0.7"), ("labels", "")):
        rows = [f"{name},{cell or number % 2}" for number, name in enumerate(names)]
        (tmp_path / f"{table}.csv").write_text("\n".join(["filename,label", *rows]) + "\n")
    arguments = typed.format(tmp=tmp_path).split()
    assert run_command([*arguments, "--json"]) == code
    command = next(name for name in DOCUMENTS if typed.startswith(f"{name} ") or typed == name)
    printed = capsys.readouterr().out
    document = held_to(command, printed)
    if "ok" in document:
        assert document["ok"] is (code == 0)


def test_a_command_that_cannot_be_done_prints_no_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["leaderboard", "nowhere.toml", "--json"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "nowhere.toml" in shown.err


def test_a_contest_that_is_not_there_is_a_document_too() -> None:
    document = ContestShowDocument.of(State(), now=datetime(2026, 1, 1, tzinfo=UTC), team=None)
    assert not held_to("contest show", document.model_dump_json())["exists"]


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_document_is_json_whatever_the_stream_can_show(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    print_document(PackDocument(path="Füße–🦶.zip", file_count=1, sha256="ab"))
    stream.flush()
    raw = stream.buffer.getvalue()
    assert json.loads(raw.decode(encoding))["path"] == "Füße–🦶.zip"
    assert raw.isascii() is (encoding == "ascii")
