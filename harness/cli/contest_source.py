"""Where `harness contest run` finds entries: a folder, or the contest's own ledger in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.contest.board.keeper import BoardKeeper
from harness.contest.entries import Waiting, find_entries
from harness.contest.entry_record import EntryRecord, NoRecord
from harness.contest.ledger import Ledger
from harness.contest.ledger_entries import LedgerEntries
from harness.core.challenge import Challenge
from harness.core.errors import ConfigError
from harness.results.store import Store
from harness.videos.ready_set import ReadySet

FROM_STORE = "store"
DEFAULT_PACKAGES = Path("runs/packages")
PackagesOption = Annotated[Path, typer.Option(help="Where packages are kept.")]


@dataclass(frozen=True, kw_only=True)
class EntriesSource:
    """What waits, where it goes on record, and the boards beside it."""

    waiting: Callable[[], tuple[Waiting, ...]]
    record: EntryRecord
    keeper: Callable[[tuple[ReadySet, ...], Path], BoardKeeper] | None

    @property
    def from_store(self) -> bool:
        """Whether entries are those of the contest's ledger."""
        return self.keeper is not None

    @contextmanager
    def boards(self, sets: tuple[ReadySet, ...], runs: Path) -> Iterator[None]:
        """Keep the published boards up to date meanwhile, and once more at the end."""
        if self.keeper is None:
            yield
            return
        keeper = self.keeper(sets, runs)
        keeper.start()
        try:
            yield
        finally:
            keeper.finish()


def entries_of(
    given: str,
    store: Store,
    challenge: Challenge,
    path: Path,
    *,
    packages: Path,
    stay: bool,
    say: Callable[[str], None],
) -> EntriesSource:
    """Return where entries come from.

    Raises:
        ConfigError: `stay` is requested of a folder.
    """
    if given != FROM_STORE:
        if stay:
            raise ConfigError("--stay needs --entries store", remedy="Leave it out for a folder of zips.")
        folder = Path(given)
        return EntriesSource(waiting=lambda: find_entries(folder), record=NoRecord(), keeper=None)

    def ledger() -> Ledger:
        return Ledger(store, challenge.name, path=str(path.resolve()))

    found = LedgerEntries(ledger(), packages.resolve(), say=say)
    return EntriesSource(
        waiting=found.waiting,
        record=found,
        keeper=lambda sets, runs: BoardKeeper(store, ledger(), challenge, sets, runs, say=say),
    )
