"""One frame of a video as a small JPEG data URI, so that a report needs no file beside it."""

from __future__ import annotations

import base64
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH = 320
QUALITY = 72
_DECODED_MAX = 400  # frames looked at; a report must not take as long as a run


def frame_data_uri(path: Path) -> str | None:
    """Return a frame from about the middle of a video, or None if not one can be decoded.

    Hidden videos may be damaged on purpose; a report is made all the same.
    """
    try:
        picture = _middle_frame(path)
    except (av.error.FFmpegError, OSError, ValueError):
        return None
    if picture is None:
        return None
    height, width = picture.shape[:2]
    scale = min(1.0, WIDTH / max(width, height))
    wanted = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, wanted, interpolation=cv2.INTER_AREA)
    encoded, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode() if encoded else None


def _middle_frame(path: Path) -> NDArray[np.uint8] | None:
    with av.open(str(path)) as container:
        if not container.streams.video:
            return None
        stream = container.streams.video[0]
        stream.thread_count = 1
        if container.duration:
            container.seek(container.duration // 2, backward=True)
        found = None
        for count, frame in enumerate(container.decode(stream)):
            found = frame
            middle = (container.duration or 0) / 2 / av.time_base
            if count >= _DECODED_MAX or (frame.time is not None and frame.time >= middle):
                break
        if found is None:
            return None
        turned = np.rot90(found.to_ndarray(format="bgr24"), (found.rotation or 0) // 90)
        return np.ascontiguousarray(turned, dtype=np.uint8)
