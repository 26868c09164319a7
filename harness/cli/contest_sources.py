"""Where `contest run` and `contest plan` find entries: a folder, or what was handed in to the contest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from harness.contest.board.keeper import BoardKeeper
from harness.contest.driver import Contest
from harness.contest.ledger import Ledger
from harness.contest.patience import HASTE_SECONDS
from harness.contest.regrade.regrader import Place, Regrader
from harness.contest.shard_ledger import ShardLedger
from harness.contest.sources import FolderSource, Source, StoreSource, handed_in, must_be_contest
from harness.contest.waiting_entries import Waiting, find_entries
from harness.core.challenge import Challenge
from harness.core.errors import ConfigError, HarnessError
from harness.results.store import Store

FROM_STORE = "store"

EntriesOption = Annotated[
    str,
    typer.Option(
        "--entries",
        help="A folder, DIR/TEAM/PACKAGE.zip; or `store`: what was handed in by `contest submit` or the "
        "portal. A folder of that name is ./store.",
        show_default=False,
    ),
]
PackagesOption = Annotated[
    Path, typer.Option("--packages", help="With --entries store: where `contest submit` keeps packages.")
]


def source_of(
    entries: str,
    ledger: ShardLedger,
    *,
    challenge: Challenge,
    packages: Path,
    isolated: bool,
    say: Callable[[str], None],
) -> Source:
    """Open what `--entries` names.

    Raises:
        ConfigError: it is not there; or entries of a contest would run without isolation.
    """
    if entries != FROM_STORE:
        return FolderSource(Path(entries), ledger, say=say)
    if not isolated:
        raise ConfigError(
            "entries of a contest do not run without isolation: their results would not count",
            place="--sandbox process",
            remedy="Use --sandbox docker; to try the machinery, use --entries DIR.",
        )
    log = Ledger(ledger.store, challenge.name)
    return StoreSource(log, packages.resolve(), challenge=challenge, say=say, patience=ledger.patience)


@contextmanager
def boards_kept(contest: Contest, store: Store, *, toml: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Keep a contest's published boards up to date meanwhile, and once more at the end; and do regrades.

    After an error or an interruption, a database that is away or silent keeps nobody: the next driver works
    the boards out.
    """
    source, common = contest.source, contest.common
    if not isinstance(source, StoreSource):
        yield
        return
    place = Place(
        store=store,
        challenge=common.challenge,
        toml=toml,
        sets=common.sets,
        runs=common.runs,
        key=contest.signing_key,
    )
    regrader = Regrader(place, say=say)
    source.about_to_record = regrader.about_to_record
    ledger = Ledger(store, common.challenge.name)
    keeper = BoardKeeper(store, ledger, common.challenge, common.sets, common.runs, say=say)
    keeper.start()
    regrader.start()
    try:
        yield
    except BaseException:
        regrader.finish(seconds=HASTE_SECONDS)
        with suppress(HarnessError):
            keeper.finish(seconds=HASTE_SECONDS)
        raise
    regrader.finish()
    keeper.finish()


def waiting_in(entries: str, store: Store, *, challenge: Challenge, packages: Path) -> tuple[Waiting, ...]:
    """Return what waits in the place that `--entries` names.

    Raises:
        ConfigError: it is not there.
    """
    if entries != FROM_STORE:
        return find_entries(Path(entries)).entries
    state = Ledger(store, challenge.name).state()
    must_be_contest(state, challenge)
    return handed_in(state, packages)
