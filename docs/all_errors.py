"""Every error that the harness raises, with its remedy: read from the code, for the page of messages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.core import errors

HARNESS = Path(errors.__file__).parents[1]
# What reaches a person; the sandbox's signals never do.
KINDS = frozenset(
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type)
    and issubclass(kind, errors.HarnessError)
    and not issubclass(kind, errors.SandboxSignal)
)


@dataclass(frozen=True, kw_only=True)
class RaisedError:
    """One place that raises; what is filled in there is an ellipsis."""

    place: str
    kind: str
    message: str
    remedy: str  # empty if it has none


def raised_errors() -> Iterator[RaisedError]:
    """Yield every error that the code makes, module by module."""
    for path in sorted(HARNESS.rglob("*.py")):
        name = path.relative_to(HARNESS).as_posix()
        if "/packages/" in name or name.startswith("image/runtime/"):
            continue  # what runs inside containers
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                found = next((one.value for one in node.keywords if one.arg == "remedy"), None)
                yield RaisedError(
                    place=f"{name}:{node.lineno}",
                    kind=node.func.id,
                    message=_words(node.args[0]) if node.args else "",
                    remedy="" if found is None else _words(found),
                )


def errors_with_remedies() -> Iterator[RaisedError]:
    """Yield those whose words stand in the code, so that a table can show them."""
    for one in raised_errors():
        if one.remedy.strip("… ") and one.message.strip("… "):
            yield one


def _words(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(part) for part in node.values)
    if isinstance(node, ast.Call) and node.args:  # listed("wrong rows", …)
        return _words(node.args[0])
    return "…"
