from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from harness.videos.perturb.clock import Clock
from harness.videos.perturb.sound import nearest_sample


def moments(*frames: tuple[int | None, int | None], order_alone: bool = False) -> list[int | None]:
    clock = Clock(order_alone=order_alone)
    return [clock.moment(shown, decoded) for shown, decoded in frames]


def test_the_clock_of_showing_is_believed_while_it_rises() -> None:
    assert moments((0, 0), (3, 1), (7, 2)) == [0, 3, 7]


def test_a_clock_of_showing_that_falls_is_given_up_for_the_other() -> None:
    assert moments((0, 0), (2, 1), (1, 2), (3, 3)) == [0, 2, 2, 3]


def test_each_stands_in_if_the_other_is_missing() -> None:
    assert moments((None, 4), (5, None), (None, None)) == [4, 5, None]


def test_an_avi_has_an_order_and_no_times() -> None:
    assert moments((1, 2), (3, 3), (2, 4), (3, None), order_alone=True) == [2, 3, 4, None]


@given(
    st.integers(-(10**9), 10**12),
    st.sampled_from([1, 2, 8, 1000, 44_100, 90_000]),
    st.floats(-100, 100),
    st.sampled_from([1, 3, 8000, 44_100, 48_000]),
)
def test_a_moment_of_sound_is_the_sample_that_fractions_round_to(
    moment: int, per_second: int, origin: float, rate: int
) -> None:
    unit = Fraction(1, per_second)
    expected = round((moment * unit - Fraction(origin)) * rate)
    assert nearest_sample(moment, unit, origin.as_integer_ratio(), rate) == expected
