"""Steady, fickle, and hanging on the order: packages that are plain functions, and what is said of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.types import Mode, Outcome, OutcomeKind, PreparedVideo, SetName
from harness.gateway.staging import shuffled
from harness.scoring.repeatability import (
    DUPLICATES_MAX,
    TOLERANCE,
    Pass,
    Repeatability,
    Steadiness,
    ask_again,
    in_words,
    plan_pass,
)

Answer = float | None
Package = Callable[
    [PreparedVideo, int, Sequence[PreparedVideo]], Answer
]  # video, its turn, those seen before


def videos(count: int) -> tuple[PreparedVideo, ...]:
    return tuple(
        PreparedVideo(video_id=f"v{n}.mp4", path=Path(f"v{n}.mp4"), source_id=f"s{n}.mp4", sha256=f"{n:064x}")
        for n in range(count)
    )


def picture(video: PreparedVideo) -> float:
    return (int(video.sha256, 16) % 97) / 97


def fed(package: Package, shown: Sequence[PreparedVideo], order_seed: int) -> list[Outcome]:
    ordered = shuffled(shown, order_seed)
    outcomes = []
    for turn, video in enumerate(ordered):
        answer = package(video, turn, ordered[:turn])
        kind = OutcomeKind.RUNTIME_ERROR if answer is None else OutcomeKind.PREDICTED
        outcomes.append(Outcome(video_id=video.video_id, kind=kind, probability=answer))
    return sorted(outcomes, key=lambda one: one.video_id)


def asked(
    package: Package, *, count: int = 10, passes: int = 2, mode: Mode = Mode.STREAM
) -> tuple[Repeatability, list[Pass]]:
    done: list[Pass] = []

    def run(planned: Pass) -> list[Outcome]:
        done.append(planned)
        return fed(package, planned.videos, planned.order_seed)

    shown = videos(count)
    found = ask_again(
        SetName.PUBLIC, shown, fed(package, shown, 7), seed=7, passes=passes, mode=mode, run=run
    )
    return found, done


def steady(video: PreparedVideo, turn: int, seen: Sequence[PreparedVideo]) -> Answer:
    return picture(video)


def by_turn(video: PreparedVideo, turn: int, seen: Sequence[PreparedVideo]) -> Answer:
    return turn / 100


def remembers(video: PreparedVideo, turn: int, seen: Sequence[PreparedVideo]) -> Answer:
    return 0.9 if any(one.sha256 == video.sha256 for one in seen) else picture(video)


def crashes_on_the_second_look(video: PreparedVideo, turn: int, seen: Sequence[PreparedVideo]) -> Answer:
    return None if any(one.sha256 == video.sha256 for one in seen) else 0.5


def fickle(seed: int = 3) -> Package:
    rng = np.random.default_rng(seed)
    return lambda video, turn, seen: float(rng.random())


def reads_the_name(video: PreparedVideo, turn: int, seen: Sequence[PreparedVideo]) -> Answer:
    return (hash(video.video_id) % 101) / 101


def test_a_steady_package_is_said_to_be_so_and_costs_no_further_pass() -> None:
    found, done = asked(steady, passes=3)
    assert found.steadiness is Steadiness.DETERMINISTIC
    assert (found.passes, found.compared, found.differing, found.largest_difference) == (3, 10, 0, 0.0)
    assert [one.number for one in done] == [2, 3]


@pytest.mark.parametrize("package", [by_turn, remembers, crashes_on_the_second_look])
def test_what_hangs_on_the_order_or_on_earlier_videos_is_told_apart_from_chance(package: Package) -> None:
    found, done = asked(package)
    assert found.steadiness is Steadiness.ORDER_DEPENDENT
    assert found.differing
    assert [one.number for one in done] == [2, 3]
    assert done[0].order_seed == done[1].order_seed
    assert done[0].videos == done[1].videos


def test_only_the_videos_shown_twice_give_a_memory_away() -> None:
    found, _ = asked(remembers)
    assert found.differing == found.duplicates == 2


def test_chance_is_called_chance() -> None:
    found, done = asked(fickle())
    assert found.steadiness is Steadiness.NON_DETERMINISTIC
    assert found.differing == 10
    assert found.largest_difference is not None
    assert 0.1 < found.largest_difference <= 1
    assert len(done) == 2


def test_a_name_that_a_duplicate_does_not_share_is_not_a_picture() -> None:
    found, _ = asked(reads_the_name)
    assert found.steadiness is Steadiness.ORDER_DEPENDENT
    assert found.differing == found.duplicates


def test_a_failure_that_comes_and_goes_is_a_difference() -> None:
    calls = iter(range(1000))
    found, _ = asked(lambda video, turn, seen: None if next(calls) == 12 else 0.5)
    assert found.steadiness is Steadiness.NON_DETERMINISTIC
    assert (found.differing, found.largest_difference) == (1, 0.0)


def test_a_failure_that_always_comes_is_none() -> None:
    found, _ = asked(lambda video, turn, seen: None if video.sha256.endswith("3") else 0.5)
    assert found.steadiness is Steadiness.DETERMINISTIC
    assert found.compared == 9


@pytest.mark.parametrize(("step", "steadiness"), [(0.5, "deterministic"), (2.0, "order-dependent")])
def test_the_tolerance_is_where_it_is_said_to_be(step: float, steadiness: str) -> None:
    found, _ = asked(lambda video, turn, seen: 0.5 + (step * TOLERANCE if turn == 0 else 0))
    assert found.steadiness == steadiness
    assert found.tolerance == TOLERANCE


def test_a_drift_within_the_tolerance_at_every_step_is_judged_whole() -> None:
    """How many answers differ must not contradict by how much they differ at most."""
    passes: list[int] = []

    def drifts(video: PreparedVideo, turn: int, seen: Sequence[PreparedVideo]) -> Answer:
        passes.extend([1] if turn == 0 else [])
        return 0.5 + len(passes) * 0.6 * TOLERANCE

    found, _ = asked(drifts, passes=3)
    assert found.largest_difference is not None
    assert found.largest_difference > TOLERANCE
    assert found.differing > 0
    assert found.steadiness is not Steadiness.DETERMINISTIC


def test_a_package_that_answers_nothing_is_not_asked_again() -> None:
    found, done = asked(lambda video, turn, seen: None)
    assert found.steadiness is Steadiness.NOT_COMPARED
    assert (found.passes, found.compared, found.duplicates, found.largest_difference) == (1, 0, 0, None)
    assert done == []
    assert "no video was answered twice" in in_words(found)


def test_videos_that_were_never_reached_are_not_compared() -> None:
    shown = videos(4)
    first = fed(steady, shown, 1)

    def run(planned: Pass) -> list[Outcome]:
        return [Outcome(video_id=one.video_id, kind=OutcomeKind.NOT_REACHED) for one in planned.videos]

    found = ask_again(SetName.PUBLIC, shown, first, seed=1, passes=2, mode=Mode.STREAM, run=run)
    assert found.steadiness is Steadiness.NOT_COMPARED


def test_in_batch_mode_order_and_chance_cannot_be_told_apart() -> None:
    found, done = asked(by_turn, mode=Mode.BATCH)
    assert found.steadiness is Steadiness.NON_DETERMINISTIC
    assert len(done) == 1


@given(count=st.integers(1, 700), seed=st.integers(0, 2**63), number=st.integers(2, 10))
def test_a_plan_shows_every_video_and_some_twice_under_names_that_say_nothing(
    count: int, seed: int, number: int
) -> None:
    shown = videos(count)
    planned = plan_pass(SetName.PRIVATE, shown, seed=seed, number=number)
    names = [one.video_id for one in planned.videos]
    assert len(set(names)) == len(names)
    assert planned.videos[:count] == shown
    assert len(planned.same_as) == min(DUPLICATES_MAX, math.ceil(0.2 * count)) == len(names) - count
    by_name = {one.video_id: one for one in shown}
    for twin in planned.videos[count:]:
        original = by_name[planned.same_as[twin.video_id]]
        assert (twin.path, twin.sha256, twin.source_id) == (
            original.path,
            original.sha256,
            original.source_id,
        )
        assert Path(twin.video_id).suffix == ".mp4"
    assert planned == plan_pass(SetName.PRIVATE, shown[::-1], seed=seed, number=number) or count > 1


def test_passes_differ_in_order_and_in_what_is_shown_twice() -> None:
    shown = videos(50)
    plans = [plan_pass(SetName.PUBLIC, shown, seed=1, number=number) for number in (2, 3, 4)]
    assert len({one.order_seed for one in plans}) == 3
    assert len({frozenset(one.same_as.values()) for one in plans}) == 3
    assert plans[0] == plan_pass(SetName.PUBLIC, shown, seed=1, number=2)
    assert plans[0] != plan_pass(SetName.PRIVATE, shown, seed=1, number=2)


def test_the_words_say_how_many_and_how_much() -> None:
    found, _ = asked(by_turn)
    text = in_words(found)
    assert "order-dependent over 3 passes" in text
    assert "2 repeated videos" in text
    assert f"{found.differing} of 10 answers differ by more than 1e-06" in text
