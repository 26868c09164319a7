"""Dependencies point one way. A module may import from its own layer and those below it, never from above."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[2] / "harness"

# From the bottom up. A package stands for everything in it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("harness", "types", "errors"),
    (
        *("challenge", "videos", "probe", "protocol", "limits", "runfolder", "engine"),
        *("findings", "manifest", "contents", "unzip", "survey", "package", "pack", "layouts"),
        *("batch_answers", "scoring.metrics", "scoring.intervals", "sandbox"),
    ),
    (
        *("sandbox.owner", "sandbox.stream", "sandbox.hardening", "sandbox.meter", "sandbox.gpu"),
        *("sandbox.container", "sandbox.docker", "sandbox.engine_errors", "sandbox.process"),
        *("setrun", "set_record", "journal", "staging", "startup", "batch", "gateway", "perturb"),
    ),
    (
        *("scoring", "host", "baseimage", "wheelhouse", "image", "checks", "check", "check_view", "smoke"),
        *("result", "report", "entries", "leaderboard", "store", "sets", "audit", "doctor", "seal"),
        *("repeat", "calibrate"),
    ),
    ("finish", "work", "evaluate", "selfcheck"),
    ("backends", "console", "cli_options", "cli_organiser", "cli_checks", "cli_security", "cli"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MODULES = sorted(
    path
    for path in HARNESS.rglob("*.py")
    if not {"runtime", "packages", "behaviours"} & set(path.relative_to(HARNESS).parts)
)


def name_of(path: Path) -> str:
    parts = path.relative_to(HARNESS).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "harness"


def rank_of(module: str) -> int | None:
    """Return the layer of a module: its own, or that of the nearest package around it."""
    while module:
        if module in RANK:
            return RANK[module]
        module = module.rpartition(".")[0]
    return None


def imported(path: Path) -> Iterator[str]:
    """Yield what a module imports of the harness when it runs; imports for type checkers alone are none."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "harness":
            base = node.module.removeprefix("harness").lstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                is_module = (HARNESS / inner.replace(".", "/")).with_suffix(".py").exists()
                yield inner if is_module else base or "harness"
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.removeprefix("harness").lstrip(".") or "harness"
                for alias in node.names
                if alias.name.split(".")[0] == "harness"
            )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_nothing_from_above(path: Path) -> None:
    mine = name_of(path)
    rank = rank_of(mine)
    assert rank is not None, f"{mine} has no layer: say in LAYERS where it belongs"
    if path.parent.name == "perturb" and path.stem == "cli":
        return  # a part of the command line that lies with what it is about
    for other in imported(path):
        below = rank_of(other)
        assert below is not None, f"{mine} imports {other}, which has no layer"
        assert below <= rank, f"{mine} (layer {rank}) imports {other} (layer {below})"


def test_labels_reach_scoring_and_nothing_that_runs_packages() -> None:
    running = ("gateway", "batch", "startup", "set_record", "staging", "journal", "smoke")
    for path in MODULES:
        name = name_of(path)
        if name in running or name.startswith("sandbox"):
            assert "videos" not in set(imported(path)), f"{name} could come to hold labels"


def test_the_runner_needs_the_standard_library_alone() -> None:
    tree = ast.parse((HARNESS / "runtime" / "runner.py").read_text(encoding="utf-8"))
    names = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert names <= set(sys.stdlib_module_names), names - set(sys.stdlib_module_names)


def test_the_host_side_never_imports_torch() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                first = (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
                assert first.split(".")[0] not in {"torch", "torchvision", "timm"}, path


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_command_line_prints(path: Path) -> None:
    name = name_of(path)
    if name.startswith(("cli", "console")) or name.endswith(".cli"):
        return
    calls = (
        node.func.id
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    assert "print" not in set(calls)
