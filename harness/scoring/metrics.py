"""Metrics over probabilities and truths: a registry, each entry with its direction, range and source.

Every metric is a pure function of `(fake, probability, epsilon)` — a boolean and a float array of the same
length, and the clip of the log loss — and returns a `Measurement`: a finite value, or none and the reason.
A value that does not exist is never replaced by one that looks plausible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from harness.core.errors import ConfigError
from harness.scoring.curves import Probabilities, Truths, calibration_bins, threshold_sweep, weighted_auc

EPSILON_DEFAULT = 1e-15
THRESHOLD = 0.5  # at or above it a video counts as called fake
FALSE_ALARM_WEIGHT = 100.0  # alpha of weighted precision


class Direction(StrEnum):
    """Which way is better."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The value of a metric, or why there is none. Exactly one of the two is given."""

    value: float | None = None
    reason: str = ""


Function = Callable[[Truths, Probabilities, float], Measurement]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One registered metric. `lowest` and `highest` bound its finite values; infinite means unbounded."""

    name: str
    title: str
    direction: Direction
    lowest: float
    highest: float
    formula: str
    source: str
    function: Function

    def measure(self, fake: Truths, probability: Probabilities, *, epsilon: float) -> Measurement:
        """Measure.

        Raises:
            ValueError: the arrays are not of one length, or a probability is not a number in [0, 1].
        """
        if fake.shape != probability.shape or fake.ndim != 1:
            raise ValueError(f"truths of shape {fake.shape} and probabilities of shape {probability.shape}")
        if not bool(np.all((probability >= 0.0) & (probability <= 1.0))):
            raise ValueError("a probability that is not a number in [0, 1]")
        if not 0.0 < epsilon < 0.5:
            raise ValueError(f"epsilon is {epsilon}; it must be between 0 and 0.5")
        if fake.size == 0:
            return Measurement(reason="there is no video")
        return self.function(fake, probability, epsilon)


_REGISTRY: dict[str, Metric] = {}


def register(
    *, name: str, title: str, direction: Direction, lowest: float, highest: float, formula: str, source: str
) -> Callable[[Function], Function]:
    """Add a function to the registry.

    Raises:
        ValueError: the name is taken.
    """

    def add(function: Function) -> Function:
        if name in _REGISTRY:
            raise ValueError(f"there is already a metric {name!r}")
        _REGISTRY[name] = Metric(
            name=name,
            title=title,
            direction=direction,
            lowest=lowest,
            highest=highest,
            formula=formula,
            source=source,
            function=function,
        )
        return function

    return add


def all_metrics() -> Mapping[str, Metric]:
    """Return every registered metric by name, in the order in which reports show them."""
    return dict(_REGISTRY)


def metric(name: str) -> Metric:
    """Return one metric.

    Raises:
        ConfigError: there is not one of this name; those that exist are listed.
    """
    if name not in _REGISTRY:
        raise ConfigError(f"no metric {name!r}", remedy=f"One of: {', '.join(_REGISTRY)}.")
    return _REGISTRY[name]


def log_losses(fake: Truths, probability: Probabilities, epsilon: float) -> NDArray[np.float64]:
    """Return the log loss of each video: `-ln p` of a fake, `-ln(1-p)` of a real, p clipped to [ε, 1-ε].

    The loss is what is clipped, to [-ln(1-ε), -ln ε], which is the same: `1-ε` itself cannot be told from 1
    if ε is below 1e-16, and a wrong 1 on a real must cost what a wrong 0 on a fake costs.
    """
    with np.errstate(divide="ignore"):
        losses = -np.where(fake, np.log(probability), np.log1p(-probability))
    return np.asarray(np.clip(losses, -math.log1p(-epsilon), -math.log(epsilon)))


@register(
    name="log_loss",
    title="Log loss",
    direction=Direction.LOWER,
    lowest=0.0,
    highest=math.inf,
    formula="-(1/n) Σ [ y ln p + (1-y) ln(1-p) ], p clipped to [ε, 1-ε]",
    source="the measure of the DeepFake Detection Challenge (2019-2020); its ε was never published",
)
def log_loss(fake: Truths, probability: Probabilities, epsilon: float) -> Measurement:
    """Mean over the videos of `log_losses`; 0.6931 is what a constant 0.5 gets."""
    return Measurement(value=float(np.mean(log_losses(fake, probability, epsilon))))


@register(
    name="roc_auc",
    title="ROC AUC",
    direction=Direction.HIGHER,
    lowest=0.0,
    highest=1.0,
    formula="P(p of a fake > p of a real) + ½ P(equal)",
    source="Hanley and McNeil 1982, as the Mann-Whitney statistic",
)
def roc_auc(fake: Truths, probability: Probabilities, epsilon: float) -> Measurement:
    """How often a fake is ranked above a real, ties counted half. Needs both classes."""
    if fake.all() or not fake.any():
        return _one_class(fake)
    return Measurement(value=weighted_auc(fake, probability)(np.ones(fake.size)))


@register(
    name="average_precision",
    title="Average precision",
    direction=Direction.HIGHER,
    lowest=0.0,
    highest=1.0,
    formula="Σ (R_k - R_(k-1)) P_k over the distinct thresholds, highest first",
    source="Manning, Raghavan and Schütze 2008, uninterpolated",
)
def average_precision(fake: Truths, probability: Probabilities, epsilon: float) -> Measurement:
    """Mean precision over the recalls of the fakes. Needs at least one fake."""
    if not fake.any():
        return _one_class(fake)
    hits, alarms = threshold_sweep(fake, probability)
    gained = np.diff(hits, prepend=0.0) / hits[-1]
    return Measurement(value=float(np.sum(gained * hits / (hits + alarms))))


@register(
    name="accuracy",
    title="Accuracy",
    direction=Direction.HIGHER,
    lowest=0.0,
    highest=1.0,
    formula="(1/n) Σ [ (p ≥ ½) = y ]",
    source="common; a video at exactly ½ is called fake",
)
def accuracy(fake: Truths, probability: Probabilities, epsilon: float) -> Measurement:
    """Share of the videos on the right side of one half."""
    return Measurement(value=float(np.mean((probability >= THRESHOLD) == fake)))


@register(
    name="balanced_accuracy",
    title="Balanced accuracy",
    direction=Direction.HIGHER,
    lowest=0.0,
    highest=1.0,
    formula="½ (recall of the fakes + recall of the reals)",
    source="Brodersen et al. 2010",
)
def balanced_accuracy(fake: Truths, probability: Probabilities, epsilon: float) -> Measurement:
    """Accuracy that does not depend on how many of the videos are fake. Needs both classes."""
    if fake.all() or not fake.any():
        return _one_class(fake)
    called = probability >= THRESHOLD
    return Measurement(value=float((np.mean(called[fake]) + np.mean(~called[~fake])) / 2.0))


@register(
    name="brier",
    title="Brier score",
    direction=Direction.LOWER,
    lowest=0.0,
    highest=1.0,
    formula="(1/n) Σ (p - y)²",
    source="Brier 1950, in its form for two classes",
)
def brier(fake: Truths, probability: Probabilities, epsilon: float) -> Measurement:
    """Mean squared error of the probabilities; 0.25 is what a constant 0.5 gets."""
    return Measurement(value=float(np.mean((probability - fake) ** 2)))


@register(
    name="calibration_error",
    title="Calibration error",
    direction=Direction.LOWER,
    lowest=0.0,
    highest=1.0,
    formula="Σ (n_b/n) |mean p - share of fakes| over ten equal bins of p",
    source="expected calibration error, Naeini et al. 2015, on P(fake)",
)
def calibration_error(fake: Truths, probability: Probabilities, epsilon: float) -> Measurement:
    """How far stated probabilities are from observed frequencies, on average."""
    return Measurement(
        value=sum(
            bin_.videos / fake.size * abs(bin_.mean_probability - bin_.fake_share)
            for bin_ in calibration_bins(fake, probability)
        )
    )


def log_weighted_precision(hits: float, false_alarms: float) -> Measurement:
    """Natural logarithm of `TP / (TP + 100 FP)`.

    Precision as it would be if fakes were a hundred times rarer than in the set (Dolhansky et al. 2019, the
    challenge's preview paper). With nothing called fake (TP = FP = 0) the precision is 1 and the value 0, as
    at the end of any precision-recall curve. With TP = 0 and FP > 0 it is minus infinity, which no JSON can
    hold: no value, and the reason.
    """
    if hits < 0 or false_alarms < 0:
        raise ValueError(f"counts of {hits} and {false_alarms}")
    if hits == 0 and false_alarms == 0:
        return Measurement(value=0.0)
    if hits == 0:
        return Measurement(reason="minus infinity: false alarms and not one hit")
    return Measurement(value=0.0 - math.log1p(FALSE_ALARM_WEIGHT * false_alarms / hits))  # 0.0, never -0.0


def _at_recall(recall: float) -> Function:
    def function(fake: Truths, probability: Probabilities, epsilon: float) -> Measurement:
        if not fake.any():
            return _one_class(fake)
        hits, alarms = threshold_sweep(fake, probability)
        # a recall of 0.9 of ten fakes is nine of them: the rounding of 0.9 * 10 must not ask for a tenth
        needed = math.ceil(recall * hits[-1] - 1e-9)
        first = int(np.searchsorted(hits, needed))
        return log_weighted_precision(float(hits[first]), float(alarms[first]))

    function.__doc__ = (
        f"`log_weighted_precision` at the highest threshold that finds {recall:.0%} of the fakes."
    )
    return function


for _name, _recall in (("10", 0.1), ("50", 0.5), ("90", 0.9)):
    register(
        name=f"log_weighted_precision_{_name}",
        title=f"Log weighted precision at recall 0.{_name[0]}",
        direction=Direction.HIGHER,
        lowest=-math.inf,
        highest=0.0,
        formula=f"ln( TP / (TP + 100 FP) ) at the highest threshold with recall ≥ {_recall}",
        source="Dolhansky et al. 2019, arXiv 1910.08854",
    )(_at_recall(_recall))


def uniform_log_loss(epsilon: float) -> float:
    """Return the expected log loss of answers drawn uniformly from [0, 1]: 1, up to the clip at ε.

    `E[-ln clip(u, ε, 1-ε)]`, integrated by parts piece by piece.
    """
    low, high = epsilon, 1.0 - epsilon
    middle = (high - high * math.log(high)) - (low - low * math.log(low))
    return -low * math.log(low) + middle - (1.0 - high) * math.log(high)


def _one_class(fake: Truths) -> Measurement:
    return Measurement(reason="every video is fake" if fake.all() else "no video is fake")
