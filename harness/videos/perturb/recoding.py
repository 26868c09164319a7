"""The steps of a plan over a stream of pictures, and coding on the way in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
from av.video.codeccontext import VideoCodecContext

from harness.videos.colour_spaces import FULL, LIMITED
from harness.videos.perturb.drawing.blur import Scaled
from harness.videos.perturb.plans import Plan
from harness.videos.perturb.registry import frame_generator
from harness.videos.perturb.steps import Canvas, FrameOperation, Generation, Step
from harness.videos.perturb.streams import TIME_BASE, Frames, Pictures, filtered, operated

START_CODE = b"\0\0\1"
X265_WIDTH_MIN = 64  # between 34 and 48 pixels of width, x265 (in PyAV 18.1) writes past its buffers
SLICE_UNITS = {1, 5}  # H.264 NAL unit types that carry picture data


def changed(frames: Frames, plan: Plan, *, lent: bool = False) -> Frames:
    """Chain the steps of a plan over pictures on its canvas, lazily; filters in a row share one graph.

    With `lent`, pictures are taken as `operated` says there.
    """
    pictures = Pictures(frames)
    waiting: tuple[str, ...] = ()
    canvas = plan.canvas
    for planned in plan.steps:
        step = planned.step
        waiting = (*waiting, *step.video)
        if waiting and (step.operation or step.generations):
            pictures, waiting = filtered(pictures, waiting), ()
        pictures = _stepped(pictures, step, canvas, lent=lent and planned is plan.steps[-1])
        canvas = step.after(canvas)
    return (filtered(pictures, waiting) if waiting else pictures).frames


def _stepped(pictures: Pictures, step: Step, before: Canvas, *, lent: bool = False) -> Pictures:
    """Return what one step does to the picture, except for its filters: see `filtered`, and `operated`."""
    after = step.after(before)
    if step.operation is not None:
        pictures = operated(pictures, step.operation, after, lent=lent and not step.generations)
    for generation in step.generations:
        pictures = Pictures(recoded(pictures.frames, generation, after))
    return pictures


def recoded(frames: Frames, generation: Generation, canvas: Canvas) -> Frames:
    """Encode and decode again in memory, single-threaded; timestamps and number of pictures are kept."""
    if generation.codec == "libx265" and canvas.width < X265_WIDTH_MIN:
        wide = replace(canvas, width=X265_WIDTH_MIN)
        padded = filtered(Pictures(frames), (f"pad={wide.width}:{wide.height}",))
        coded = Pictures(recoded(padded.frames, generation, wide))
        yield from filtered(coded, (f"crop={canvas.width}:{canvas.height}:0:0",)).frames
        return
    if generation.size is not None:
        width, height = generation.size
        small = replace(canvas, width=width, height=height)
        scaled = operated(Pictures(frames), Scaled(), small)
        coded = Pictures(recoded(scaled.frames, replace(generation, size=None), small))
        yield from operated(coded, Scaled(), canvas).frames
        return
    if generation.codec == "mjpeg":
        yield from operated(Pictures(frames), _jpegs(generation), canvas).frames
    else:
        yield from _coded(frames, generation, canvas)


def _coded(frames: Frames, generation: Generation, canvas: Canvas) -> Frames:
    encoder = open_encoder(generation, canvas)
    unit = encoder.time_base
    decoder: VideoCodecContext | None = None
    times: deque[int | None] = deque()
    given = 0

    def decoded(packets: Sequence[av.Packet[Any]]) -> Frames:
        nonlocal decoder
        for packet in packets:
            if decoder is None:
                decoder = open_decoder(encoder, generation)
            if generation.slice_loss and given > 1:
                packet = _with_lost_slices(packet, generation)  # noqa: PLW2901  (what arrives of it)
            for frame in decoder.decode(packet):
                yield _timed(frame, times)

    for frame in frames:
        times.append(frame.pts)
        shaped = (
            frame
            if frame.format.name == generation.pixel_format
            else frame.reformat(
                format=generation.pixel_format,
                dst_color_range=FULL if "j" in generation.pixel_format else None,
            )
        )
        shaped.pts, shaped.time_base, shaped.pict_type = given, unit, 0
        given += 1
        yield from decoded(encoder.encode(shaped))
    if not given:
        return
    yield from decoded(encoder.encode(None))
    if decoder is not None:
        for frame in decoder.decode(None):
            yield _timed(frame, times)


def _jpegs(generation: Generation) -> FrameOperation:
    """Return what is left of pictures that are coded so: what is written comes out as it was, so none is."""
    from harness.videos.perturb.drawing.jpegs import Jpegs  # noqa: PLC0415  (loads the compiler)

    side = 2 * 8  # pixels: one block of each colour
    small = Canvas(width=side, height=side, frames_per_second=1, duration_seconds=1, has_audio=False)
    encoder, frame = open_encoder(generation, small), av.VideoFrame(side, side, generation.pixel_format)
    frame.pts = 0
    return Jpegs.of(b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None))))


def _timed(frame: av.VideoFrame, times: deque[int | None]) -> av.VideoFrame:
    if frame.format.name != "yuv420p":
        frame = frame.reformat(format="yuv420p", dst_color_range=LIMITED)
    frame.pts, frame.time_base = times.popleft(), TIME_BASE
    return frame


def open_encoder(generation: Generation, canvas: Canvas) -> VideoCodecContext:
    """Open the encoder of a generation, with one thread."""
    context = av.CodecContext.create(generation.codec, "w")
    if not isinstance(context, VideoCodecContext):
        raise TypeError(f"{generation.codec} encodes no video")
    context.width, context.height, context.pix_fmt = canvas.width, canvas.height, generation.pixel_format
    rate = Fraction(canvas.frames_per_second).limit_denominator(1001)
    context.framerate, context.time_base = rate, 1 / rate
    context.thread_count = 1
    context.options = dict(generation.options)
    if generation.codec == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # it writes to standard error by itself, past libav's log
    context.open()
    return context


def open_decoder(encoder: VideoCodecContext, generation: Generation) -> VideoCodecContext:
    """Open the decoder for what an encoder of this generation makes, with one thread."""
    names = {"libx264": "h264", "libx265": "hevc", "libvpx-vp9": "vp9", "libsvtav1": "libdav1d"}
    context = av.CodecContext.create(names.get(encoder.name, encoder.name), "r")
    if not isinstance(context, VideoCodecContext):
        raise TypeError(f"{encoder.name} has no video decoder")
    context.thread_count = 1
    if generation.slice_loss:
        context.options = {"ec": "favor_inter"}  # what is lost stays as it was: guessing motion costs a third
    if encoder.extradata:
        context.extradata = encoder.extradata
    context.open()
    return context


def _with_lost_slices(packet: av.Packet[Any], generation: Generation) -> av.Packet[Any]:
    """Drop some of a picture's slices, as a network would; its first always arrives, so it still decodes."""
    content = bytes(packet)
    rng = frame_generator(generation.loss_seed, packet.pts or 0)
    kept, slices = [], 0
    for unit in content.split(START_CODE)[1:]:
        if unit[0] & 31 in SLICE_UNITS:
            slices += 1
            if slices > 1 and rng.random() < generation.slice_loss:
                continue
        kept.append(unit)
    arrived = av.Packet(b"".join(START_CODE + unit for unit in kept))
    arrived.pts, arrived.dts, arrived.time_base = packet.pts, packet.dts, packet.time_base
    return arrived
