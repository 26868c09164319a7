"""Whether some videos of a set went worse than its others by more than chance explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.scoring.clusters import Floats, Integers, Sampling
from harness.scoring.comparison import ROUNDING
from harness.scoring.intervals import TAIL, spread_of, student_quantiles
from harness.scoring.slices import SUBGROUP_MIN


@dataclass(frozen=True, kw_only=True)
class AgainstRest:
    """Log loss on some videos less that on all others; arrays have an item per entry.

    The ends are NaN if nothing can be told: too few videos, or too few to draw from.
    """

    above: Floats
    low: Floats  # of the interval that holds for all parts of the column at once (Bonferroni)
    high: Floats

    @property
    def told(self) -> Integers:
        """1 if it is surely higher, -1 surely lower, 0 if that cannot be told."""
        above, below = self.low > ROUNDING, self.high < -ROUNDING
        return np.where(above, 1, np.where(below, -1, 0)).astype(np.int64)


def against_rest(
    losses: Floats, videos: Integers, sampling: Sampling, *, comparisons: int
) -> AgainstRest | None:
    """Compare some videos with all others; None if there are no others.

    Student's t over clusters, which may lie on both sides: a person whose videos are in the part and outside
    it counts once.

    Args:
        losses: One per video and entry, of shape (V, E).
        videos: Which of them are the part.
        sampling: Of all V videos.
        comparisons: How many parts are looked at together: the worst of many looks bad by chance.
    """
    rest = np.ones(losses.shape[0], dtype=np.bool_)
    rest[videos] = False
    if not rest.any():
        return None
    means, others = losses[videos].mean(axis=0), losses[rest].mean(axis=0)
    above = means - others
    nothing = np.full(above.size, np.nan)
    if np.unique(sampling.cluster[videos]).size < SUBGROUP_MIN or not sampling.enough:
        return AgainstRest(above=above, low=nothing, high=nothing)
    influence = np.where(rest[:, None], (others - losses) / rest.sum(), (losses - means) / videos.size)
    spread = spread_of(sampling.sums(influence), sampling)
    half = student_quantiles(spread.freedom, TAIL / comparisons) * spread.error
    return AgainstRest(above=above, low=above - half, high=above + half)
