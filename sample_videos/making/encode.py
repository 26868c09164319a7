"""From frames to a small H.264 file that tells nothing but its picture."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer

from sample_videos.making.geometry import Image
from sample_videos.making.layout import Points

AUDIO_RATE = 44_100
_SMPTE170M = 6  # what OpenCV's conversion to YUV is: BT.601, limited range


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A window of the working frame, in whole pixels."""

    left: int
    top: int
    width: int
    height: int


def place_crop(
    track: Sequence[Points],
    *,
    frame_size: tuple[int, int],
    aspect: float,
    zoom: float,
    offset: tuple[float, float],
) -> Crop:
    """A still window around the face: as large as the frame allows, divided by `zoom`.

    Args:
        track: landmarks of all frames; the middle of the face's extent over the clip is the centre.
        frame_size: width and height of the frames.
        aspect: width over height of the window.
        zoom: 1 or more.
        offset: shift of the window, as a share of its width and height.
    """
    frame_width, frame_height = frame_size
    height = min(frame_height, frame_width / aspect) / zoom
    width = height * aspect
    points = np.concatenate(list(track))
    centre = (points.min(axis=0) + points.max(axis=0)) / 2 + np.array(offset) * (width, height)
    left = int(np.clip(centre[0] - width / 2, 0, frame_width - width))
    top = int(np.clip(centre[1] - height / 2, 0, frame_height - height))
    return Crop(left=left, top=top, width=int(width), height=int(height))


def cropped(frame: Image, crop: Crop, *, width: int, height: int) -> Image:
    """The window of a frame, scaled to the output size."""
    part = frame[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
    shrinking = width < crop.width
    method = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (width, height), interpolation=method), dtype=np.uint8)


def room_tone(rng: np.random.Generator, seconds: float) -> npt.NDArray[np.int16]:
    """Mono noise like that of a quiet room: pink, with a faint mains hum. The source clips have no sound."""
    count = round(seconds * AUDIO_RATE)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequency = np.maximum(np.fft.rfftfreq(count, 1 / AUDIO_RATE), 20)
    pink = np.fft.irfft(spectrum / np.sqrt(frequency), count)
    hum = np.sin(2 * np.pi * 50 * np.arange(count) / AUDIO_RATE + float(rng.uniform(0, 6)))
    level = pink / pink.std() * 0.01 + hum * 0.002
    return np.asarray(np.clip(np.round(level * 32767), -32768, 32767), dtype=np.int16)


def encode(
    frames: Sequence[Image], *, frames_per_second: int, crf: float, audio: npt.NDArray[np.int16] | None
) -> bytes:
    """An MP4 file: H.264 at a constant rate factor, AAC where there is sound.

    One thread and the bit-exact muxer, so that the same input gives the same bytes. The encoder's own note on
    its settings (an SEI message that names the rate factor) is cut out, and no metadata is written.
    """
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with tempfile.TemporaryDirectory() as folder:  # moving the index to the front needs a real file
        path = Path(folder) / "clip.mp4"
        with av.open(str(path), "w", format="mp4", options=options) as output:
            _write(output, frames, frames_per_second=frames_per_second, crf=crf, audio=audio)
        return path.read_bytes()


def _write(
    output: OutputContainer,
    frames: Sequence[Image],
    *,
    frames_per_second: int,
    crf: float,
    audio: npt.NDArray[np.int16] | None,
) -> None:
    height, width = frames[0].shape[:2]
    video = output.add_stream("libx264", rate=frames_per_second)
    video.width, video.height, video.pix_fmt = width, height, "yuv420p"
    video.codec_context.thread_count = 1
    video.codec_context.time_base = Fraction(1, frames_per_second)
    video.codec_context.colorspace = _SMPTE170M
    video.codec_context.color_primaries = _SMPTE170M
    video.codec_context.color_trc = _SMPTE170M
    video.codec_context.color_range = 1
    # stitchable: no trace of the rate factor in the headers; with mbtree, x264 165 gave the same frames
    # other bytes in one run out of five, even with one thread
    video.options = {"preset": "veryfast", "crf": f"{crf:.3f}", "x264-params": "stitchable=1:mbtree=0"}
    sound = None if audio is None else output.add_stream("aac", rate=AUDIO_RATE, layout="mono")
    if sound is not None:
        sound.bit_rate = 48_000
        sound.options = {"flags": "+bitexact"}  # else the encoder signs every file
    strip = BitStreamFilterContext("filter_units=remove_types=6", video)
    packets = []
    for index, picture in enumerate(frames):
        planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = index
        packets += list(video.encode(frame))
    packets += list(video.encode(None))
    output.start_encoding()
    for packet in packets:
        output.mux(list(strip.filter(packet)))
    output.mux(strip.filter(None))
    if sound is not None and audio is not None:
        for start in range(0, len(audio), 1024):
            block = av.AudioFrame.from_ndarray(audio[None, start : start + 1024], "s16", "mono")
            block.sample_rate, block.pts = AUDIO_RATE, start
            output.mux(sound.encode(block))
        output.mux(sound.encode(None))


def encode_to_size(
    frames: Sequence[Image],
    *,
    frames_per_second: int,
    target_bytes: int,
    audio: npt.NDArray[np.int16] | None,
    tolerance: float = 0.005,
) -> tuple[bytes, float]:
    """The encode whose file size is nearest to `target_bytes`, and its rate factor.

    A fake has less fine noise in the face and so, at a fixed rate factor, a smaller file: that would tell.
    The next rate factor is guessed from six steps halving the size, and kept inside what is known to be too
    small and too large; stops within `tolerance` of the target or after twelve encodes.
    """
    low, high, crf = 6.0, 45.0, 20.0
    best: tuple[bytes, float] = (b"", crf)
    for _ in range(12):
        data = encode(frames, frames_per_second=frames_per_second, crf=crf, audio=audio)
        if not best[0] or abs(len(data) - target_bytes) < abs(len(best[0]) - target_bytes):
            best = data, crf
        if abs(len(data) - target_bytes) <= tolerance * target_bytes:
            break
        low, high = (crf, high) if len(data) > target_bytes else (low, crf)
        guess = crf + 6 * float(np.log2(len(data) / target_bytes))
        crf = guess if low < guess < high else (low + high) / 2
    return best
