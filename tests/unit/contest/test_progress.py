"""How long a contest will still take, by what is known at the moment."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness.contest.accepted_shard import AcceptedShard
from harness.contest.plan import VIDEO_SECONDS
from harness.contest.progress import progress_of
from harness.results.store.jobs import Job, JobState

NOW = datetime(2030, 1, 1, tzinfo=UTC)
STARTUP = 5.0


def job(run: str, state: JobState, *, shard: int = 0, videos: int = 10, **changes: Any) -> Job:
    """One shard that takes 5 s and a second for each video."""
    nothing: dict[str, Any] = dict.fromkeys(field.name for field in fields(Job))
    own = {"run_id": run, "set_name": "private", "shard": shard, "state": state, "attempt": 1}
    outcome = AcceptedShard(
        file="f", sha256="", videos=videos, seconds=STARTUP + videos, startup_seconds=STARTUP,
        billed_seconds=videos * (1 - VIDEO_SECONDS), fetch_seconds=0, node="here",
    )  # fmt: skip
    done = {"outcome": outcome.to_json() if state is JobState.DONE else None}
    return Job(**nothing | own | {"videos": videos} | done | changes)


def test_a_large_set_takes_by_its_videos_and_not_by_what_a_small_one_took() -> None:
    listed = [job("a", JobState.DONE), job("a", JobState.WAITING, shard=1, videos=1000)]
    assert progress_of(listed, places=1).left_seconds == pytest.approx(STARTUP + 1000)


def test_entries_that_nobody_has_opened_count_as_a_run_in_the_mean() -> None:
    listed = [job("a", JobState.DONE), job("b", JobState.WAITING)]
    found = progress_of(listed, places=2, unseen=9)
    assert found.left_work_seconds == pytest.approx(10 * 15.0)
    assert found.left_seconds == pytest.approx(75.0)


def test_all_is_done_no_sooner_than_the_longest_shard_however_many_places_there_are() -> None:
    listed = [job("a", JobState.DONE), job("a", JobState.WAITING, shard=1, videos=1000)]
    assert progress_of(listed, places=64).left_seconds == pytest.approx(STARTUP + 1000)


def test_what_a_shard_at_work_was_given_is_taken_off_and_nothing_is_ever_below_nought() -> None:
    claimed = (NOW - timedelta(seconds=9)).isoformat()
    late = (NOW - timedelta(days=9)).isoformat()
    listed = [job("a", JobState.DONE), job("a", JobState.CLAIMED, shard=1, claimed=claimed)]
    assert progress_of(listed, places=1, now=NOW).left_seconds == pytest.approx(6.0)
    listed[1] = job("a", JobState.CLAIMED, shard=1, claimed=late)
    assert progress_of(listed, places=1, now=NOW).left_seconds == 0.0


def test_before_anything_is_done_and_where_no_video_was_asked_for_nobody_knows() -> None:
    assert progress_of([job("a", JobState.WAITING)], places=1, unseen=5).left_seconds is None
    assert progress_of([job("a", JobState.DONE, videos=0)], places=1, unseen=5).left_seconds is None
    assert progress_of([], places=1).left_seconds is None
