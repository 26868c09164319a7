"""What a light command loads: by name and number, not by time, which says more about the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from harness.cli.app import COMMANDS, app

pytestmark = pytest.mark.slow  # starts a process for each command

HEAVY = {
    *("sklearn", "scipy", "matplotlib", "pandas", "numpy", "cv2", "av", "torch", "PIL"),
    *("docker", "requests", "sqlalchemy", "jinja2", "tqdm", "pynvml", "multiprocessing"),
}
COUNTED = """
import sys
from harness.cli.app import run_command
code = run_command(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""


def loaded_by(*arguments: str, ends: int = 0) -> set[str]:
    """Run a command in a process of its own, and return the modules that it has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == ends, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("limits",), ("check", "--help")])
def test_what_needs_no_package_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    loaded = loaded_by(*arguments)
    assert not HEAVY & loaded
    assert len(loaded) < 420


def test_help_loads_no_command() -> None:
    loaded = loaded_by("--help")
    assert not {row.target.partition(":")[0] for row in COMMANDS.values()} & loaded
    assert "rich" not in loaded


def test_a_look_at_the_files_of_a_package_loads_no_more_than_that_takes(tmp_path: Path) -> None:
    (tmp_path / "submission.toml").write_text('name = "t"\nentry = "predictor:Predictor"\n')
    (tmp_path / "predictor.py").write_text(
        "class Predictor:\n    def __init__(self, package): pass\n    def predict(self, video): return 0.5\n"
    )
    loaded = loaded_by("check", "--static", str(tmp_path))
    assert not HEAVY & loaded
    assert not {name for name in loaded if name.startswith(("harness.run", "harness.sandbox.docker"))}
    assert len(loaded) < 420


def test_a_package_that_does_not_exist_is_refused_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    loaded = loaded_by("run", str(tmp_path / "nosuch"), ends=1)
    assert not (HEAVY - {"numpy", "tqdm", "multiprocessing"}) & loaded


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_help_in_the_table_is_the_command_s_own(name: str) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    assert (group.commands[name].help or "").split("\n\n")[0].replace("\n", " ") == COMMANDS[name].help


@pytest.mark.parametrize("arguments", [("-h",), ("check", "-h"), ("perturb", "list", "-h")])
def test_h_is_help_everywhere_and_the_module_is_the_program(arguments: tuple[str, ...]) -> None:
    def said(*given: str) -> str:
        command = [sys.executable, "-m", "harness", *given]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    short = said(*arguments)
    assert short == said(*arguments[:-1], "--help")
    assert short.startswith("Usage: harness ")
