"""Entries that were handed in to a contest are run, and what became of them stands in its log.

Packages run as plain processes that pass for containers: it is the way from the log to the driver and back
that is tried here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.cli.open_store import open_store_patiently
from harness.contest.admission import AdmittedEntry, Prepared
from harness.contest.driver import Contest, Driver
from harness.contest.events import ContestPhase
from harness.contest.intake import hand_in, package_path
from harness.contest.ledger import Accepted, Ledger
from harness.contest.rules import Refusal
from harness.contest.rules.commands import (
    AmendRules,
    CancelEntry,
    Command,
    CreateContest,
    EnterPhase,
    MergeTeams,
    RegisterTeam,
    RequeueEntry,
)
from harness.contest.shard_job import Claimed, ShardDone, ShardPlaces
from harness.contest.shard_ledger import ShardLedger
from harness.contest.sources import StoreSource
from harness.contest.state import Entry, EntryStatus
from harness.core.challenge import Challenge, load_challenge
from harness.core.contest import EarlyStopping, StopRule
from harness.core.engines.local import LocalEngine
from harness.core.errors import ConfigError, StoreError
from harness.core.types import ImageFacts
from harness.portal.schemas import EntryAnswer
from harness.portal.visible import Seen, entry_answer
from harness.results.store import Store, runs
from harness.results.store.drivers import Wish
from harness.results.store.jobs import Job
from harness.sandbox import Backend
from harness.sandbox.process import ProcessSandbox
from harness.videos.ready_set import ready_set
from tests.conftest import Eventually
from tests.contest_kit import RAISES, write_challenge, write_entry
from tests.contest_kit.servers import Postgres

IMAGE = ImageFacts(label="none", digest="none", variant="cpu")
RULES = """
[contest]
timezone = "UTC"
opens = 2020-01-01T00:00:00
closes = 2099-01-01T00:00:00
valid_per_day = 50
"""


SURELY_WRONG = """
class Predictor:
    def __init__(self, package):
        pass
    def predict(self, video):  # a clip's last byte is the last of its number, and odd ones are fake
        return 0.000001 if video.read_bytes()[-1] % 2 else 0.999999
