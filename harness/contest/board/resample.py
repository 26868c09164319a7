"""One draw for all: every replicate draws the same clusters for every entry, so that differences keep.

One matrix product over sums per cluster, (replicates × clusters) · (clusters × entries). The ranks of the
replicates say how a rank would move with other videos of the same kind (Goldstein and Spiegelhalter 1996;
Hall and Miller 2009 on where a bootstrap of ranks may be trusted: not among exact ties).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.scoring.clusters import Bootstrap, Floats, Sampling
from harness.scoring.comparison import ROUNDING

CHUNK = 256  # replicates at a time: 20 MB of counts for 10,000 clusters

Singles = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Joint:
    """All entries' scores with what is known of their errors. G clusters, E entries, R replicates."""

    means: Floats  # (E,)
    excess: Floats  # (G, E): what each cluster adds to each mean's error
    covariance: Floats  # (E, E) of the means
    moved: Singles  # (R, E): how far each replicate's mean is from the mean
    sampling: Sampling

    @property
    def freedom(self) -> float:
        """Degrees of freedom of a standard error: clusters less strata."""
        return float(self.sampling.clusters - len(self.sampling.strata))

    def errors_of_differences(self, entry: int, others: NDArray[np.int64]) -> Floats:
        """Return the standard error of the difference of an entry to each of some others.

        It is 0 to itself and to copies, and where only rounding is left: of two constants, say.
        """
        own = self.covariance[entry, entry]
        squares = own + self.covariance[others, others] - 2.0 * self.covariance[entry, others]
        return np.sqrt(np.where(squares > np.maximum(1e-12 * own, ROUNDING**2), squares, 0.0))


def joint_of(losses: Floats, sampling: Sampling, bootstrap: Bootstrap) -> Joint:
    """Draw whole clusters for all entries at once.

    Args:
        losses: One loss per video and entry, of shape (videos, entries).
        sampling: Which videos are drawn together, in which strata.
        bootstrap: Replicates and seed.
    """
    means = losses.mean(axis=0)
    sums = sampling.sums(losses)
    sizes = np.bincount(sampling.cluster, minlength=sampling.clusters).astype(np.float64)
    sums -= sizes[:, None] * means
    sums /= losses.shape[0]
    return Joint(
        means=means,
        excess=sums,
        covariance=covariance_of(sums, sampling),
        moved=_moved(sums, sizes, sampling, bootstrap),
        sampling=sampling,
    )


def covariance_of(excess: Floats, sampling: Sampling) -> Floats:
    """Return the covariance of the means: Σ over strata of g/(g-1) Σ (ψ_c - mean ψ)(ψ_c - mean ψ)ᵀ."""
    found = np.zeros((excess.shape[1], excess.shape[1]))
    for members in sampling.strata:
        own = excess[members]
        own -= own.mean(axis=0)
        found += members.size / (members.size - 1.0) * (own.T @ own)
    return found


def ranks_of(means: Floats, moved: Singles) -> NDArray[np.int32]:
    """Return each entry's rank in each replicate, 1 being the lowest loss, of shape (R, E).

    Ties go to the entry that stands first, as on the board.
    """
    order = np.argsort(means.astype(np.float32) + moved, axis=1, kind="stable")
    ranks = np.empty(order.shape, dtype=np.int32)
    np.put_along_axis(ranks, order, np.arange(1, order.shape[1] + 1, dtype=np.int32)[None, :], axis=1)
    return ranks


def _moved(excess: Floats, sizes: Floats, sampling: Sampling, bootstrap: Bootstrap) -> Singles:
    """Return a replicate's mean less the mean: a ratio, since drawn clusters may differ in size.

    Scaled up by the root of g/(g-1), by which a bootstrap of few clusters is too narrow.
    """
    single = excess.astype(np.float32)
    mean_size = sizes.sum() / sizes.size
    widen = np.sqrt(np.mean([members.size / (members.size - 1.0) for members in sampling.strata]))
    parts = []
    for counts in sampling.counts(bootstrap, CHUNK):
        weight = mean_size * sizes.size / (counts @ sizes)
        parts.append((counts.astype(np.float32) @ single) * (widen * weight)[:, None].astype(np.float32))
    return np.concatenate(parts)
