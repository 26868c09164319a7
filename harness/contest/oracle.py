"""How many labels an attacker reads from public scores who has no model at all. Pure simulation.

The attack (Whitehill 2017, "Climbing the Kaggle leaderboard by exploiting the log-loss oracle"): answer 0.5
to every video but a few, and to those so that each choice of their labels gives another score. A video
answered with logit -w costs w more if it is fake than if it is real, so a set of weights whose subset sums
are all distinct, and far enough apart, is read off one score. The Conway-Guy weights do so with the smallest
largest weight (Conway and Guy 1968; Bohman 1996), which fits in one or two labels more than powers of two.

What limits the attacker: weights are at most `ln((1-ε)/ε)`, and sums that are closer than
`videos × resolution` look the same.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from harness.contest.rules.public_scores import shown_score
from harness.core.contest import PublicScores, ShownRule

FULL = 13  # decimals that the mean of thousands of doubles holds for certain: as good as not rounded
TABLE_LABELS_MAX = 16  # decoded by looking through every choice of labels
_SAFE = 1.02  # sums are further apart than the resolution by this factor
_ROOM = 2.0  # a score must fall by more than a step to be shown


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """What is published.

    Attributes:
        videos: In the public set.
        epsilon: Of the clip.
        decimals: To which scores are rounded; `FULL` for as they are. The ladder has its step instead.
        step: Of the ladder; if None, scores are only rounded.
        from_infinity: The ladder as in the paper; else it begins at a constant 0.5, as ours.
    """

    videos: int
    epsilon: float
    decimals: int = 4
    step: float | None = None
    from_infinity: bool = False

    @property
    def resolution(self) -> float:
        """How far two scores must be apart to be shown differently."""
        return 10.0**-self.decimals if self.step is None else self.step


@dataclass(frozen=True, kw_only=True)
class OracleReading:
    """What an attacker had read after so many submissions, all of it correct."""

    submissions: int
    labels: int
    wrong: int  # labels believed and wrong: none, if the attack is sound

    @property
    def per_submission(self) -> float:
        """Labels read with one submission, on average."""
        return self.labels / self.submissions if self.submissions else 0.0


def weight_max(epsilon: float) -> float:
    """Return the largest difference that one label can make to the sum of losses."""
    return math.log1p(-epsilon) - math.log(epsilon)


@cache
def conway_guy(count: int) -> tuple[int, ...]:
    """Return `count` whole numbers whose subset sums are all distinct, the largest as small as is known."""
    u = [0, 1]
    while len(u) <= count:
        n = len(u) - 1
        u.append(2 * u[n] - u[n - math.floor(0.5 + math.sqrt(2.0 * n))])
    return tuple(u[count] - u[index] for index in range(count))


def labels_at_once(oracle: Oracle) -> int:
    """Return how many labels one shown score can tell apart."""
    units = weight_max(oracle.epsilon) / (oracle.videos * oracle.resolution * _SAFE)
    count = 0
    while count < oracle.videos and _weights(count + 1)[0] <= units:
        count += 1
    return count


def attack_rounded(oracle: Oracle, labels: NDArray[np.bool_], *, submissions: int) -> OracleReading:
    """Read labels from rounded scores, as many with each submission as fit.

    Args:
        oracle: What is published.
        labels: The truth, which only the scores are made of.
        submissions: How many the attacker has.
    """
    at_once = labels_at_once(oracle)
    known = wrong = used = 0
    while at_once and used < submissions and known < oracle.videos:
        probed = np.arange(known, min(known + at_once, oracle.videos))
        weights = np.asarray(_weights(probed.size), dtype=np.float64)
        weights = weights * oracle.videos * oracle.resolution * _SAFE
        score = _score(oracle, probed, weights, labels)
        score = score if oracle.decimals == FULL else round(score, oracle.decimals)
        guess = _decode(oracle, weights, score)
        wrong += int(np.sum(guess != labels[probed]))
        known += probed.size
        used += 1
    return OracleReading(submissions=max(used, 1), labels=known, wrong=wrong)


def attack_ladder(oracle: Oracle, labels: NDArray[np.bool_], *, submissions: int) -> OracleReading:
    """Read labels from the ladder, one with each submission if that is possible.

    From infinity: an awful answer to half of the videos is shown, tells how many of them are wrong, and
    then is made less awful a little at a time; a label is read from how far the score fell. From a constant
    0.5: one video more is answered with each submission; if the score falls, the guess was right.

    Args:
        oracle: What is published; with a step.
        labels: The truth, which only the scores are made of.
        submissions: How many the attacker has.
    """
    if oracle.step is None:
        raise ValueError("there is no ladder without a step")
    return (
        _descend(oracle, labels, submissions) if oracle.from_infinity else _climb(oracle, labels, submissions)
    )


def _descend(oracle: Oracle, labels: NDArray[np.bool_], submissions: int) -> OracleReading:
    step = oracle.step or 0.0
    top = weight_max(oracle.epsilon)
    ballast, probes = np.arange(oracle.videos // 2), np.arange(oracle.videos // 2, oracle.videos)
    fall = step * oracle.videos * _SAFE  # of the sum of losses, so that it is seen
    if top <= fall or top / oracle.videos <= step:  # one label cannot be seen, nor the ballast counted
        return OracleReading(submissions=submissions, labels=0, wrong=0)
    awful = _score(oracle, ballast, np.full(ballast.size, top), labels)
    shown = _multiple(awful, step)
    even = math.log(2.0) * (oracle.videos - ballast.size) / oracle.videos
    soft = math.log1p(math.exp(-top)) * ballast.size
    against = round(((shown - even) * oracle.videos - soft) / top)  # of the ballast: fakes called real
    known = wrong = 0
    used = 1
    while used < submissions and known < probes.size:
        # If the probed label is fake the score falls by more than a step, else by more than two.
        target = shown - step * (_ROOM + 0.5)
        probe = _probe_costs(fall)
        weight = _ballast_weight(oracle, ballast.size, against, target, probe[1])
        if weight is None:
            break
        chosen = np.append(ballast, probes[known])
        weights = np.append(np.full(ballast.size, weight), fall)
        score = _score(oracle, chosen, weights, labels)
        if score >= shown - step:
            break
        shown = _multiple(score, step)
        sums = [_ballast_score(oracle, ballast.size, against, weight, cost) for cost in probe]
        guess = abs(shown - sums[1]) < abs(shown - sums[0])
        wrong += bool(guess != labels[probes[known]])
        known += 1
        used += 1
    return OracleReading(submissions=used, labels=known, wrong=wrong)


def _climb(oracle: Oracle, labels: NDArray[np.bool_], submissions: int) -> OracleReading:
    scores = PublicScores(rule=ShownRule.LADDER, step=oracle.step or 0.0)
    known: list[tuple[int, bool]] = []
    shown: float | None = None
    wrong = used = 0
    sure = min(weight_max(oracle.epsilon), 6.0)
    for video in range(oracle.videos):
        if used == submissions:
            break
        chosen = np.asarray([*(one for one, _ in known), video])
        weights = np.asarray([*(-sure if fake else sure for _, fake in known), -sure])
        before = shown
        score = _score(oracle, chosen, weights, labels)
        shown = shown_score(score, best_shown=before, scores=scores, public_decimals=oracle.decimals)
        used += 1
        start = shown_score(math.log(2.0), best_shown=None, scores=scores, public_decimals=4)
        right = shown < (start if before is None else before)
        if not right and not _would_show(oracle, len(known) + 1, before, start):
            continue  # a right guess would not have been shown, either: nothing was read
        known.append((video, right))
        wrong += bool(right != labels[video])
    return OracleReading(submissions=max(used, 1), labels=len(known), wrong=wrong)


def _would_show(oracle: Oracle, right: int, before: float | None, start: float) -> bool:
    best = start if before is None else before
    return math.log(2.0) * (oracle.videos - right) / oracle.videos + 0.0025 * right / oracle.videos < best - (
        oracle.step or 0.0
    )


def _score(
    oracle: Oracle, chosen: NDArray[np.int64], weights: NDArray[np.float64], labels: NDArray[np.bool_]
) -> float:
    """Return the exact public log loss of logits `-weights` on some videos and 0.5 on the rest.

    Near 0 a double holds a probability far more finely than near 1: the attacker answers "real".
    """
    p = np.full(oracle.videos, 0.5)
    p[chosen] = 1.0 / (1.0 + np.exp(weights))
    p = np.clip(p, oracle.epsilon, 1.0 - oracle.epsilon)
    return float(-np.mean(np.where(labels, np.log(p), np.log1p(-p))))


def _decode(oracle: Oracle, weights: NDArray[np.float64], score: float) -> NDArray[np.bool_]:
    """Return the labels of the probed videos whose score would be nearest to the shown one."""
    rest = math.log(2.0) * (oracle.videos - weights.size)
    if_real = np.log1p(np.exp(-weights))
    gap = score * oracle.videos - rest - float(if_real.sum())  # the weights of the fakes among them, summed
    if weights.size <= TABLE_LABELS_MAX:
        choices = np.asarray(list(itertools.product((False, True), repeat=weights.size)))
        nearest = int(np.argmin(np.abs(choices @ weights - gap)))
        found: NDArray[np.bool_] = choices[nearest]
        return found
    fakes = np.zeros(weights.size, dtype=np.bool_)
    for index, weight in enumerate(weights):  # powers of two, the largest first
        if gap > weight - weights[-1] / 2.0:
            fakes[index] = True
            gap -= float(weight)
    return fakes


def _weights(count: int) -> tuple[int, ...]:
    """Return weights for so many labels, the largest first."""
    if count <= TABLE_LABELS_MAX:
        return tuple(sorted(conway_guy(count), reverse=True))
    return tuple(2**index for index in reversed(range(count)))


def _probe_costs(weight: float) -> tuple[float, float]:
    """Return what a probed video costs if it is real, and if it is fake."""
    return math.log1p(math.exp(-weight)), weight + math.log1p(math.exp(-weight))


def _ballast_score(oracle: Oracle, size: int, against: int, weight: float, probe: float) -> float:
    soft = math.log1p(math.exp(-weight))
    rest = math.log(2.0) * (oracle.videos - size - 1)
    return (rest + size * soft + against * weight + probe) / oracle.videos


def _ballast_weight(oracle: Oracle, size: int, against: int, target: float, probe: float) -> float | None:
    """Find the ballast's weight that gives a score, by halving; None if it cannot be that low."""
    low, high = 2.0 * max(0.0, math.log(max(1, size - against) / max(1, against))), weight_max(oracle.epsilon)
    if _ballast_score(oracle, size, against, low, probe) > target:
        return None
    for _ in range(100):
        middle = (low + high) / 2.0
        if _ballast_score(oracle, size, against, middle, probe) > target:
            high = middle
        else:
            low = middle
    return low


def _multiple(loss: float, step: float) -> float:
    return round(loss / step) * step
