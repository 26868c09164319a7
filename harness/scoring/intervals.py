"""How sure a score is: percentile bootstrap intervals over videos, or over groups of related videos.

Videos of one person or of one piece of footage are not independent: where there are enough groups, whole
groups are drawn. Fakes and reals are drawn apart, so that every replicate has the set's own balance.
Seeded: the same input gives the same interval. Efron and Tibshirani 1993, chapters 13 and 14.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

LEVEL = 0.95
GROUPS_MIN = 10  # per class; with fewer, an interval over groups is an illusion (Cameron et al. 2008)
DRAWN_MIN = 5  # per class; with one video of a class every replicate is the same, and the interval a lie
_CHUNK = 64  # replicates at a time: 10,000 videos need 5 MB and not 160

Weights = NDArray[np.float64]


class Unit(StrEnum):
    """What was drawn with replacement."""

    VIDEO = "video"
    SOURCE = "source"
    IDENTITY = "identity"


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where the value would lie in 95 of 100 sets like this one."""

    low: float
    high: float
    level: Annotated[float, Field(gt=0, lt=1)] = LEVEL
    unit: Unit = Unit.VIDEO


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How many replicates are drawn, and from which seed."""

    samples: int = 2000
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Which videos are drawn together: `stratum[i]` and `group[i]` of video i."""

    stratum: NDArray[np.int64]
    group: NDArray[np.int64]
    unit: Unit

    @property
    def enough(self) -> bool:
        """Whether every class has enough to draw from for an interval to say anything."""
        return all(
            np.unique(self.group[self.stratum == one]).size >= DRAWN_MIN for one in np.unique(self.stratum)
        )

    def weights(self, bootstrap: Bootstrap) -> Iterator[Weights]:
        """Yield how often each video was drawn, replicates × videos, a chunk at a time."""
        rng = np.random.default_rng(bootstrap.seed)
        strata = [np.unique(self.group[self.stratum == one]) for one in np.unique(self.stratum)]
        groups = int(self.group.max()) + 1
        for start in range(0, bootstrap.samples, _CHUNK):
            rows = min(_CHUNK, bootstrap.samples - start)
            counts = np.zeros((rows, groups))
            row_starts = np.arange(rows)[:, None]
            for members in strata:  # drawn and counted: five times as fast as multinomials of many classes
                drawn = rng.integers(0, members.size, (rows, members.size)) + row_starts * members.size
                flat = np.bincount(drawn.ravel(), minlength=rows * members.size)
                counts[:, members] = flat.reshape(rows, members.size)
            yield counts[:, self.group]


def sampling_of(*, fake: Sequence[bool], identities: Sequence[str], sources: Sequence[str]) -> Sampling:
    """Choose what to draw: identities if every video has one and there are enough, else sources, else videos.

    A group never spans the two classes: one person's fakes and that person's reals are two groups.
    """
    stratum = np.asarray(fake, dtype=np.int64)
    for unit, names in ((Unit.IDENTITY, identities), (Unit.SOURCE, sources)):
        pairs = sorted({(bool(label), name) for label, name in zip(fake, names, strict=True)})
        per_class = [sum(label is wanted for label, _ in pairs) for wanted in set(map(bool, fake))]
        if all(names) and min(per_class, default=0) >= GROUPS_MIN:
            numbers = {pair: number for number, pair in enumerate(pairs)}
            group = [numbers[bool(label), name] for label, name in zip(fake, names, strict=True)]
            return Sampling(stratum=stratum, group=np.asarray(group, dtype=np.int64), unit=unit)
    return Sampling(stratum=stratum, group=np.arange(stratum.size, dtype=np.int64), unit=Unit.VIDEO)


def mean_interval(values: NDArray[np.float64], sampling: Sampling, bootstrap: Bootstrap) -> Interval | None:
    """Return the interval of the mean of one value per video; none where a class has too few to draw from."""
    if not sampling.enough:
        return None
    means = [chunk @ values / chunk.sum(axis=1) for chunk in sampling.weights(bootstrap)]
    return _percentiles(np.concatenate(means), sampling.unit)


def statistic_interval(
    statistic: Callable[[Weights], float], sampling: Sampling, bootstrap: Bootstrap
) -> Interval | None:
    """Return the interval of any statistic of the weights of the videos; none as for `mean_interval`."""
    if not sampling.enough:
        return None
    values = [statistic(row) for chunk in sampling.weights(bootstrap) for row in chunk]
    return _percentiles(np.asarray(values), sampling.unit)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How much worse the second set went than the first: its log loss minus the other's."""

    first: str
    second: str
    value: float
    interval: Interval | None  # none where a class has too few to draw from
    paired: bool  # the same source videos in both, drawn together


def gap_of(
    *,
    names: tuple[str, str],
    values: tuple[NDArray[np.float64], NDArray[np.float64]],
    sources: tuple[Sequence[str], Sequence[str]],
    samplings: tuple[Sampling, Sampling],
    bootstrap: Bootstrap,
) -> Gap:
    """Return the gap between the means of two sets with its interval.

    Where both hold the same source videos (the control set and the private one), each replicate draws the
    same sources from both, so that what makes a video hard cancels; otherwise the sets are drawn apart.
    """
    paired = sorted(sources[0]) == sorted(sources[1]) and len(set(sources[0])) == len(sources[0])
    value = float(values[1].mean() - values[0].mean())
    if paired:
        place = {source: index for index, source in enumerate(sources[1])}
        differences = values[1][[place[source] for source in sources[0]]] - values[0]
        interval = mean_interval(differences, samplings[0], bootstrap)
    elif all(sampling.enough for sampling in samplings):
        other = Bootstrap(samples=bootstrap.samples, seed=bootstrap.seed + 1)
        means = [
            np.concatenate([chunk @ value_ / chunk.sum(axis=1) for chunk in sampling.weights(drawn)])
            for value_, sampling, drawn in zip(values, samplings, (bootstrap, other), strict=True)
        ]
        unit = samplings[0].unit if samplings[0].unit == samplings[1].unit else Unit.VIDEO
        interval = _percentiles(means[1] - means[0], unit)
    else:
        interval = None
    return Gap(first=names[0], second=names[1], value=value, interval=interval, paired=paired)


def _percentiles(values: NDArray[np.float64], unit: Unit) -> Interval:
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return Interval(low=float(low), high=float(high), unit=unit)
