"""The house's plan: which room may use which, and how large a module may be."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[2] / "harness"

# From the top down: a room may use the rooms that its row names, and each of those lies further down.
ROOMS: dict[str, set[str]] = {
    "cli": {
        *("portal", "contest", "run", "diagnose", "report", "results", "gateway", "package", "image"),
        "scoring",
        "sandbox",
        "videos",
        "core",
    },
    "portal": {
        *("contest", "run", "diagnose", "report", "results", "package"),
        *("scoring", "videos", "core"),
    },
    "contest": {
        *("run", "diagnose", "report", "results", "gateway", "package"),
        *("scoring", "sandbox", "videos", "core"),
    },
    "run": {"report", "results", "gateway", "package", "scoring", "sandbox", "videos", "core"},
    "diagnose": {"results", "gateway", "package", "image", "scoring", "sandbox", "videos", "core"},
    "report": {"results", "scoring", "videos", "core"},
    "results": {"gateway", "package", "scoring", "videos", "core"},
    "gateway": {"package", "sandbox", "core"},
    "package": {"core"},
    "image": {"core"},
    "scoring": {"videos", "core"},
    "sandbox": {"core"},
    "videos": {"core"},
    "core": set(),
}
LINES_MAX = 320
ROOMS_MAX = 14  # with the portal
# Programs that run inside containers: they import nothing of the harness, and nothing here imports them.
INSIDE_CONTAINERS = {"runtime", "packages"}
MODULES = sorted(
    path for path in HARNESS.rglob("*.py") if not INSIDE_CONTAINERS & set(path.relative_to(HARNESS).parts)
)
# Tables: a list of rows that nobody reads in one sitting, nor needs to.
TABLES: set[str] = set()


def name_of(path: Path) -> str:
    parts = path.relative_to(HARNESS).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "harness"


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names, below `harness`, of what a module imports, on use and for types included."""
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports relatively; name the room"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.removeprefix("harness.") for name in names if name.startswith("harness."))


def test_the_rooms_of_the_plan_are_the_folders_of_the_house() -> None:
    folders = {path.name for path in HARNESS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(ROOMS)
    assert len(folders) <= ROOMS_MAX
    files = {path.name for path in HARNESS.iterdir() if path.is_file()}
    assert files == {"__init__.py", "__main__.py", "api.py", "py.typed"}


def test_every_row_of_the_plan_points_down() -> None:
    order = list(ROOMS)
    for room, below in ROOMS.items():
        assert all(order.index(other) > order.index(room) for other in below), room


def test_a_module_uses_the_rooms_that_its_own_may_use() -> None:
    wrong = []
    for path in MODULES:
        room, *inside = path.relative_to(HARNESS).parts
        if not inside:
            continue  # the package's own face may offer anything
        for other in imported(path):
            target = other.split(".")[0]
            if target in ROOMS and target not in {room, *ROOMS[room]}:
                wrong.append(f"{name_of(path)} imports {other}")
    assert wrong == []


def test_a_module_reads_in_one_sitting() -> None:
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: count for name, count in lines.items() if count > LINES_MAX and name not in TABLES} == {}


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_every_room_says_what_it_is_for(room: str) -> None:
    lines = (HARNESS / room / "README.md").read_text(encoding="utf-8").strip().splitlines()
    assert 3 <= len(lines) <= 10


def test_labels_reach_scoring_and_nothing_that_runs_packages() -> None:
    for path in MODULES:
        name = name_of(path)
        if name.startswith(("gateway", "sandbox", "run.trial")):
            assert not [other for other in imported(path) if other.startswith("videos.labels")], (
                f"{name} could come to hold labels"
            )


def test_the_runner_needs_the_standard_library_alone() -> None:
    tree = ast.parse((HARNESS / "image" / "runtime" / "runner.py").read_text(encoding="utf-8"))
    names = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert names <= set(sys.stdlib_module_names), names - set(sys.stdlib_module_names)


def test_the_host_side_never_imports_torch() -> None:
    for path in MODULES:
        for node in nodes_of(path):
            if isinstance(node, ast.Import | ast.ImportFrom):
                first = (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
                assert first.split(".")[0] not in {"torch", "torchvision", "timm"}, path


def test_only_the_command_line_prints() -> None:
    prints = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        if path.relative_to(HARNESS).parts[0] != "cli"
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert prints == []


def test_no_two_modules_have_one_name() -> None:
    """A command and its view have the name of what they run and show (`check`); no others share one.

    `report.organiser` and `cli.organiser` are the page and the commands of the same person.
    """
    seen: dict[str, Path] = {}
    for path in MODULES:
        room = path.relative_to(HARNESS).parts[0]
        if path.stem.startswith("__") or room == "cli" or "versions" in path.parts:
            continue
        assert path.stem not in seen, f"{path} and {seen[path.stem]}"
        seen[path.stem] = path
