"""Does a rendered file hold what its plan promised? Decoded again and compared; a mismatch is an error."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
from av.video.stream import VideoStream

from harness.core.errors import VideoError
from harness.videos.perturb.drawing.planes import Planes
from harness.videos.perturb.plans import Plan
from harness.videos.perturb.render import Rendered
from harness.videos.probe import reason

DURATION_TOLERANCE_SECONDS = 0.1  # plus two frames: if a filter rounds to its own clock
RATE_TOLERANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What the file holds, decoded."""

    width: int
    height: int
    frames: int
    duration_seconds: float
    frames_per_second: float
    has_audio: bool
    frames_sha256: str  # over the decoded pictures' samples, in order: survives a change of muxer


def verify(path: Path, plan: Plan, rendered: Rendered) -> Verified:
    """Decode `path` and compare it with the plan.

    Raises:
        VideoError: It cannot be decoded, or its size, rate, number of frames, duration or sound is not as
            planned; the text lists every difference.
    """
    try:
        found = _decode(path)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"the rendered file cannot be decoded: {reason(error)}", place=path) from error
    differences = _differences(found, plan, rendered)
    if differences:
        raise VideoError(
            f"the rendered file is not as planned: {'; '.join(differences)}",
            place=path,
            remedy="this is a fault of the harness: please report it with the plan from the manifest",
        )
    return found


def _decode(path: Path) -> Verified:
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise VideoError("the rendered file has no video stream", place=path)
        stream.codec_context.thread_count = 1
        digest, frames, end, width, height = hashlib.sha256(), 0, 0.0, 0, 0
        for frame in container.decode(stream):
            for plane in Planes.reading(frame).all:
                digest.update(np.ascontiguousarray(plane).data)
            frames, width, height = frames + 1, frame.width, frame.height
        if stream.duration and stream.time_base:
            # Where pictures at the start were lost, the first comes later than the sound.
            end = float(((stream.start_time or 0) + stream.duration) * stream.time_base)
        return Verified(
            width=width,
            height=height,
            frames=frames,
            duration_seconds=end,
            frames_per_second=frames / end if end else 0.0,
            has_audio=bool(container.streams.audio),
            frames_sha256=digest.hexdigest(),
        )


def _differences(found: Verified, plan: Plan, rendered: Rendered) -> list[str]:
    before, after = plan.canvas, plan.expected
    differences = []
    if (found.width, found.height) != (after.width, after.height):
        differences.append(f"size {found.width}x{found.height} instead of {after.width}x{after.height}")
    if found.frames != rendered.frames:
        differences.append(f"{found.frames} frames instead of {rendered.frames}")
    slowed = after.duration_seconds / before.duration_seconds if before.duration_seconds else 1.0
    seconds = rendered.source_seconds * slowed
    allowance = DURATION_TOLERANCE_SECONDS + 2 / min(before.frames_per_second, after.frames_per_second)
    if abs(found.duration_seconds - seconds) > allowance:
        differences.append(f"{found.duration_seconds:.3f} s instead of {seconds:.3f} s")
    fewest, most = _expected_frames(plan, rendered, slowed)
    if not fewest - 2 - RATE_TOLERANCE * fewest <= found.frames <= most + 2 + RATE_TOLERANCE * most:
        differences.append(f"{found.frames} frames, but the planned rate gives {most:.0f}")
    # A source may announce a sound track of which nothing can be decoded.
    if found.has_audio != (after.has_audio and rendered.has_audio):
        differences.append(f"{'sound' if found.has_audio else 'no sound'} against the plan")
    return differences


def _expected_frames(plan: Plan, rendered: Rendered, slowed: float) -> tuple[float, float]:
    """Return between which numbers: by the planned rate, or as many as the source had, whatever its clock.

    The two differ only if the source has other times between its frames than its rate says.
    """
    change = plan.expected.frames_per_second / plan.canvas.frames_per_second
    counted = (rendered.source_frames + rendered.repeated_frames) * slowed * change
    by_rate = rendered.source_seconds * slowed * plan.expected.frames_per_second
    kept = change == 1 and not any("fps=" in text for item in plan.steps for text in item.step.video)
    return (counted, counted) if kept else (min(counted, by_rate), max(counted, by_rate))
