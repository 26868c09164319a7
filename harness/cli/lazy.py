"""Commands that are imported when they are used: what a command needs, and nothing else, is loaded for it.

After click's documented pattern of a group that loads its commands lazily. The one line of help for each
command is in the table, so that `--help` loads none of them; a test holds that it is the command's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from typer._click import (
        Command,
        Context,
        HelpFormatter,
    )  # typer's own copy of click: it has no other name


@dataclass(frozen=True, kw_only=True)
class Later:
    """Where a command is, and what it does in one line."""

    target: str  # "module:function", or "module:app" for a group of commands
    help: str

    def load(self, name: str) -> Command:
        """Import it, and make it a command of this name."""
        module, _, attribute = self.target.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            group = typer.main.get_group(found)
            group.name = name
            return group
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        alone.command(name=name)(found)
        return typer.main.get_command(alone)


class Commands(Mapping[str, "Command"]):
    """Commands by name, each imported when it is looked up."""

    def __init__(self, table: Mapping[str, Later]) -> None:
        self._table = table
        self._loaded: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._loaded:
            self._loaded[name] = self._table[name].load(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, name: object) -> bool:
        return name in self._table  # without importing it, as a lookup would


def lazy_group(table: Mapping[str, Later]) -> type[TyperGroup]:
    """Make the class of a group that has the commands of a table.

    Args:
        table: In the order in which they are listed.
    """

    class LazyGroup(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = Commands(table)  # type: ignore[assignment]  # nothing is added to it later

        def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
            del ctx
            with formatter.section("Commands"):
                formatter.write_dl([(name, row.help) for name, row in table.items()])

    return LazyGroup
