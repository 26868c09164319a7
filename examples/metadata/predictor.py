"""Judges a video by its container alone: size, rate, length and bits per pixel. Looks at no picture.

What it is worth on a challenge is what a shortcut is worth there. Above 0.5 in AUC, real and fake did not go
through the same preparation, and a detector may be living on that.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from container import describe

CLIP = 0.02


class Predictor:
    """A logistic regression on six numbers; fit.py made them."""

    def __init__(self, package: Path) -> None:
        model = json.loads((package / "model.json").read_text())
        self._mean, self._spread = model["mean"], model["spread"]
        self._weights, self._offset = model["weights"], model["offset"]

    def predict(self, video: Path) -> float:
        """P(fake) in [CLIP, 1 - CLIP]; 0.5 if the container cannot be read."""
        try:
            numbers = describe(video)
        except (OSError, ValueError, IndexError):
            return 0.5
        logit = self._offset + sum(
            w * (n - m) / s
            for w, n, m, s in zip(self._weights, numbers, self._mean, self._spread, strict=True)
        )
        return min(1 - CLIP, max(CLIP, 1 / (1 + math.exp(-logit))))
