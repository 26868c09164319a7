"""What a report needs beside the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.core.types import ResourceSample
from harness.scoring.scored import ScoredVideo


@dataclass(frozen=True, kw_only=True)
class SetData:
    """One set's run, video by video."""

    rows: tuple[ScoredVideo, ...]
    samples: tuple[ResourceSample, ...] = ()
    log_tail: str = ""  # from the package: hostile text
    videos: Mapping[str, Path] = field(default_factory=dict)  # by video id; for a frame of the worst-scored
