"""Takes the frames that are worth looking at, and decodes little else.

Why stretches and not evenly spaced frames: to show any frame a decoder must first decode every frame since
the key frame before it. Eight frames spread evenly over a clip with one key frame cost the decoding of the
whole clip (about 1.7 s for ten seconds of 1080p on two cores); eight frames out of a few short stretches
that each begin *at* a key frame cost a fifth of that, and the frames are as good.

Not covered: sound; more than the first video stream; containers without an index of key frames are read from
the start only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FRAMES = 8  # looked at per video; what members are worth was measured with as many
STRETCHES = 4  # at most: more means more seeks, fewer means less of the clip
SECONDS_BETWEEN = 2 / 15  # four frames at 30 per second; closer ones show nearly the same picture
MINIMUM_STRETCH_SECONDS = 0.5  # a key frame closer to the end than this is not worth a seek
REORDERED_FRAMES = 4  # B-frames shift presentation behind decoding by fewer than these
DAMAGED_PACKETS = 64  # in a row: then the rest of the stretch is given up
THREADS = 2  # the default limit of cores

Picture = NDArray[np.uint8]


class UndecodableVideoError(ValueError):
    """Not one frame could be decoded. The message says why."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One decoded frame, upright.

    `picture` is RGB, (height, width, 3), uint8. `seconds` is its presentation time. `stretch` counts the
    stretches of the clip: frames of one stretch are close in time, so that faces can be followed through it.
    """

    seconds: float
    stretch: int
    picture: Picture


def plan_stretches(
    key_seconds: Sequence[float], *, end_seconds: float, stretches: int = STRETCHES
) -> tuple[float, ...]:
    """Chooses the key frames at which to begin: the ones nearest to evenly spaced times.

    Args:
        key_seconds: times of the key frames, in order; may be empty where the container has no index.
        end_seconds: the end of the clip.
        stretches: how many to begin at most.

    Returns:
        Times in order, without repetition, at least one. Key frames too close to the end are not chosen,
        except the first.
    """
    if not key_seconds:
        return (0.0,)
    first = key_seconds[0]
    usable = [first, *(t for t in key_seconds[1:] if t <= end_seconds - MINIMUM_STRETCH_SECONDS)]
    span = max(0.0, end_seconds - first)
    targets = [first + span * i / stretches for i in range(stretches)]
    chosen = {min(usable, key=lambda t: (abs(t - target), t)) for target in targets}
    return tuple(sorted(chosen))


def plan_picks(
    starts: Sequence[float], *, end_seconds: float, frames: int = FRAMES
) -> tuple[tuple[float, float, int], ...]:
    """Spreads `frames` over the stretches: (start, seconds between picks, number of picks) for each.

    The distance shrinks where a stretch is too short for its share at `SECONDS_BETWEEN`.
    """
    shares = [frames // len(starts) + (i < frames % len(starts)) for i in range(len(starts))]
    ends = [*starts[1:], end_seconds]
    return tuple(
        (start, min(SECONDS_BETWEEN, max(0.0, (end - start) / share)), share)
        for start, end, share in zip(starts, ends, shares, strict=True)
        if share
    )


def read_frames(video: Path, *, frames: int = FRAMES, stretches: int = STRETCHES) -> Iterator[Frame]:
    """Yields up to `frames` upright frames of a video, in order of time.

    Damaged packets are stepped over and a truncated tail ends the clip; where the stretches give nothing at
    all, the clip is read from its start. Rotation flags are obeyed; picks are by time, so that a variable
    frame rate changes nothing.

    Raises:
        UndecodableVideoError: not one frame could be decoded.
    """
    try:
        container = av.open(str(video))
    except (OSError, ValueError) as error:  # PyAV's errors derive from both
        raise UndecodableVideoError(f"cannot open {video.name}: {error}") from error
    with container:
        if not container.streams.video:
            raise UndecodableVideoError(f"{video.name} has no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = THREADS
        keys, end_seconds = _key_frames(container, stream)
        starts = plan_stretches(keys, end_seconds=end_seconds, stretches=stretches)
        found, last = 0, -math.inf
        for stretch, (start, between, share) in enumerate(
            plan_picks(starts, end_seconds=end_seconds, frames=frames)
        ):
            if stretch and not _seek(container, stream, start):
                continue
            for seconds, picture in _pick(container, stream, between=between, share=share):
                found += 1
                last = seconds if not stretch else last
                yield Frame(seconds=seconds, stretch=stretch, picture=picture)
        if 0 < found < frames and len(starts) > 1 and _seek(container, stream, starts[0]):
            # A truncated or damaged file has lost stretches: what follows the first one stands in for them.
            lost = _pick(container, stream, between=SECONDS_BETWEEN, share=frames - found, after=last)
            for seconds, picture in lost:
                yield Frame(seconds=seconds, stretch=len(starts), picture=picture)
        if not found and _seek(container, stream, starts[0]):
            # No key frame in any stretch: take whatever the decoder makes of the file.
            for seconds, picture in _pick(container, stream, between=0.0, share=frames, need_key=False):
                found += 1
                yield Frame(seconds=seconds, stretch=0, picture=picture)
    if not found:
        raise UndecodableVideoError(f"no frame of {video.name} can be decoded")


def _key_frames(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> tuple[list[float], float]:
    """Times of the key frames by the container's index, and the end of the clip, both in seconds."""
    base = float(stream.time_base or 0)
    keys = [entry.timestamp * base for entry in stream.index_entries if entry.is_keyframe]
    if stream.duration and base:
        end = ((stream.start_time or 0) + stream.duration) * base
    elif container.duration:
        end = container.duration / av.time_base
    else:
        end = keys[-1] + 1.0 if keys else 10.0
    begin = (stream.start_time or 0) * base
    return sorted(max(key, begin) for key in keys), end


