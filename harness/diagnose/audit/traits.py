"""What a video file reveals besides its picture: everything a contestant could read without looking.

One pass over the packets of a file. Audio is decoded for its loudness; pictures only if a fingerprint is
asked for. Nothing here knows a label.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from harness.core.errors import VideoError
from harness.diagnose.audit.fingerprint import Fingerprint, FrameSampler
from harness.videos.channels import channel_names
from harness.videos.opening import open_video
from harness.videos.probe import probe, reason

AUDIO_SECONDS_MAX = 60.0  # loudness of the first minute
SILENCE_DECIBEL = -60.0  # what digital silence is counted as
_ENCODER_STRING = re.compile(rb"(?:x264|x265|Lavc|libvpx|SVT-AV1|Xvid)[ -~]{4,}")
_ENCODER_BYTES = 8192  # of the first packet and the headers: encoders sign near the start
_BOXES_MAX = 32
_COLOUR_TAGS = ("color_range", "color_primaries", "color_trc", "colorspace")


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What one file reveals besides its picture. `numbers` and `words` are keyed by a plain English name."""

    name: str
    sha256: str
    modified_ns: int
    numbers: Mapping[str, float]  # NaN: does not apply
    words: Mapping[str, str]
    fingerprint: Fingerprint | None = None


@dataclass(frozen=True, kw_only=True)
class TraitsJob:
    """One file to read, for an engine's worker."""

    path: Path
    fingerprint: bool


def read_traits(job: TraitsJob) -> Traits:
    """Read one file.

    Raises:
        VideoError: It is missing, no video, or nothing of it can be decoded.
    """
    info = probe(job.path)
    try:
        with job.path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        with open_video(job.path) as container:
            passage = _Passage(sampler=FrameSampler() if job.fingerprint else None)
            passage.read(container)
            words = _words(container, job.path, passage)
            numbers = _container_numbers(container)
    except (OSError, ValueError) as error:  # av.FFmpegError derives from one or the other
        raise VideoError(f"cannot be read as a video: {reason(error)}", place=job.path) from error
    seconds, pixels = max(info.duration_seconds, 1e-3), info.width * info.height
    frames = max(passage.frames, 1)
    numbers |= {
        "file size": float(info.file_bytes),
        "bitrate": info.file_bytes * 8 / seconds,
        "bytes per frame": info.file_bytes / frames,
        "bits per pixel": info.file_bytes * 8 / frames / max(pixels, 1),
        "duration": info.duration_seconds,
        "frame rate": info.frames_per_second,
        "width": float(info.width),
        "height": float(info.height),
        "pixels": float(pixels),
        "aspect ratio": info.upright_width / max(info.upright_height, 1),
        "rotation": float(info.rotation_degrees),
        "frames stated": float(info.frame_count if info.frame_count is not None else math.nan),
        "audio streams": float(info.audio_streams),
        "audio rate": float(info.audio_rate or math.nan),
        "audio channels": float(info.audio_channels or math.nan),
        **passage.numbers(seconds),
    }
    return Traits(
        name=job.path.name,
        sha256=sha256,
        modified_ns=job.path.stat().st_mtime_ns,
        numbers=numbers,
        words=words | {"pixel format": info.pixel_format, "container": info.container},
        fingerprint=passage.sampler.fingerprint() if passage.sampler else None,
    )


