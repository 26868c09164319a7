"""Metrics against values computed by hand and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from harness.core.errors import ConfigError
from harness.scoring.curves import calibration_bins
from harness.scoring.metrics import (
    Direction,
    all_metrics,
    log_losses,
    log_weighted_precision,
    metric,
    register,
    roc_auc,
    uniform_log_loss,
)

FAKE = np.array([True, True, False, False])
PROBABILITY = np.array([0.9, 0.4, 0.4, 0.1])


def value(name: str, fake: np.ndarray = FAKE, probability: np.ndarray = PROBABILITY) -> float:
    found = metric(name).measure(fake, probability, epsilon=1e-15)
    assert found.value is not None, found.reason
    return found.value


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log_loss", -(math.log(0.9) + math.log(0.4) + math.log(0.6) + math.log(0.9)) / 4),
        ("roc_auc", (2 + 1.5) / 4),  # 0.9 beats both reals; 0.4 beats one and ties with one
        ("accuracy", 3 / 4),
        ("balanced_accuracy", (1 / 2 + 2 / 2) / 2),
        ("brier", (0.01 + 0.36 + 0.16 + 0.01) / 4),
        ("average_precision", 0.5 * 1.0 + 0.5 * (2 / 3)),
        ("log_weighted_precision_10", 0.0),  # the first fake comes without a false alarm
        ("log_weighted_precision_50", 0.0),
        ("log_weighted_precision_90", math.log(2 / (2 + 100))),
        # bins: .9 alone (|.9-1|), two of .4 (|.4-.5|), .1 alone (|.1-0|)
        ("calibration_error", 0.25 * 0.1 + 0.5 * 0.1 + 0.25 * 0.1),
    ],
)
def test_known_answers(name: str, expected: float) -> None:
    assert value(name) == pytest.approx(expected, abs=1e-12)


def test_every_metric_is_known_by_hand() -> None:
    covered = {row[0] for row in test_known_answers.pytestmark[0].args[1]}  # type: ignore[attr-defined]  # pytest
    assert set(all_metrics()) == covered


def test_constant_half() -> None:
    half = np.full(4, 0.5)
    assert value("log_loss", FAKE, half) == pytest.approx(0.6931471805599453, abs=1e-15)
    assert value("brier", FAKE, half) == 0.25
    assert value("roc_auc", FAKE, half) == 0.5


def test_one_wrong_hard_answer_of_four_thousand_costs_what_the_facts_say() -> None:
    fake = np.zeros(4000, dtype=bool)
    probability = np.zeros(4000)
    probability[0] = 1.0
    found = metric("log_loss").measure(fake, probability, epsilon=1e-15)
    assert found.value == pytest.approx(0.0086, abs=5e-5)


@pytest.mark.parametrize("epsilon", [1e-15, 1e-6, 0.01])
def test_a_wrong_hard_answer_costs_minus_log_epsilon(epsilon: float) -> None:
    for fake, probability in ((True, 0.0), (False, 1.0)):
        found = metric("log_loss").measure(np.array([fake]), np.array([probability]), epsilon=epsilon)
        # 1 - 1e-15 is not a double; its neighbour is 11% away from it, seen from 1
        assert found.value == pytest.approx(-math.log(epsilon), abs=0.12 if epsilon == 1e-15 else 1e-9)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_agrees_with_scikit_learn(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 40))
    fake = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    fake[0], fake[1] = True, False
    steps = data.draw(st.lists(st.integers(0, 20), min_size=size, max_size=size))  # coarse: many ties
    probability = np.array(steps) / 20
    assert value("roc_auc", fake, probability) == pytest.approx(reference.roc_auc_score(fake, probability))
    assert value("average_precision", fake, probability) == pytest.approx(
        reference.average_precision_score(fake, probability)
    )
    assert value("brier", fake, probability) == pytest.approx(reference.brier_score_loss(fake, probability))
    called = probability >= 0.5
    assert value("accuracy", fake, probability) == pytest.approx(reference.accuracy_score(fake, called))
    assert value("balanced_accuracy", fake, probability) == pytest.approx(
        reference.balanced_accuracy_score(fake, called)
    )
    clipped = np.clip(probability, 1e-9, 1 - 1e-9)  # nearer to 1, a double's own steps are in the reference
    loss = metric("log_loss").measure(fake, probability, epsilon=1e-9).value
    assert loss == pytest.approx(reference.log_loss(fake, clipped))


@pytest.mark.parametrize("epsilon", [0.1, 1e-7, 1e-15, 1e-17, 1e-300])
def test_a_wrong_one_costs_what_a_wrong_nought_costs_however_small_epsilon_is(epsilon: float) -> None:
    """Below 1e-16, 1-ε is 1 to a computer, and a clip of the probability would leave an infinite loss."""
    fake, probability = np.array([True, False, True, False]), np.array([0.0, 1.0, 1.0, 0.0])
    losses = log_losses(fake, probability, epsilon)
    wrong, right = -math.log(epsilon), -math.log1p(-epsilon)
    assert losses.tolist() == [wrong, wrong, right, right]
    for one in all_metrics().values():
        found = one.measure(fake, probability, epsilon=epsilon)
        assert found.value is None or math.isfinite(found.value)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_stays_in_its_range_and_does_not_depend_on_order(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 25))
    fake = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    probability = np.array(data.draw(st.lists(st.floats(0, 1), min_size=size, max_size=size)))
    order = np.array(data.draw(st.permutations(range(size))))
    for one in all_metrics().values():
        found = one.measure(fake, probability, epsilon=1e-15)
        again = one.measure(fake[order], probability[order], epsilon=1e-15)
        assert (found.value is None) == (again.value is None)
        assert (found.value is None) != (found.reason == "")
        if found.value is not None:
            assert found.value == pytest.approx(again.value, rel=1e-9, abs=1e-12)
            assert one.lowest - 1e-9 <= found.value <= one.highest + 1e-9
            assert math.isfinite(found.value)


@pytest.mark.parametrize("name", list(all_metrics()))
def test_the_direction_is_true(name: str) -> None:
    good = np.array([0.99, 0.98, 0.02, 0.01])
    better, worse = value(name, FAKE, good), value(name, FAKE, 1 - good)
    assert (better < worse) if metric(name).direction is Direction.LOWER else (better > worse)


@pytest.mark.parametrize("only", [True, False])
def test_auc_of_one_class_is_not_a_number(only: bool) -> None:
    found = metric("roc_auc").measure(np.full(3, only), np.array([0.1, 0.5, 0.9]), epsilon=1e-15)
    assert found.value is None
    assert "fake" in found.reason


@pytest.mark.parametrize(
    ("hits", "alarms", "expected"),
    [(0, 0, 0.0), (7, 0, 0.0), (1, 1, -math.log(101)), (5, 1, -math.log(21)), (100, 1, -math.log(2))],
)
def test_log_weighted_precision(hits: int, alarms: int, expected: float) -> None:
    assert log_weighted_precision(hits, alarms).value == pytest.approx(expected)


def test_log_weighted_precision_without_a_hit_is_minus_infinity_and_no_number() -> None:
    found = log_weighted_precision(0, 3)
    assert found.value is None
    assert "minus infinity" in found.reason


def test_recall_of_a_tenth_of_ten_fakes_is_one_fake_and_nine_tenths_are_nine() -> None:
    fake = np.array([True] * 10 + [False])
    probability = np.array([0.99, *np.linspace(0.9, 0.6, 8), 0.1, 0.5])  # the tenth fake is below the real
    assert value("log_weighted_precision_10", fake, probability) == 0.0
    assert value("log_weighted_precision_90", fake, probability) == 0.0
    fake[1] = False  # a false alarm now stands between the first fake and the others
    assert value("log_weighted_precision_10", fake, probability) == 0.0
    assert value("log_weighted_precision_50", fake, probability) < -2


def test_ties_are_called_together() -> None:
    fake = np.array([True, False])
    assert value("log_weighted_precision_10", fake, np.array([0.7, 0.7])) == pytest.approx(-math.log(101))


def test_the_last_calibration_bin_holds_certainty() -> None:
    bins = calibration_bins(np.array([True, True]), np.array([1.0, 0.95]))
    assert [(one.lowest, one.videos) for one in bins] == [(0.9, 2)]


@pytest.mark.parametrize("epsilon", [1e-15, 1e-3, 0.1])
def test_uniform_anchor_agrees_with_the_integral(epsilon: float) -> None:
    grid = (np.arange(2_000_000) + 0.5) / 2_000_000
    expected = float(np.mean(-np.log(np.clip(grid, epsilon, 1 - epsilon))))
    assert uniform_log_loss(epsilon) == pytest.approx(expected, abs=1e-5)
    if epsilon == 1e-15:
        assert uniform_log_loss(epsilon) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.01, 1.01])
def test_a_number_that_is_not_a_probability_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not a number in"):
        metric("log_loss").measure(np.array([True, False]), np.array([0.5, bad]), epsilon=1e-15)


@pytest.mark.parametrize("epsilon", [0.0, 0.5, -1.0, math.nan])
def test_a_senseless_epsilon_is_refused(epsilon: float) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        metric("log_loss").measure(FAKE, PROBABILITY, epsilon=epsilon)


def test_a_taken_name_and_an_unknown_one_are_loud() -> None:
    again = register(
        name="roc_auc", title="", direction=Direction.LOWER, lowest=0, highest=1, formula="", source=""
    )
    with pytest.raises(ValueError, match="already"):
        again(roc_auc)
    with pytest.raises(ConfigError, match="log_loss"):
        metric("logloss")


def test_every_metric_says_where_it_comes_from() -> None:
    for one in all_metrics().values():
        assert one.formula
        assert one.source
        assert one.function.__doc__
