"""Pictures as streams: each function takes an iterator of frames and gives one, holding few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, islice
from pathlib import Path

import av
import av.error
from av.filter import Graph

from harness.videos.colour_spaces import LIMITED, TONE_MAP, Colour, conversion
from harness.videos.orientation import Orientation
from harness.videos.perturb.colour_table import drawer, is_table
from harness.videos.perturb.drawing.planes import Before, Planes
from harness.videos.perturb.steps import (
    Canvas,
    EditFrame,
    EditParts,
    FrameOperation,
    Redraw,
    RedrawTogether,
    even,
)
from harness.videos.probe import VideoInfo, frame_colour
from harness.videos.tone import tone_map
from harness.videos.track_notes import WHOLE

Frames = Iterator[av.VideoFrame]

PER_SECOND = 90_000
TIME_BASE = Fraction(1, PER_SECOND)  # of every picture on its way and of every output, whatever the source's
# A picture that stands for longer is written again: OpenCV gives up after 4,096 packets of sound, 87 s.
STANDING_SECONDS = 30
ROUNDED_PIXELS = 4  # by which sizes differ that are rounded to even ones: not another shape
CLOCKS = ("fps=", "select=", "setpts=")  # filters that choose pictures and their times


@dataclass(frozen=True)
class Pictures:
    """A stream of pictures, and whether each is ours: then the next step may draw on it."""

    frames: Frames
    ours: bool = False


def filtered(pictures: Pictures, filters: tuple[str, ...]) -> Pictures:
    """Through one libavfilter graph, tables apart; timestamps come out in `TIME_BASE`."""
    for tables, texts in groupby(filters, is_table):
        group = tuple(texts)
        pictures = (
            _all_redrawn(pictures, drawer(group)) if tables else Pictures(_graphed(pictures.frames, group))
        )
    return pictures


def _graphed(frames: Frames, filters: tuple[str, ...]) -> Frames:
    graph: Graph | None = None
    only: av.VideoFrame | None = None  # the first picture, until one has come out
    for frame in frames:
        if graph is None:
            graph, only = _video_graph(frame, filters), frame
        graph.vpush(frame)
        for out in _pulled(graph):
            only = None
            yield out
    if graph is None:
        return
    graph.vpush(None)
    for out in _pulled(graph):
        only = None
        yield out
    if only is not None and (kept := tuple(text for text in filters if not text.startswith(CLOCKS))):
        yield from _graphed(iter([only]), kept)
    elif only is not None:
        yield only  # a picture that is shorter than one of the new rate is no reason for none at all


def _video_graph(frame: av.VideoFrame, filters: tuple[str, ...]) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=TIME_BASE
    )
    nodes = [source, *(add_filter(graph, text) for text in filters), graph.add("buffersink")]
    graph.link_nodes(*nodes).configure()
    return graph


def add_filter(graph: Graph, text: str) -> av.filter.FilterContext:
    """Add a filter given as "name=arguments" or "name"."""
    name, _, arguments = text.partition("=")
    return graph.add(name, arguments or None)


def _pulled(graph: Graph) -> Frames:
    while True:
        try:
            frame = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        if frame.pts is not None and frame.time_base and frame.time_base != TIME_BASE:
            frame.pts = round(frame.pts * frame.time_base / TIME_BASE)
        frame.time_base = TIME_BASE
        yield frame


def operated(
    pictures: Pictures, operation: FrameOperation, canvas: Canvas, *, lent: bool = False
) -> Pictures:
    """Edit each picture's planes in place, or draw it anew.

    With `lent`, whoever takes the pictures is done with each before asking for the next, and asks for no
    sample of it again: it may be drawn on even if the decoder still refers to it.
    """
    made = operation.start(canvas)
    if isinstance(made, RedrawTogether):
        return Pictures(_redrawn_together(pictures.frames, made), ours=True)
    if isinstance(made, Redraw):
        return _all_redrawn(pictures, made, (canvas.width, canvas.height))
    if isinstance(made, EditParts):
        if lent and not pictures.ours:
            return Pictures(_edited_as_lent(pictures.frames, made))
        made = made.edit
    return Pictures(_edited(pictures, made), ours=True)


def _all_redrawn(pictures: Pictures, redraw: Redraw, size: tuple[int, int] | None = None) -> Pictures:
    onto_itself = pictures.ours and redraw.by_sample

    def redrawn() -> Frames:
        for index, frame in enumerate(pictures.frames):
            if onto_itself:
                planes = Planes.of(frame)
                redraw.draw(planes, planes, index)
                yield frame
            else:
                yield _redrawn(frame, redraw, index, size)

    return Pictures(redrawn(), ours=not redraw.keeps)


def _edited(pictures: Pictures, edit: EditFrame) -> Frames:
    for index, frame in enumerate(pictures.frames):
        # Half of what libav's own copy of a frame takes that the decoder still refers to, as it mostly does.
        own = frame if pictures.ours else _redrawn(frame, COPY, index)
        edit(Planes.of(own), index)
        yield own


def _edited_as_lent(frames: Frames, parts: EditParts) -> Frames:
    before = Before()
    for index, frame in enumerate(frames):
        parts.edit(Planes.lent(frame, before), index)
        yield frame
        before.put_back()


COPY = Redraw(lambda source, target, _: target.assign(source))


def _redrawn(
    frame: av.VideoFrame, redraw: Redraw, index: int, size: tuple[int, int] | None = None
) -> av.VideoFrame:
    """Return a new picture with the old one's time and colours, and its size if no other is asked for."""
    new = _like(frame, *(size or (frame.width, frame.height)))
    redraw.draw(Planes.reading(frame), Planes.of(new), index)
    return new


