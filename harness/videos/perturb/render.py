"""One decode, one filter graph, one encode: a plan applied to a file, whatever the number of perturbations.

Pictures are pulled through the steps by the encoder, one at a time; sound is carried along as the demuxer
meets it. Memory is a few frames, whatever the length. Codecs run with one thread, muxing is bit-exact, and
the encoder's own note about its settings is taken out: the same source, plan and PyAV build give the same
bytes.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from harness.core.errors import VideoError
from harness.videos.colour_spaces import LIMITED
from harness.videos.opening import open_video
from harness.videos.perturb.clock import WITHOUT_TIMES, Clock
from harness.videos.perturb.plans import Encoding, Plan
from harness.videos.perturb.recoding import changed
from harness.videos.perturb.sound import Sound
from harness.videos.perturb.steps import Canvas
from harness.videos.perturb.streams import PER_SECOND, TIME_BASE, Frames, standing, upright
from harness.videos.perturb.timeline import Timeline
from harness.videos.probe import VideoInfo, reason, sound_stream, square_or, video_stream

Coming = tuple[list["av.Packet[Any]"], av.VideoFrame | None]  # sound, and the picture after it
CAP_FRAMES_PER_SECOND_MIN = 5  # a slower mean is that of a picture that stands, and then moves as ever
AHEAD = 4  # pictures that are made before they are wanted: twice as many as are looked up together
TICK = float(TIME_BASE)
SUPPLEMENTARY_UNIT = 6  # H.264 SEI: x264 writes all its settings there, which would tell the severity


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What rendering did, to be compared with what the file then holds."""

    source_frames: int
    source_seconds: float  # as decoded, which a damaged file's header may contradict
    frames: int  # given to the encoder
    damaged_packets: int  # of the source, skipped
    has_audio: bool
    packets_sha256: str  # over the coded video packets, in order
    repeated_frames: int = 0  # of the source's, written again as they stand for long; see `standing`


def render(source: Path, info: VideoInfo, plan: Plan, destination: Path, *, ahead: bool = False) -> Rendered:
    """Apply a plan to `source` and write an MP4 to `destination`, which is overwritten.

    With `ahead`, pictures are decoded and changed on a thread of their own while the ones before are
    encoded: on a free second core that takes less time, and the bytes are the same.

    Raises:
        VideoError: The source holds no decodable picture, or libav refused a step or the output.
    """
    cv2.setNumThreads(1)  # one job per core: OpenCV's own threads would fight the other workers
    try:
        with (
            open_video(source) as reading,
            av.open(str(destination), "w", format="mp4", container_options=MUXER) as writing,
        ):
            writer = _Writer(writing, info, plan)
            reader = _Reader(source, reading, writing, info, plan)
            writer.start()
            with ThreadPoolExecutor(1) if ahead else nullcontext() as thread:
                # x264 copies what it is given; what is made ahead, it gets only later.
                coming = _what_comes(reader, plan, info, lent=thread is None)
                for sound, frame in coming if thread is None else _early(coming, thread):
                    writing.mux(sound)
                    if frame is not None:
                        writer.write(frame)
            return writer.finish(reader)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, VideoError):
            raise
        raise VideoError(f"cannot be rendered: {reason(error)}", place=source) from error


MUXER = {"fflags": "+bitexact", "movflags": "+faststart"}


def _what_comes(reader: _Reader, plan: Plan, info: VideoInfo, *, lent: bool) -> Iterator[Coming]:
    """Yield each picture after the sound that was met on the way to it; at the end, the rest of the sound."""
    for frame in _pictures(reader, plan, info, lent=lent):
        yield reader.sound(), frame
    reader.finish()
    yield reader.sound(), None


def _early(coming: Iterator[Coming], thread: Executor) -> Iterator[Coming]:
    """Ask for a few before they are wanted; each is made after the one before it, as ever."""
    asked = deque(thread.submit(next, coming, None) for _ in range(AHEAD))
    while (made := asked.popleft().result()) is not None:
        asked.append(thread.submit(next, coming, None))
        yield made


