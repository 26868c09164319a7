"""Habits that cost points or fail late: removed names, absent GPUs, errors answered by a guess."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Final

_RUNS_OTHER_CODE: Final = frozenset(
    {"import_module", "__import__", "exec", "run_path", "run_module", "Popen", "check_call", "check_output"}
)
_RUNS_WITH_A_MODULE: Final = frozenset({"subprocess.run", "subprocess.call", "os.system", "os.popen"})
_WAITS: Final = frozenset({"input", "breakpoint", "pdb.set_trace", "ipdb.set_trace", "IPython.embed"})
_PARTS_MAX: Final = 64  # of a dotted name: each of its parts is asked for, and walks down to the first
_COMPILES: Final = frozenset({"torch.compile", "numba.jit", "numba.njit", "jit", "njit"})


@dataclass(frozen=True, kw_only=True)
class Hint:
    """Something worth checking, in words, with its line."""

    text: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Habits:
    """What one file does, as far as its text says."""

    names: tuple[Hint, ...] = ()  # dotted names of other modules, aliases resolved, such as numpy.int
    cuda: tuple[Hint, ...] = ()  # requests a GPU without checking whether there is one
    guesses: tuple[Hint, ...] = ()  # an `except` that answers with a constant
    waits: tuple[Hint, ...] = ()  # asks a person something, and nobody is there
    dynamic: bool = False  # imports or starts code by names that cannot be read here
    compiles: bool = False  # compiles kernels while it runs


NO_HABITS: Final = Habits()


def habits_of(tree: ast.Module) -> Habits:
    """Read the habits of a file. The tree is walked without recursion."""
    aliases = _aliases(tree)
    names: dict[str, Hint] = {}
    cuda: list[Hint] = []
    guesses: list[Hint] = []
    waits: list[Hint] = []
    dynamic = compiles = False
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, asked = waiting.pop()
        if isinstance(node, ast.Attribute | ast.Name | ast.Import | ast.ImportFrom):
            for name in _resolved(node, aliases):
                names.setdefault(name, Hint(text=name, line=node.lineno))
                compiles = compiles or name in _COMPILES
        elif isinstance(node, ast.Call):
            called = dotted(node.func)
            dynamic = (
                dynamic or called.rpartition(".")[2] in _RUNS_OTHER_CODE or called in _RUNS_WITH_A_MODULE
            )
            if called in _WAITS:
                waits.append(Hint(text=f"{called}()", line=node.lineno))
            if not asked and (wish := _wants_cuda(node, called)):
                cuda.append(Hint(text=wish, line=node.lineno))
        elif isinstance(node, ast.ExceptHandler):
            guesses += _guesses(node)
        asked = asked or (isinstance(node, ast.If | ast.IfExp) and _asks_for_a_gpu(node.test))
        waiting.extend((child, asked) for child in ast.iter_child_nodes(node))
    return Habits(
        names=tuple(sorted(names.values(), key=lambda hint: hint.line)),
        cuda=tuple(cuda),
        guesses=tuple(guesses),
        waits=tuple(waits),
        dynamic=dynamic,
        compiles=compiles,
    )


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` of an expression, its first eight names; `…` stands for what is not a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < _PARTS_MAX:
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "…")
    return ".".join(reversed(parts[-8:]))


def _aliases(tree: ast.Module) -> dict[str, str]:
    """Return what each imported name stands for: np → numpy, imresize → scipy.misc.imresize."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _resolved(node: ast.AST, aliases: dict[str, str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return (
            [f"{node.module}.{alias.name}" for alias in node.names] if node.module and not node.level else []
        )
    if isinstance(node, ast.Attribute):
        first, _, rest = dotted(node).partition(".")
        return [f"{aliases[first]}.{rest}"] if first in aliases else []
    return [aliases[node.id]] if isinstance(node, ast.Name) and node.id in aliases else []


def _wants_cuda(call: ast.Call, called: str) -> str:
    last = called.rpartition(".")[2]
    if last == "cuda" and "." in called and not called.startswith("torch.cuda"):
        return ".cuda()"
    if last in {"to", "device"} and call.args and _is_cuda(call.args[0]):
        return f'.to("{_text(call.args[0])}")' if last == "to" else f'torch.device("{_text(call.args[0])}")'
    for keyword in call.keywords:
        if keyword.arg in {"device", "map_location"} and _is_cuda(keyword.value):
            return f'{keyword.arg}="{_text(keyword.value)}"'
    return ""


def _is_cuda(node: ast.expr) -> bool:
    return _text(node) == "cuda" or _text(node).startswith("cuda:")


def _text(node: ast.expr) -> str:
    return node.value[:20] if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _asks_for_a_gpu(test: ast.expr) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr in {"is_available", "device_count"}
        for node in ast.walk(test)
    )


def _guesses(handler: ast.ExceptHandler) -> list[Hint]:
    """Find `return 0.5` and `answer = 0.5` in a handler: an error that nobody sees."""
    found = []
    for node in ast.walk(handler):
        value = _number(node.value) if isinstance(node, ast.Return | ast.Assign) else None
        if value is None or isinstance(value, bool) or not 0 <= value <= 1:
            continue
        if isinstance(node, ast.Return) or (isinstance(value, float) and 0 < value < 1):
            found.append(Hint(text=f"{value:g}", line=node.lineno))  # type: ignore[attr-defined]  # a statement
    return found


def _number(node: ast.expr | None) -> float | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    return None
