"""10,000 deaths of drivers, workers and messengers: one outcome for each shard, and the right one.

The world below is a driver's: it claims, workers work, deliveries come late, twice or never, drivers die
between any two steps and are followed while they still try. The database is the real one.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from harness.results.job_key import JobKey
from harness.results.store import Store, drivers, jobs
from harness.results.store.jobs import Job, JobState, NewJob
from harness.results.store.tables import DRIVERS, JOBS

pytestmark = pytest.mark.slow

KILLS = 10_000
SHARDS = 12
WEIGHTS = (8, 6, 4, 4, 2, 1)  # of a world's deeds: kills are the most frequent
SILENT = 30.0
CONTEST = "c"
OVER = {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


@dataclass(kw_only=True)
class World:
    """What there is, dead or alive, and every message that may still arrive."""

    store: Store
    rng: random.Random
    now: datetime = datetime(2030, 1, 1, tzinfo=UTC)
    drivers: list[int] = field(default_factory=list)  # tokens of drivers that think they drive
    claims: list[Job] = field(default_factory=list)  # at work, for whichever driver
    letters: list[Job] = field(default_factory=list)  # outcomes on their way; never lost for good, often late
    accepted: Counter[JobKey] = field(default_factory=Counter)
    attempts: dict[JobKey, tuple[int, int]] = field(default_factory=dict)
    kills: int = 0

    @property
    def deeds(self) -> tuple[Callable[[], None], ...]:
        return (self.kill, self.claim, self.finish, self.deliver, self.follow, self.beat)

    def step(self) -> None:
        self.now += timedelta(seconds=self.rng.expovariate(1 / 3))
        (deed,) = self.rng.choices(self.deeds, WEIGHTS)
        deed()

    def follow(self) -> None:
        row = self.store.write(
            lambda c: drivers.take(c, CONTEST, driver="d", now=self.now, silent_seconds=SILENT)
        )
        if row is not None:
            assert all(row.token > token for token in self.drivers)
            self.drivers.append(row.token)
            self.store.write(self.take_back)

    def take_back(self, c: sa.Connection) -> None:
        """What an earlier driver had claimed waits again, whether or not somebody still works on it."""
        for job in jobs.listed(c, state=JobState.CLAIMED):
            back = partial(jobs.give_back, c, job.key, attempt=job.attempt, token=job.token, now=self.now)
            assert back(note="", faults_max=None) is JobState.WAITING

    def claim(self) -> None:
        if not self.drivers:
            return
        token = self.rng.choice(self.drivers)  # one that was followed tries as well

        def work(c: sa.Connection) -> Job | None:
            if drivers.beat(c, CONTEST, token=token, now=self.now) is None:
                return None
            return jobs.claim(c, worker=str(token), now=self.now)

        job = self.store.write(work)
        if job is not None:
            before = self.attempts.get(job.key, (0, 0))
            assert (job.attempt, job.token) > before, "a claim ran backwards"
            assert self.accepted[job.key] == 0, "what is done was given out again"
            self.attempts[job.key] = (job.attempt, job.token)
            self.claims.append(job)

    def finish(self) -> None:
        if self.claims:
            self.letters.append(self.claims.pop(self.rng.randrange(len(self.claims))))

    def deliver(self) -> None:
        if not self.letters:
            return
        letter = self.rng.choice(self.letters)  # it stays: it may come again, and again
        accepted = self.store.write(
            lambda c: jobs.complete(
                c,
                letter.key,
                attempt=letter.attempt,
                token=letter.token,
                now=self.now,
                outcome=json.dumps([letter.attempt, letter.token]),
            )
        )
        if accepted:
            self.accepted[letter.key] += 1
            assert (letter.attempt, letter.token) == self.attempts[letter.key], "an old attempt was accepted"

    def beat(self) -> None:
        def work(c: sa.Connection) -> None:
            for token in self.drivers:
                drivers.beat(c, CONTEST, token=token, now=self.now)
            for job in self.claims:
                if jobs.holds(c, job.key, attempt=job.attempt, token=job.token):
                    assert self.accepted[job.key] == 0, "what is done is still held"

        self.store.write(work)

    def kill(self) -> None:
        """A worker dies with its work, a driver with all it held, or a claim is given back."""
        self.kills += 1
        fate = self.rng.randrange(4)
        if fate == 0 and self.claims:
            self.claims.pop(self.rng.randrange(len(self.claims)))
        elif fate == 1 and self.drivers:
            self.drivers.pop(self.rng.randrange(len(self.drivers)))
            self.claims.clear()
        elif fate == 2 and self.claims:
            job = self.rng.choice(self.claims)  # the worker goes on, and delivers in vain
            self.store.write(
                lambda c: jobs.give_back(
                    c,
                    job.key,
                    attempt=job.attempt,
                    token=job.token,
                    now=self.now,
                    note="",
                    faults_max=10**9,
                )
            )
        elif self.letters:
            self.letters = self.rng.sample(self.letters, len(self.letters))[:50]

    def check(self, before: dict[JobKey, Job]) -> dict[JobKey, Job]:
        with self.store.read() as connection:
            found = {job.key: job for job in jobs.listed(connection)}
        assert set(found) >= set(before)
        for key, job in found.items():
            old = before.get(key)
            assert (job.state is JobState.DONE) == (self.accepted[key] == 1)
            assert self.accepted[key] <= 1, "an outcome twice"
            if old is not None:
                assert (job.attempt, job.token) >= (old.attempt, old.token), "a state ran backwards"
                assert old.state not in OVER or old == job, "what was over has changed"
        return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    fast = Path(
        "/dev/shm"
    )  # the same database without the disk's flushes: it is the logic that is tried here
    folder = fast if fast.is_dir() else tmp_path
    place = folder / f"{tmp_path.parent.name}-{tmp_path.name}.db"
    found = Store(f"sqlite:///{place}")
    yield found
    found.close()
    for one in place.parent.glob(f"{place.name}*"):
        one.unlink()


def test_ten_thousand_deaths_leave_one_outcome_for_each_shard(store: Store) -> None:
    kills, seed = 0, 0
    while kills < KILLS:
        seed += 1
        rounds = f"r{seed}"
        new = [
            NewJob(
                key=JobKey(run_id=f"{rounds}-{n // 4}", set_name="public", shard=n % 4),
                challenge=CONTEST,
                turn=n,
            )
            for n in range(SHARDS)
        ]
        world = World(store=store, rng=random.Random(seed))
        store.write(partial(jobs.enqueue, jobs=new, now=world.now))
        before: dict[JobKey, Job] = {}
        steps = 0
        while world.kills < 500:
            world.step()
            steps += 1
            if steps % 200 == 0:
                before = world.check(before)
        while sum(world.accepted.values()) < SHARDS:  # the storm is over
            world.now += timedelta(seconds=SILENT + 1)
            for forgotten in (world.drivers, world.claims, world.letters):
                forgotten.clear()
            for deed in (world.follow, world.claim, world.finish, world.deliver):
                deed()
        world.check(before)
        assert sum(world.accepted.values()) == SHARDS
        kills += world.kills
        store.write(lambda c: c.execute(JOBS.delete()))
        store.write(lambda c: c.execute(DRIVERS.delete()))
    assert kills >= KILLS


def test_a_driver_that_was_followed_can_neither_claim_nor_speak_for_its_contest(store: Store) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)

    def take(when: datetime) -> drivers.DriverRow | None:
        return store.write(lambda c: drivers.take(c, CONTEST, driver="d", now=when, silent_seconds=SILENT))

    first = take(now)
    assert first is not None
    assert take(now + timedelta(seconds=SILENT - 1)) is None
    second = take(now + timedelta(seconds=SILENT + 1))
    assert second is not None
    assert second.token > first.token
    assert store.write(lambda c: drivers.beat(c, CONTEST, token=first.token, now=now)) is None
    store.write(lambda c: drivers.leave(c, CONTEST, token=first.token))
    assert store.write(lambda c: drivers.beat(c, CONTEST, token=second.token, now=now)) is drivers.Wish.RUN


def test_a_driver_that_is_known_to_be_dead_is_followed_at_once(store: Store) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    for dead, expected in ((False, True), (False, False), (True, True)):
        row = store.write(
            partial(drivers.take, challenge=CONTEST, driver="d", now=now, silent_seconds=SILENT, dead=dead)
        )
        assert (row is not None) is expected


def test_a_failed_or_cancelled_shard_waits_again_only_if_the_organiser_says_so(store: Store) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    key = JobKey(run_id="r", set_name="public")
    store.write(lambda c: jobs.enqueue(c, [NewJob(key=key, challenge=CONTEST)], now=now))
    claimed = store.write(lambda c: jobs.claim(c, worker="w", now=now))
    assert claimed is not None
    assert store.write(lambda c: jobs.cancel(c, run_id="r", now=now)) == 1
    assert store.write(lambda c: jobs.claim(c, worker="w", now=now)) is None
    assert store.write(lambda c: jobs.requeue(c, run_id="r", now=now)) == 1
    again = store.write(lambda c: jobs.claim(c, worker="w", now=now))
    assert again is not None
    assert (again.attempt, again.token) > (claimed.attempt, claimed.token)
    late = partial(
        jobs.complete, key=key, attempt=claimed.attempt, token=claimed.token, now=now, outcome="{}"
    )
    assert not store.write(late)
    assert store.write(lambda c: jobs.requeue(c, run_id="r", now=now)) == 0
