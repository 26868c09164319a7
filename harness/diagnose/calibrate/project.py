"""What a package would need for a whole challenge on the organiser's machine, and whether that fits.

A package's time is an unknown mixture of the standard workload's parts, and each part has its own ratio
between the two machines. So every bootstrap replicate draws the package's times again, with replacement, and
a mixture, all mixtures being equally likely (a Dirichlet distribution with ones). The interval is the middle
95%.

What it does not know: how videos of the hidden set differ from those that were timed (longer ones take
longer), memory that the organiser's machine has less of, and a GPU, unless both machines have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from harness.core.limits import seconds_in_words
from harness.diagnose.calibrate.speeds import PARTS, Calibration, Reference

VIDEOS = 10_000  # the hidden sets of 2020 had as many
SAMPLES = 4000
FEW_VIDEOS = 10


class Fit(StrEnum):
    """Whether it fits."""

    FITS = "fits"
    UNCERTAIN = "may not fit"
    TOO_SLOW = "does not fit"


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Seconds for all videos on the organiser's machine, and what stands against them."""

    reference: str
    videos: int
    seconds: float  # the median of all draws
    low: float
    high: float
    budget_seconds: float
    caveats: tuple[str, ...] = ()

    @property
    def fit(self) -> Fit:
        """Compare the interval with the budget."""
        if self.high <= self.budget_seconds:
            return Fit.FITS
        return Fit.TOO_SLOW if self.low > self.budget_seconds else Fit.UNCERTAIN


def ratios(own: Calibration, reference: Reference) -> dict[str, float]:
    """Return for each part how many seconds the organiser's machine takes for one second of this machine."""
    return {part: reference.seconds.of(part) / own.seconds.of(part) for part in PARTS}


def project(
    video_seconds: Sequence[float],
    *,
    own: Calibration,
    reference: Reference,
    mean_video_seconds: float,
    videos: int = VIDEOS,
    seed: int = 0,
) -> Projection | None:
    """Project a package's times; None if nothing was timed.

    Args:
        video_seconds: Of single videos, on this machine, under this machine's limits.
        own: This machine.
        reference: The organiser's.
        mean_video_seconds: What a video may take on average: the budget.
        videos: How many the organiser has.
        seed: Of the draws.
    """
    if not video_seconds:
        return None
    rng = np.random.default_rng(seed)
    times = np.asarray(video_seconds, dtype=float)
    means = rng.choice(times, size=(SAMPLES, len(times))).mean(axis=1)
    mixtures = rng.dirichlet(np.ones(len(PARTS)), size=SAMPLES)
    factors = mixtures @ np.array([ratios(own, reference)[part] for part in PARTS])
    low, middle, high = (float(value) for value in np.quantile(means * factors * videos, (0.025, 0.5, 0.975)))
    return Projection(
        reference=reference.name,
        videos=videos,
        seconds=middle,
        low=low,
        high=high,
        budget_seconds=mean_video_seconds * videos,
        caveats=tuple(_caveats(own, reference, len(times))),
    )


def in_words(found: Projection) -> str:
    """Say it in one line."""
    return (
        f"{found.videos:,} videos on the organiser's machine ({found.reference}) would take about"
        f" {seconds_in_words(found.seconds)} (95%: {seconds_in_words(found.low)} to"
        f" {seconds_in_words(found.high)}); {seconds_in_words(found.budget_seconds)} are allowed:"
        f" it {found.fit}" + "".join(f"; {caveat}" for caveat in found.caveats)
    )


def _caveats(own: Calibration, reference: Reference, timed: int) -> list[str]:
    return [
        text
        for text, is_so in (
            (f"from {timed} videos only", timed < FEW_VIDEOS),
            ("this machine was busy when it was calibrated", own.busy),
            ("the published speeds are provisional", reference.provisional),
            (f"calibrated on {own.device}, published for {reference.device}", own.device != reference.device),
        )
        if is_so
    ]
