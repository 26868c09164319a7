"""How large a set must be to tell a difference, from the variance of real answers.

The variance of a difference over clusters has a part between them and a part within: with m videos of each
of G people it is (B + W/m)/G. B and W are the one-way analysis of variance's (Searle, Casella and McCulloch
1992, chapter 3, unbalanced), pooled over pairs of entries. The number of clusters for a two-sided test at
`LEVEL` with the wished power is the usual (z₁₋α⸝₂ + z_power)²·variance/δ² (Lachin 1981), plus what Student's
t asks for few clusters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from harness.contest.board.resample import Joint
from harness.scoring.clusters import Floats, Sampling
from harness.scoring.intervals import student_quantiles

LEVEL = 0.05
POWER = 0.8
PER_CLUSTER = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, kw_only=True)
class Components:
    """The variance of the difference of two entries' log losses on one video."""

    between: float  # of clusters: people, footage or source videos
    within: float  # of videos of one cluster
    known: bool  # whether clusters have several videos, so that the two can be told apart


@dataclass(frozen=True, kw_only=True)
class Size:
    """A set that would do."""

    per_cluster: int  # videos of each person, or whatever is drawn
    clusters: int
    videos: int


@dataclass(frozen=True, kw_only=True)
class Separation:
    """What it would have taken to tell places 1 and 2."""

    difference: float
    told: bool
    clusters: int | None  # with which the interval would just exclude 0; None if they do not differ
    videos: int | None  # at the set's own number per cluster
    clusters_for_power: int | None  # with which it would in 80 of 100 contests
    videos_for_power: int | None


def components_of(differences: Floats, sampling: Sampling) -> Components:
    """Return the variance components of one difference per video, means taken out stratum by stratum."""
    sizes = np.bincount(sampling.cluster, minlength=sampling.clusters).astype(np.float64)
    stratum = sampling.stratum[sampling.cluster]
    centred = differences.astype(np.float64).copy()
    for one in range(len(sampling.strata)):
        centred[stratum == one] -= centred[stratum == one].mean()
    videos, clusters, strata = centred.size, sampling.clusters, len(sampling.strata)
    sums = np.bincount(sampling.cluster, weights=centred, minlength=clusters)
    if videos == clusters:
        return Components(between=float((centred**2).sum() / (videos - strata)), within=0.0, known=False)
    inside = float((centred**2).sum() - (sums**2 / sizes).sum()) / (videos - clusters)
    outside = float((sums**2 / sizes).sum()) / (clusters - strata)
    per_cluster = (videos - float((sizes**2).sum()) / videos) / (clusters - 1)
    return Components(between=max(0.0, (outside - inside) / per_cluster), within=inside, known=True)


def pooled(parts: list[Components]) -> Components:
    """Return the mean of the components of several pairs of entries."""
    return Components(
        between=float(np.mean([one.between for one in parts])),
        within=float(np.mean([one.within for one in parts])),
        known=all(one.known for one in parts),
    )


def sizes_for(components: Components, *, difference: float, power: float = POWER) -> tuple[Size, ...]:
    """Return the sets that would tell a difference, by how many videos each cluster has.

    Raises:
        ValueError: the difference is not above 0, or the power not between 0 and 1.
    """
    if not difference > 0 or not 0 < power < 1:
        raise ValueError(f"difference {difference} and power {power}")
    found = []
    for per_cluster in PER_CLUSTER if components.known else (1,):
        variance = components.between + components.within / per_cluster
        clusters = _clusters(variance / difference**2, power)
        found.append(Size(per_cluster=per_cluster, clusters=clusters, videos=clusters * per_cluster))
    return tuple(found)


def separation_of(joint: Joint) -> Separation:
    """Return what it would have taken to tell the first two entries of a board."""
    difference = float(joint.means[1] - joint.means[0])
    error = float(joint.errors_of_differences(1, np.array([0]))[0])
    clusters, videos = joint.sampling.clusters, joint.sampling.cluster.size
    quantile = float(student_quantiles(np.array([joint.freedom]))[0])
    told = difference > quantile * error
    if difference <= 0 or error == 0:
        return Separation(
            difference=difference, told=told, clusters=None, videos=None, clusters_for_power=None,
            videos_for_power=None,
        )  # fmt: skip
    ratio = error**2 * clusters / difference**2
    just, power = _clusters(ratio, 0.5), _clusters(ratio, POWER)
    each = videos / clusters
    return Separation(
        difference=difference,
        told=told,
        clusters=just,
        videos=math.ceil(just * each),
        clusters_for_power=power,
        videos_for_power=math.ceil(power * each),
    )


def _clusters(variance_over_square: float, power: float) -> int:
    """Return the smallest number of clusters, at least 5, with which the test has the power."""
    wanted = NormalDist().inv_cdf(power)
    found = 5
    for _ in range(50):  # Student's quantile depends on the number it gives; it settles in a few steps
        quantile = float(student_quantiles(np.array([float(found - 1)]), LEVEL / 2.0)[0])
        needed = max(5, math.ceil((quantile + wanted) ** 2 * variance_over_square))
        if needed == found:
            break
        found = needed if needed > found else max(needed, found - 1)
    return found
