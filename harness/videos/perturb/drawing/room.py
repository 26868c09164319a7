"""What conference tools do to the room behind a person."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from harness.videos.perturb.drawing.blur import blurred
from harness.videos.perturb.drawing.face_tracker import FacePlace, FaceTracker, close, face_box
from harness.videos.perturb.drawing.planes import Plane, Planes
from harness.videos.perturb.steps import Canvas, Redraw

BANDS = 5  # in which the person is cut out: more fit the edge better, and cost more calls
WHOLE = 255
EDGE_SLACK = 0.03  # of the face's width: how far off the soft edge about a person may be


@dataclass(frozen=True, kw_only=True)
class BlurredRoom:
    """Everything but the person is out of focus; the person is guessed from the face."""

    sigma: float  # pixels

    def start(self, canvas: Canvas) -> Redraw:
        """Blur at low resolution, then lay the person over it again."""
        pieces: list[_Piece] = []
        drawn: list[FacePlace] = []
        tracker = FaceTracker(canvas.width, canvas.height, canvas.frames_per_second)

        def draw(source: Planes, target: Planes, index: int) -> None:
            place = tracker.at(source, index)
            if not drawn or not close(drawn[0], place, slack=EDGE_SLACK):
                drawn[:], pieces[:] = [place], _pieces(place, canvas)
            for before, after, step in zip(source.all, target.all, (1, 2, 2), strict=True):
                blurred(before, self.sigma / step, into=after)
            for piece in pieces:
                piece.lay(source, target)

        return Redraw(draw)


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A box of the person, even: how much of it stays in the blurred room; all of it if it has no weights."""

    box: tuple[slice, slice]  # rows and columns of luma
    weights: tuple[Plane, Plane] | None  # of the person: for luma, for colour
    rests: tuple[Plane, Plane] | None  # of the room

    @staticmethod
    def of(box: tuple[slice, slice], weights: tuple[Plane, Plane] | None) -> _Piece:
        """With its own memory, so that rows follow each other closely."""
        own = None if weights is None else (weights[0].copy(), weights[1].copy())
        return _Piece(box=box, weights=own, rests=None if own is None else (~own[0], ~own[1]))

    def lay(self, person: Planes, room: Planes) -> None:
        """Lay the person over the blurred room."""
        for number, (own, part) in enumerate(zip(self._parts(person), self._parts(room), strict=True)):
            if self.weights is None or self.rests is None:
                part[:] = own
                continue
            cv2.multiply(part, self.rests[min(number, 1)], dst=part, scale=1 / 255)
            cv2.add(part, cv2.multiply(own, self.weights[min(number, 1)], scale=1 / 255), dst=part)

    def _parts(self, planes: Planes) -> list[Plane]:
        return [planes.y[self.box], *(plane[_halves(self.box)] for plane in (planes.u, planes.v))]


def _halves(box: tuple[slice, slice]) -> tuple[slice, ...]:
    return tuple(slice(side.start // 2, side.stop // 2) for side in box)


def _pieces(place: FacePlace, canvas: Canvas) -> list[_Piece]:
    """Cut the person into bands of rows, and each into two soft edges and what is whole between them."""
    left, top, right, bottom = face_box(place, canvas, (1.9, 1.1, 9.0))
    height, width = bottom - top, right - left
    small = _person(place, (left, top, right, bottom))
    mask, half = (
        np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        for size in ((width, height), (width // 2, height // 2))
    )
    made = []
    band = max(2, canvas.height // BANDS // 2 * 2)
    for first in range(0, height, band):
        rows = slice(first, min(height, first + band))
        for columns, soft in _runs(small, rows, mask.shape):
            weights = (mask[rows, columns], half[_halves((rows, columns))]) if soft else None
            box = (slice(rows.start + top, rows.stop + top), slice(columns.start + left, columns.stop + left))
            made.append(_Piece.of(box, weights))
    return made


def _runs(small: Plane, rows: slice, shape: tuple[int, ...]) -> list[tuple[slice, bool]]:
    """Return the columns of a band that hold something of the person, and whether they are soft; even.

    They are read from the mask before it was enlarged to `shape`, to a sample more on each side.
    """
    down, across = shape[0] / small.shape[0], shape[1] / small.shape[1]
    seen = small[max(0, int(rows.start / down) - 1) : int(rows.stop / down) + 2]
    some = np.flatnonzero(seen.max(0))
    if not some.size:
        return []
    start = max(0, int((some[0] - 1) * across) // 2 * 2)
    stop = min(shape[1], int((some[-1] + 2) * across) // 2 * 2 + 2)
    full = np.flatnonzero(seen.min(0) == WHOLE)
    first, last = (int((full[0] + 1) * across), int(full[-1] * across)) if full.size else (0, 0)
    if last - first < 16 or full[-1] - full[0] + 1 != full.size:
        return [(slice(start, stop), True)]
    first, last = (first + 1) // 2 * 2, last // 2 * 2
    return [(slice(start, first), True), (slice(first, last), False), (slice(last, stop), True)]


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
