"""The log loss of a set while it is being run: of the public one, for whoever watches."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from harness.core.challenge import Scoring
from harness.core.types import Outcome, PreparedVideo
from harness.scoring.metrics import log_losses
from harness.videos.labels import Labels


class RunningScore:
    """Takes outcomes as they come, and says the mean log loss so far, rounded as the challenge says."""

    def __init__(self, videos: Iterable[PreparedVideo], labels: Labels, scoring: Scoring) -> None:
        self._fake = {video.video_id: labels.of(video.source_id).fake for video in videos}
        self._scoring = scoring
        self._sum = 0.0
        self._count = 0

    def add(self, outcomes: Iterable[Outcome]) -> float | None:
        """Count outcomes, each once; return the mean of all so far, None while there is none."""
        failed = self._scoring.failed_probability
        for one in outcomes:
            used = failed if one.probability is None else one.probability
            loss = log_losses(
                np.asarray([self._fake[one.video_id]]), np.asarray([used]), self._scoring.epsilon
            )
            self._sum += float(loss[0])
            self._count += 1
        return round(self._sum / self._count, self._scoring.public_decimals) if self._count else None
