"""A set cut into shards: every video once, in orders of their own, and judged as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contest.shards import Shard, cut, differing, shards_of, together
from harness.core.types import (
    FailureRule,
    Limits,
    Mode,
    Outcome,
    OutcomeKind,
    PreparedVideo,
    SetName,
    Terms,
    Verdict,
)
from harness.gateway.set_run import SetRun, verdict_of

PUBLIC = SetName.PUBLIC


def videos(count: int) -> tuple[PreparedVideo, ...]:
    return tuple(
        PreparedVideo(video_id=f"v{n}.mp4", path=Path(f"v{n}.mp4"), source_id=f"s{n}", sha256=f"{n:064x}")
        for n in range(count)
    )


def run_of(
    shard: Shard, kinds: list[OutcomeKind], terms: Terms, ending: Verdict | None = None, restarts: int = 0
) -> SetRun:
    outcomes = tuple(
        Outcome(
            video_id=video.video_id,
            kind=kind,
            probability=0.5 if kind is OutcomeKind.PREDICTED else None,
            wall_seconds=1.0,
        )
        for video, kind in zip(shard.videos, kinds, strict=True)
    )
    return SetRun(
        verdict=verdict_of(kinds, terms=terms, ending=ending),
        detail="",
        outcomes=outcomes,
        isolation="docker",
        billed_seconds=float(len(outcomes)),
        budget_seconds=terms.limits.mean_video_seconds * len(outcomes),
        restarts=restarts,
        ending=ending,
    )


@given(count=st.integers(1, 200), parts=st.integers(1, 50), seed=st.integers(0, 2**63 - 1))
def test_every_video_is_in_one_shard_and_sizes_differ_by_one(count: int, parts: int, seed: int) -> None:
    found = cut(PUBLIC, videos(count), shards=parts, order_seed=seed)
    assert sorted(v.video_id for shard in found for v in shard.videos) == sorted(
        v.video_id for v in videos(count)
    )
    sizes = [len(shard.videos) for shard in found]
    assert len(sizes) == min(count, parts)
    assert max(sizes) - min(sizes) <= 1
    assert [shard.number for shard in found] == list(range(len(found)))
    assert found == cut(PUBLIC, videos(count), shards=parts, order_seed=seed)


def test_one_shard_is_the_set_as_a_run_without_shards_shows_it() -> None:
    (only,) = cut(PUBLIC, videos(5), shards=1, order_seed=7)
    assert (only.videos, only.order_seed) == (videos(5), 7)


def test_sets_seeds_and_shards_have_orders_of_their_own() -> None:
    one = cut(PUBLIC, videos(40), shards=4, order_seed=1)
    assert one != cut(PUBLIC, videos(40), shards=4, order_seed=2)
    assert one != cut(SetName.PRIVATE, videos(40), shards=4, order_seed=1)
    assert len({shard.order_seed for shard in one}) == 4


def test_which_shard_a_video_comes_to_does_not_follow_the_order_of_the_set() -> None:
    first = cut(PUBLIC, videos(100), shards=2, order_seed=1)[0]
    early = sum(int(video.video_id[1:-4]) < 50 for video in first.videos)
    assert 10 < early < 40


def test_no_video_and_no_shard_are_refused() -> None:
    with pytest.raises(ValueError, match="0 videos"):
        cut(PUBLIC, (), shards=1, order_seed=1)
    with pytest.raises(ValueError, match="0 shards"):
        cut(PUBLIC, videos(1), shards=0, order_seed=1)


@pytest.mark.parametrize(
    ("count", "mode", "shard_videos", "expected"),
    [
        (100, Mode.STREAM, None, 1),
        (100, Mode.STREAM, 30, 4),
        (100, Mode.STREAM, 1000, 1),
        (100, Mode.BATCH, 30, 1),
    ],
)
def test_batch_packages_are_never_cut(
    count: int, mode: Mode, shard_videos: int | None, expected: int
) -> None:
    assert shards_of(count, mode=mode, shard_videos=shard_videos) == expected


KINDS = st.sampled_from([kind for kind in OutcomeKind if kind is not OutcomeKind.NOT_REACHED])
RULES = st.sampled_from(list(FailureRule))


@given(
    kinds=st.lists(KINDS, min_size=1, max_size=40),
    parts=st.integers(1, 8),
    rule=RULES,
    seed=st.integers(0, 99),
)
def test_the_whole_is_judged_like_a_set_that_was_never_cut(
    kinds: list[OutcomeKind], parts: int, rule: FailureRule, seed: int
) -> None:
    terms = Terms(failure_rule=rule, limits=Limits(restarts=1000))
    shards = cut(PUBLIC, videos(len(kinds)), shards=parts, order_seed=seed)
    of_video = dict(zip((v.video_id for v in videos(len(kinds))), kinds, strict=True))
    runs = {s.number: run_of(s, [of_video[v.video_id] for v in s.videos], terms) for s in shards}
    whole = together(runs, shards, terms=terms)
    assert whole.verdict is verdict_of(kinds, terms=terms)
    assert {outcome.video_id: outcome.kind for outcome in whole.outcomes} == of_video
    assert whole.budget_seconds == pytest.approx(terms.limits.mean_video_seconds * len(kinds))
    assert whole.billed_seconds == pytest.approx(len(kinds))


@given(ending=st.sampled_from([v for v in Verdict if v is not Verdict.OK]), where=st.integers(0, 2))
def test_what_ends_a_shard_ends_the_set(ending: Verdict, where: int) -> None:
    terms = Terms()
    shards = cut(PUBLIC, videos(9), shards=3, order_seed=1)
    runs = {
        s.number: run_of(s, [OutcomeKind.PREDICTED] * 3, terms, ending if s.number == where else None)
        for s in shards
    }
    assert together(runs, shards, terms=terms).verdict is ending


def test_shards_that_each_kept_to_the_limit_of_replacements_may_break_it_together() -> None:
    terms = Terms(limits=Limits(restarts=3))
    shards = cut(PUBLIC, videos(40), shards=2, order_seed=1)
    kinds = [OutcomeKind.MEMORY_LIMIT, OutcomeKind.RUNTIME_ERROR, *[OutcomeKind.PREDICTED] * 18]
    within = {s.number: run_of(s, kinds, terms, restarts=s.number + 1) for s in shards}
    assert together(within, shards, terms=terms).ending is None
    over = {s.number: run_of(s, kinds, terms, restarts=2) for s in shards}
    whole = together(over, shards, terms=terms)
    assert whole.ending is Verdict.MEMORY_LIMIT
    assert whole.verdict is Verdict.MEMORY_LIMIT
    assert "lost 4 times, 3 are replaced" in whole.detail


def test_a_missing_shard_and_one_of_other_videos_are_refused() -> None:
    terms = Terms()
    shards = cut(PUBLIC, videos(4), shards=2, order_seed=1)
    runs = {s.number: run_of(s, [OutcomeKind.PREDICTED] * 2, terms) for s in shards}
    with pytest.raises(ValueError, match="there are 2 shards"):
        together({0: runs[0]}, shards, terms=terms)
    with pytest.raises(ValueError, match="other videos"):
        together({0: runs[1], 1: runs[0]}, shards, terms=terms)


def test_answers_that_sharding_changed_are_named() -> None:
    def answer(video: str, probability: float | None) -> Outcome:
        kind = OutcomeKind.RUNTIME_ERROR if probability is None else OutcomeKind.PREDICTED
        return Outcome(video_id=video, kind=kind, probability=probability)

    one = [answer("a", 0.1), answer("b", 0.2), answer("c", None), answer("d", None), answer("e", 0.5)]
    other = [answer("a", 0.1 + 1e-9), answer("b", 0.3), answer("c", None), answer("d", 0.4)]
    assert differing(one, other, tolerance=1e-6) == ("b", "d")


def test_a_worker_loads_no_database() -> None:
    """Every worker of every node imports this before its first shard; SQLAlchemy was half of that time."""
    code = "import sys, harness.contest.shard_job; sys.exit('sqlalchemy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
