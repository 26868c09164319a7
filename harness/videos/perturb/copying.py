"""A picture that no step touches, copied as it was coded: only the sound is worked on.

Coding it again costs fifty times as much as copying a video without sound. It is for training data alone: in
a set of a contest it would tell which videos were touched, so `ready_set` refuses recipes that ask for it.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer

from harness.core.errors import VideoError
from harness.videos.opening import open_video
from harness.videos.perturb.plans import Plan
from harness.videos.perturb.render import MUXER, Rendered
from harness.videos.perturb.sound import Sound
from harness.videos.perturb.streams import STANDING_SECONDS
from harness.videos.probe import VideoInfo, reason, sound_stream, video_stream
from harness.videos.track_notes import WHOLE

CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2", "mp4", "mov"}  # whose times are as exact as ours


def copied(source: Path, info: VideoInfo, plan: Plan, destination: Path) -> Rendered | None:
    """Write an MP4 with the source's coded pictures and the plan's sound, over what was at `destination`.

    Returns:
        What was done; None if the pictures have to be coded again: a step touches them, or they are not as
        those of a set are (upright 8-bit 4:2:0 of limited range as H.264 in MP4, with times that rise).

    Raises:
        VideoError: libav refused the source or the output.
    """
    if _is_touched(plan) or not _is_like_ours(info, plan):
        return None
    try:
        with open_video(source) as reading:
            if not _has_plain_times(reading, source):
                return None
        with (
            open_video(source) as reading,
            av.open(str(destination), "w", format="mp4", container_options=MUXER) as writing,
        ):
            return _copied(reading, writing, source, plan)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, VideoError):
            raise
        raise VideoError(f"cannot be copied: {reason(error)}", place=source) from error


def _is_touched(plan: Plan) -> bool:
    steps = [item.step for item in plan.steps]
    before, after = plan.canvas, plan.expected
    shape = (before.width, before.height, before.frames_per_second, before.duration_seconds)
    return shape != (after.width, after.height, after.frames_per_second, after.duration_seconds) or any(
        step.video or step.operation or step.generations or step.encode for step in steps
    )


def _is_like_ours(info: VideoInfo, plan: Plan) -> bool:
    coded = info.video_codec, info.pixel_format, info.container in CONTAINERS
    shown = (
        info.rotation_degrees,
        info.mirrored,
        info.pixel_aspect,
        info.crop,
        info.interlaced,
        info.full_range,
    )
    size = (info.width, info.height) == (plan.canvas.width, plan.canvas.height)
    return size and coded == ("h264", "yuv420p", True) and shown == (0, False, 1, WHOLE, False, False)


def _has_plain_times(container: InputContainer, place: Path) -> bool:
    """Whether each packet is shown, after the one before it, and none for long."""
    stream = video_stream(container, place)
    decoded, shown = [], []
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if packet.pts is None or packet.dts is None or packet.is_discard or packet.is_corrupt:
            return False
        decoded.append(packet.dts)
        shown.append(packet.pts)
    if not shown or not stream.time_base or stream.start_time != min(shown):
        return False
    shown.sort()
    longest = max((after - before for before, after in pairwise(shown)), default=0)
    rising = all(one < other for times in (decoded, shown) for one, other in pairwise(times))
    return rising and longest * stream.time_base <= STANDING_SECONDS


def _copied(reading: InputContainer, writing: Any, source: Path, plan: Plan) -> Rendered:
    picture = video_stream(reading, source)
    unit, first = float(picture.time_base or 0), picture.start_time or 0
    target = writing.add_stream_from_template(picture)
    target.metadata.clear()
    track = sound_stream(reading, picture)
    sound = Sound(track, writing, plan, first * unit) if track and plan.expected.has_audio else None
    writing.start_encoding()
    digest, frames, end, damaged = hashlib.sha256(), 0, 0, 0
    for packet in reading.demux(*([picture] if sound is None else [picture, sound.stream])):
        if not packet.size:
            continue
        if packet.stream_index != picture.index:
            damaged += 0 if sound is None else sound.take(packet)
        elif packet.pts is not None and packet.dts is not None:
            digest.update(packet)
            frames, end = frames + 1, max(end, packet.pts - first + (packet.duration or 0))
            packet.pts, packet.dts, packet.stream = packet.pts - first, packet.dts - first, target
            writing.mux_one(packet)
        _write(writing, sound)
    if sound is not None:
        sound.finish()
        _write(writing, sound)
    return Rendered(
        source_frames=frames,
        source_seconds=end * unit,
        frames=frames,
        damaged_packets=damaged,
        has_audio=sound is not None and sound.wrote,
        packets_sha256=digest.hexdigest(),
    )


def _write(writing: Any, sound: Sound | None) -> None:
    if sound is not None and sound.coded:
        writing.mux(sound.coded)
        sound.coded = []