def _redrawn_together(frames: Frames, redraw: RedrawTogether) -> Frames:
    first = 0
    while several := list(islice(frames, redraw.at_once)):
        new = [_like(frame, frame.width, frame.height) for frame in several]
        sources = [Planes.reading(frame) for frame in several]
        redraw.draw(sources, [Planes.of(frame) for frame in new], first)
        first += len(several)
        yield from new


def _like(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """Return an empty picture with another's time and colours."""
    new = av.VideoFrame(width, height, "yuv420p")
    new.pts, new.time_base, new.duration = frame.pts, frame.time_base, frame.duration
    new.color_range, new.colorspace = frame.color_range, frame.colorspace
    new.color_primaries, new.color_trc = frame.color_primaries, frame.color_trc
    return new


def standing(frames: Frames) -> Frames:
    """Repeat a picture that stands for long, twice a minute: it shows the same, and all decoders find it."""
    last: av.VideoFrame | None = None
    shown, step = 0, STANDING_SECONDS * PER_SECOND
    for frame in frames:
        if frame.pts is None:
            raise RuntimeError("every picture has a time by now")
        while last is not None and frame.pts - shown > step:
            again, shown = _redrawn(last, COPY, 0), shown + step
            again.pts, again.time_base = shown, TIME_BASE  # later steps may have set the picture's own anew
            yield again
        last, shown = frame, frame.pts
        yield frame


def upright(
    frames: Frames,
    canvas: Canvas,
    info: VideoInfo,
    place: Path,
    pixel_aspect: Callable[[], float] | None = None,
) -> Frames:
    """Bring decoded frames, whatever they are, to the canvas: turned, square pixels, even, limited 4:2:0.

    A frame that is there already passes untouched. If a stream changes its format on the way, a new graph
    is made for the new format; a picture of another shape stands between black bars. `pixel_aspect` says it
    of the last frame, if not all are alike.
    """
    lying, target, interlaced = info.orientation, info.written_colour, info.interlaced
    way: _Way | None = None
    current: tuple[object, ...] | None = None
    for frame in frames:
        colour = frame_colour(frame, place)
        aspect = info.pixel_aspect if pixel_aspect is None else pixel_aspect()
        interlaced = interlaced or frame.interlaced_frame  # from then on: fields and frames may alternate
        kind = (frame.width, frame.height, frame.format.name, colour, aspect, interlaced)
        if kind != current:
            if way is not None:
                yield from _tagged(way.through(None), target)
            # What is cut is said of the coded size: not of another that the stream changes to.
            crop = info.crop if (frame.width, frame.height) == (info.width, info.height) else WHOLE
            width = frame.width - crop.left - crop.right
            height = frame.height - crop.top - crop.bottom
            cut = (f"crop={width}:{height}:{crop.left}:{crop.top}:exact=1",) if crop else ()
            after = (*lying.filters, *_fit((width, height), canvas, lying, aspect))
            filters = _to_canvas(frame, (colour, target), (cut, after), interlaced=interlaced)
            current, way = kind, _Way(frame, filters, colour) if filters else None
        if way is None:
            yield frame
        else:
            yield from _tagged(way.through(frame), target)
    if way is not None:
        yield from _tagged(way.through(None), target)


class _Way:
    """From one kind of decoded picture to the canvas: one libavfilter graph, or two and a tone map."""

    def __init__(self, frame: av.VideoFrame, filters: tuple[str, ...], colour: Colour) -> None:
        mapped = TONE_MAP in filters
        end = filters.index(TONE_MAP) if mapped else len(filters)
        self._first, self._rest = _video_graph(frame, filters[:end]), filters[end + 1 :]
        self._map = tone_map(colour.primaries, colour.transfer) if mapped else None
        self._second: Graph | None = None

    def through(self, frame: av.VideoFrame | None) -> Frames:
        """Yield what comes out for one more picture, or with None at the end."""
        self._first.vpush(frame)
        for first in _pulled(self._first):
            if self._map is None:
                yield first
                continue
            self._map.apply(first)
            if self._second is None:
                self._second = _video_graph(first, self._rest)
            self._second.vpush(first)
            yield from _pulled(self._second)
        if frame is None and self._second is not None:
            self._second.vpush(None)
            yield from _pulled(self._second)


def _tagged(frames: Frames, target: Colour) -> Frames:
    for frame in frames:
        frame.color_range, frame.colorspace = LIMITED, target.matrix
        yield frame


def _to_canvas(
    frame: av.VideoFrame,
    colours: tuple[Colour, Colour],
    around: tuple[tuple[str, ...], tuple[str, ...]],
    *,
    interlaced: bool,
) -> tuple[str, ...]:
    """Return the filters that a frame of this kind needs, `around` its colours; () if it passes."""
    source, target = colours
    plain = frame.format.name == "yuv420p" and (source.tags, source.full_range) == (target.tags, False)
    whole = ("bwdif=mode=send_frame:deint=interlaced",) if interlaced else ()
    convert = () if plain else conversion(source, target, frame.format.components[0].bits)
    return (*whole, *around[0], *convert, *around[1])


def _fit(coded: tuple[int, int], canvas: Canvas, lying: Orientation, pixel_aspect: float) -> tuple[str, ...]:
    """Return the filters that bring a frame, once it is upright, to the canvas's size in its own shape."""
    width, height = reversed(coded) if lying.swaps_sides else coded
    if (width, height) == (canvas.width, canvas.height) and pixel_aspect == 1:
        return ()
    # One odd row or column is cut, not squeezed: squeezing would blur the whole picture.
    if pixel_aspect == 1 and 0 <= width - canvas.width <= 1 and 0 <= height - canvas.height <= 1:
        return (f"crop={canvas.width}:{canvas.height}:0:0:exact=1",)
    square = coded[0] * pixel_aspect
    shape = (coded[1], square) if lying.swaps_sides else (square, coded[1])
    scale = min(canvas.width / shape[0], canvas.height / shape[1])
    inner = even(shape[0] * scale + 1), even(shape[1] * scale + 1)
    if canvas.width - inner[0] <= ROUNDED_PIXELS and canvas.height - inner[1] <= ROUNDED_PIXELS:
        return (f"scale={canvas.width}:{canvas.height}:flags=bicubic", "setsar=1")
    bars = f"pad={canvas.width}:{canvas.height}:(ow-iw)/2:(oh-ih)/2"
    return (f"scale={inner[0]}:{inner[1]}:flags=bicubic", bars, "setsar=1")
