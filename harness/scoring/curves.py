"""What several metrics read off the same sorted answers: thresholds, ranks and bins. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CALIBRATION_BINS = 10

Truths = NDArray[np.bool_]
Probabilities = NDArray[np.float64]


def threshold_sweep(
    fake: Truths, probability: Probabilities
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return hits (TP) and false alarms (FP) at each distinct threshold, from the highest to the lowest.

    Videos of equal probability are called together, so no order among ties can change a metric.
    """
    order = np.argsort(-probability, kind="stable")
    truths, values = fake[order], probability[order]
    last = np.append(np.flatnonzero(np.diff(values)), values.size - 1)
    return np.cumsum(truths)[last].astype(np.float64), np.cumsum(~truths)[last].astype(np.float64)


def weighted_auc(fake: Truths, probability: Probabilities) -> Callable[[NDArray[np.float64]], float]:
    """Return a function of one weight per video: the ROC AUC where video i counts `weight[i]` times.

    It gives NaN if a class has no weight. The sorting is done once, for the thousands of replicates of a
    bootstrap.
    """
    values, ranks = np.unique(probability, return_inverse=True)

    def auc(weight: NDArray[np.float64]) -> float:
        fakes = np.bincount(ranks, weights=weight * fake, minlength=values.size)
        reals = np.bincount(ranks, weights=weight * ~fake, minlength=values.size)
        pairs = fakes.sum() * reals.sum()
        below = np.cumsum(reals) - reals / 2.0
        return float(np.sum(fakes * below) / pairs) if pairs > 0 else math.nan

    return auc


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """One bin of stated probabilities that holds at least one video."""

    lowest: float
    highest: float
    videos: int
    mean_probability: float
    fake_share: float


def calibration_bins(fake: Truths, probability: Probabilities) -> tuple[CalibrationBin, ...]:
    """Sort videos into ten bins of equal width, [0, .1), … [.9, 1]; empty bins are left out."""
    index = np.minimum((probability * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    return tuple(_bins(index, fake, probability))


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Return the expected calibration error (Naeini, Cooper and Hauskrecht 2015)."""
    videos = sum(one.videos for one in bins)
    return sum(one.videos * abs(one.mean_probability - one.fake_share) for one in bins) / videos


@dataclass(frozen=True, kw_only=True)
class BrierParts:
    """What a Brier score is made of: `reliability - resolution + uncertainty + within`.

    Over the bins of `calibration_bins`: `reliability` is how far stated probabilities are from observed
    frequencies (less is better), `resolution` how far apart the bins' frequencies are (more is better),
    `uncertainty` what the share of fakes alone gives (Murphy 1973). `within` is what binning leaves over: the
    spread of the answers inside their bins (Stephenson, Coelho and Jolliffe 2008).
    """

    reliability: float
    resolution: float
    uncertainty: float
    within: float


def brier_parts(fake: Truths, probability: Probabilities) -> BrierParts:
    """Take a Brier score apart; the four parts add up to it exactly."""
    bins, share = calibration_bins(fake, probability), float(fake.mean())
    reliability = sum(one.videos * (one.mean_probability - one.fake_share) ** 2 for one in bins) / fake.size
    resolution = sum(one.videos * (one.fake_share - share) ** 2 for one in bins) / fake.size
    uncertainty = share * (1.0 - share)
    whole = float(np.mean((probability - fake) ** 2))
    return BrierParts(
        reliability=reliability,
        resolution=resolution,
        uncertainty=uncertainty,
        within=whole - (reliability - resolution + uncertainty),
    )


def _bins(index: NDArray[np.int64], fake: Truths, probability: Probabilities) -> Iterator[CalibrationBin]:
    for number in range(CALIBRATION_BINS):
        inside = index == number
        if inside.any():
            yield CalibrationBin(
                lowest=number / CALIBRATION_BINS,
                highest=(number + 1) / CALIBRATION_BINS,
                videos=int(inside.sum()),
                mean_probability=float(probability[inside].mean()),
                fake_share=float(fake[inside].mean()),
            )
