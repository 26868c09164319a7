"""What the board's statistics are made from: the answers of all entries to the same videos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.core.types import SetName
from harness.scoring.clusters import Bootstrap, Floats, Sampling


@dataclass(frozen=True, kw_only=True)
class BoardEntry:
    """Who answered. Only entries with a score are on a board."""

    team: str
    run_id: str
    package: str = ""
    submitted: str = ""  # ISO 8601 in UTC; of two equal scores the earlier stands first


@dataclass(frozen=True, kw_only=True)
class Absent:
    """An entry without a score: it has no place, and this is why."""

    entry: BoardEntry
    reason: str


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """What is known of each video of the set, beside its label; one item per video, in the same order."""

    perturbations: tuple[Mapping[str, int], ...] = ()  # severity by name
    cells: tuple[Mapping[str, str], ...] = ()  # of the labels' own further columns
    people: int = 0  # different ones that the labels name


@dataclass(frozen=True, kw_only=True)
class BoardInput:
    """A video set and every scored entry's answers to it: V videos, E entries.

    Raises:
        ValueError: the shapes do not fit together, or a probability is not a number in [0, 1].
    """

    challenge: str
    set_name: SetName
    entries: tuple[BoardEntry, ...]
    probability: Floats  # (V, E): P(fake) as scored, the published constant if a video failed
    failed: NDArray[np.int64]  # (E,): videos without an answer
    fake: NDArray[np.bool_]  # (V,)
    sampling: Sampling
    epsilon: float
    facts: VideoFacts = field(default_factory=VideoFacts)
    absent: tuple[Absent, ...] = ()
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    decimals: int = 4
    private_clusters: int | None = None  # of the private set, for a forecast from the public one

    def __post_init__(self) -> None:
        videos, entries = self.fake.size, len(self.entries)
        if self.probability.shape != (videos, entries) or self.sampling.cluster.size != videos:
            raise ValueError(
                f"answers of shape {self.probability.shape} for {videos} videos and {entries} entries, "
                f"clusters of {self.sampling.cluster.size}"
            )
        if entries == 0 or videos == 0:
            raise ValueError("a board needs an entry and a video")
        if not bool(np.all((self.probability >= 0.0) & (self.probability <= 1.0))):
            raise ValueError("a probability that is not a number in [0, 1]")

    @property
    def losses(self) -> Floats:
        """The log loss of each video and entry, of shape (V, E)."""
        right = np.where(self.fake[:, None], self.probability, 1.0 - self.probability)
        # 1 - p is exact enough: if it is not, the clip at ε decides
        return np.asarray(-np.log(np.clip(right, self.epsilon, 1.0 - self.epsilon)))
