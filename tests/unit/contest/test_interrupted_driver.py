"""A driver that is interrupted while its database is away ends at once, and is interrupted, not at fault."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from harness.cli.contest_backends import ProcessOnNode
from harness.cli.contest_sources import boards_kept
from harness.contest.admission import Prepared
from harness.contest.board import keeper
from harness.contest.driver import Contest
from harness.contest.ledger import Ledger
from harness.contest.regrade import regrader
from harness.contest.rules.commands import CreateContest
from harness.contest.shard_job import ShardPlaces
from harness.contest.shard_ledger import ShardLedger
from harness.contest.sources import StoreSource
from harness.core.challenge import load_challenge
from harness.core.contest import ContestRules
from harness.core.errors import StoreError
from harness.core.types import ImageFacts
from harness.results.store import Store
from tests.contest_kit import write_challenge

PATIENCE_SECONDS = 60.0


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return write_challenge(tmp_path / "challenge", public=1, private=1)


def contest_of(toml: Path, store: Store, ledger: ShardLedger) -> Contest:
    """Make a contest in a store, as its worker has it."""
    challenge, now, folder = load_challenge(toml), datetime.now(UTC), toml.parent
    rules = ContestRules(timezone="UTC", opens=now - timedelta(days=1), closes=now + timedelta(days=1))
    log = Ledger(store, challenge.name)
    log.ask(
        CreateContest(
            challenge=challenge.name, challenge_sha256=challenge.sha256, public_decimals=4, rules=rules
        ),
        now=now,
    )
    common = Prepared(
        challenge=challenge,
        sets=(),
        image=ImageFacts(label="image", digest="image", variant="cpu"),
        engine="",
        isolation="docker",
        runs=folder,
        scratch=folder,
        store=None,
    )
    return Contest(
        common=common,
        source=StoreSource(log, folder, challenge=challenge, patience=ledger.patience),
        backend=ProcessOnNode(),
        places=ShardPlaces(scratch=folder, store=None),
    )


def lose(store: Store) -> None:
    """Take from a database what everything is asked of."""

    def drop(connection: sa.Connection) -> None:
        for table in ("harness_events", "harness_regrades"):
            connection.exec_driver_sql(f"DROP TABLE {table}")

    store.write(drop)


def test_an_interruption_stays_one_and_a_lost_database_is_said_once(
    toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (keeper, regrader):
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    store, said = Store(f"sqlite:///{tmp_path / 'store.db'}"), list[str]()
    contest = contest_of(toml, store, ShardLedger(store, "made"))

    def interrupted() -> None:
        with boards_kept(contest, store, toml=toml, say=said.append):
            lose(store)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while len(said) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.2)  # time for many looks
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sorted(line.partition(":")[0] for line in said) == [
        "regrades wait",
        "the board could not be worked out",
    ]
    store.close()


def test_who_makes_haste_waits_for_no_database_to_write_a_result_down(toml: Path, tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    ledger = ShardLedger(store, "made")
    contest = contest_of(toml, store, ledger)
    lose(store)
    ledger.make_haste()
    with pytest.raises(StoreError):  # after 15 minutes otherwise
        contest.source.waiting()
    store.close()
