"""Outcomes × labels → scores. The only step that is given labels.

A failed video scores the published constant and is counted (`lenient`), or spoils the run (`strict`).
What cannot be scored has no score and says why; input that does not fit together is refused whole.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.core.types import (
    FailureRule,
    Outcome,
    OutcomeKind,
    PreparedVideo,
    SetName,
    Verdict,
    too_many_failed,
)
from harness.scoring.comparison import Comparison, compared
from harness.scoring.curves import BrierParts, CalibrationBin, brier_parts, calibration_bins
from harness.scoring.intervals import Gap, Interval, auc_interval, gap_of, mean_interval, proportion_interval
from harness.scoring.metrics import (
    EPSILON_DEFAULT,
    THRESHOLD,
    all_metrics,
    uniform_log_loss,
)
from harness.scoring.scored import (
    ScoredVideo,
    losses_of,
    probabilities_of,
    sampling,
    scored_videos,
    truths_of,
)
from harness.scoring.slices import Slice, slices_of
from harness.videos.labels import Labels

NEVER_SCORED = frozenset({Verdict.HARNESS_ERROR, Verdict.INVALID_PACKAGE})
GAPS = ((SetName.PUBLIC, SetName.PRIVATE), (SetName.CONTROL, SetName.PRIVATE))


@dataclass(frozen=True, kw_only=True)
class MetricScore:
    """The value of one metric with its interval, or none and the reason."""

    value: float | None = None
    reason: str = ""
    interval: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class Anchors:
    """The log loss of answers given without any thought."""

    constant_half: float
    uniform_random: float  # in expectation


@dataclass(frozen=True, kw_only=True)
class SetScore:
    """The score of one video set. `metrics` has a value for each registered metric exactly when `scored`."""

    set_name: SetName
    scored: bool
    reason: str  # why there is no score; empty if there is one
    rule: FailureRule
    epsilon: float
    failed_probability: float
    videos: int
    fakes: int
    predicted: int
    failed: int
    failures: dict[OutcomeKind, int]
    metrics: dict[str, MetricScore]
    anchors: Anchors
    slices: tuple[Slice, ...]
    calibration: tuple[CalibrationBin, ...]
    brier_parts: BrierParts | None = None
    max_failed_share: float = 1.0  # of the videos, under the lenient rule: with more the score does not count

    @property
    def counts(self) -> bool:
        """Whether there is a score, and not too many videos failed for it to have a place anywhere."""
        return self.scored and not too_many_failed(
            failed=self.failed, videos=self.videos, max_failed_share=self.max_failed_share
        )

    @property
    def why_not(self) -> str:
        """Why it does not count; empty if it does."""
        if not self.scored or self.counts:
            return self.reason
        return (
            f"{self.failed} of {self.videos} videos failed; at most {self.max_failed_share:.3g} of them may"
        )

    @property
    def comparison(self) -> Comparison:
        """How its log loss compares with that of a constant one half."""
        found = self.metrics.get("log_loss")
        return compared(found.interval if found else None, self.anchors.constant_half)

    @property
    def log_loss(self) -> float | None:
        """The log loss, if there is one."""
        found = self.metrics.get("log_loss")
        return None if found is None else found.value


def score_set(
    *,
    set_name: SetName,
    verdict: Verdict,
    outcomes: Sequence[Outcome],
    videos: Sequence[PreparedVideo],
    labels: Labels,
    rule: FailureRule,
    epsilon: float = EPSILON_DEFAULT,
    failed_probability: float = 0.5,
    max_failed_share: float = 1.0,
    detail: str = "",
) -> SetScore:
    """Join outcomes with labels, and score the set. See `score_rows`.

    Args:
        set_name: Which one.
        verdict: What its run came to; it decides together with `rule` whether there is a score at all.
        outcomes: Exactly one per video, in any order. Only a run that is never scored may lack some.
        videos: The prepared set: what each video is, and what was done to it.
        labels: The truth, by `source_id`; videos of the set that has them are all that is asked for.
        rule: What a failed video does.
        epsilon: The log loss clips to [ε, 1-ε].
        failed_probability: What a failed video scores in lenient mode.
        max_failed_share: Of the videos: with more failures a lenient score does not count.
        detail: The run's own words, put into the reason if there is no score.

    Raises:
        ScoreInputError: outcomes, videos and labels do not fit together; everything wrong is listed.
    """
    rows = scored_videos(
        outcomes=outcomes,
        videos=videos,
        labels=labels,
        epsilon=epsilon,
        failed_probability=failed_probability,
        partial=verdict in NEVER_SCORED,
    )
    return score_rows(
        rows,
        set_name=set_name,
        verdict=verdict,
        rule=rule,
        epsilon=epsilon,
        failed_probability=failed_probability,
        max_failed_share=max_failed_share,
        detail=detail,
    )


def score_rows(
    rows: Sequence[ScoredVideo],
    *,
    set_name: SetName,
    verdict: Verdict,
    rule: FailureRule,
    epsilon: float = EPSILON_DEFAULT,
    failed_probability: float = 0.5,
    max_failed_share: float = 1.0,
    detail: str = "",
) -> SetScore:
    """Score the rows of a set, as `scored_videos` made them with the same epsilon and failed probability."""
    failures = Counter(row.kind for row in rows if row.failed)
    reason = _why_not(verdict, rule, rows, detail)
    return SetScore(
        set_name=set_name,
        scored=not reason,
        reason=reason,
        rule=rule,
        epsilon=epsilon,
        failed_probability=failed_probability,
        videos=len(rows),
        fakes=sum(row.label.fake for row in rows),
        predicted=len(rows) - failures.total(),
        failed=failures.total(),
        failures={kind: failures[kind] for kind in OutcomeKind if failures[kind]},
        metrics={} if reason else _metrics(rows, epsilon),
        anchors=Anchors(constant_half=math.log(2.0), uniform_random=uniform_log_loss(epsilon)),
        slices=slices_of(rows, scored=not reason),
        calibration=() if reason else calibration_bins(truths_of(rows), probabilities_of(rows)),
        brier_parts=None if reason else brier_parts(truths_of(rows), probabilities_of(rows)),
        max_failed_share=max_failed_share,
    )


def gaps(
    rows: Mapping[SetName, Sequence[ScoredVideo]],
    scores: Mapping[SetName, SetScore],
) -> tuple[Gap, ...]:
    """Return how much worse the private set went than the public and the control set, if scored."""
    known = [pair for pair in GAPS if all(name in scores and scores[name].scored for name in pair)]
    return tuple(
        gap_of(
            names=(first.value, second.value),
            values=(losses_of(rows[first]), losses_of(rows[second])),
            sources=([row.source_id for row in rows[first]], [row.source_id for row in rows[second]]),
            sampling=sampling(rows[first], rows[second]),
        )
        for first, second in known
    )


def score_predictions(
    predictions: Sequence[Outcome],
    labels: Labels,
    *,
    set_name: SetName = SetName.PUBLIC,
    epsilon: float = EPSILON_DEFAULT,
) -> SetScore:
    """Score a table of predictions that no harness made; every labelled video needs its row.

    Raises:
        ScoreInputError: missing, extra or duplicate rows; all of them are listed.
    """
    videos = [PreparedVideo(video_id=name, path=Path(name), source_id=name, sha256="") for name in labels]
    return score_set(
        set_name=set_name,
        verdict=Verdict.OK,
        outcomes=predictions,
        videos=videos,
        labels=labels,
        rule=FailureRule.STRICT,
        epsilon=epsilon,
    )


def _why_not(verdict: Verdict, rule: FailureRule, rows: Sequence[ScoredVideo], detail: str) -> str:
    tail = f": {detail}" if detail else ""
    failed = sum(row.failed for row in rows)
    if verdict in NEVER_SCORED:
        return f"{verdict} is never scored{tail}"
    if failed == len(rows):
        return f"not one video was predicted ({verdict}{tail})"
    if rule is FailureRule.STRICT and (verdict is not Verdict.OK or failed):
        return f"strict: any failure spoils the run; {failed} of {len(rows)} videos failed ({verdict}{tail})"
    return ""


def _metrics(rows: Sequence[ScoredVideo], epsilon: float) -> dict[str, MetricScore]:
    fake, probability, drawn = truths_of(rows), probabilities_of(rows), sampling(rows)
    intervals = {
        "log_loss": mean_interval(losses_of(rows), drawn, lowest=0.0),
        "accuracy": proportion_interval((probability >= THRESHOLD) == fake, drawn),
        "brier": mean_interval((probability - fake) ** 2, drawn, lowest=0.0, highest=1.0),
        "roc_auc": auc_interval(fake, probability, drawn),
    }
    measured = {
        name: found.measure(fake, probability, epsilon=epsilon) for name, found in all_metrics().items()
    }
    return {
        name: MetricScore(value=one.value, reason=one.reason, interval=intervals.get(name))
        for name, one in measured.items()
    }
