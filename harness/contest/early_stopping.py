"""Which entries can no longer reach the prize places: an option that a contest's rules announce.

Two bounds, both on the log loss of the whole private set, by the answers so far. The certain one assumes that
every answer to come is perfect: nothing an entry could still do brings it below. The sequential one assumes
that videos come in a drawn order, as shards do, so that those seen so far are a sample without replacement of
the set; it errs with at most a stated probability over all looks together.

Sources: the bound by the best possible rest is arithmetic. The sequential one is the empirical Bernstein
bound without replacement of Bardenet and Maillard, "Concentration inequalities for sampling without
replacement", Bernoulli 21 (2015), theorem 4.3, with its error spread over the looks by the union bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.core.contest import EarlyStopping, StopRule

_SUMMING_ERROR = 1e-9  # far more than a mean of losses can differ by the order in which it was summed up
_KAPPA = 7 / 3 + 3 / math.sqrt(2)


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What is known of an entry's private log loss."""

    seen: int
    videos: int
    mean_so_far: float
    at_least: float  # the whole set's, by the rule


def loss_floor(losses: Sequence[float], *, videos: int, epsilon: float) -> Bound:
    """Bound a whole set's log loss from below, whatever the rest is answered.

    Args:
        losses: Of the videos so far, failed ones with what they score.
        videos: In the set.
        epsilon: Log loss clips to [ε, 1-ε]: a perfect answer still costs -log(1-ε).
    """
    rest = (videos - len(losses)) * -math.log1p(-epsilon)
    total = math.fsum(losses)
    return Bound(
        seen=len(losses),
        videos=videos,
        mean_so_far=total / len(losses) if losses else 0.0,
        at_least=(total + rest) / videos,
    )


def loss_bound(losses: Sequence[float], *, videos: int, epsilon: float, error: float, looks: int) -> Bound:
    """Bound a whole set's log loss from below but for a stated probability of error.

    Args:
        losses: Of the videos so far, a sample without replacement of the set's.
        videos: In the set.
        epsilon: No loss is above -log ε.
        error: Over all looks.
        looks: How many there are.
    """
    floor = loss_floor(losses, videos=videos, epsilon=epsilon)
    seen = len(losses)
    if seen < 2 or seen == videos:
        return floor
    mean = floor.mean_so_far
    spread = math.sqrt(math.fsum((loss - mean) ** 2 for loss in losses) / seen)
    rho = 1 - (seen - 1) / videos if seen <= videos / 2 else (1 - seen / videos) * (1 + 1 / seen)
    log_term = math.log(5 * looks / error)
    width = spread * math.sqrt(2 * rho * log_term / seen) + _KAPPA * -math.log(epsilon) * log_term / seen
    return Bound(seen=seen, videos=videos, mean_so_far=mean, at_least=max(floor.at_least, mean - width))


def bound_by(
    rule: EarlyStopping, losses: Sequence[float], *, videos: int, epsilon: float, looks: int
) -> Bound:
    """Bound a whole set's log loss as the announced rule does."""
    if rule.rule is StopRule.CERTAIN:
        return loss_floor(losses, videos=videos, epsilon=epsilon)
    return loss_bound(losses, videos=videos, epsilon=epsilon, error=rule.error, looks=looks)


def hopeless(bound: Bound, finished: Sequence[float], *, prizes: int, decimals: int) -> bool:
    """Tell whether so many finished entries are certainly better that no prize place is left.

    Places go by rounded scores: who comes to the same rounded score as the last prize place shares it.

    Args:
        bound: Of the entry at work.
        finished: The private log losses that other teams are judged by.
        prizes: How many places there are.
        decimals: To which scores are rounded for places.
    """
    at_least = round(bound.at_least - _SUMMING_ERROR, decimals)
    return sum(round(loss, decimals) < at_least for loss in finished) >= prizes


def seconds_saved(bound: Bound, *, video_seconds: float) -> float:
    """Return what stopping now saves of one place, at this pace."""
    return (bound.videos - bound.seen) * video_seconds
