"""Which videos belong together: clusters of one person, one piece of footage, or one source video.

A person's real clips and fakes, and the perturbed copies of one source video, are not independent: a cluster
spans labels, perturbations and video sets, and is drawn whole. If nothing is shared, each video is a
cluster of its own and the draw is the plain one, stratified by label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

CLUSTERS_MIN = 10  # with fewer people or pieces of footage an interval over them is too short: see the docs
DRAWN_MIN = 5  # per stratum; with one video of a class every replicate is the same, and the interval a lie
CHUNK = 64  # replicates at a time: 10,000 videos need 5 MB and not 160

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Unit(StrEnum):
    """What was drawn with replacement: what the videos of one cluster share."""

    VIDEO = "video"  # the source video; its perturbed copies are drawn with it
    SOURCE = "source"
    IDENTITY = "identity"


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How many replicates are drawn, and from which seed."""

    samples: int = 2000
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Which videos are drawn together.

    `cluster[i]` is the cluster of video i, `stratum[c]` that of cluster c; both count from 0 without holes.
    """

    cluster: Integers
    stratum: Integers
    unit: Unit

    @property
    def clusters(self) -> int:
        """How many clusters there are to draw from."""
        return int(self.stratum.size)

    @property
    def strata(self) -> tuple[Integers, ...]:
        """The clusters of each stratum; each is drawn from apart, so that replicates keep its balance."""
        return tuple(np.flatnonzero(self.stratum == one) for one in range(int(self.stratum.max()) + 1))

    @property
    def enough(self) -> bool:
        """Whether every stratum has enough to draw from for an interval to say anything."""
        return all(members.size >= DRAWN_MIN for members in self.strata)

    def sums(self, values: Floats) -> Floats:
        """Add up rows of values, of shape (videos, statistics), over each cluster."""
        if self.clusters == self.cluster.size:
            found = np.empty_like(values)
            found[self.cluster] = values
            return found
        order = np.argsort(self.cluster, kind="stable")
        starts = np.searchsorted(self.cluster[order], np.arange(self.clusters))
        return np.add.reduceat(values[order], starts, axis=0)

    def counts(self, bootstrap: Bootstrap, chunk: int = CHUNK) -> Iterator[Floats]:
        """Yield how often each cluster was drawn, replicates × clusters, a chunk of replicates at a time."""
        rng, strata = np.random.default_rng(bootstrap.seed), self.strata
        for start in range(0, bootstrap.samples, chunk):
            rows = min(chunk, bootstrap.samples - start)
            counts = np.zeros((rows, self.clusters))
            row_starts = np.arange(rows)[:, None]
            for members in strata:  # drawn and counted: five times as fast as multinomials of many classes
                drawn = rng.integers(0, members.size, (rows, members.size)) + row_starts * members.size
                flat = np.bincount(drawn.ravel(), minlength=rows * members.size)
                counts[:, members] = flat.reshape(rows, members.size)
            yield counts


def sampling_of(
    *,
    fake: Sequence[bool],
    identities: Sequence[str],
    sources: Sequence[str],
    videos: Sequence[str] | None = None,
    parts: Sequence[int] | None = None,
) -> Sampling:
    """Choose what to draw.

    Videos that share a person, a piece of footage or a source video are one cluster, directly or through
    others. If that leaves fewer than `CLUSTERS_MIN`, less is asked: people and source videos, then footage
    and source videos, then source videos alone; the interval then speaks of further videos of the *same*
    people, and its unit says so.

    Args:
        fake: The truth of each video.
        identities: The person of each; empty if it is not known.
        sources: The footage of each; empty if it is not known.
        videos: The source video of each; by default each is its own.
        parts: The video set of each, if two sets are compared.
    """
    own = list(videos) if videos is not None else [str(number) for number in range(len(fake))]
    for unit, columns in (
        (Unit.IDENTITY, (identities, sources, own)),
        (Unit.IDENTITY, (identities, own)),
        (Unit.SOURCE, (sources, own)),
    ):
        if any(columns[0]):
            cluster = _connected(columns)
            if int(cluster.max(initial=0)) + 1 >= CLUSTERS_MIN:
                return _stratified(cluster, fake, parts, unit)
    return _stratified(_connected((own,)), fake, parts, Unit.VIDEO)


def _connected(columns: Sequence[Sequence[str]]) -> Integers:
    """Label the connected components of rows that share a value of any column; empty shares nothing."""
    parent = list(range(len(columns[0])))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for column in columns:
        first: dict[str, int] = {}
        for row, name in enumerate(column):
            if name:
                parent[root(row)] = root(first.setdefault(name, row))
    _, numbers = np.unique([root(row) for row in range(len(parent))], return_inverse=True)
    return np.asarray(numbers, dtype=np.int64)


def _stratified(cluster: Integers, fake: Sequence[bool], parts: Sequence[int] | None, unit: Unit) -> Sampling:
    """Put clusters of one kind into one stratum: reals alone, fakes alone, both; and so for each set.

    A kind with too few clusters to draw from shares a stratum with the others of its set, or with all.
    """
    labels = np.asarray(fake, dtype=np.int64)
    sets = np.zeros_like(labels) if parts is None else np.asarray(parts, dtype=np.int64)
    fine = np.zeros(int(cluster.max(initial=-1)) + 1, dtype=np.int64)
    coarse = np.zeros_like(fine)
    np.bitwise_or.at(fine, cluster, 1 << (labels + 2 * sets))
    np.bitwise_or.at(coarse, cluster, 1 << sets)
    mixed = bool(np.any(np.isin(fine & 3, 3) | np.isin(fine & 12, 12)))
    for kinds in (fine, coarse):
        if not mixed or np.unique(kinds, return_counts=True)[1].min(initial=DRAWN_MIN) >= DRAWN_MIN:
            _, stratum = np.unique(kinds, return_inverse=True)
            return Sampling(cluster=cluster, stratum=np.asarray(stratum, dtype=np.int64), unit=unit)
    return Sampling(cluster=cluster, stratum=np.zeros_like(fine), unit=unit)
