"""The store beyond the index of runs: events, jobs, migrations, many writers; on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from harness.contest.ledger import Accepted, Ledger, rebuild, restore
from harness.contest.rules import Refusal, Rule
from harness.contest.rules import commands as cm
from harness.core.contest import ContestRules
from harness.core.errors import ConfigError, ResultError
from harness.results.job_key import JobKey
from harness.results.store import Store, event_log, jobs
from harness.results.store.chain import GENESIS, Record, digest_of, link, verify
from harness.results.store.event_log import OthersWereFaster
from harness.results.store.jobs import JobState, NewJob
from harness.results.store.migrate import NEWEST, SCRIPTS, VERSION_TABLE
from harness.results.store.tables import METADATA

pytestmark = pytest.mark.slow

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
SHA = "0" * 64
WRITERS = 8
KEY = JobKey(run_id="r1", set_name="public")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    found = Store(url)
    yield found
    found.close()


def rules(**changes: object) -> ContestRules:
    plain: dict[str, object] = {
        "timezone": "UTC",
        "opens": NOON - timedelta(days=1),
        "closes": NOON + timedelta(days=60),
    }
    return ContestRules.model_validate(plain | changes)


def begin(store: Store, **changes: object) -> Ledger:
    ledger = Ledger(store, "c", path="/somewhere/challenge.toml")
    made = cm.CreateContest(challenge="c", challenge_sha256=SHA, public_decimals=4, rules=rules(**changes))
    assert isinstance(ledger.ask(made, now=NOON), Accepted)
    assert isinstance(ledger.ask(cm.RegisterTeam(team="us", name="Us"), now=NOON), Accepted)
    return ledger


def submission(entry: str) -> cm.Submit:
    return cm.Submit(entry=entry, team="us", package_sha256=SHA, external_data=())


def test_migrations_leave_the_tables_that_the_code_knows(store: Store) -> None:
    with store.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, METADATA) == []
        assert connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() == NEWEST


def test_an_index_of_the_releases_before_migrations_keeps_its_rows(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE harness_store (schema_version INTEGER PRIMARY KEY)",
            "INSERT INTO harness_store VALUES (1)",
            "CREATE TABLE harness_runs (run_id VARCHAR(128) PRIMARY KEY, created VARCHAR(40) NOT NULL,"
            " challenge VARCHAR(64) NOT NULL, challenge_sha256 VARCHAR(64) NOT NULL, package TEXT NOT NULL,"
            " package_sha256 VARCHAR(64) NOT NULL, image_digest TEXT NOT NULL,"
            " isolation VARCHAR(40) NOT NULL,"
            " public_verdict VARCHAR(40), private_verdict VARCHAR(40), public_log_loss DOUBLE PRECISION,"
            " private_log_loss DOUBLE PRECISION, eligible BOOLEAN NOT NULL, team TEXT,"
            " submitted VARCHAR(40))",
            "CREATE INDEX ix_harness_runs_challenge_sha256 ON harness_runs (challenge_sha256)",
            "CREATE INDEX ix_harness_runs_team ON harness_runs (team)",
            f"INSERT INTO harness_runs VALUES ('r1', '2020', 'c', '{SHA}', 'p', '{SHA}', 'i', 'docker', 'OK',"
            " 'OK', 0.5, 0.6, true, 'us', '2020')",
        ):
            connection.execute(sa.text(statement))
    engine.dispose()
    store = Store(url)
    (row,) = store.runs()
    assert (row.run_id, row.team, row.public_log_loss, row.result_sha256) == ("r1", "us", 0.5, None)
    assert [one.team for one in store.leaderboard(challenge_sha256=SHA)] == ["us"]
    with store.read() as connection:
        assert not sa.inspect(connection).has_table("harness_store")
    store.close()


def test_a_store_with_leases_keeps_its_jobs_waiting_claimed_and_done(url: str) -> None:
    """What v0007 left: the driver that follows must find what the one before had claimed."""
    engine = sa.create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    columns = (
        "run_id, set_name, shard, challenge, turn, enqueued, state, attempt, token, worker, claimed,"
        " heartbeat, lease_until, faults"
    )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "v0007")
        for shard, state in enumerate(("waiting", "claimed", "done")):
            worker = "NULL, NULL, NULL, NULL" if state == "waiting" else "'w', '2030', '2030', '2031'"
            row = f"'r1', 'public', {shard}, 'c', 0, '2030', '{state}', 2, 7, {worker}, 1"
            connection.execute(sa.text(f"INSERT INTO harness_jobs ({columns}) VALUES ({row})"))
    engine.dispose()
    store = Store(url)
    with store.read() as connection:
        found = {job.shard: job for job in jobs.listed(connection)}
        names = {one["name"] for one in sa.inspect(connection).get_columns("harness_jobs")}
        indices = {one["name"] for one in sa.inspect(connection).get_indexes("harness_jobs")}
    assert [found[n].state for n in range(3)] == [JobState.WAITING, JobState.CLAIMED, JobState.DONE]
    assert {(job.attempt, job.token, job.faults) for job in found.values()} == {(2, 7, 1)}
    assert [found[n].worker for n in range(3)] == [None, "w", "w"]
    assert not names & {"heartbeat", "lease_until"}
    assert "ix_harness_jobs_claim" in indices
    assert "ix_harness_jobs_lease" not in indices
    assert _give_back(store, found[1], faults_max=None) is JobState.WAITING
    store.close()


def test_whoever_decided_on_too_few_events_writes_nothing(store: Store) -> None:
    store.write(lambda connection: event_log.append(connection, "c", [{"a": 1}, {"a": 2}], after=0))
    for after in (0, 1, 3):
        with pytest.raises(OthersWereFaster):
            store.write(partial(event_log.append, challenge="c", documents=[{}], after=after))
    with store.read() as connection:
        found = event_log.read(connection, "c")
    assert [one.document for one in found] == [{"a": 1}, {"a": 2}]
    assert verify(found) == ()


@pytest.mark.parametrize(
    "tamper",
    [
        lambda chain: [replace(chain[0], event='{"a":9}'), *chain[1:]],
        lambda chain: chain[1:],
        lambda chain: [chain[0], chain[2]],
        lambda chain: [chain[1], chain[0], chain[2]],
        lambda chain: [chain[0], *chain],
        lambda chain: [*chain[:2], replace(chain[2], previous=GENESIS)],
        lambda chain: [replace(one, challenge="other") for one in chain],
        lambda chain: chain[:2],  # the end is missing: the published head tells
        lambda chain: list(link("c", [{"a": 9}, {"b": 2}, {"c": 3}])),  # all of it anew: likewise
    ],
)
def test_every_change_to_a_log_is_noticed(tamper: object) -> None:
    chain = list(link("c", [{"a": 1}, {"b": 2}, {"c": 3}]))
    head = chain[-1].sha256
    assert verify(chain, head=head, events=3) == ()
    assert callable(tamper)
    assert verify(tamper(chain), head=head, events=3) != ()


def test_one_changed_event_alone_is_noticed_without_the_head() -> None:
    chain = list(link("c", [{"a": 1}, {"b": 2}, {"c": 3}]))
    changed = replace(chain[1], event='{"b":9}')
    resealed = replace(changed, sha256=digest_of("c", 2, changed.previous, changed.event))
    assert verify([chain[0], changed, chain[2]]) == ("event 2 was changed",)
    assert verify([chain[0], resealed, chain[2]]) == ("event 3 does not follow its predecessor",)


def test_a_log_that_was_changed_in_the_database_is_noticed(store: Store) -> None:
    ledger = begin(store)
    assert ledger.problems() == ()
    store.write(
        lambda connection: connection.execute(
            sa.text("UPDATE harness_events SET event = replace(event, 'Us', 'Them') WHERE number = 3")
        )
    )
    assert Ledger(store, "c").problems() == ("event 3 was changed",)
    with pytest.raises(ResultError, match="event 3"):
        rebuild(store)


def test_rows_are_made_again_from_events_and_a_log_brings_a_contest_back(
    store: Store, tmp_path: Path
) -> None:
    ledger = begin(store)
    ledger.ask(submission("e1"), now=NOON)
    ledger.ask(cm.GrantTries(team="us", tries=2, reason="x"), now=NOON)

    def rows(of: Store) -> tuple[object, ...]:
        with of.read() as connection:
            return (
                event_log.teams(connection, "c"),
                event_log.entries(connection, "c"),
                event_log.contests(connection),
            )

    before = rows(store)
    store.write(lambda connection: connection.execute(sa.text("DELETE FROM harness_entries")))
    store.write(lambda connection: connection.execute(sa.text("UPDATE harness_teams SET granted = 99")))
    assert rebuild(store) == ("c",)
    assert rows(store) == before
    other = Store(f"sqlite:///{tmp_path / 'other.db'}")
    assert restore(other, ledger.log(), path="/somewhere/challenge.toml") == "c"
    assert rows(other) == before
    assert Ledger(other, "c").state() == ledger.state()
    with pytest.raises(ConfigError):
        restore(other, ledger.log())
    other.close()


def test_what_else_is_written_with_a_decision_is_there_exactly_if_the_decision_is(store: Store) -> None:
    ledger = begin(store, total=1)

    def also(connection: sa.Connection, _state: object, _events: object) -> None:
        jobs.enqueue(connection, [NewJob(key=KEY, challenge="c")], now=NOON)

    assert isinstance(ledger.ask(submission("e1"), now=NOON, also=also), Accepted)
    again = ledger.ask(submission("e2"), now=NOON, also=lambda *_: pytest.fail("refused"))
    assert isinstance(again, Refusal)
    assert again.rule is Rule.TOTAL

    def fails(*_: object) -> None:
        raise RuntimeError("the disk")

    number = ledger.state().events
    with pytest.raises(RuntimeError):
        ledger.ask(cm.GrantTries(team="us", tries=1, reason="x"), now=NOON, also=fails)
    assert Ledger(store, "c").state().events == number


def _hand_in(url: str, writer: int) -> int:
    store = Store(url)
    ledger = Ledger(store, "c")
    try:
        return sum(
            isinstance(ledger.ask(submission(f"e{writer}-{number}"), now=NOON), Accepted)
            for number in range(8)
        )
    finally:
        store.close()


def _work(url: str, worker: int) -> list[str]:
    store, done = Store(url), []
    try:
        while (
            job := store.write(lambda connection: jobs.claim(connection, worker=str(worker), now=NOON))
        ) is not None:
            accepted = store.write(
                partial(
                    jobs.complete,
                    key=job.key,
                    attempt=job.attempt,
                    token=job.token,
                    now=NOON,
                    outcome=str(worker),
                )
            )
            assert accepted
            done.append(job.run_id)
    finally:
        store.close()
    return done


def test_eight_processes_lose_nothing_and_do_nothing_twice(url: str) -> None:
    """Entries against one quota, then jobs out of one queue."""
    store = Store(url)
    ledger = begin(store, valid_per_day=20)
    names = [f"r{number:02d}" for number in range(40)]
    new = [NewJob(key=JobKey(run_id=name, set_name="public"), challenge="c") for name in names]
    assert store.write(lambda connection: jobs.enqueue(connection, new, now=NOON)) == len(names)
    # Fresh processes, but what they need is loaded once: eight times it would be most of this test.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "alembic.autogenerate", "harness.contest.ledger"])
    with context.Pool(WRITERS) as pool:
        taken = pool.starmap(_hand_in, [(url, number) for number in range(WRITERS)])
        done = pool.starmap(_work, [(url, number) for number in range(WRITERS)])
    assert sum(taken) == 20
    state = ledger.state()
    assert len(state.entries) == 20
    assert ledger.problems() == ()
    assert sorted(name for one in done for name in one) == names
    with store.read() as connection:
        assert [job.state for job in jobs.listed(connection)] == [JobState.DONE] * len(names)
        assert len(event_log.entries(connection, "c")) == 20
    store.close()


def _job(store: Store, now: datetime = NOON) -> jobs.Job:
    found = store.write(lambda one: jobs.claim(one, worker="w", now=now))
    assert found is not None
    return found


def _enqueue(store: Store, *new: NewJob) -> int:
    return store.write(lambda connection: jobs.enqueue(connection, new, now=NOON))


def test_a_late_or_repeated_delivery_changes_nothing(store: Store) -> None:
    assert _enqueue(store, NewJob(key=KEY, challenge="c")) == 1
    assert _enqueue(store, NewJob(key=KEY, challenge="c")) == 0
    first = _job(store)
    late = NOON + timedelta(seconds=61)
    assert _give_back(store, first, late, faults_max=3) is JobState.WAITING
    second = _job(store, late)
    assert second.token > first.token

    def deliver(job: jobs.Job, outcome: str) -> bool:
        return store.write(
            lambda one: jobs.complete(
                one, job.key, attempt=job.attempt, token=job.token, now=late, outcome=outcome
            )
        )

    assert not deliver(first, "late")
    assert deliver(second, "right")
    assert not deliver(second, "twice")
    with store.read() as connection:
        (job,) = jobs.listed(connection)
    assert (job.state, job.outcome, job.attempt) == (JobState.DONE, "right", 2)


def test_a_claim_is_held_by_its_own_token_only_and_a_cancelled_run_ends_it(store: Store) -> None:
    _enqueue(store, NewJob(key=KEY, challenge="c"))
    job = _job(store)

    def holds(attempt: int, token: int) -> bool:
        return store.write(lambda one: jobs.holds(one, job.key, attempt=attempt, token=token))

    assert holds(job.attempt, job.token)
    assert not holds(job.attempt + 1, job.token)
    assert not holds(job.attempt, job.token - 1)
    assert store.write(lambda one: jobs.cancel(one, run_id="r1", now=NOON, note="withdrawn")) == 1
    assert not holds(job.attempt, job.token)
    assert store.write(lambda one: jobs.claim(one, worker="w", now=NOON)) is None


def _give_back(
    store: Store, job: jobs.Job, now: datetime = NOON, *, faults_max: int | None
) -> JobState | None:
    back = partial(jobs.give_back, key=job.key, attempt=job.attempt, token=job.token, now=now, note="disk")
    return store.write(partial(back, faults_max=faults_max))


def test_a_job_that_is_given_back_too_often_has_failed(store: Store) -> None:
    _enqueue(store, NewJob(key=KEY, challenge="c"))
    states = [_give_back(store, _job(store), faults_max=2) for _ in range(2)]
    assert states == [JobState.WAITING, JobState.FAILED]


def test_a_driver_that_was_stopped_often_is_no_fault_of_its_job_and_requeued_ones_begin_anew(
    store: Store,
) -> None:
    _enqueue(store, NewJob(key=KEY, challenge="c"))
    for _ in range(9):
        assert _give_back(store, _job(store), faults_max=None) is JobState.WAITING
    assert _give_back(store, _job(store), faults_max=2) is JobState.WAITING
    assert _give_back(store, _job(store), faults_max=2) is JobState.FAILED
    assert store.write(lambda one: jobs.requeue(one, run_id=KEY.run_id, now=NOON)) == 1
    assert _give_back(store, _job(store), faults_max=2) is JobState.WAITING


def test_after_the_first_fault_a_job_is_tried_at_once_and_then_ever_later(store: Store) -> None:
    _enqueue(store, NewJob(key=KEY, challenge="c"))
    now, pauses = NOON, []
    for _ in range(6):
        assert _give_back(store, _job(store, now), now, faults_max=99) is JobState.WAITING
        began, job = now, None
        while job is None:
            job = store.write(partial(jobs.claim, worker="w", now=now))
            now += timedelta(seconds=0 if job else 5)
        assert _give_back(store, job, now, faults_max=None) is JobState.WAITING
        pauses.append((now - began).total_seconds())
    assert pauses == [0, 10, 40, 160, 300, 300]


def test_teams_take_turns(store: Store) -> None:
    for team, turns in (("a", (0, 1, 2)), ("b", (0,))):
        for turn in turns:
            key = JobKey(run_id=f"{team}{turn}", set_name="public")
            _enqueue(store, NewJob(key=key, challenge="c", team=team, turn=turn))
    assert [_job(store).run_id for _ in range(4)] == ["a0", "b0", "a1", "a2"]


def test_a_record_survives_json() -> None:
    (record,) = link("c", [{"name": "Équipe \u0000 面"}])
    copy = Record(**json.loads(json.dumps(record.__dict__)))
    assert verify([copy], head=record.sha256) == ()
    assert copy.document == {"name": "Équipe \u0000 面"}
