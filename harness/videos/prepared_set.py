"""The manifest of a prepared set: what was done to each video, and all that is needed to do it again.

It holds labels and sources and so never leaves the organiser; the videos lie in a folder of their own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import ConfigError
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
    """A finished video's record; None where there is none, or a broken one, which is rendered again."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def prepared_video(record: dict[str, Any], videos: Path) -> PreparedVideo:
    """What other modules may know of a record: no label, no source but its name."""
    return PreparedVideo(
        video_id=record["video_id"],
        path=videos / record["video_id"],
        source_id=record["source_id"],
        sha256=record["output"]["sha256"],
        perturbations=tuple(
            AppliedPerturbation(name=item["name"], severity=item["severity"]) for item in record["applied"]
        ),
    )


def read_manifest(path: Path) -> PreparedSet:
    """Read a prepared set back.

    Args:
        path: The manifest, or the folder it is in.

    Raises:
        ConfigError: It is missing, or not a manifest of this format.
    """
    path = path / MANIFEST if path.is_dir() else path
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["format"] != FORMAT:
            raise ConfigError(
                f"is of format {content['format']!r}, not {FORMAT!r}",
                place=path,
                remedy="render the set again",
            )
        return PreparedSet(
            videos=tuple(prepared_video(record, path.parent / VIDEOS) for record in content["videos"]),
            unreadable=tuple((item["source_id"], item["reason"]) for item in content["unreadable"]),
            manifest_path=path,
            reused=len(content["videos"]),
        )
    except ConfigError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"is no manifest of a prepared set: {error!r}", place=path, remedy="render the set first"
        ) from error
