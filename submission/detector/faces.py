"""Finds faces and cuts them out.

YuNet rather than MTCNN: 24 ms against 133 ms for a 640-pixel frame on two cores, and it found as many of the
faces in our measurements; both give five landmarks.

Not covered: faces turned by more than about 45 degrees, faces under about 15 pixels, faces seen from behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

MODEL_FILE = "weights/face_detection_yunet_2023mar.onnx"
# The retry ladder: long side in pixels, score threshold. Each step sees smaller or worse faces, costs more,
# and is more often wrong; so a step is taken only where the one before found nothing.
LADDER: tuple[tuple[int, float], ...] = ((640, 0.8), (960, 0.6), (1280, 0.45))
ENLARGE_AT_MOST = 2.0  # enlarging a 240p frame helps YuNet; beyond this it only costs time
NMS_THRESHOLD = 0.3
# YuNet finds a face that lies on its side or stands on its head as well, a little less surely, and guesses
# its landmarks as if it stood upright. So only the score tells. On 54 clips, as they were and blurred and
# noisy, the upright picture had the best score wherever there was a face (103 of 103), half above this.
SURELY_UPRIGHT = 0.93
FULL_CLIMBS = 3  # per video: frames on which the whole ladder may be climbed in vain

Picture = NDArray[np.uint8]
Box = NDArray[np.float64]  # (4,): x, y, width, height in pixels, top left corner


@dataclass(frozen=True, kw_only=True)
class Face:
    """A face in a picture. `landmarks` is (5, 2): eyes, nose tip, mouth corners, all in pixels."""

    box: Box
    landmarks: NDArray[np.float64]
    score: float


class FaceFinder:
    """Finds the faces of one video after the other. Not for use from two threads."""

    def __init__(self, package: Path) -> None:
        self._detector = cv2.FaceDetectorYN.create(str(package / MODEL_FILE), "", (320, 320))
        self._detector.setNMSThreshold(NMS_THRESHOLD)
        self.start_video()

    def start_video(self) -> None:
        """Forgets how hard the last video was."""
        self._level = 0
        self._climbs = 0
        self._seen = False
        self._quarter_turns = 0

    def turned(self, picture: Picture) -> Picture:
        """The picture with its faces upright, as far as is known of this video; boxes are in that one."""
        return _turn(picture, self._quarter_turns)

    def find(self, picture: Picture) -> list[Face]:
        """Finds faces in an RGB picture, the largest first; an empty list where there is none.

        The ladder is climbed from the step that last worked in this video, and to its top at most
        `FULL_CLIMBS` times per video, so that a video without faces cannot eat the time limit. Where the
        first face of a video is not a sure one, the picture is looked at on its sides and on its head as
        well; if it looks more like a face there, all of this video is looked at turned (see `turned`).
        """
        upright = self.turned(picture)
        if self._climbs >= FULL_CLIMBS:
            return self._detect(upright, *LADDER[0])
        for level in range(self._level, len(LADDER)):
            faces = self._detect(upright, *LADDER[level])
            if faces and not self._seen and faces[0].score < SURELY_UPRIGHT:
                faces = self._set_upright(picture, faces, level)
            if faces:
                self._level, self._seen = level, True
                return faces
        if not self._seen and (faces := self._set_upright(picture, [], 0)):
            self._seen = True
            return faces
        self._climbs += 1
        return []

    def _set_upright(self, picture: Picture, faces: list[Face], level: int) -> list[Face]:
        """Turns the video to where there is a better face than the first of `faces`; the faces there."""
        best = faces
        for quarter_turns in (2, 1, 3):
            found = self._detect(_turn(picture, quarter_turns), *LADDER[level])
            if found and found[0].score > (best[0].score if best else 0.0):
                best, self._quarter_turns = found, quarter_turns
        return best

    def _detect(self, picture: Picture, long_side: int, threshold: float) -> list[Face]:
        height, width = picture.shape[:2]
        scale = min(ENLARGE_AT_MOST, long_side / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        self._detector.setInputSize(size)
        self._detector.setScoreThreshold(threshold)
        rows = self._detector.detect(cv2.cvtColor(resized, cv2.COLOR_RGB2BGR))[1]
        if rows is None:
            return []
        to_pixels = np.tile([width / size[0], height / size[1]], 7)
        faces = []
        for row in np.asarray(rows, np.float64):
            numbers = row[:14] * to_pixels
            if np.isfinite(row).all() and numbers[2] >= 1 and numbers[3] >= 1:
                faces.append(Face(box=numbers[:4], landmarks=numbers[4:].reshape(5, 2), score=float(row[14])))
        return sorted(faces, key=lambda face: -float(face.box[2] * face.box[3]))


def _turn(picture: Picture, quarter_turns: int) -> Picture:
    return np.ascontiguousarray(np.rot90(picture, quarter_turns)) if quarter_turns else picture


def square_around(box: Sequence[float] | Box, margin: float) -> tuple[float, float, float]:
    """(left, top, side) of the square with the box's centre and `margin` times its longer side."""
    x, y, width, height = (float(v) for v in box)
    side = margin * max(width, height)
    return x + width / 2 - side / 2, y + height / 2 - side / 2, side


def cut(picture: Picture, square: tuple[float, float, float], size: int) -> Picture:
    """Cuts a square out of a picture and scales it to (size, size, 3).

    What lies outside the picture is filled with the nearest pixels: black bars would be a clue to where in
    the frame the face was, and no more.
    """
    left, top, side = (round(v) for v in square)
    side = max(1, side)
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + side), min(height, top + side)
    if x1 <= x0 or y1 <= y0:  # entirely outside: the nearest pixel
        x0, y0 = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
        x1, y1 = x0 + 1, y0 + 1
    inside = picture[y0:y1, x0:x1]
    borders = (max(0, y0 - top), max(0, top + side - y1), max(0, x0 - left), max(0, left + side - x1))
    if any(borders):
        inside = np.asarray(cv2.copyMakeBorder(inside, *borders, cv2.BORDER_REPLICATE), np.uint8)
    how = cv2.INTER_AREA if inside.shape[0] > size else cv2.INTER_LINEAR
    resized = cv2.resize(inside, (size, size), interpolation=how)
    return np.asarray(resized, np.uint8)


def whole_frame(picture: Picture, size: int) -> Picture:
    """The largest centred square of a picture: what is looked at where there is no face."""
    height, width = picture.shape[:2]
    side = min(height, width)
    return cut(picture, ((width - side) / 2, (height - side) / 2, side), size)