def _pictures(reader: _Reader, plan: Plan, info: VideoInfo, *, lent: bool) -> Frames:
    frames = upright(reader.frames(), plan.canvas, info, reader.place, lambda: reader.pixel_aspect)
    return changed(reader.counted(standing(frames)), plan, lent=lent)


def encoder_options(encoding: Encoding, canvas: Canvas) -> dict[str, str]:
    """x264's options for a picture of this size and rate: constant quality under a rate cap, one thread."""
    rate = max(canvas.frames_per_second, CAP_FRAMES_PER_SECOND_MIN)
    cap = int(encoding.bits_per_pixel * canvas.width * canvas.height * rate)
    cap = min(cap, 1_000_000_000)  # twice that is as much as x264's buffer can be
    return {
        "preset": encoding.preset,
        "crf": f"{encoding.crf:g}",
        "maxrate": str(cap),
        "bufsize": str(2 * cap),
        "g": str(encoding.group_of_pictures),
        "threads": "1",
        # Without it, x264 skips a picture that stands for a minute; steady videos get the same bytes.
        "x264-params": "force-cfr=1",
    }


class _Reader:
    """Decodes the picture on demand, and codes sound as it is met."""

    def __init__(
        self, place: Path, container: InputContainer, output: OutputContainer, info: VideoInfo, plan: Plan
    ) -> None:
        self._container, self.place = container, place
        self._video = video_stream(container, self.place)
        self._video.codec_context.thread_count = 1
        self._nominal = round(1 / info.frames_per_second / TIME_BASE)
        self._clock = Clock(order_alone=container.format.name in WITHOUT_TIMES)
        self.damaged_packets = 0
        self.frame_count = 0  # decoded
        self.given = 0
        self.seconds = 0.0
        start = self._video.start_time
        origin = 0.0 if start is None or not self._video.time_base else float(start * self._video.time_base)
        self._origin = origin
        self._first_aspect = self.pixel_aspect = info.pixel_aspect  # of the last frame: broadcasts change it
        self._changed_aspects: dict[int, float] = {}  # by time of showing
        self._coded_aspect = self._video.codec_context.sample_aspect_ratio
        self._timeline = Timeline(picture=self._video.index, container=container.format.name)
        audio = sound_stream(container, self._video)
        self._audio = Sound(audio, output, plan, origin) if audio and plan.expected.has_audio else None

    def frames(self) -> Frames:
        """Yield decoded pictures with rising times from 0 in `TIME_BASE`; damaged packets are skipped."""
        last, shift = -1, 0
        for frame in self._decoded():
            self.pixel_aspect = self._changed_aspects.pop(frame.pts or 0, self._first_aspect)
            moment = self._clock.moment(frame.pts, frame.dts)
            base = frame.time_base or self._video.time_base  # PyAV leaves it out of the last pictures
            # By whole numbers and fractions of the machine: those of Python take a hundredth of all.
            time = None if moment is None or base is None else moment * base.numerator / base.denominator
            ticks = last + self._nominal if time is None else round((time - self._origin) / TICK) + shift
            if self.frame_count == 0:
                ticks = max(0, ticks)
            elif ticks < last - 2 * self._nominal or (time is not None and self._timeline.is_beyond(time)):
                # The clock was set again, which its packets did not tell: what follows, follows.
                shift += last + self._nominal - ticks
                ticks = last + self._nominal
            elif ticks <= last:  # repeated or falling times
                ticks = last + max(1, self._nominal // 2)
            frame.pts, frame.time_base, frame.duration = ticks, TIME_BASE, self._nominal
            last = ticks
            self.frame_count += 1
            self.seconds = (ticks + self._nominal) / PER_SECOND
            yield frame
        if not self.frame_count:
            raise VideoError("contains no picture that can be decoded", place=self.place)

    def _note_aspect(self, packet: av.Packet[Any]) -> None:
        """Keep what a packet changed until its picture comes out, which may be some packets later."""
        stated = self._video.codec_context.sample_aspect_ratio
        if stated and stated != self._coded_aspect and packet.pts is not None:
            self._changed_aspects[packet.pts] = square_or(stated)

    def counted(self, frames: Frames) -> Frames:
        """Pass pictures on as they are given to the first step: some of the source's are given again."""
        for frame in frames:
            self.given += 1
            yield frame

    def _decoded(self) -> Frames:
        streams: list[VideoStream | AudioStream] = [self._video]
        if self._audio is not None:
            streams.append(self._audio.stream)
        for packet in self._packets(streams):
            self._timeline.mend(packet)
            if packet.stream_index == self._video.index:
                try:
                    pictures = self._video.codec_context.decode(packet)
                except av.error.FFmpegError:
                    self.damaged_packets += 1
                    continue
                self._note_aspect(packet)
                yield from pictures
            elif self._audio is not None:
                self.damaged_packets += self._audio.take(packet)
        try:
            yield from self._video.codec_context.decode(None)
        except av.error.FFmpegError:
            self.damaged_packets += 1

    def _packets(self, streams: Sequence[VideoStream | AudioStream]) -> Iterator[av.Packet[Any]]:
        packets = self._container.demux(*streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:  # a damaged tail: what came before it stands
                self.damaged_packets += 1
                return
            if packet.size:  # an empty one asks for a flush, which we do ourselves
                yield packet

    def finish(self) -> None:
        """Take what is left of the sound."""
        if self._audio is not None:
            self._audio.finish()

    def sound(self) -> list[av.Packet[Any]]:
        """Return the coded sound that is not written yet; once."""
        if self._audio is None:
            return []
        coded, self._audio.coded = self._audio.coded, []
        return coded

    @property
    def has_audio(self) -> bool:
        """Whether there was any sound."""
        return self._audio is not None and self._audio.wrote


class _Writer:
    """The final encode."""

    def __init__(self, container: OutputContainer, info: VideoInfo, plan: Plan) -> None:
        self._container, self._plan = container, plan
        self._clean: BitStreamFilterContext | None = None
        self._hash = hashlib.sha256()
        self._frames = 0
        expected = plan.expected
        self._nominal = round(1 / expected.frames_per_second / TIME_BASE)
        rate = Fraction(expected.frames_per_second).limit_denominator(1001)
        options = encoder_options(plan.encoding, expected)
        self._stream = container.add_stream("libx264", rate=rate, options=options)
        context = self._stream.codec_context
        self._stream.width, self._stream.height = expected.width, expected.height
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = context.time_base = TIME_BASE
        context.thread_count = 1
        # Untagged pictures are read as BT.601 by the decoders in use: saying so changes nothing.
        context.colorspace, context.color_primaries, context.color_trc = info.written_colour.tags
        context.color_range = LIMITED

    def start(self) -> None:
        """Write the header, once all tracks are declared."""
        self._container.start_encoding()
        self._clean = BitStreamFilterContext(f"filter_units=remove_types={SUPPLEMENTARY_UNIT}", self._stream)

    def write(self, frame: av.VideoFrame) -> None:
        """Encode one picture."""
        frame.pict_type = 0  # the source's key frames are not ours
        frame.duration = self._nominal
        self._frames += 1
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: Sequence[av.Packet[Any]]) -> None:
        if self._clean is None:
            raise RuntimeError("start() comes first")
        for packet in packets:
            for clean in self._clean.filter(packet):
                self._hash.update(clean)
                clean.stream = self._stream
                if not clean.duration:
                    clean.duration = self._nominal
                self._container.mux_one(clean)

    def finish(self, reader: _Reader) -> Rendered:
        """Flush, and say what was done."""
        if not self._frames:
            raise VideoError("the plan left no picture", place=self._plan.video_id)
        self._mux(self._stream.encode(None))
        return Rendered(
            source_frames=reader.frame_count,
            repeated_frames=reader.given - reader.frame_count,
            source_seconds=reader.seconds,
            frames=self._frames,
            damaged_packets=reader.damaged_packets,
            has_audio=reader.has_audio,
            packets_sha256=self._hash.hexdigest(),
        )
