"""The sound of a video on its way through a plan: decoded, filtered, and encoded again as it is met."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import av.error
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph

from harness.videos.channels import channel_names, ways_to_stereo
from harness.videos.perturb.plans import Plan
from harness.videos.perturb.streams import add_filter

AAC_FRAME = 1024
# A third of the cost of libavcodec's default coder, which took more time than most perturbations; measured on
# tones over noise at 128 kb/s it is also 2 dB nearer to the source.
AAC_OPTIONS = {"flags": "+bitexact", "aac_coder": "fast"}
AT_ONCE = 8  # frames that are filtered and coded together: asking for each takes PyAV as long as coding it
SILENCE_SECONDS = 1  # filled in at once where a track pauses: the resampler would hold the whole of it


class Sound:
    """The first audio track, through its filters, as 48 kHz stereo AAC in step with the picture.

    Coded packets wait in `coded` for whoever writes the file.
    """

    def __init__(self, stream: AudioStream, output: OutputContainer, plan: Plan, origin: float) -> None:
        self.stream = stream
        self._names = channel_names(stream)
        self.wrote = self._ended = False
        self._given = 0  # samples given to the encoder
        self._next = 0  # where the next samples should lie, in samples of the source
        self._waiting = 0  # samples of the source that the filters hold
        self._shape: _Kind | None = None  # of the first samples, to which all others are brought
        self._resampler: tuple[object, av.AudioResampler] | None = None  # for samples of another format
        self.coded: list[av.Packet[Any]] = []
        self._origin = origin.as_integer_ratio()
        self._units: dict[int, Fraction] = {}  # by rate: making one takes longer than all else here
        encoding = plan.encoding
        self._filters = tuple(text for item in plan.steps for text in item.step.audio)
        self._rate = encoding.audio_rate
        # Declared before anything is known of the sound: every file of a set has the same tracks.
        self._target = output.add_stream("aac", rate=self._rate, options=AAC_OPTIONS)
        self._target.codec_context.layout = "stereo"
        self._target.codec_context.bit_rate = encoding.audio_bits_per_second
        self._target.codec_context.thread_count = 1
        self._graph: Graph | None = None

    def take(self, packet: av.Packet[Any]) -> int:
        """Decode, filter and encode; returns the number of damaged packets, 0 or 1."""
        try:
            frames = self.stream.codec_context.decode(packet)
        except av.error.FFmpegError:
            return 1
        for frame in frames:
            self._push(frame)
        return 0

    def _push(self, frame: av.AudioFrame) -> None:
        """Take decoded samples; where their format changes on the way, they are brought to the first one."""
        kind = _kind(frame)
        wanted = self._shape = self._shape or kind
        if self._resampler is not None and self._resampler[0] != kind:
            for rest in self._resampler[1].resample(None):
                self._place(rest)
            self._resampler = None
        if kind == wanted:
            self._place(frame)
            return
        if self._resampler is None:
            self._resampler = kind, av.AudioResampler(*wanted)
        for alike in self._resampler[1].resample(frame):
            self._place(alike)

    def _place(self, frame: av.AudioFrame) -> None:
        """Put samples of the first format where they belong; what lies before the picture is trimmed."""
        rate, pts, base = frame.sample_rate, frame.pts, frame.time_base
        if pts is not None and base:
            pts = nearest_sample(pts, base, self._origin, rate)
            step = SILENCE_SECONDS * rate
            while pts - self._next > 2 * step:
                self._filter(_silence(frame, step), self._next)
            self._filter(frame, pts)
        else:
            self._filter(frame, self._next)

    def _filter(self, frame: av.AudioFrame, pts: int) -> None:
        if self._graph is None:
            self._graph = self._build(frame)
        frame.pts, frame.time_base = pts, self._unit(frame.sample_rate)
        self._next = pts + frame.samples
        if self._ended:
            return
        try:
            self._graph.push(frame)
        except av.error.EOFError:  # a filter has cut the rest off
            self._ended = True
        self._waiting += frame.samples
        if self._waiting >= AT_ONCE * AAC_FRAME or self._ended:
            self._waiting = 0
            self._drain()

    def _unit(self, rate: int) -> Fraction:
        if rate not in self._units:
            self._units[rate] = Fraction(1, rate)
        return self._units[rate]

    def _build(self, frame: av.AudioFrame) -> Graph:
        *ways, last = ways_to_stereo(frame.layout.name, self._names)
        for way in ways:
            try:
                return self._connected(frame, way)
            except av.error.ArgumentError:
                continue  # channels that libav does not know how to mix
        return self._connected(frame, last)

    def _connected(self, frame: av.AudioFrame, way: tuple[str, ...]) -> Graph:
        graph = Graph()
        graph.threads = 1
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format,
            layout=frame.layout,
            time_base=Fraction(1, frame.sample_rate),
        )
        shape = f"sample_fmts=fltp:sample_rates={self._rate}:channel_layouts=stereo"
        # Gaps are filled and the start is trimmed or padded to 0, where the picture starts.
        texts = (*way, f"aresample={self._rate}:async=1:first_pts=0", *self._filters, f"aformat={shape}")
        nodes = [source, *(add_filter(graph, text) for text in texts), graph.add("abuffersink")]
        graph.link_nodes(*nodes).configure()
        graph.set_audio_frame_size(AT_ONCE * AAC_FRAME)  # the encoder takes them apart again
        return graph

    def _drain(self) -> None:
        if self._graph is None:
            return
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            if isinstance(frame, av.AudioFrame):
                # Without gaps from 0 on, as the first filter made it; adelay after atempo forgets the time.
                frame.pts, frame.time_base = self._given, self._unit(self._rate)
                self._given += frame.samples
                self.coded += self._target.encode(frame)
                self.wrote = True

    def finish(self) -> None:
        """Flush decoder, filters and encoder."""
        try:
            for frame in self.stream.codec_context.decode(None):
                self._push(frame)
        except av.error.FFmpegError:
            pass  # nothing more can be had of a damaged track
        if self._resampler is not None:
            for rest in self._resampler[1].resample(None):
                self._place(rest)
        if self._graph is not None and not self._ended:
            self._graph.push(None)
        self._drain()
        self.coded += self._target.encode(None)


def nearest_sample(moment: int, unit: Fraction, origin: tuple[int, int], rate: int) -> int:
    """Return the sample at a moment after the origin, seconds as a ratio; halves go to the even one.

    As fractions round, but in whole numbers: Python's fractions take as long as a tenth of all of the sound.
    """
    ticks, scale = moment * unit.numerator, unit.denominator
    above, below = origin
    over, under = (ticks * below - above * scale) * rate, scale * below
    sample, rest = divmod(over, under)
    return sample + (2 * rest > under or (2 * rest == under and sample % 2))


_Kind = tuple[str, str, int]


def _kind(frame: av.AudioFrame) -> _Kind:
    """Return format, layout and rate."""
    return frame.format.name, frame.layout.name, frame.sample_rate


def _silence(like: av.AudioFrame, samples: int) -> av.AudioFrame:
    """Return so many samples of nothing, without a time."""
    silence = av.AudioFrame(like.format.name, like.layout.name, samples)
    silence.sample_rate = like.sample_rate
    for plane in silence.planes:
        plane.update((b"\x80" if like.format.name.startswith("u8") else b"\0") * plane.buffer_size)
    return silence
