"""A contact sheet: kinds down, severities across, one picture each, rendered by the real renderer's steps."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import av
import av.error
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from harness.core.engines import Engine
from harness.core.engines.local import LocalEngine
from harness.core.errors import VideoError
from harness.core.types import AppliedPerturbation
from harness.videos.opening import open_video
from harness.videos.perturb.drawing.planes import Planes
from harness.videos.perturb.plans import build_plan
from harness.videos.perturb.recoding import changed, recoded
from harness.videos.perturb.registry import SEVERITIES
from harness.videos.perturb.render import encoder_options
from harness.videos.perturb.steps import Canvas, Generation, even
from harness.videos.perturb.streams import TIME_BASE, Frames, upright
from harness.videos.probe import VideoInfo, probe, reason, video_stream

Picture = NDArray[np.uint8]  # (h, w, 3), BGR as OpenCV writes it

CLIP_FRAMES = 10  # of the video are rendered for each cell, less than half a second
SHOWN = 7  # the frame that is shown, if so many are left
LONGEST_SIDE = 480  # of the clip, unless a zoom asks for more: strengths grow and shrink with the picture
LABEL_WIDTH, HEADER_HEIGHT, GAP = 150, 22, 4


@dataclass(frozen=True, kw_only=True)
class _Cell:
    clip: Path
    kind: str
    severity: int
    set_seed: int
    size: tuple[int, int]
    zoom: float


def contact_sheet(
    video: Path,
    kinds: Sequence[str],
    *,
    cell_width: int = 192,
    columns: int = 1,
    zoom: float = 1.0,
    set_seed: int = 0,
    progress: Callable[[str], None] | None = None,
    engine: Engine | None = None,
) -> Picture:
    """Render half a second of `video` in every kind and severity, 0 first, and lay out one frame of each.

    Args:
        video: Any readable video.
        kinds: Rows.
        cell_width: Pixels.
        columns: Blocks of rows beside each other.
        zoom: How much of the middle is shown: 2 shows half of each side, where blur and blocks can be seen.
        set_seed: For what is random in a kind.
        progress: Called with each kind's name when its row is done.
        engine: Where to render, instead of one process for each core.

    Raises:
        RecipeError: An unknown kind.
        VideoError: The video cannot be read or rendered.
    """
    with tempfile.TemporaryDirectory() as folder:
        clip = _cut(video, Path(folder) / "clip.mkv", max(LONGEST_SIDE, round(cell_width * zoom)))
        info = probe(clip)
        size = (cell_width, max(1, round(cell_width * info.upright_height / info.upright_width)))

        def cell(kind: str, severity: int) -> _Cell:
            return _Cell(clip=clip, kind=kind, severity=severity, set_seed=set_seed, size=size, zoom=zoom)

        jobs = [cell("", 0), *(cell(kind, severity) for kind in kinds for severity in SEVERITIES)]
        pictures: dict[tuple[str, int], Picture] = {}
        for result in (engine or LocalEngine()).map(_one, jobs):
            job = result.job
            pictures[job.kind, job.severity] = result.unwrap()
            done = all((job.kind, severity) in pictures for severity in SEVERITIES)
            if done and progress is not None:
                progress(job.kind)
    rows = [
        _row(kind, [pictures["", 0], *(pictures[kind, severity] for severity in SEVERITIES)])
        for kind in kinds
    ]
    header = _row("", [_text(f"{severity}", size[0], HEADER_HEIGHT) for severity in (0, *SEVERITIES)])
    return _blocks(header, rows, columns)


def _cut(video: Path, path: Path, side: int) -> Path:
    """Cut a few frames from the middle of the video, upright, no larger than shown, coded without loss."""
    info = probe(video)
    scale = min(1.0, side / max(info.upright_width, info.upright_height))
    whole = Canvas.of(info)
    width, height = even(whole.width * scale), even(whole.height * scale)
    try:
        with open_video(video) as reading, av.open(str(path), "w") as writing:
            stream = writing.add_stream("libx264", rate=25, options={"qp": "0", "preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            context = stream.codec_context
            context.colorspace, context.color_primaries, context.color_trc = info.written_colour.tags
            frames = upright(_from_the_middle(reading, info, video), whole, info, video)
            for index, frame in enumerate(islice(frames, CLIP_FRAMES)):
                small = frame.reformat(width=width, height=height, interpolation="AREA")
                small.pts, small.time_base, small.pict_type = index, Fraction(1, 25), 0
                writing.mux(stream.encode(small))
            writing.mux(stream.encode(None))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, VideoError):
            raise
        raise VideoError(f"cannot be rendered: {reason(error)}", place=video) from error
    return path


def _from_the_middle(container: av.container.InputContainer, info: VideoInfo, video: Path) -> Frames:
    """From the key frame before the middle if there is one, else from the start."""
    stream: VideoStream = video_stream(container, video)
    stream.codec_context.thread_type = "AUTO"
    try:
        container.seek(int(info.duration_seconds / 2 * av.time_base))
        first = next(container.decode(stream), None)
    except av.error.FFmpegError:
        first = None
    if first is None:
        container.seek(0)
    else:
        first.time_base = first.time_base or stream.time_base
        yield first
    for frame in container.decode(stream):
        frame.time_base = frame.time_base or stream.time_base
        yield frame


def _one(cell: _Cell) -> Picture:
    """One picture, rendered in a worker: the renderer's steps and its final encode, without a file."""
    cv2.setNumThreads(1)
    info, frames = _decoded(cell.clip)
    chosen = [AppliedPerturbation(name=cell.kind, severity=cell.severity)] if cell.severity else []
    plan = build_plan(
        chosen, recipe="preview", set_seed=cell.set_seed, video_id=cell.kind, canvas=Canvas.of(info)
    )
    final = Generation(codec="libx264", options=encoder_options(plan.encoding, plan.expected))
    try:
        shown = list(recoded(changed(_copies(frames), plan), final, plan.expected))
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(f"{cell.kind} cannot be rendered: {reason(error)}", place=cell.clip) from error
    if not shown:
        raise VideoError(f"{cell.kind} at severity {cell.severity} left no picture", place=cell.clip)
    picture = shown[min(SHOWN, len(shown) * 2 // 3)].to_ndarray(format="bgr24")
    return _fit(_middle(picture, cell.zoom), cell.size)


@cache
def _decoded(clip: Path) -> tuple[VideoInfo, tuple[av.VideoFrame, ...]]:
    """Once in each worker: opening and decoding the clip took longer than most kinds."""
    with av.open(str(clip)) as container:
        return probe(clip), tuple(container.decode(video=0))


def _copies(frames: Sequence[av.VideoFrame]) -> Frames:
    """Yield the pictures in memory of their own: steps write into them."""
    for frame in frames:
        copy = av.VideoFrame(frame.width, frame.height, "yuv420p")
        Planes.of(copy).assign(Planes.reading(frame))
        copy.pts = round(float(frame.time or 0) / TIME_BASE)
        copy.time_base = TIME_BASE
        copy.colorspace, copy.color_range = frame.colorspace, frame.color_range
        yield copy


def _middle(picture: NDArray[np.generic], zoom: float) -> NDArray[np.generic]:
    height, width = picture.shape[:2]
    rows, columns = max(2, round(height / zoom)), max(2, round(width / zoom))
    top, left = (height - rows) // 2, (width - columns) // 2
    return picture[top : top + rows, left : left + columns]


def _fit(picture: NDArray[np.generic], cell: tuple[int, int]) -> Picture:
    """Whole, in its own shape, on grey; small pictures are enlarged without smoothing over what they lost."""
    height, width = picture.shape[:2]
    scale = min(cell[0] / width, cell[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    fitted = cv2.resize(picture.astype(np.uint8), size, interpolation=method)
    sheet = np.full((cell[1], cell[0], 3), 96, np.uint8)
    top, left = (cell[1] - size[1]) // 2, (cell[0] - size[0]) // 2
    sheet[top : top + size[1], left : left + size[0]] = fitted
    return sheet


def _text(text: str, width: int, height: int) -> Picture:
    picture = np.full((height, width, 3), 255, np.uint8)
    scale = 0.42
    cv2.putText(
        picture, text, (4, height // 2 + 5), cv2.FONT_HERSHEY_SIMPLEX, scale, (30, 30, 30), 1, cv2.LINE_AA
    )
    return picture


def _row(label: str, pictures: Sequence[Picture]) -> Picture:
    height = pictures[0].shape[0]
    gap = np.full((height, GAP, 3), 255, np.uint8)
    parts = [_text(label, LABEL_WIDTH, height)]
    for picture in pictures:
        parts += [picture, gap]
    return _stacked(np.hstack(parts))


def _stacked(row: NDArray[np.generic]) -> Picture:
    return np.vstack([row, np.full((GAP, row.shape[1], 3), 255, np.uint8)]).astype(np.uint8)


def _blocks(header: Picture, rows: Sequence[Picture], columns: int) -> Picture:
    per_block = -(-len(rows) // columns)
    blocks = []
    for column in range(columns):
        own = list(rows[column * per_block : (column + 1) * per_block])
        own += [np.full_like(rows[0], 255)] * (per_block - len(own))
        blocks.append(np.vstack([header, *own]))
    return np.hstack(blocks).astype(np.uint8)
