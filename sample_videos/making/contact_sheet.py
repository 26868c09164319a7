"""One picture that shows every clip with its label and method, real above fake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from sample_videos.making.geometry import Image

CELL = 240
CAPTION = 34


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A clip and what is written under it."""

    video: Path
    title: str
    detail: str


def middle_frame(video: Path) -> Image:
    """The frame half way through a video, BGR."""
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    return np.asarray(frames[len(frames) // 2], dtype=np.uint8)


def cell(entry: Entry) -> Image:
    """The middle frame, fitted into a square, with its caption."""
    frame = middle_frame(entry.video)
    scale = CELL / max(frame.shape[:2])
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = np.full((CELL + CAPTION, CELL, 3), 250, dtype=np.uint8)
    top, left = (CELL - small.shape[0]) // 2, (CELL - small.shape[1]) // 2
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    colour = (40, 40, 200) if entry.title.startswith("fake") else (60, 130, 30)
    cv2.putText(canvas, entry.title, (4, CELL + 13), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    cv2.putText(
        canvas, entry.detail, (4, CELL + 28), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (60, 60, 60), 1, cv2.LINE_AA
    )
    return canvas


def contact_sheet(rows: Sequence[Sequence[Entry]]) -> Image:
    """All cells, row by row; rows have the same length."""
    return np.vstack([np.hstack([cell(entry) for entry in row]) for row in rows])