"""


class PassesForDocker(ProcessSandbox):
    isolation = "docker"


def on_node(held: ExitStack, cpus: float) -> Claimed:
    return Claimed(backend=Backend(sandbox=PassesForDocker(), image=IMAGE, engine="none"))


class Listener:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.then: Callable[[Job], object] = lambda _: None

    def say(self, text: str) -> None:
        self.said.append(text)

    warn = say

    def accepted(self, job: Job, done: ShardDone) -> None:
        self.then(job)

    def known(self, entry: AdmittedEntry) -> None:
        self.finished(entry)

    def finished(self, entry: AdmittedEntry) -> None:
        pass


class Bench:
    """A contest with two teams, its packages, and workers over one store."""

    def __init__(self, folder: Path) -> None:
        path = write_challenge(folder / "challenge", public=3, private=3)
        path.write_text(path.read_text() + RULES)
        self.folder, self.challenge = folder, load_challenge(path)
        self.packages = folder / "packages"
        self.store = Store(f"sqlite:///{folder / 'index.db'}")
        self.log = Ledger(self.store, self.challenge.name)
        self.jobs = ShardLedger(self.store, self.challenge.name)
        self.listener = Listener()
        assert self.challenge.contest is not None
        self.ask(
            CreateContest(
                challenge=self.challenge.name,
                challenge_sha256=self.challenge.sha256,
                public_decimals=4,
                rules=self.challenge.contest,
            )
        )
        for team in ("eagles", "owls"):
            self.ask(RegisterTeam(team=team, name=team))

    def ask(self, command: Command) -> Accepted:
        answer = self.log.ask(command, now=datetime.now(UTC))
        assert not isinstance(answer, Refusal), answer.message
        return answer

    def submit(self, team: str, name: str, *, module: str | None = None) -> str:
        package = write_entry(self.folder / "made", team=team, name=name, module=module)
        taken = hand_in(
            self.log,
            package,
            team=team,
            challenge=self.challenge,
            packages=self.packages,
            now=datetime.now(UTC),
            declares_none=True,
        )
        assert isinstance(taken.answer, Accepted)
        return taken.entry

    def entry(self, entry: str) -> Entry:
        return self.log.state().entries[entry]

    def source(self, challenge: Challenge | None = None) -> StoreSource:
        return StoreSource(
            Ledger(self.store, self.challenge.name),
            self.packages,
            challenge=challenge or self.challenge,
            say=self.listener.say,
        )

    def seen(self, entry: str) -> EntryAnswer:
        """Return an entry as its team sees it."""
        with self.store.read() as connection:
            rows = {row.run_id: row for row in runs.all_runs(connection)}
        seen = Seen(
            state=self.log.state(),
            now=datetime.now(UTC),
            queue={},
            jobs={},
            rows=rows,
            board=None,
            finals=frozenset(),
            runs=self.folder / "runs",
        )
        return entry_answer(seen, self.entry(entry))

    def work(self, *, watch: bool = False, shard_videos: int | None = None) -> bool:
        common = Prepared(
            challenge=self.challenge,
            sets=tuple(
                ready_set(name, self.challenge, cache=self.folder / "cache") for name in self.challenge.sets
            ),
            image=IMAGE,
            engine="none",
            isolation="docker",
            runs=self.folder / "runs",
            scratch=self.folder / "scratch",
            store=None,
            shard_videos=shard_videos,
            reports=False,
        )
        contest = Contest(
            common=common,
            source=self.source(),
            backend=on_node,
            places=ShardPlaces(scratch=self.folder / "scratch"),
            watch=watch,
        )
        return Driver(contest, self.jobs, LocalEngine(0), self.listener).run()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_was_handed_in_gets_its_score_and_a_failure_is_the_entrys_own(bench: Bench) -> None:
    good, bad = bench.submit("eagles", "good"), bench.submit("owls", "bad", module=RAISES)
    assert bench.work()
    found = bench.entry(good)
    assert (found.status, found.verdict) == (EntryStatus.SCORED, "OK")
    assert found.shown is not None
    assert bench.entry(bad).status is EntryStatus.FAILED
    rows = {row.run_id: row for row in bench.store.runs()}
    assert rows[found.run_id or ""].team == "eagles"
    assert rows[found.run_id or ""].eligible
    events = len(bench.log.log())
    assert bench.work()  # a second worker finds nothing to do
    assert len(bench.log.log()) == events


def test_a_worker_waits_for_new_entries_until_it_is_drained(bench: Bench, eventually: Eventually) -> None:
    done: list[bool] = []
    worker = threading.Thread(target=lambda: done.append(bench.work(watch=True)))
    worker.start()
    try:
        first = bench.submit("eagles", "first")
        assert eventually(lambda: bench.entry(first).status is EntryStatus.SCORED)
        second = bench.submit("eagles", "second")
        assert eventually(lambda: bench.entry(second).status is EntryStatus.SCORED)
        row = bench.jobs.driver()
        assert row is not None
        assert row.driver
        assert row.heartbeat
    finally:
        bench.jobs.wish(Wish.DRAIN)
        worker.join()
    assert done == [True]


def test_an_entry_that_is_withdrawn_while_it_runs_gets_no_result(bench: Bench) -> None:
    entry = bench.submit("eagles", "gone")

    def withdraw(job: Job) -> None:
        if job.set_name == "public":
            bench.ask(CancelEntry(entry=entry))

    bench.listener.then = withdraw
    assert bench.work()
    assert bench.entry(entry).status is EntryStatus.CANCELLED
    assert bench.store.runs() == ()


def test_what_our_fault_spoiled_is_refunded_and_runs_again_as_the_next_attempt(bench: Bench) -> None:
    entry = bench.submit("eagles", "unlucky")

    def spoil(job: Job) -> None:
        bench.jobs.cancel(job.run_id, "the organiser stopped it")

    bench.listener.then = spoil
    bench.work()
    found = bench.entry(entry)
    assert (found.status, found.costs) == (EntryStatus.VOIDED, None)
    bench.listener.then = lambda _: None
    bench.ask(RequeueEntry(entry=entry, reason="not its fault"))
    assert bench.work()
    found = bench.entry(entry)
    assert (found.status, found.attempt) == (EntryStatus.SCORED, 2)
    assert len({job.run_id for job in bench.jobs.listed()}) == 2  # the first attempt's folder stays


def test_an_entry_whose_team_is_merged_while_it_runs_goes_on(bench: Bench) -> None:
    entry, other = bench.submit("owls", "one"), bench.submit("eagles", "two")
    merged: list[bool] = []

    def merge(job: Job) -> None:
        if not merged:
            merged.append(True)
            bench.ask(MergeTeams(into="eagles", other="owls"))

    bench.listener.then = merge
    assert bench.work()
    assert {bench.entry(one).status for one in (entry, other)} == {EntryStatus.SCORED}
    assert bench.entry(entry).team == "eagles"
    assert len({job.run_id for job in bench.jobs.listed()}) == 2


def test_nobody_is_stopped_early_before_it_has_closed_and_then_as_announced(bench: Bench) -> None:
    assert bench.challenge.contest is not None
    stops = bench.challenge.contest.model_copy(
        update={"early_stopping": EarlyStopping(rule=StopRule.CERTAIN, prizes=1)}
    )
    bench.ask(AmendRules(rules=stops, reason="announced"))
    bench.submit("eagles", "good")
    while_open = bench.submit("owls", "bad", module=SURELY_WRONG)
    assert bench.work(shard_videos=1)
    again = bench.submit("owls", "as bad", module=SURELY_WRONG + "# another\n")
    bench.ask(EnterPhase(phase=ContestPhase.CLOSED, reason="over"))
    assert bench.work(shard_videos=1)
    assert [bench.seen(one).stopped_early for one in (while_open, again)] == [False, True]
    assert [bench.seen(one).private_valid for one in (while_open, again)] == [True, None]
    assert bench.entry(again).status is EntryStatus.SCORED
    assert any("stopped early by the certain rule" in text for text in bench.listener.said)


def test_a_result_that_a_killed_worker_left_is_recorded_by_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = bench.submit("eagles", "left")
    with monkeypatch.context() as patched:
        patched.setattr(StoreSource, "finished", lambda *_: None)  # as if killed just before
        bench.work()
    assert bench.entry(entry).status is EntryStatus.RUNNING
    assert bench.work()
    assert bench.entry(entry).status is EntryStatus.SCORED
    assert len({job.run_id for job in bench.jobs.listed()}) == 1


def test_an_entry_without_its_package_waits_and_one_with_another_is_not_run(bench: Bench) -> None:
    missing, other = bench.submit("eagles", "missing"), bench.submit("owls", "other")
    place = package_path(bench.packages, bench.entry(missing).package_sha256)
    data = place.read_bytes()
    place.unlink()
    package_path(bench.packages, bench.entry(other).package_sha256).write_bytes(data)
    bench.work()
    assert bench.entry(missing).status is bench.entry(other).status is EntryStatus.WAITING
    assert any("waits for its package" in text for text in bench.listener.said)
    assert any("is not the package that was handed in" in text for text in bench.listener.said)
    place.write_bytes(data)
    bench.work()
    assert bench.entry(missing).status is EntryStatus.SCORED


def test_amended_dates_leave_the_challenge_as_it_is_and_other_limits_do_not(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "challenge" / "challenge.toml"
    text = path.read_text()
    path.write_text(text.replace("2099", "2098"))
    bench.source(load_challenge(path))
    path.write_text(text.replace("video_seconds = 60", "video_seconds = 61"))
    with pytest.raises(ConfigError, match="not the challenge that the contest was made of"):
        bench.source(load_challenge(path))


def test_a_store_without_the_contest_is_refused(bench: Bench, tmp_path: Path) -> None:
    empty = Store(f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(ConfigError, match="no contest in this store"):
        StoreSource(Ledger(empty, bench.challenge.name), bench.packages, challenge=bench.challenge)


def test_a_worker_that_starts_before_its_database_waits_for_it_and_not_for_one_that_refuses_it() -> None:
    server, said = Postgres(), list[str]()
    try:
        server.kill()

        def say(text: str) -> None:
            said.append(text)
            if len(said) == 1:
                server.start()

        open_store_patiently(server.url, say=say).close()
        assert said[0].startswith("waiting for the database: cannot be used: ")
        assert said[1:] == ["the database is back"]
        with pytest.raises(StoreError, match="does not exist"):
            open_store_patiently(server.url.replace("/postgres?", "/nowhere?"), say=said.append)
        assert len(said) == 2
    finally:
        server.close()
