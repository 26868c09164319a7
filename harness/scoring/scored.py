"""Outcomes joined with their videos and the truth, or refused with everything that is wrong."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.core.errors import ScoreInputError
from harness.core.types import AppliedPerturbation, Outcome, OutcomeKind, PreparedVideo
from harness.scoring.clusters import Sampling, sampling_of
from harness.scoring.curves import Probabilities, Truths
from harness.scoring.metrics import EPSILON_DEFAULT, log_losses
from harness.videos.labels import Label, Labels

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ScoredVideo:
    """One video with its truth: for the organiser's eyes only."""

    video_id: str
    source_id: str
    label: Label
    kind: OutcomeKind
    probability: float  # as scored: the published constant if the video failed
    log_loss: float
    wall_seconds: float
    perturbations: tuple[AppliedPerturbation, ...]
    message: str = ""  # from the package: hostile text

    @property
    def failed(self) -> bool:
        """Whether there was no prediction."""
        return self.kind is not OutcomeKind.PREDICTED


def scored_videos(
    *,
    outcomes: Sequence[Outcome],
    videos: Sequence[PreparedVideo],
    labels: Labels,
    epsilon: float = EPSILON_DEFAULT,
    failed_probability: float = 0.5,
    partial: bool = False,
) -> tuple[ScoredVideo, ...]:
    """Join outcomes, videos and labels, in the order of the prepared set.

    With `partial`, a video without an outcome counts as not reached.

    Raises:
        ScoreInputError: they do not fit together; everything wrong is listed.
    """
    errors = [*_wrong_settings(epsilon, failed_probability), *_wrong_ids(outcomes, videos, partial)]
    errors += [error for outcome in outcomes for error in _wrong_value(outcome)]
    errors += [
        f"{v.video_id}: no label for its source {v.source_id!r}" for v in videos if v.source_id not in labels
    ]
    if not videos:
        errors.append("the set contains no video")
    if errors:
        raise ScoreInputError(
            "\n  - ".join([f"cannot be scored, {len(errors)} errors:", *errors]),
            place="outcomes",
            remedy="Every video of the set needs exactly one outcome and one label.",
        )
    by_id = {outcome.video_id: outcome for outcome in outcomes}
    ordered = [
        by_id.get(video.video_id) or Outcome(video_id=video.video_id, kind=OutcomeKind.NOT_REACHED)
        for video in videos
    ]
    truths = [labels.of(video.source_id) for video in videos]
    used = [failed_probability if one.probability is None else one.probability for one in ordered]
    losses = log_losses(np.asarray([label.fake for label in truths]), np.asarray(used), epsilon)
    return tuple(
        ScoredVideo(
            video_id=video.video_id,
            source_id=video.source_id,
            label=label,
            kind=outcome.kind,
            probability=probability,
            log_loss=float(loss),
            wall_seconds=outcome.wall_seconds,
            perturbations=video.perturbations,
            message=outcome.message,
        )
        for video, label, outcome, probability, loss in zip(
            videos, truths, ordered, used, losses, strict=True
        )
    )


def read_predictions_csv(path: Path) -> tuple[Outcome, ...]:
    """Read `filename,label` with P(fake) as label, as the contest's `submission.csv` had it.

    Raises:
        ScoreInputError: it cannot be read, or rows are wrong; every wrong row is listed.
    """
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScoreInputError(
            f"cannot be read as CSV: {error}",
            place=path,
            remedy="Give a UTF-8 table that starts with `filename,label`.",
        ) from error
    if not rows or [cell.strip() for cell in rows[0]] != ["filename", "label"]:
        raise ScoreInputError(
            "does not start with the line `filename,label`", place=path, remedy="Add it as the first line."
        )
    outcomes, errors = [], []
    first_line: dict[str, int] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != 2:
            errors.append(f"line {number}: {len(row)} cells, not 2")
            continue
        name, text = row[0].strip(), row[1].strip()
        if name in first_line:
            errors.append(f"line {number}: {name!r} again, after line {first_line[name]}")
        first_line.setdefault(name, number)
        probability = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not 0.0 <= probability <= 1.0:
            errors.append(f"line {number}: {text[:40]!r} for {name!r} is not a number in [0, 1]")
            continue
        outcomes.append(Outcome(video_id=name, kind=OutcomeKind.PREDICTED, probability=probability))
    if errors:
        raise ScoreInputError(
            "\n  - ".join([f"{len(errors)} wrong rows:", *errors]), place=path, remedy="Correct these rows."
        )
    return tuple(outcomes)


def truths_of(rows: Iterable[ScoredVideo]) -> Truths:
    """Return which rows are fake."""
    return np.asarray([row.label.fake for row in rows], dtype=np.bool_)


def probabilities_of(rows: Iterable[ScoredVideo]) -> Probabilities:
    """Return P(fake) as scored."""
    return np.asarray([row.probability for row in rows], dtype=np.float64)


def losses_of(rows: Iterable[ScoredVideo]) -> Probabilities:
    """Return the log loss of each row."""
    return np.asarray([row.log_loss for row in rows], dtype=np.float64)


def sampling(*sets: Sequence[ScoredVideo]) -> Sampling:
    """Return how the rows of one set, or of two that are compared, are drawn for an interval."""
    rows = [row for one in sets for row in one]
    return sampling_of(
        fake=[row.label.fake for row in rows],
        identities=[row.label.identity for row in rows],
        sources=[row.label.source for row in rows],
        videos=[row.source_id for row in rows],
        parts=[number for number, one in enumerate(sets) for _ in one],
    )


def _wrong_settings(epsilon: float, failed_probability: float) -> list[str]:
    errors = []
    if not 0.0 < epsilon < 0.5:
        errors.append(f"epsilon is {epsilon}; it must be between 0 and 0.5")
    if not 0.0 <= failed_probability <= 1.0:
        errors.append(f"failed_probability is {failed_probability}; it must be in [0, 1]")
    return errors


def _wrong_ids(outcomes: Sequence[Outcome], videos: Sequence[PreparedVideo], partial: bool) -> list[str]:
    wanted = Counter(video.video_id for video in videos)
    given = Counter(outcome.video_id for outcome in outcomes)
    errors = [f"{name}: {count} times in the prepared set" for name, count in wanted.items() if count > 1]
    errors += [f"{name}: {count} outcomes" for name, count in given.items() if count > 1]
    errors += [f"{name}: an outcome for no video of this set" for name in given if name not in wanted]
    if not partial:
        errors += [f"{name}: no outcome" for name in wanted if name not in given]
    return errors


def _wrong_value(outcome: Outcome) -> list[str]:
    probability = outcome.probability
    if (probability is None) == (outcome.kind is OutcomeKind.PREDICTED):
        return [f"{outcome.video_id}: {outcome.kind} with probability {probability}"]
    if probability is not None and not 0.0 <= probability <= 1.0:
        return [f"{outcome.video_id}: probability {probability} is not a number in [0, 1]"]
    return []
