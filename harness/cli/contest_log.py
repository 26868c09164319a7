"""`harness contest log` and `rebuild`: the record of every decision, verified, exported, brought back."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from harness.cli.contest_asking import opened_ledger
from harness.cli.open_store import open_store
from harness.cli.options import DEFAULT_STORE, SAMPLE_CHALLENGE, ChallengeOption, StoreOption
from harness.cli.terminal import printer
from harness.contest.ledger import rebuild as rebuild_rows
from harness.contest.ledger import restore
from harness.core.errors import ResultError
from harness.results.store.chain import Record

_out = printer()
_err = printer(errors=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (log, rebuild):
        app.command()(command)


def log(
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write JSON lines here instead of printing.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="The sha256 that the last event must have, from where you kept it.")
    ] = None,
) -> None:
    """Print or export every decision, and verify that nobody changed one since."""
    with opened_ledger(challenge, store) as (ledger, _loaded):
        records, problems = ledger.log(), ledger.problems(head=head)
    lines = "".join(json.dumps(asdict(one)) + "\n" for one in records)
    if output is None:
        sys.stdout.write(lines)
    else:
        output.write_text(lines, encoding="utf-8")
    for problem in problems:
        _err.print(Text(f"the log was changed: {problem}", "bold red"))
    if records and not problems:
        _err.print(f"{len(records)} events, unchanged; keep this: --head {records[-1].sha256}")
    raise typer.Exit(1 if problems else 0)


def rebuild(
    *,
    events: Annotated[
        Path | None, typer.Option("--events", help="A log that `contest log -o` wrote, for an empty store.")
    ] = None,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Make the rows of every contest again from its events; or bring a contest back from its log."""
    opened = open_store(store)
    try:
        if events is not None:
            name = restore(opened, _read_log(events), path=str(challenge.resolve()))
            _out.print(f"{name} is back, as its log has it", soft_wrap=True)
            return
        names = rebuild_rows(opened)
    finally:
        opened.close()
    _out.print(f"{len(names)} contests: {', '.join(names) or 'none'}", soft_wrap=True)


def _read_log(path: Path) -> tuple[Record, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return tuple(Record(**json.loads(line)) for line in lines)
    except (OSError, ValueError, TypeError) as error:
        raise ResultError(
            f"is not a log of a contest: {error}",
            place=path,
            remedy="Export it with `harness contest log -o`.",
        ) from error
