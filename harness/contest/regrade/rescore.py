"""One run scored again from its columns: exact values of every metric, no interval, no breakdown.

What a run's verdict was, and whether it had a score, stays: a regrade is about truth and rules of scoring,
and nobody's model ran again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.contest.regrade.corrections import Correction, SetFrame
from harness.core.types import OutcomeKind, SetName
from harness.results.columns import KINDS, PREDICTED, Columns
from harness.results.result import RegradeFacts, Result, SetResult
from harness.scoring.curves import brier_parts, calibration_bins
from harness.scoring.metrics import all_metrics, log_losses, uniform_log_loss
from harness.scoring.score import MetricScore, SetScore


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What each change alone did to a log loss, one after the other; they add up to the whole difference."""

    labels: float = 0.0
    dropped: float = 0.0
    failed_probability: float = 0.0
    epsilon: float = 0.0

    def in_words(self) -> str:
        """Name what had an effect, with its size."""
        named = (
            ("labels", self.labels),
            ("dropped videos", self.dropped),
            ("failed videos' constant", self.failed_probability),
            ("ε", self.epsilon),
        )
        return ", ".join(f"{name} {value:+.4f}" for name, value in named if abs(value) >= 5e-7) or "none"


@dataclass(frozen=True, kw_only=True)
class Rescored:
    """One run before and after."""

    before: Result
    after: Result
    effects: Mapping[SetName, Effects]


def rescore(
    before: Result,
    columns: Mapping[SetName, Columns],
    frames: Mapping[SetName, SetFrame],
    correction: Correction,
    facts: RegradeFacts,
) -> Rescored:
    """Score a run again.

    Args:
        before: The result that holds until now.
        columns: The outcomes of each of its sets.
        frames: The sets with their labels before and after.
        correction: What changes besides labels and videos.
        facts: What the new result says about itself.
    """
    sets: dict[SetName, SetResult] = {}
    effects: dict[SetName, Effects] = {}
    for name, old in before.sets.items():
        score = _score_again(old.score, columns[name], frames[name], correction)
        sets[name] = old.model_copy(update={"score": score, "repeat": old.repeat})
        effects[name] = _effects(old.score, columns[name], frames[name], correction)
    gaps = tuple(
        replace(gap, value=_loss(sets, gap.second) - _loss(sets, gap.first), interval=None)
        for gap in before.gaps
    )
    after = before.model_copy(
        update={
            "sets": sets,
            "gaps": gaps,
            "epsilon": _or(correction.epsilon, before.epsilon),
            "failed_probability": _or(correction.failed_probability, before.failed_probability),
            "regrade": facts,
        }
    )
    return Rescored(before=before, after=after, effects=effects)


def _score_again(old: SetScore, columns: Columns, frame: SetFrame, correction: Correction) -> SetScore:
    epsilon = _or(correction.epsilon, old.epsilon)
    constant = _or(correction.failed_probability, old.failed_probability)
    kind, fake = columns.kind[frame.kept], frame.fake_now[frame.kept]
    counts = Counter({KINDS[number]: int(count) for number, count in enumerate(np.bincount(kind)) if count})
    predicted = counts.pop(OutcomeKind.PREDICTED, 0)
    changed = replace(
        old,
        epsilon=epsilon,
        failed_probability=constant,
        videos=int(kind.size),
        fakes=int(fake.sum()),
        predicted=predicted,
        failed=int(kind.size) - predicted,
        failures={one: counts[one] for one in OutcomeKind if counts[one]},
        anchors=replace(old.anchors, uniform_random=uniform_log_loss(epsilon)),
        slices=(),
    )
    if not old.scored:
        return changed
    probability = _answers(columns, constant)[frame.kept]
    measured = {
        name: found.measure(fake, probability, epsilon=epsilon) for name, found in all_metrics().items()
    }
    return replace(
        changed,
        metrics={name: MetricScore(value=one.value, reason=one.reason) for name, one in measured.items()},
        calibration=calibration_bins(fake, probability),
        brier_parts=brier_parts(fake, probability),
    )


def _effects(old: SetScore, columns: Columns, frame: SetFrame, correction: Correction) -> Effects:
    """Make the changes one after the other; one that changes nothing is not worked out."""
    if not old.scored:
        return Effects()
    answers, fake, epsilon = _answers(columns, old.failed_probability), frame.fake, old.epsilon
    loss = start = _mean_loss(fake, answers, epsilon)
    if frame.changed:
        fake = frame.fake_now
        loss = _mean_loss(fake, answers, epsilon)
    labels = loss - start
    dropped = 0.0
    if frame.dropped:
        fake, answers = fake[frame.kept], answers[frame.kept]
        dropped, loss = _mean_loss(fake, answers, epsilon) - loss, _mean_loss(fake, answers, epsilon)
    failed = 0.0
    if _or(correction.failed_probability, old.failed_probability) != old.failed_probability:
        answers = _answers(columns, _or(correction.failed_probability, old.failed_probability))
        answers = answers[frame.kept]
        failed, loss = _mean_loss(fake, answers, epsilon) - loss, _mean_loss(fake, answers, epsilon)
    clip = 0.0
    if _or(correction.epsilon, epsilon) != epsilon:
        clip = _mean_loss(fake, answers, _or(correction.epsilon, epsilon)) - loss
    return Effects(labels=labels, dropped=dropped, failed_probability=failed, epsilon=clip)


def _mean_loss(fake: NDArray[np.bool_], probability: NDArray[np.float64], epsilon: float) -> float:
    return float(np.mean(log_losses(fake, probability, epsilon)))


def _answers(columns: Columns, constant: float) -> NDArray[np.float64]:
    return np.where(columns.kind == PREDICTED, columns.probability, constant)


def _loss(sets: Mapping[SetName, SetResult], name: str) -> float:
    return sets[SetName(name)].score.log_loss or 0.0


def _or(changed: float | None, before: float) -> float:
    return before if changed is None else changed
