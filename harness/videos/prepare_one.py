"""One source to one video of a prepared set: planned, rendered, verified, recorded. It runs in a worker."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from harness.core.errors import InfrastructureError, VideoError
from harness.core.files import beside
from harness.videos.perturb.copying import copied
from harness.videos.perturb.plans import Plan
from harness.videos.perturb.recipes import Recipe, plan
from harness.videos.perturb.render import Rendered, render
from harness.videos.perturb.verify import Verified, verify
from harness.videos.prepared_set import RECORDS, VIDEOS, read_record, write_json
from harness.videos.probe import VideoInfo, probe

RENDERER = 8  # counted up when the same plan would give another picture: finished videos are then redone
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class SourceVideo:
    """One clean video. What is known of it beyond its file goes to the manifest and nowhere else."""

    source_id: str  # its file name; what its seeds are derived from
    path: Path
    label: str = ""
    method: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class RenderJob:
    """One source, and in a grid one of its cells."""

    source: SourceVideo
    recipe: Recipe
    set_seed: int
    cell: int
    destination: Path
    ahead: bool = False  # whether there is a second core for it; changes no byte
    found: bool = False  # whether the source is there on the machine that asks


@dataclass(frozen=True, kw_only=True)
class RenderDone:
    """What became of it."""

    source_id: str
    record: dict[str, Any] | None  # None: unreadable
    reason: str = ""
    reused: bool = False


def neutral_name(set_seed: int, source_id: str, cell: int = 0) -> str:
    """Make a file name that reveals nothing: 16 hex digits of a hash over seed, source and grid cell."""
    return hashlib.sha256(f"{set_seed}\0{source_id}\0{cell}\0name".encode()).hexdigest()[:16] + ".mp4"


def prepare_one(job: RenderJob) -> RenderDone:
    """Render one video, or find it finished. Runs in a worker.

    Raises:
        InfrastructureError: the source is not on this machine, and was on the one that asked.
    """
    source, destination = job.source, job.destination
    if job.found and not source.path.exists():
        raise InfrastructureError(
            f"is not there on {socket.gethostname()}",
            place=source.path,
            remedy="Every machine that renders must have the folders at the same path.",
        )
    try:
        info = probe(source.path)
        source_sha256 = file_sha256(source.path)
    except OSError as error:
        return RenderDone(
            source_id=source.source_id, record=None, reason=getattr(error, "message", str(error))
        )
    planned = plan(job.recipe, set_seed=job.set_seed, video_id=source.source_id, info=info, cell=job.cell)
    name = neutral_name(job.set_seed, source.source_id, job.cell)
    key = _key(source_sha256, planned)
    place, record_path = destination / VIDEOS / name, destination / RECORDS / f"{name}.json"
    described = {"source_id": source.source_id, "label": source.label, "method": source.method} | {
        "source": source.source
    }
    finished = read_record(record_path)
    if finished is not None and _still_true(finished, key, place):
        current = finished | described
        if current != finished:
            write_json(record_path, current)
        return RenderDone(source_id=source.source_id, record=current, reused=True)
    try:
        made = _rendered(source.path, info, planned, place, ahead=job.ahead)
    except _UnreadableError as error:
        return RenderDone(source_id=source.source_id, record=None, reason=str(error))
    made["input"]["sha256"] = source_sha256
    record = described | {"video_id": name, "key": key} | made
    write_json(record_path, record)
    return RenderDone(source_id=source.source_id, record=record)


class _UnreadableError(Exception):
    """The source turned out to be damaged while it was rendered."""


def _rendered(source: Path, info: VideoInfo, planned: Plan, place: Path, *, ahead: bool) -> dict[str, Any]:
    """Render one video to its place, and return what its record says of that."""
    with beside(place) as part:
        made = _copied(source, info, planned, part) if planned.encoding.copy_untouched else None
        rendered, found = made or _coded(source, info, planned, part, ahead=ahead)
        return {
            "applied": [asdict(item) for item in planned.applied],
            "plan": planned.to_json(),
            "input": {
                "bytes": info.file_bytes,
                "frames": rendered.source_frames,
                "damaged_packets": rendered.damaged_packets,
            },
            "output": {
                "sha256": file_sha256(part),
                "bytes": part.stat().st_size,
                "packets_sha256": rendered.packets_sha256,
                **asdict(found),
                **({"copied": True} if made else {}),
            },
            "versions": versions(),
        }


def _coded(
    source: Path, info: VideoInfo, planned: Plan, part: Path, *, ahead: bool
) -> tuple[Rendered, Verified]:
    try:
        rendered = render(source, info, planned, part, ahead=ahead)
    except VideoError as error:
        raise _UnreadableError(error.message) from error
    return rendered, verify(part, planned, rendered)


def _copied(source: Path, info: VideoInfo, planned: Plan, part: Path) -> tuple[Rendered, Verified] | None:
    try:
        rendered = copied(source, info, planned, part)
        return None if rendered is None else (rendered, verify(part, planned, rendered))
    except VideoError:
        return None  # a damaged picture, which is skipped as the others are coded again


def _key(source_sha256: str, planned: Plan) -> str:
    """Compute what identifies a finished video: its source's bytes, its plan, and what rendered it."""
    text = f"{source_sha256}\0{planned.digest()}\0{sorted(versions().items())}"
    return hashlib.sha256(text.encode()).hexdigest()


def _still_true(record: dict[str, Any], key: str, place: Path) -> bool:
    if record.get("key") != key or not place.is_file():
        return False
    return bool(file_sha256(place) == record["output"]["sha256"])


def versions() -> dict[str, str]:
    """Of everything that can change a byte of the output."""
    libraries = {name: ".".join(map(str, number)) for name, number in av.library_versions.items()}
    return {
        "renderer": str(RENDERER),
        "pyav": av.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        **{name: libraries[name] for name in ("libavcodec", "libavfilter", "libavformat", "libswscale")},
    }


def file_sha256(path: Path) -> str:
    """Over the file's bytes, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
