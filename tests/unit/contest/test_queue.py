"""The place in the queue, and the time until a result."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contest.accepted_shard import AcceptedShard
from harness.contest.events import ContestPhase, Purse
from harness.contest.queue import queue_of
from harness.contest.state import Entry, EntryStatus, State
from harness.results.store.jobs import Job, JobState

MOMENT = datetime(2026, 11, 27, tzinfo=UTC)


def entry(number: int, team: str, status: EntryStatus = EntryStatus.WAITING) -> Entry:
    return Entry(
        entry=f"e{number}",
        team=team,
        package_sha256="0" * 64,
        submitted=MOMENT,
        day=date(2026, 11, 27),
        phase=ContestPhase.OPEN,
        paid_by=Purse.QUOTA,
        number=number,
        status=status,
    )


def state(*entries: Entry) -> State:
    return State(challenge="c", entries={one.entry: one for one in entries})


def job(name: str, where: JobState, *, set_name: str = "public", seconds: float = 0.0) -> Job:
    accepted = AcceptedShard(
        file="f", sha256="", videos=4, seconds=seconds, billed_seconds=0, startup_seconds=0, fetch_seconds=0,
        node="here",
    )  # fmt: skip
    nothing = dict.fromkeys(("worker", "claimed", "finished", "note"))
    later: dict[str, Any] = {**nothing, "faults": 0, "not_before": None}
    return Job(
        run_id=f"run-{name}", set_name=set_name, shard=0, challenge="c", entry=name, team="t", turn=0,
        enqueued="", state=where, attempt=1, token=1, videos=4, videos_done=None,
        outcome=json.dumps(accepted.__dict__) if where is JobState.DONE else None, **later,
    )  # fmt: skip


def test_teams_take_turns() -> None:
    found = queue_of(state(entry(1, "many"), entry(2, "many"), entry(3, "many"), entry(4, "few")), [])
    assert {name: one.place for name, one in found.items()} == {"e1": 1, "e4": 2, "e2": 3, "e3": 4}


def test_what_runs_is_before_what_waits_and_has_no_place() -> None:
    found = queue_of(state(entry(1, "a"), entry(2, "b", EntryStatus.RUNNING)), [])
    assert (found["e2"].place, found["e1"].place, found["e1"].of) == (0, 1, 2)


def test_nothing_is_foretold_before_anything_has_finished() -> None:
    found = queue_of(state(entry(1, "a")), [job("e1", JobState.WAITING)])
    assert (found["e1"].seconds, found["e1"].error_seconds) == (None, None)


def test_time_is_that_of_finished_runs_and_its_error_by_how_much_they_differ() -> None:
    done = [job(f"d{n}", JobState.DONE, seconds=seconds) for n, seconds in enumerate((80.0, 100.0, 120.0))]
    found = queue_of(state(entry(1, "a"), entry(2, "b")), done)
    assert found["e1"].seconds == pytest.approx(100)
    assert found["e2"].seconds == pytest.approx(200)
    assert found["e1"].error_seconds == pytest.approx(2 * 20)
    assert found["e2"].error_seconds == pytest.approx(2 * 20 * 2**0.5)


def test_what_is_done_of_a_run_is_taken_off_and_places_share_the_work() -> None:
    listed = [
        job("d", JobState.DONE, seconds=100.0),
        job("e1", JobState.DONE, seconds=50.0),
        job("e1", JobState.CLAIMED, set_name="private"),
        job("e2", JobState.CLAIMED),
    ]
    running = state(entry(1, "a", EntryStatus.RUNNING), entry(2, "b", EntryStatus.RUNNING), entry(3, "c"))
    found = queue_of(running, listed)
    assert found["e1"].seconds == pytest.approx(0.5 * 100 / 2)
    assert found["e2"].seconds == pytest.approx(1.5 * 100 / 2)
    assert found["e3"].seconds == pytest.approx(2.5 * 100 / 2)


def counted(
    name: str, where: JobState, done: int | None, *, set_name: str = "public", seconds: int = 0
) -> Job:
    claimed = None if where is JobState.WAITING else (MOMENT - timedelta(seconds=seconds)).isoformat()
    return replace(job(name, where, set_name=set_name), videos_done=done, claimed=claimed)


def test_before_anything_has_finished_the_public_videos_of_what_runs_tell_and_private_ones_never_do() -> None:
    running = state(entry(1, "a", EntryStatus.RUNNING), entry(2, "b"))
    first = counted("e1", JobState.CLAIMED, 1, seconds=30)
    second = counted("e1", JobState.WAITING, None, set_name="private")
    found = queue_of(running, [first, second], now=MOMENT)
    assert found["e1"].seconds == pytest.approx(240 - 30)  # a quarter of one of two shards in 30 s
    assert found["e2"].seconds == pytest.approx(2 * 240 - 30)
    none = queue_of(running, [replace(first, videos_done=0), second], now=MOMENT)
    assert none["e1"].seconds is None
    over = job("e1", JobState.DONE, seconds=100.0)
    by_private = {
        queue_of(running, [over, counted("e1", JobState.CLAIMED, done, set_name="private")], now=MOMENT)["e1"]
        for done in (None, 0, 1, 4)
    }
    assert [one.seconds for one in by_private] == [pytest.approx(100)]


@given(st.lists(st.sampled_from("abcd"), max_size=20))
def test_every_open_entry_has_a_place_of_its_own_and_no_team_is_two_turns_ahead(teams: list[str]) -> None:
    entries = [entry(number, team) for number, team in enumerate(teams, start=1)]
    found = queue_of(state(*entries), [])
    assert sorted(one.place for one in found.values()) == list(range(1, len(teams) + 1))
    order = sorted(entries, key=lambda one: found[one.entry].place)
    seen: dict[str, int] = {}
    turns = [seen.update({one.team: seen.get(one.team, -1) + 1}) or seen[one.team] for one in order]
    assert turns == sorted(turns)
