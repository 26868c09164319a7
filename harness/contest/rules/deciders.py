"""Which function decides about which command, and what each is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from harness.contest.events import Event
from harness.contest.rules.commands import Actor, Command, Refusal, Rule
from harness.contest.state import State
from harness.core.contest import ContestRules

Decided = tuple[Event, ...] | Refusal


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What every rule is given: the state with due phases in, the moment, and who asks."""

    state: State
    now: datetime
    by: Actor

    @property
    def rules(self) -> ContestRules:
        """The contest's rules, which every command but the first may count on."""
        if self.state.rules is None:
            raise ValueError("there is no contest")
        return self.state.rules

    @property
    def stamp(self) -> dict[str, Any]:
        """What every event says of itself."""
        return {"at": self.now, "by": str(self.by)}


_Rule = Callable[[Asking, Any], Decided]
_F = TypeVar("_F", bound=_Rule)
RULES: dict[type[Command], _Rule] = {}


def on(kind: type[Command]) -> Callable[[_F], _F]:
    """Register the function that decides about one kind of command."""

    def register(function: _F) -> _F:
        if kind in RULES:
            raise ValueError(f"{kind.__name__} is decided twice")
        RULES[kind] = function
        return function

    return register


def no_text(**texts: str) -> Refusal | None:
    """Refuse if a text that must be there is empty."""
    missing = [name.replace("_", " ") for name, text in texts.items() if not text.strip()]
    return Refusal(rule=Rule.TEXT, message=f"give {' and '.join(missing)}") if missing else None
