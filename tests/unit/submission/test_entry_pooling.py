"""From frames to an answer: tables worked out by hand."""

import numpy as np
import pytest
from detector import pooling

TABLE = [
    ("mean", [0.2, 0.4, 0.9], 0.5),
    ("median", [0.2, 0.4, 0.9], 0.4),
    ("mean_logit", [0.5, 0.5], 0.5),
    ("mean_logit", [0.2, 0.8], 0.5),
    ("mean_logit", [0.9, 0.9], 0.9),
    # log-odds 2.197 and 0: the mean's probability is 1 / (1 + 9 ** -0.5)
    ("mean_logit", [0.9, 0.5], 0.75),
    # 5 of 10 above 0.8 are more than 10 / 2.5 and more than 11/32: their mean alone
    ("confident", [0.9] * 5 + [0.1] * 5, 0.9),
    # 4 of 10 are not more than 10 / 2.5: the mean of all
    ("confident", [0.9] * 4 + [0.5] * 6, 0.66),
    # all below 0.2: the mean of those
    ("confident", [0.1, 0.05, 0.15], 0.1),
    # 9 of 10 below 0.2 are not more than 90%: the mean of all
    ("confident", [0.1] * 9 + [0.6], 0.15),
    # 19 of 20 are: the one other frame does not count
    ("confident", [0.1] * 19 + [0.6], 0.1),
    # exactly 0.8 is not above it, exactly 0.2 not below
    ("confident", [0.8] * 3, 0.8),
    ("confident", [0.2] * 3, 0.2),
    ("sharpened", [0.5, 0.5], 0.5),
    # 0.5 + 0.4 ** 0.65
    ("sharpened", [0.9], 0.99),
    ("sharpened", [0.6], 0.5 + 0.1**0.65),
    ("sharpened", [0.0], 0.01),
]


@pytest.mark.parametrize(("rule", "frames", "expected"), TABLE)
def test_rule(rule: str, frames: list[float], expected: float) -> None:
    assert pooling.pool_frames(frames, rule) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("rule", sorted(pooling.RULES))
def test_every_rule_stays_a_probability_and_ignores_order(rule: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        frames = rng.uniform(0, 1, rng.integers(1, 20))
        pooled = pooling.pool_frames(list(frames), rule)
        assert 0 <= pooled <= 1
        assert pooling.pool_frames(list(frames[::-1]), rule) == pytest.approx(pooled)


@pytest.mark.parametrize("rule", sorted(pooling.RULES))
@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_certainty_does_not_break_a_rule(rule: str, edge: float) -> None:
    assert pooling.pool_frames([edge] * 4, rule) == pytest.approx(edge, abs=0.0101)


def test_no_frames_is_an_error_and_not_a_half() -> None:
    with pytest.raises(ValueError, match="no frames"):
        pooling.pool_frames([], "mean")


def test_the_most_suspicious_person_decides() -> None:
    assert pooling.pool_persons([(0.2, 16), (0.9, 16)]) == 0.9


def test_a_person_hardly_seen_does_not_count() -> None:
    assert pooling.pool_persons([(0.2, 16), (0.99, 5)]) == 0.2
    assert pooling.pool_persons([(0.2, 16), (0.99, 6)]) == 0.99


@pytest.mark.parametrize(("p", "expected"), [(0.0, pooling.CLIP), (1.0, 1 - pooling.CLIP), (0.4, 0.4)])
def test_clip(p: float, expected: float) -> None:
    assert pooling.clip(p) == expected
