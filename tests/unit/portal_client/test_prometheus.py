"""What Prometheus is told of contests, from a database of either kind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.contest.ledger import Accepted, Ledger
from harness.contest.rules import HARNESS, ORGANISER
from harness.contest.rules.commands import CreateContest, RecordFailure, RegisterTeam, Start, Submit
from harness.core.contest import ContestRules
from harness.portal.config import PortalConfig
from harness.portal.prometheus import ContestMetrics
from harness.portal.site import Site

pytestmark = pytest.mark.slow

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
RULES = ContestRules(timezone="UTC", opens=NOW - timedelta(days=1), closes=NOW + timedelta(days=9))


@pytest.fixture
def site(url: str, tmp_path: Path) -> Iterator[Site]:
    config = PortalConfig(store=url, runs=tmp_path, packages=tmp_path, uploads=tmp_path)
    found = Site(config, clock=lambda: NOW + timedelta(seconds=90))
    yield found
    found.close()


def told(site: Site) -> dict[tuple[str, ...], float]:
    return {
        (sample.name.removeprefix("harness_"), *sample.labels.values()): sample.value
        for family in ContestMetrics(site).collect()
        for sample in family.samples
    }


def test_the_queue_is_told_from_either_database(site: Site) -> None:
    assert told(site) == {("portal_database_up",): 1.0}
    ledger = Ledger(site.store, "made")
    commands = [
        (
            CreateContest(challenge="made", challenge_sha256="a" * 64, public_decimals=4, rules=RULES),
            ORGANISER,
        ),
        (RegisterTeam(team="red", name="Red"), ORGANISER),
        (Submit(entry="one", team="red", package_sha256="b" * 64, external_data=()), ORGANISER),
        (Submit(entry="two", team="red", package_sha256="c" * 64, external_data=()), ORGANISER),
        (Start(entry="one", attempt=1), HARNESS),
        (RecordFailure(entry="one", attempt=1, run_id="r", verdict="TIME_LIMIT"), HARNESS),
    ]
    for command, who in commands:
        assert isinstance(ledger.ask(command, now=NOW, by=who), Accepted)
    assert told(site) == {
        ("portal_database_up",): 1.0,
        ("contest_entries", "made", "failed"): 1.0,
        ("contest_entries", "made", "waiting"): 1.0,
        ("contest_teams", "made"): 1.0,
        ("contest_events", "made"): 7.0,  # it opened by itself
        ("contest_oldest_waiting_seconds", "made"): 90.0,
    }


def test_a_database_that_is_gone_is_said_and_is_no_fault_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "gone.db"
    site = Site(PortalConfig(store=f"sqlite:///{path}", runs=tmp_path, packages=tmp_path, uploads=tmp_path))
    site.close()
    path.unlink()
    path.mkdir()
    assert told(site) == {("portal_database_up",): 0.0}
    site.close()
