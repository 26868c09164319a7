"""Small made-up clips: a textured, moving, coloured picture with a tone, of any shape the tests need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

AUDIO_RATE = 44_100


@dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """What a made-up clip is like."""

    width: int = 160
    height: int = 120
    frames_per_second: Fraction = Fraction(25)
    frames: int = 25
    audio_tracks: int = 1
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    container: str = "mp4"
    clockwise_degrees: int = 0  # rotation flag; MP4 only
    pixel_aspect: Fraction = Fraction(1)
    times: tuple[int, ...] = ()  # milliseconds of each frame, if the rate varies
    seed: int = 0


def write_clip(path: Path, spec: ClipSpec | None = None) -> Path:
    """Write a clip; the same one for the same spec."""
    spec = spec or ClipSpec()
    with av.open(str(path), "w", format=spec.container) as container:
        video = container.add_stream(spec.codec, rate=spec.frames_per_second)
        if not isinstance(video, VideoStream):
            raise TypeError(f"{spec.codec} is not a video codec")
        video.width, video.height, video.pix_fmt = spec.width, spec.height, spec.pixel_format
        video.codec_context.thread_count = 1
        video.codec_context.sample_aspect_ratio = spec.pixel_aspect
        if spec.codec == "libx264":
            video.options = {"preset": "ultrafast", "crf": "18"}
        clock = Fraction(1, 1000) if spec.times else 1 / spec.frames_per_second
        video.codec_context.time_base = clock
        sound = [container.add_stream("aac", rate=AUDIO_RATE) for _ in range(spec.audio_tracks)]
        for track in sound:
            track.codec_context.layout = "mono"
        for index, picture in enumerate(pictures(spec)):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=spec.pixel_format)
            frame.pts, frame.time_base = spec.times[index] if spec.times else index, clock
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        seconds = spec.times[-1] / 1000 if spec.times else float(spec.frames / spec.frames_per_second)
        for number, track in enumerate(sound):
            _write_tone(container, track, seconds, 440 * (number + 1))
    if spec.clockwise_degrees:
        _set_rotation(path, spec.clockwise_degrees)
    return path


def pictures(spec: ClipSpec) -> Iterator[NDArray[np.uint8]]:
    """(h, w, 3) RGB: waves and a chequerboard drifting behind an ellipse that nods."""
    rng = np.random.Generator(np.random.Philox(key=spec.seed))
    phase = rng.random() * 6
    y, x = np.mgrid[0 : spec.height, 0 : spec.width] / min(spec.width, spec.height)
    grain = rng.integers(-4, 5, (spec.height, spec.width, 1))
    for index in range(spec.frames):
        t = index / 25
        waves = [
            110 + 60 * np.sin(7 * x + 3 * t + phase + c) * np.cos(5 * y - 2 * t + c) for c in (0, 1.3, 2.6)
        ]
        board = (((x * 8 + t).astype(int) + (y * 8).astype(int)) % 2 * 30)[..., None]
        picture = np.clip(np.dstack(waves) + board + grain, 0, 255).astype(np.uint8)
        centre = (round(spec.width * (0.5 + 0.1 * np.sin(2 * t))), round(spec.height * 0.48))
        axes = (max(1, round(spec.height * 0.2)), max(1, round(spec.height * 0.28)))
        cv2.ellipse(picture, centre, axes, 0, 0, 360, (214, 168, 138), cv2.FILLED)
        yield picture


def _write_tone(container: Any, track: AudioStream, seconds: float, hertz: float) -> None:
    count = round(seconds * AUDIO_RATE)
    # A tone that swells over noise of all pitches, low ones louder as in speech: any change of sound shows.
    time = np.arange(count) / AUDIO_RATE
    white = np.random.Generator(np.random.Philox(key=round(hertz))).standard_normal(count)
    noise = np.convolve(white, 0.85 ** np.arange(40))[:count]
    tone = np.sin(2 * np.pi * hertz * time * (1 + 0.2 * time)) * (0.2 + 0.1 * np.sin(6 * time))
    wave = (tone + 0.05 * noise).astype(np.float32)
    for start in range(0, count, 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], "fltp", "mono")
        frame.sample_rate, frame.pts = AUDIO_RATE, start
        frame.time_base = Fraction(1, AUDIO_RATE)
        container.mux(track.encode(frame))
    container.mux(track.encode(None))


def _set_rotation(path: Path, clockwise_degrees: int) -> None:
    """Write the display matrix into the first track header of an MP4, as a phone does."""
    one = 1 << 16
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[clockwise_degrees]
    matrix = [cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30]
    content = bytearray(path.read_bytes())
    # ISO/IEC 14496-12, 8.3.2: version 0 has the matrix 40 bytes after the version field.
    place = content.index(b"tkhd") + 4 + 40
    content[place : place + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    path.write_bytes(content)
