"""How a command asks a contest, and says what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.text import Text

from harness.cli.open_store import open_store
from harness.cli.terminal import printer
from harness.contest.ledger import Accepted, Ledger
from harness.contest.rules import Command, Refusal
from harness.core.challenge import Challenge, load_challenge

_out = printer()
_err = printer(errors=True)


@contextmanager
def opened_ledger(challenge: Path, url: str) -> Iterator[tuple[Ledger, Challenge]]:
    """Open the store, and the ledger of a challenge's contest."""
    loaded = load_challenge(challenge)
    store = open_store(url)
    try:
        yield Ledger(store, loaded.name, path=str(challenge.resolve())), loaded
    finally:
        store.close()


def ask(challenge: Path, url: str, command: Command, *, say: Callable[[Accepted], str]) -> None:
    """Ask for one thing as the organiser, and say what came of it."""
    with opened_ledger(challenge, url) as (ledger, _loaded):
        tell(ledger.ask(command, now=now_()), ledger, say)


def tell(answer: Accepted | Refusal, ledger: Ledger, say: Callable[[Accepted], str]) -> None:
    """Print what came of a command.

    Raises:
        typer.Exit: it was refused: exit code 1.
    """
    if isinstance(answer, Refusal):
        rules = ledger.state().rules
        words = answer.in_words(rules.zone if rules else None)
        _err.print(Text.assemble(("refused:", "bold red"), f" {words}"))
        raise typer.Exit(1)
    _out.print(say(answer), soft_wrap=True, highlight=False)


def now_() -> datetime:
    """Return the moment: the only clock that the contest's commands read."""
    return datetime.now(UTC)
