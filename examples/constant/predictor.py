"""Answers 0.5 whatever it is shown: the least that an entry must beat. Its log loss is ln 2 = 0.693147."""

from __future__ import annotations

from pathlib import Path


class Predictor:
    """Knows nothing, and says so."""

    def __init__(self, package: Path) -> None:
        pass

    def predict(self, video: Path) -> float:
        """Answer 0.5, always."""
        return 0.5
