"""From frames to a person and from persons to a video: pure functions on probabilities of being fake."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

# A wrong answer at the clip costs -ln(0.02) = 3.91, a right one -ln(0.98) = 0.02. Going on to 0.999 would
# gain 0.019 per right answer and lose 3.0 per wrong one: it pays for who is wrong less than once in 158 of
# the answers at the clip. We are not.
CLIP = 0.02

Probabilities = NDArray[np.float64]


def mean(p: Probabilities) -> float:
    """The plain mean."""
    return float(p.mean())


def mean_logit(p: Probabilities) -> float:
    """The mean in log-odds: one sure frame weighs more than several unsure ones."""
    bounded = np.clip(p, 1e-4, 1 - 1e-4)
    return float(1 / (1 + np.exp(-np.log(bounded / (1 - bounded)).mean())))


def median(p: Probabilities) -> float:
    """Half of the frames may be wrong."""
    return float(np.median(p))


def confident(p: Probabilities) -> float:
    """The confident strategy of the 2020 contest's winner, its thresholds of 32 frames scaled to any number.

    With n frames above 0.8: if n > size / 2.5 and n > 11/32 of the frames, their mean; else if more than
    90% of the frames are below 0.2, the mean of those; else the mean of all.
    """
    size = len(p)
    fake, real = p[p > 0.8], p[p < 0.2]
    if len(fake) > size / 2.5 and len(fake) > 11 * size / 32:
        return float(fake.mean())
    if len(real) > 0.9 * size:
        return float(real.mean())
    return float(p.mean())


def sharpened(p: Probabilities) -> float:
    """The third place's: log-odds bent away from 0.5 and weighted by their distance from it."""
    distance = p - 0.5
    bent = np.clip(0.5 + np.sign(distance) * np.abs(distance) ** 0.65, 0.01, 0.99)
    weights = np.abs(distance) + 1e-4
    return float((bent * weights).sum() / weights.sum())


RULES: dict[str, Callable[[Probabilities], float]] = {
    "mean": mean,
    "mean_logit": mean_logit,
    "median": median,
    "confident": confident,
    "sharpened": sharpened,
}


def pool_frames(probabilities: Sequence[float], rule: str) -> float:
    """One person's frames to one probability, by a rule named in `RULES`.

    Raises:
        KeyError: no such rule.
        ValueError: no frames.
    """
    if not len(probabilities):
        raise ValueError("no frames to pool")
    return RULES[rule](np.asarray(probabilities, np.float64))


def pool_persons(persons: Sequence[tuple[float, int]], *, share: float = 0.34) -> float:
    """Several persons, as (probability, frames seen), to one video: the most suspicious one.

    One face being fake makes the video fake. Persons seen in less than `share` of the frames of the most-seen
    one do not count: they are mostly pictures on walls and false finds, and a maximum over many of those
    would call every crowded video fake.
    """
    most = max(frames for _, frames in persons)
    return max(p for p, frames in persons if frames >= share * most)


def clip(p: float) -> float:
    """Keeps an answer within [CLIP, 1 - CLIP]; the reason is at the constant."""
    return min(1 - CLIP, max(CLIP, p))
