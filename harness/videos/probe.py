"""What a video file is: its size, rate, length, codec and audio, read from the file and its first picture."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from harness.core.errors import VideoError

FALLBACK_FRAMES_PER_SECOND = 25.0  # where a file says nothing usable about its rate
PLAUSIBLE_FRAMES_PER_SECOND = (0.5, 480.0)  # outside: a broken header, not a camera


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What is known of a video before it is decoded in full.

    `width` and `height` are as coded. `upright_width` and `upright_height` are what a viewer sees: turned by
    the rotation flag and with square pixels.
    """

    width: int
    height: int
    rotation_degrees: int  # clockwise turn that a player applies: 0, 90, 180 or 270
    pixel_aspect: float  # width of a pixel over its height
    frames_per_second: float  # mean
    duration_seconds: float
    frame_count: int | None  # as the container claims; None where it does not
    video_codec: str
    pixel_format: str
    color_space: int  # libav's AVColorSpace: 1 is BT.709, 2 is untagged
    has_audio: bool
    audio_streams: int
    audio_codec: str | None
    audio_rate: int | None  # samples per second
    audio_channels: int | None
    container: str
    file_bytes: int

    @property
    def upright_width(self) -> int:
        """Width in square pixels after the rotation flag."""
        square = round(self.width * self.pixel_aspect)
        return self.height if self.rotation_degrees in {90, 270} else square

    @property
    def upright_height(self) -> int:
        """Height in square pixels after the rotation flag."""
        square = round(self.width * self.pixel_aspect)
        return square if self.rotation_degrees in {90, 270} else self.height


def probe(path: Path) -> VideoInfo:
    """Read what a video is; decodes no more than its first picture.

    Raises:
        VideoError: The file is missing, no video, or its first picture cannot be decoded.
    """
    try:
        file_bytes = path.stat().st_size
        with av.open(str(path), metadata_errors="replace") as container:
            return _describe(container, path, file_bytes)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, VideoError):
            raise
        raise VideoError(f"cannot be read as a video: {reason(error)}", place=path) from error


def reason(error: BaseException) -> str:
    """One line saying why libav or the operating system refused, without the path."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream that a player would show.

    Raises:
        VideoError: There is none, or its codec is unknown.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        raise VideoError("has no video stream", place=path)
    if stream.codec_context is None:  # PyAV leaves it out where libav knows no decoder
        raise VideoError("has a video stream of an unknown codec", place=path)
    return stream


def audio_streams(container: InputContainer) -> list[AudioStream]:
    """The sound tracks that can be decoded."""
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


def _describe(container: InputContainer, path: Path, file_bytes: int) -> VideoInfo:
    stream = video_stream(container, path)
    stream.codec_context.thread_count = 1
    first = None
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue  # a damaged packet: a later one may do
        if frames:
            first = frames[0]
            break
    if first is None:
        raise VideoError("holds no picture that can be decoded", place=path)
    aspect = stream.sample_aspect_ratio or Fraction(1)
    audio = audio_streams(container)
    rate = _rate(stream)
    return VideoInfo(
        width=first.width,
        height=first.height,
        rotation_degrees=_clockwise(first.rotation),
        pixel_aspect=float(aspect) if 0.1 <= aspect <= 10 else 1.0,
        frames_per_second=rate,
        duration_seconds=_duration(container, stream, rate),
        frame_count=stream.frames or None,
        video_codec=stream.codec_context.name,
        pixel_format=first.format.name,
        color_space=first.colorspace,
        has_audio=bool(audio),
        audio_streams=len(audio),
        audio_codec=audio[0].codec_context.name if audio else None,
        audio_rate=audio[0].codec_context.sample_rate if audio else None,
        audio_channels=audio[0].codec_context.channels if audio else None,
        container=container.format.name,
        file_bytes=file_bytes,
    )


def _rate(stream: VideoStream) -> float:
    low, high = PLAUSIBLE_FRAMES_PER_SECOND
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate is not None and low <= rate <= high:
            return float(rate)
    return FALLBACK_FRAMES_PER_SECOND


def _duration(container: InputContainer, stream: VideoStream, rate: float) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return container.duration / av.time_base
    return stream.frames / rate


def _clockwise(counter_clockwise_degrees: int) -> int:
    """The display matrix counts counter-clockwise; whole quarters only, as players do."""
    return -round(counter_clockwise_degrees / 90) * 90 % 360
