"""From times on this machine to the organiser's: the last line of `run` and of `check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.core.types import Limits
from harness.diagnose.calibrate.project import in_words, project
from harness.diagnose.calibrate.speeds import kept, kept_reference


def projection_of(times: Sequence[float], *, cache: Path, limits: Limits) -> str:
    """Say what a package with these times would need on the organiser's machine, or how to find out."""
    if not times:
        return ""
    own = kept(cache)
    if own is None:
        return "Run `harness calibrate` once to see what the organiser's machine would need."
    found = project(
        times, own=own, reference=kept_reference(cache), mean_video_seconds=limits.mean_video_seconds
    )
    return "" if found is None else in_words(found)