@dataclass(kw_only=True)
class _Passage:
    """What is gathered on the one way through the packets."""

    sampler: FrameSampler | None
    frames: int = 0
    times: list[float] = field(default_factory=list)
    key_frames: list[int] = field(default_factory=list)
    damaged: int = 0
    signature: str = ""
    channels: tuple[str, ...] = ()  # of the sound, where they lie in an order of their own
    audio_bytes: int = 0
    audio_samples: int = 0
    audio_square_sum: float = 0.0
    audio_peak: float = 0.0
    audio_silent: int = 0
    audio_seconds: float = math.nan

    def read(self, container: InputContainer) -> None:
        video = container.streams.video[0]
        audio = container.streams.audio[0] if container.streams.audio else None
        video.codec_context.thread_count = 1
        self.signature = _signature(video.codec_context.extradata or b"")
        mono = av.AudioResampler(format="flt", layout="mono") if audio else None
        self.channels = channel_names(audio) if audio else ()
        streams = [video] if audio is None else [video, audio]
        try:
            for packet in container.demux(streams):
                if packet.stream.type == "video":
                    self._video(packet)
                elif mono is not None:
                    self._audio(packet, mono)
        except av.error.InvalidDataError:
            self.damaged += 1  # a damaged tail: what was read before it counts
        if audio is not None and audio.duration and audio.time_base:
            self.audio_seconds = float(audio.duration * audio.time_base)

    def _video(self, packet: Packet[Any]) -> None:
        if packet.size:
            if not self.frames and not self.signature:
                self.signature = _signature(bytes(packet)[:_ENCODER_BYTES])
            if packet.is_keyframe:
                self.key_frames.append(self.frames)
            if packet.pts is not None and packet.time_base is not None:
                self.times.append(float(packet.pts * packet.time_base))
            self.frames += 1
        if self.sampler is None or self.sampler.full:
            return
        try:
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    self.sampler.add(frame, seconds=frame.time or 0.0)
        except av.error.InvalidDataError:
            self.damaged += 1

    def _audio(self, packet: Packet[Any], mono: av.AudioResampler) -> None:
        self.audio_bytes += packet.size
        try:
            for frame in packet.decode():
                if (
                    not isinstance(frame, av.AudioFrame)
                    or self.audio_samples > AUDIO_SECONDS_MAX * frame.sample_rate
                ):
                    continue
                for plain in mono.resample(frame):
                    sound = np.abs(plain.to_ndarray().astype(np.float64))
                    self.audio_samples += sound.size
                    self.audio_square_sum += float((sound**2).sum())
                    self.audio_peak = max(self.audio_peak, float(sound.max(initial=0.0)))
                    self.audio_silent += int((sound < 10 ** (SILENCE_DECIBEL / 20)).sum())
        except (av.error.InvalidDataError, ValueError):  # ValueError: the stream changes its layout midway
            self.damaged += 1

    def numbers(self, seconds: float) -> dict[str, float]:
        times = np.sort(np.asarray(self.times))
        steps = np.diff(times)
        keys = np.diff([*self.key_frames, self.frames])
        heard = self.audio_samples > 0
        loudness = _decibel(math.sqrt(self.audio_square_sum / self.audio_samples)) if heard else math.nan
        return {
            "frames": float(self.frames),
            "key frames": float(len(self.key_frames)),
            "mean key-frame spacing": float(keys.mean()) if len(keys) else math.nan,
            "longest key-frame spacing": float(keys.max()) if len(keys) else math.nan,
            "first frame time": float(times[0]) if len(times) else math.nan,
            "frame interval jitter": float(steps.std() / max(steps.mean(), 1e-6)) if len(steps) else math.nan,
            "damaged packets": float(self.damaged),
            "audio loudness": loudness,
            "audio peak": _decibel(self.audio_peak) if heard else math.nan,
            "audio silence": self.audio_silent / self.audio_samples if heard else math.nan,
            "audio bitrate": self.audio_bytes * 8 / seconds if heard else math.nan,
            "audio duration less video duration": self.audio_seconds - seconds,
        }


def _decibel(amplitude: float) -> float:
    return max(SILENCE_DECIBEL, 20 * math.log10(max(amplitude, 1e-9)))


def _signature(data: bytes) -> str:
    """Read the encoder's signature and settings, which x264 and others leave in the first packet."""
    found = _ENCODER_STRING.search(data)
    return found.group().decode("ascii") if found else ""


def _container_numbers(container: InputContainer) -> dict[str, float]:
    video = container.streams.video[0]
    return {
        "streams": float(len(container.streams)),
        "chapters": float(len(container.chapters())),
        "codec header size": float(video.codec_context.extradata_size or 0),
        "bitrate stated": float(video.codec_context.bit_rate or math.nan),
        "frames reordered": float(video.codec_context.has_b_frames),
        "stream start": float(video.start_time * video.time_base)
        if video.start_time and video.time_base
        else 0.0,
    }


def _words(container: InputContainer, path: Path, passage: _Passage) -> dict[str, str]:
    video: VideoStream = container.streams.video[0]
    audio: AudioStream | None = container.streams.audio[0] if container.streams.audio else None
    context = video.codec_context
    header = bytes(context.extradata or b"")
    words = {
        "file suffix": path.suffix.lower(),
        "box layout": _box_layout(path),
        "video codec": context.name,
        "video codec tag": str(context.codec_tag),
        "video profile": str(context.profile),
        "video level": str(getattr(context, "level", "")),
        "video time base": str(video.time_base),
        "pixel aspect": str(video.sample_aspect_ratio),
        "colour tags": "/".join(str(getattr(context, name)) for name in _COLOUR_TAGS),
        "codec header": hashlib.sha256(header).hexdigest()[:12] if header else "",
        "encoder signature": passage.signature,
        "stream types": "+".join(stream.type for stream in container.streams),
        "audio codec": "" if audio is None else f"{audio.codec_context.name} {audio.profile}",
        "audio layout": "+".join(passage.channels) or (audio.codec_context.layout.name if audio else ""),
    }
    words |= {f"metadata {key}": value for key, value in container.metadata.items()}
    for stream in container.streams:
        words |= {f"{stream.type} metadata {key}": value for key, value in stream.metadata.items()}
    return words


def _box_layout(path: Path) -> str:
    """Return the order of the top-level boxes of an MP4 or MOV file; empty for other containers."""
    layout: list[str] = []
    total = path.stat().st_size
    with path.open("rb") as file:
        while len(layout) < _BOXES_MAX and len(header := file.read(16)) >= 8:
            size, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if not kind.isalnum() or (
                not layout and kind not in {b"ftyp", b"moov", b"wide", b"skip", b"free"}
            ):
                break
            layout.append(kind.decode("ascii"))
            taken = len(header)
            if size == 1:
                size = int.from_bytes(header[8:16], "big")
            if not 8 <= size <= total:  # the last one reaches to the end (0), or it is damaged
                break
            file.seek(size - taken, 1)
    return ",".join(layout)
