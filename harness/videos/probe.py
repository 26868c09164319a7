"""What a video file is: size, rate, length, codec, colours and audio, from the file and its first picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from harness.core.errors import VideoError
from harness.videos.channels import channel_names
from harness.videos.colour_spaces import FULL, LIMITED, Colour, read_colour, written
from harness.videos.opening import open_video
from harness.videos.orientation import Orientation, read_display_matrix
from harness.videos.track_notes import WHOLE, Crop, read_track_notes

FALLBACK_FRAMES_PER_SECOND = 25.0  # if a file says nothing usable about its rate
PLAUSIBLE_FRAMES_PER_SECOND = (0.5, 480.0)  # outside: a broken header, not a camera
COUNTED_FRAMES_PER_SECOND = (0.01, 2000.0)  # of what is in the file: from time lapse to high-speed cameras
COUNTED_PACKETS_MAX = 2000
CONTRADICTED = 1.5  # times as many, or as few, frames as stated: the header is wrong
STILL = Disposition.attached_pic | Disposition.timed_thumbnails  # pictures about a file, not of it


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
    frame_count: int | None  # as the container claims; None if it does not
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
    color_primaries: int = 2  # as `color_space`, of ITU-T H.273
    color_transfer: int = 2
    full_range: bool = False
    mirrored: bool = False  # left to right, before the turn
    interlaced: bool = False
    crop: Crop = WHOLE  # of the coded picture, before the turn

    @property
    def orientation(self) -> Orientation:
        """What a player does to bring the picture upright."""
        return Orientation(mirrored=self.mirrored, degrees=self.rotation_degrees)

    @property
    def written_colour(self) -> Colour:
        """What a prepared file of this video is tagged as, and holds."""
        return written(
            read_colour(
                matrix=self.color_space,
                primaries=self.color_primaries,
                transfer=self.color_transfer,
                color_range=FULL if self.full_range else LIMITED,
                pixel_format=self.pixel_format,
                is_rgb=is_rgb(self.pixel_format),
            )
        )

    @property
    def upright_width(self) -> int:
        """Width in square pixels after the rotation flag."""
        square, height = self._square
        return height if self.rotation_degrees in {90, 270} else square

    @property
    def upright_height(self) -> int:
        """Height in square pixels after the rotation flag."""
        square, height = self._square
        return square if self.rotation_degrees in {90, 270} else height

    @property
    def _square(self) -> tuple[int, int]:
        """Width and height of what is shown, as coded but in square pixels."""
        width = self.width - self.crop.left - self.crop.right
        return round(width * self.pixel_aspect), self.height - self.crop.top - self.crop.bottom


def probe(path: Path) -> VideoInfo:
    """Read what a video is; decodes no more than its first picture, and reads on where a rate is in doubt.

    Raises:
        VideoError: The file is missing, no video, or its first picture cannot be decoded.
    """
    try:
        file_bytes = path.stat().st_size
        with open_video(path) as container:
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
    """Return the stream that a player would show; a cover picture of an album does not count.

    Raises:
        VideoError: There is none, or its codec is unknown.
    """
    stream = container.streams.best("video")
    moving = [one for one in container.streams.video if not one.disposition & STILL]
    if isinstance(stream, VideoStream) and stream.disposition & STILL and moving:
        stream = moving[0]
    if not isinstance(stream, VideoStream):
        raise VideoError("has no video stream", place=path)
    if stream.disposition & STILL:
        raise VideoError("has no video stream: its only picture is a cover", place=path)
    if stream.codec_context is None:  # PyAV leaves it out if libav knows no decoder
        raise VideoError("has a video stream of an unknown codec", place=path)
    return stream


def audio_streams(container: InputContainer) -> list[AudioStream]:
    """Return the sound tracks that can be decoded."""
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


def sound_stream(container: InputContainer, video: VideoStream) -> AudioStream | None:
    """Return the sound track that a player would play to this picture; None if none can be decoded."""
    known = audio_streams(container)
    best = container.streams.best("audio", related=video)
    return best if isinstance(best, AudioStream) and best in known else next(iter(known), None)


def _describe(container: InputContainer, path: Path, file_bytes: int) -> VideoInfo:
    stream = video_stream(container, path)
    stream.codec_context.thread_count = 1
    first, packets, times = None, container.demux(stream), list[float]()
    for packet in packets:
        times += _time(packet)
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue  # a damaged packet: a later one may do
        except av.error.PermissionError as error:  # how libav refuses a codec's own headers
            raise VideoError("has a video stream whose codec's headers are damaged", place=path) from error
        if frames:
            first = frames[0]
            break
    if first is None:
        raise VideoError("contains no picture that can be decoded", place=path)
    lying, colour = orientation(first, path), frame_colour(first, path)
    notes = read_track_notes(path, container.format.name, number=stream.id, index=stream.index)
    if notes.dolby_alone is not None:
        raise VideoError(
            f"has colours that cannot be read: Dolby Vision of profile {notes.dolby_alone}, which cannot be"
            " converted",
            place=path,
            remedy="convert it to BT.709 first",
        )
    crop = notes.crop
    fits = crop.left + crop.right < first.width and crop.top + crop.bottom < first.height
    sound = sound_stream(container, stream)
    if sound:
        channel_names(sound)  # before anything reads its layout
    rate = _rate(stream)
    if stream.average_rate != rate or not container.format.name.startswith("mov"):  # MP4 counts by itself
        rate = _counted_rate(rate, times + _times(packets))
    return VideoInfo(
        width=first.width,
        height=first.height,
        rotation_degrees=lying.degrees,
        mirrored=lying.mirrored,
        pixel_aspect=square_or(stream.sample_aspect_ratio),
        frames_per_second=rate,
        duration_seconds=_duration(container, stream, rate),
        frame_count=stream.frames or None,
        video_codec=stream.codec_context.name,
        pixel_format=first.format.name,
        color_space=first.colorspace,
        color_primaries=first.color_primaries,
        color_transfer=first.color_trc,
        full_range=colour.full_range,
        interlaced=first.interlaced_frame,
        crop=crop if fits else WHOLE,
        has_audio=sound is not None,
        audio_streams=len(audio_streams(container)),
        audio_codec=sound.codec_context.name if sound else None,
        audio_rate=sound.codec_context.sample_rate if sound else None,
        audio_channels=sound.codec_context.channels if sound else None,
        container=container.format.name,
        file_bytes=file_bytes,
    )


def _times(packets: Iterator[av.Packet[Any]]) -> list[float]:
    times: list[float] = []
    try:
        for packet in islice(packets, COUNTED_PACKETS_MAX):
            times += _time(packet)
    except av.error.FFmpegError:
        pass  # a damaged tail: what came before it is enough
    return times


def _time(packet: av.Packet[Any]) -> list[float]:
    """Return when a packet's picture is shown, in seconds; nothing if it is not said."""
    if packet.pts is None or packet.time_base is None or not packet.size:
        return []
    return [float(packet.pts * packet.time_base)]


