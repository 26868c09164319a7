"""`harness contest status` and its like: look how far a contest is, and steer its driver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.documents import print_document
from harness.cli.open_store import open_store
from harness.cli.options import DEFAULT_STORE, ChallengeArgument, JsonOption, StoreOption
from harness.cli.terminal import printer
from harness.cli.views.contest_work import driver_in_words, so_far, status_lines, wish_in_words, works
from harness.contest.shard_ledger import ShardLedger
from harness.core.challenge import load_challenge
from harness.core.errors import ConfigError
from harness.results.store.drivers import Wish
from harness.results.store.jobs import JobState

_err = printer(errors=True)
_out = printer()

PriceOption = Annotated[
    float,
    typer.Option("--price-per-hour", min=0, help="The price of one place for a shard, for the cost so far."),
]
RunIdArgument = Annotated[str, typer.Argument(help="The run of an entry, as `contest status` names it.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands that look at a contest's work, and steer it."""
    for command in (status, pause, resume, drain):
        app.command()(command)
    app.command(name="cancel-run")(cancel_run)
    app.command(name="requeue-run")(requeue_run)


def status(
    challenge: ChallengeArgument,
    *,
    store: StoreOption = DEFAULT_STORE,
    price_per_hour: PriceOption = 0.0,
    every: Annotated[
        bool, typer.Option("--all", help="List runs that are done, too, in a contest of more than 50.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say how far a contest is: every run, what it cost so far, who drives it."""
    with _opened_ledger(challenge, store) as ledger:
        row = ledger.driver()
        places, unseen = (row.places or 1, row.unseen or 0) if row else (1, 0)
        progress = so_far(ledger, places=places, unseen=unseen)
    if as_json:
        from harness.cli.documents.contest import ContestStatusDocument

        print_document(ContestStatusDocument.of(progress, row, price_per_hour))
    else:
        for part in status_lines(progress, row, price_per_hour, width=_out.width, every=every):
            _out.print(part, highlight=False)
        if not progress.runs and row is None:
            _say(f"nothing of {ledger.challenge} ever ran in {ledger.store.place}: is it the right --store?")


def cancel_run(
    challenge: ChallengeArgument, run_id: RunIdArgument, *, store: StoreOption = DEFAULT_STORE
) -> None:
    """Cancel the rest of a run; running shards stop before their next video."""
    _change(
        challenge, store, run_id, "cancelled", lambda one: one.cancel(run_id, "cancelled by the organiser")
    )


def requeue_run(
    challenge: ChallengeArgument, run_id: RunIdArgument, *, store: StoreOption = DEFAULT_STORE
) -> None:
    """Queue the failed and cancelled shards of a run again; what is done stays done."""
    _change(challenge, store, run_id, "waiting", lambda one: one.requeue(run_id, "requeued by the organiser"))


def pause(challenge: ChallengeArgument, *, store: StoreOption = DEFAULT_STORE) -> None:
    """Begin no further shard; what runs is finished, and the driver waits for `resume`."""
    _wish(challenge, store, Wish.PAUSE)


def resume(challenge: ChallengeArgument, *, store: StoreOption = DEFAULT_STORE) -> None:
    """Go on after a pause, or take back a drain."""
    _wish(challenge, store, Wish.RUN)


def drain(challenge: ChallengeArgument, *, store: StoreOption = DEFAULT_STORE) -> None:
    """Begin no further shard; what runs is finished, and then the driver ends."""
    _wish(challenge, store, Wish.DRAIN)


def _wish(challenge: Path, store: str, what: Wish) -> None:
    with _opened_ledger(challenge, store) as ledger:
        before = ledger.driver()
        ledger.wish(what)
        row = ledger.driver()
    if row is not None:  # it was made by the wish
        _say(f"{ledger.challenge}: {wish_in_words(before, row, moment=datetime.now(UTC))}")


def _change(
    challenge: Path, store: str, run_id: str, word: str, change: Callable[[ShardLedger], int]
) -> None:
    with _opened_ledger(challenge, store) as ledger:
        known = sorted({job.run_id for job in ledger.listed()})
        if run_id not in known:
            raise ConfigError(
                f"no run is called {run_id}",
                place=ledger.challenge,
                remedy=f"Runs with shards: {', '.join(known) or 'none'}.",
            )
        count = change(ledger)
        found, row = Counter(job.state.value for job in ledger.of_run(run_id)), ledger.driver()
    said = f"{count} shards of {run_id} are now {word}" if count else f"nothing of {run_id} has changed"
    _say(f"{said}; of all its shards: {', '.join(f'{many} {state}' for state, many in found.items())}")
    if found[JobState.WAITING.value] and not works(row):
        _say(f"{driver_in_words(row, now=datetime.now(UTC))}: they wait for `harness contest run`")


@contextmanager
def _opened_ledger(challenge: Path, store: str) -> Iterator[ShardLedger]:
    """Open a contest's ledger for a command, and close its database."""
    database = open_store(store)
    try:
        yield ShardLedger(database, load_challenge(challenge).name, say=_say, patience_seconds=5.0)
    finally:
        database.close()


def _say(text: str) -> None:
    _err.print(text, highlight=False)
