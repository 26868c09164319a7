"""A contact sheet: kinds down, severities across, one picture each, rendered by the real renderer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from harness.core.errors import VideoError
from harness.core.types import AppliedPerturbation
from harness.videos.perturb.plans import build_plan
from harness.videos.perturb.registry import SEVERITIES
from harness.videos.perturb.render import render
from harness.videos.perturb.steps import Canvas
from harness.videos.probe import audio_streams, probe, video_stream

Picture = NDArray[np.uint8]  # (h, w, 3), BGR as OpenCV writes it

CLIP_SECONDS = 1.0  # of the video are rendered for each cell
LABEL_WIDTH, HEADER_HEIGHT, GAP = 150, 22, 4


def contact_sheet(
    video: Path,
    kinds: Sequence[str],
    *,
    cell_width: int = 192,
    columns: int = 1,
    zoom: float = 1.0,
    set_seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Picture:
    """Render a second of `video` in every kind and severity, severity 0 first, and lay out one frame of each.

    Args:
        video: Any readable video.
        kinds: Rows.
        cell_width: Pixels.
        columns: Blocks of rows beside each other.
        zoom: How much of the middle is shown: 2 shows half of each side, where blur and blocks can be seen.
        set_seed: For what is random in a kind.
        progress: Called with each kind's name when its row is done.

    Raises:
        RecipeError: An unknown kind.
        VideoError: The video cannot be read or rendered.
    """
    with tempfile.TemporaryDirectory() as folder:
        clip = _cut(video, Path(folder) / "clip.mkv")
        info = probe(clip)
        cell = (cell_width, max(1, round(cell_width * info.upright_height / info.upright_width)))
        rows = []
        for kind in kinds:
            pictures = [
                _one(
                    clip,
                    AppliedPerturbation(name=kind, severity=severity),
                    set_seed=set_seed,
                    cell=cell,
                    zoom=zoom,
                )
                for severity in (0, *SEVERITIES)
            ]
            rows.append(_row(kind, pictures))
            if progress is not None:
                progress(kind)
    header = _row("", [_text(f"{severity}", cell[0], HEADER_HEIGHT) for severity in (0, *SEVERITIES)])
    return _blocks(header, rows, columns)


def _cut(video: Path, path: Path) -> Path:
    """The middle of the video, as short as a preview needs, without coding it again."""
    info = probe(video)
    start = max(0.0, info.duration_seconds / 2 - CLIP_SECONDS)
    with av.open(str(video)) as reading, av.open(str(path), "w") as writing:
        source = video_stream(reading, video)
        tracks: dict[int, VideoStream | AudioStream] = {
            source.index: writing.add_stream_from_template(source)
        }
        for sound in audio_streams(reading)[:1]:
            tracks[sound.index] = writing.add_stream_from_template(sound)
        reading.seek(int(start * av.time_base))
        first: float | None = None
        for packet in reading.demux([reading.streams[index] for index in tracks]):
            if packet.dts is None or packet.pts is None:
                continue
            time = float(packet.pts * packet.time_base)
            if packet.stream_index == source.index:
                first = time if first is None else first
                if time - first > CLIP_SECONDS:
                    break
            packet.stream = tracks[packet.stream_index]
            writing.mux_one(packet)
    return path


def _one(
    clip: Path, item: AppliedPerturbation, *, set_seed: int, cell: tuple[int, int], zoom: float
) -> Picture:
    info = probe(clip)
    chosen = [item] if item.severity else []
    plan = build_plan(chosen, recipe="preview", set_seed=set_seed, video_id=item.name, canvas=Canvas.of(info))
    path = clip.with_name("cell.mp4")
    rendered = render(clip, info, plan, path)
    wanted = rendered.frames * 2 // 3
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index >= wanted:
                return _fit(_middle(frame.to_ndarray(format="bgr24"), zoom), cell)
    raise VideoError(f"{item.name} at severity {item.severity} left no picture", place=clip)


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