def _seek(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, seconds: float
) -> bool:
    """Goes to the key frame at a time of the index."""
    base = float(stream.time_base or 0)
    if not base:
        return False
    # The index has decoding times and the seek goes by presentation times, which with B-frames are a few
    # frames later: aimed at its own time, the seek lands on the key frame *before*, and seconds of video
    # are decoded for nothing.
    later = seconds + REORDERED_FRAMES / float(stream.average_rate or 25)
    try:
        container.seek(round(later / base), stream=stream, backward=True)
    except (OSError, ValueError):
        return False  # an index that points beyond a truncated file: the stretch is lost, not the clip
    return True


def _pick(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    *,
    between: float,
    share: int,
    need_key: bool = True,
    after: float = -math.inf,
) -> Iterator[tuple[float, Picture]]:
    """Decodes from where the container stands; yields `share` (seconds, picture), `between` seconds apart.

    Nothing up to and including the time `after` is yielded.
    """
    step = 1.0 / float(stream.average_rate or 25)
    first = seconds = -math.inf
    due = after + between if between and math.isfinite(after) else -math.inf
    picked, begun = 0, not need_key
    for frame in _decoded(container, stream):
        begun = begun or bool(frame.key_frame)
        if not begun:
            continue  # shown before the key frame, and built on frames that we have not decoded
        seconds = frame.time if frame.time is not None else max(seconds, 0.0) + step
        if seconds <= after or seconds < due - step / 2:
            continue
        yield seconds, _upright(frame)
        picked += 1
        if picked == share:
            return
        if picked == 1:
            first = seconds
        # The next point of a grid that begins with the first frame: errors do not add up, and points that a
        # slow stretch of the clip had no frame for are passed over.
        due = first + between * (math.floor((seconds - first) / between + 0.5) + 1) if between else -math.inf


def _decoded(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> Iterator[av.VideoFrame]:
    damaged = 0
    packets = container.demux(stream)
    while damaged < DAMAGED_PACKETS:
        try:
            packet = next(packets)
            yield from packet.decode()
            damaged = 0
        except StopIteration:
            return
        except (OSError, ValueError):
            damaged += 1  # a hole in the file: the decoder finds its feet at a later packet


def _upright(frame: av.VideoFrame) -> Picture:
    picture: Picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    quarter_turns = round(frame.rotation / 90) % 4  # PyAV counts as NumPy does: counter-clockwise
    return np.ascontiguousarray(np.rot90(picture, quarter_turns)) if quarter_turns else picture
