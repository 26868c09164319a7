"""The manifest of a prepared set: what was done to each video, and all that is needed to do it again.

It holds labels and sources and so never leaves the organiser; the videos are in their own folder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.files import write_text
from harness.core.types import AppliedPerturbation, PreparedVideo

FORMAT = "prepared-set/1"
VIDEOS, RECORDS, MANIFEST, LOCK = "videos", "records", "manifest.json", ".lock"


@dataclass(frozen=True, kw_only=True)
class PreparedSet:
    """A set of rendered videos."""

    videos: tuple[
        PreparedVideo, ...
    ]  # in the order of their neutral names, which says nothing of the sources
    unreadable: tuple[tuple[str, str], ...]  # source id and reason
    manifest_path: Path
    reused: int  # videos that an earlier call had finished


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a record or a manifest: a reader sees all of it or nothing.

    Raises:
        InfrastructureError: the disk refuses.
    """
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_record(path: Path) -> dict[str, Any] | None:
    """Read a finished video's record; None if it is missing or broken: the video is rendered again."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def prepared_video(record: dict[str, Any], videos: Path) -> PreparedVideo:
    """Return what other modules may know of a record: no label, no source but its name."""
    return PreparedVideo(
        video_id=record["video_id"],
        path=videos / record["video_id"],
        source_id=record["source_id"],
        sha256=record["output"]["sha256"],
        perturbations=tuple(
            AppliedPerturbation(name=item["name"], severity=item["severity"]) for item in record["applied"]
        ),
    )