def square_or(aspect: Fraction | None) -> float:
    """Return a pixel's width over its height, as stated; 1 if it is not, or not plausible."""
    return float(aspect) if aspect and 0.1 <= aspect <= 10 else 1.0


def _rate(stream: VideoStream) -> float:
    low, high = PLAUSIBLE_FRAMES_PER_SECOND
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate is not None and low <= rate <= high:
            return float(rate)
    return FALLBACK_FRAMES_PER_SECOND


def _counted_rate(stated: float, times: list[float]) -> float:
    """Return what the times of packets say, in seconds and any order, if it contradicts what is stated.

    A pause, or a burst, among frames that come as stated is no contradiction.
    """
    steps = np.diff(np.sort(times))
    steps = steps[(steps > 0) & (steps < 1 / COUNTED_FRAMES_PER_SECOND[0])]
    if not steps.size:
        return stated
    mean, usual = 1 / float(steps.mean()), 1 / float(np.median(steps))
    contradicted = all(max(rate / stated, stated / rate) > CONTRADICTED for rate in (mean, usual))
    return mean if contradicted and mean <= COUNTED_FRAMES_PER_SECOND[1] else stated


def _duration(container: InputContainer, stream: VideoStream, rate: float) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return container.duration / av.time_base
    return stream.frames / rate


def orientation(frame: VideoFrame, path: Path) -> Orientation:
    """Which way up a decoded picture lies.

    Raises:
        VideoError: Its display matrix asks for what is not a quarter turn.
    """
    try:
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")  # a buffer, which its stubs do not say
        return Orientation() if matrix is None else read_display_matrix(bytes(matrix))
    except ValueError as error:
        raise VideoError(
            f"cannot be shown upright: {error}", place=path, remedy="encode it again, the right way up"
        ) from error


def frame_colour(frame: VideoFrame, path: Path) -> Colour:
    """Return what a decoded picture's numbers mean.

    Raises:
        VideoError: They cannot be converted; says why.
    """
    try:
        return read_colour(
            matrix=frame.colorspace,
            primaries=frame.color_primaries,
            transfer=frame.color_trc,
            color_range=frame.color_range,
            pixel_format=frame.format.name,
            is_rgb=is_rgb(frame.format.name),
        )
    except ValueError as error:
        raise VideoError(
            f"has colours that cannot be read: {error}", place=path, remedy="convert it to BT.709 first"
        ) from error


@lru_cache(maxsize=64)
def is_rgb(pixel_format: str) -> bool:
    """Whether libav's format of this name holds red, green and blue, by themselves or in a palette."""
    found = VideoFormat(pixel_format)
    return bool(found.is_rgb or found.has_palette)
