"""A finished regrade put on record: in the index of runs, and in the contest's log if there is one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from harness.contest.ledger import Accepted, Ledger
from harness.contest.regrade.regrade import RegradedRun
from harness.contest.rules import ORGANISER, Actor, Refusal
from harness.contest.rules.commands import RecordRegrade
from harness.contest.state import EntryStatus, State
from harness.core.types import SetName
from harness.results.run_folder import RunFolder
from harness.results.store import Store, runs


def register(
    store: Store,
    challenge: str,
    runs_root: Path,
    found: RegradedRun,
    *,
    reason: str,
    now: datetime,
    by: Actor = ORGANISER,
) -> Accepted | Refusal | None:
    """Renew the rows of the runs that the index knows, and tell the contest, both or neither.

    Returns:
        What the contest says; None if the challenge has no contest.

    Raises:
        ResultError: a new result cannot be read.
        StoreError: the database cannot be written.
    """
    ledger = Ledger(store, challenge)
    state = ledger.state()
    if state.rules is None:
        store.write(lambda connection: _renew(connection, runs_root, found))
        return None
    return ledger.ask(
        command_of(state, found, reason=reason),
        now=now,
        by=by,
        also=lambda connection, _state, _events: _renew(connection, runs_root, found),
    )


def command_of(state: State, found: RegradedRun, *, reason: str) -> RecordRegrade:
    """Return what a contest is to be told of a regrade."""
    by_run = {one.run_id: one for one in found.runs}
    losses: dict[str, float] = {}
    results: dict[str, str] = {}
    for entry in state.entries.values():
        graded = by_run.get(entry.run_id or "")
        loss = None if graded is None else graded.after.get(SetName.PUBLIC)
        if entry.status is EntryStatus.SCORED and graded is not None and loss is not None:
            losses[entry.entry], results[entry.entry] = loss, graded.result_sha256
    return RecordRegrade(regrade=found.regrade, reason=reason, public_losses=losses, results=results)


def _renew(connection: sa.Connection, runs_root: Path, found: RegradedRun) -> None:
    known = {row.run_id for row in runs.all_runs(connection)}
    for one in found.runs:
        if one.run_id in known:
            runs.record(connection, RunFolder(path=runs_root / one.run_id))
