"""What conference tools do to the room behind a person."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from harness.videos.perturb.drawing.blur import blurred
from harness.videos.perturb.drawing.face_tracker import FacePlace, FaceTracker, close, face_box
from harness.videos.perturb.drawing.planes import Plane, Planes
from harness.videos.perturb.steps import Canvas, Redraw

WHOLE = 255
EDGE_SLACK = 0.03  # of the face's width: how far off the soft edge about a person may be


@dataclass(frozen=True, kw_only=True)
class BlurredRoom:
    """Everything but the person is out of focus; the person is guessed from the face."""

    sigma: float  # pixels

    def start(self, canvas: Canvas) -> Redraw:
        """Blur at low resolution, then lay the person over it again."""
        from harness.videos.perturb.drawing.blending import cut_out  # noqa: PLC0415  (numba is slow to load)

        drawn: list[tuple[FacePlace, _Person]] = []
        tracker = FaceTracker(canvas.width, canvas.height, canvas.frames_per_second)

        def draw(source: Planes, target: Planes, index: int) -> None:
            place = tracker.at(source, index)
            if not drawn or not close(drawn[0][0], place, slack=EDGE_SLACK):
                drawn[:] = [(place, _Person.of(place, canvas))]
            left, top, right, bottom = drawn[0][1].box
            for before, after, step in zip(source.all, target.all, (1, 2, 2), strict=True):
                blurred(before, self.sigma / step, into=after)
                part = np.s_[top // step : bottom // step, left // step : right // step]
                cut_out(after[part], before[part], drawn[0][1].weights[step > 1])

        return Redraw(draw)


@dataclass(frozen=True, kw_only=True)
class _Person:
    """The box of the person, even, and how much of each sample in it stays: for luma and for colour."""

    box: tuple[int, int, int, int]
    weights: tuple[Plane, Plane]

    @staticmethod
    def of(place: FacePlace, canvas: Canvas) -> _Person:
        """Draw the person small and enlarge it."""
        box = face_box(place, canvas, (1.9, 1.1, 9.0))
        small = _person(place, box)
        width, height = box[2] - box[0], box[3] - box[1]
        luma, colour = (
            np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.uint8)
            for size in ((width, height), (width // 2, height // 2))
        )
        return _Person(box=box, weights=(luma, colour))


def _person(place: FacePlace, box: tuple[int, int, int, int]) -> Plane:
    """Head and shoulders, drawn small, to be enlarged to the box: the edge is soft as a segmenter's is."""
    left, top, right, bottom = box
    unit = 48 / place.width  # pixels of the drawing per pixel of the picture
    size = (max(2, round((right - left) * unit)), max(2, round((bottom - top) * unit)))
    mask = np.zeros((size[1], size[0]), np.uint8)
    x, y = (place.x - left) * unit, (place.y - top) * unit
    cv2.ellipse(mask, (round(x), round(y + 8)), (40, 56), 0, 0, 360, (WHOLE,), cv2.FILLED)
    body = np.array([[x - 20, y + 40], [x - 80, y + 78], [x - 88, 9999], [x + 88, 9999], [x + 80, y + 78]])
    cv2.fillPoly(mask, [np.vstack([body, [[x + 20, y + 40]]]).round().astype(np.int32)], (WHOLE,))
    return np.asarray(cv2.blur(mask, (7, 7)), np.uint8)
