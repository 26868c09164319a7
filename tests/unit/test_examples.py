"""The examples work: the notebook is run, the workflow's commands too or parsed; the dev container fits."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from harness.cli.app import app, run_command
from harness.image.wheels import PYTHON_VERSION

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "notebook" / "entry.ipynb"
WORKFLOW = ROOT / "examples" / "ci" / "check-package.yml"
CONTAINER = ROOT / ".devcontainer" / "devcontainer.json"


@pytest.mark.slow
def test_the_notebook_can_be_run_from_top_to_bottom(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(NOTEBOOK.parent)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    names: dict[str, Any] = {}
    for number, cell in enumerate(json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    shown = capsys.readouterr().out
    assert "it will be run" in shown
    assert re.search(r"log loss 0\.\d{4} 95% 0\.\d{4} to \d\.\d{4}", shown)
    sharp = re.search(r"as it is +(\d\.\d+)", shown)
    blurred = re.search(r"blurred, 5 +(\d\.\d+)", shown)
    assert sharp is not None
    assert blurred is not None
    assert float(blurred[1]) < float(sharp[1])


def test_the_notebook_is_one_and_was_saved_without_outputs() -> None:
    """Of format 4.5, as Jupyter's own schema has it."""
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in document["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in document["cells"]:
        assert set(cell) <= {"cell_type", "id", "metadata", "source", "execution_count", "outputs"}
        assert cell.get("outputs", []) == []
        assert all(line.endswith("\n") for line in cell["source"][:-1])


def steps() -> list[dict[str, Any]]:
    document = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return [step for job in document["jobs"].values() for step in job["steps"]]


def test_the_workflow_runs_on_every_push_and_may_only_read() -> None:
    document = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert "push" in document[True]  # YAML 1.1 reads the key `on` as true
    assert document["permissions"] == {"contents": "read"}
    python = next(step for step in steps() if "setup-python" in step.get("uses", ""))
    assert python["with"]["python-version"] == PYTHON_VERSION
    for step in steps():
        assert ("run" in step) is not ("uses" in step)
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "actions/x@v1"))


def test_the_workflow_s_commands_are_the_harness_s(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["new", str(tmp_path / "entry")]) == 0
    monkeypatch.chdir(tmp_path / "entry")
    commands = [shlex.split(step["run"].partition(">")[0]) for step in steps() if "run" in step]
    ours = [words[1:] for words in commands if words[0] == "harness"]
    assert [words[0] for words in ours] == ["check", "check", "run"]
    group: Any = typer.main.get_command(app)
    for words in ours:
        group.commands[words[0]].make_context(words[0], words[1:])
        if "--static" in words:
            assert run_command(words) == 0, capsys.readouterr().out


# Of the keys that the Development Container Specification knows, those used here, each with its type.
CONTAINER_KEYS: dict[str, type] = {
    "name": str,
    "image": str,
    "remoteUser": str,
    "onCreateCommand": str,
    "postStartCommand": str,
    "privileged": bool,
    "init": bool,
    "mounts": list,
    "hostRequirements": dict,
    "remoteEnv": dict,
    "customizations": dict,
}


def test_the_dev_container_has_what_the_harness_needs() -> None:
    """As root, privileged and with a disk for Docker, the harness installs and starts Docker itself."""
    document = json.loads(CONTAINER.read_text(encoding="utf-8"))
    assert {key: type(value) for key, value in document.items()} == CONTAINER_KEYS
    assert document["image"] == f"python:{PYTHON_VERSION}-bookworm"
    assert document["remoteUser"] == "root"
    assert document["privileged"] is True
    assert document["init"] is True
    assert any("target=/var/lib/docker" in mount for mount in document["mounts"])
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for key in ("onCreateCommand", "postStartCommand"):
        program, target = document[key].split()
        assert program == "make"
        assert target in targets
