"""A drawing that sits on a face: turned, sized and blended on the boxes that hold something of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from harness.videos.perturb.drawing.face_tracker import FacePlace, close
from harness.videos.perturb.drawing.planes import Plane, Planes, Sprite

PARTS_MAX = 6  # boxes of one drawing; with more of them, one box holds all

Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True, kw_only=True)
class Laid:
    """One part as it was last drawn: what is left of the picture under it, and what is added."""

    left: int
    top: int
    whole: bool  # nothing of it was cut off at the picture's border
    kept: tuple[Plane, Plane]  # 255 - alpha: of luma, of colour
    added: tuple[Plane, Plane, Plane]

    def blend(self, planes: Planes, across: int, down: int) -> None:
        """Lay it `across` and `down` from where it was drawn (even numbers), clipped at the borders."""
        from harness.videos.perturb.drawing.blending import laid_on  # noqa: PLC0415  (numba is slow to load)

        left, top = self.left + across, self.top + down
        height, width = self.added[0].shape
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(planes.y.shape[1], left + width), min(planes.y.shape[0], top + height)
        if x0 >= x1 or y0 >= y1:
            return
        for number, (plane, step) in enumerate(zip(planes.all, (1, 2, 2), strict=True)):
            own = np.s_[(y0 - top) // step : (y1 - top) // step, (x0 - left) // step : (x1 - left) // step]
            part = plane[y0 // step : y1 // step, x0 // step : x1 // step]
            planes.keep(part)
            laid_on(part, self.kept[min(number, 1)][own], self.added[number][own])


class Sticker:
    """A square RGBA sheet that is laid on a face, its point `eyes` between the eyes.

    Args:
        sheet: (side, side, 4).
        eyes: Where on the sheet the middle between the eyes is, in pixels.
        face: Width of the face on the sheet, in pixels.
        opacity: Of all of it, 0 to 1.
    """

    def __init__(
        self, sheet: NDArray[np.uint8], eyes: tuple[float, float], face: float, opacity: float
    ) -> None:
        self._layers, self._boxes = _layered(sheet.tobytes(), sheet.shape[0], opacity)
        self._eyes, self._face = np.array(eyes), face
        self._drawn: tuple[FacePlace, tuple[Laid, ...]] | None = None

    def lay(self, planes: Planes, place: FacePlace, scale: float) -> None:
        """Turn and size it to the face, `scale` times as large as drawn, and blend it in."""
        if self._drawn is not None:
            at, kept = self._drawn
            across, down = round((place.x - at.x) / 2) * 2, round((place.y - at.y) / 2) * 2
            moved = bool(across or down)
            if close(at, place, (across, down)) and not (moved and not all(part.whole for part in kept)):
                for laid in kept:
                    laid.blend(planes, across, down)
                return
        turn = self._matrix(place, scale)
        parts = tuple(
            part for box in self._boxes if (part := self._warped(box, turn, planes.y.shape)) is not None
        )
        self._drawn = (place, parts)
        for laid in parts:
            laid.blend(planes, 0, 0)

    def _matrix(self, place: FacePlace, scale: float) -> NDArray[np.float64]:
        factor = place.width * scale / self._face
        x, y = self._eyes.tolist()
        matrix = np.asarray(cv2.getRotationMatrix2D((x, y), -np.rad2deg(place.tilt), factor), np.float64)
        matrix[:, 2] += np.array([place.x, place.y]) - self._eyes
        return matrix

    def _warped(self, box: Box, turn: NDArray[np.float64], shape: tuple[int, ...]) -> Laid | None:
        """Draw one part; None if it is outside the picture."""
        left, top, right, bottom = box
        corners = cv2.transform(
            np.array([[[left, top], [right, top], [right, bottom], [left, bottom]]], np.float64), turn
        )[0]
        wanted = [int(np.floor(edge)) // 2 * 2 for edge in corners.min(0)]
        ends = [int(edge) // 2 * 2 + 2 for edge in corners.max(0)]
        x0, y0 = max(0, wanted[0]), max(0, wanted[1])
        x1, y1 = min(shape[1], ends[0]), min(shape[0], ends[1])
        if x0 >= x1 or y0 >= y1:
            return None
        matrix = turn.copy()
        matrix[:, 2] += turn[:, :2] @ np.array([left, top]) - np.array([x0, y0])
        layers = np.ascontiguousarray(self._layers[top:bottom, left:right])
        planes = _turned(layers, matrix, (x1 - x0, y1 - y0))
        return Laid(
            left=x0,
            top=y0,
            whole=[x0, y0, x1, y1] == [*wanted, *ends],
            kept=(_rest(planes.alpha), _rest(planes.alpha_half)),
            added=(planes.y, planes.u, planes.v),
        )


@dataclass(frozen=True, kw_only=True)
class _Turned:
    """One part, turned and sized: colours times alpha, and alpha as large as luma and as colour."""

    y: Plane
    u: Plane
    v: Plane
    alpha: Plane
    alpha_half: Plane


def _turned(layers: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int]) -> _Turned:
    """Turn and size the layers of a part to (width, height), even numbers."""
    from harness.videos.perturb.drawing.scaling import enlarged  # noqa: PLC0415  (loads the compiler)

    width, height = size
    half_size, flags = (width // 2, height // 2), cv2.INTER_LINEAR
    (across, skewed), (tilted, down) = matrix[:, :2].tolist()
    if across * down - skewed * tilted < 2 * 2:  # of pixels for each sample of the sheet
        warped = np.asarray(cv2.warpAffine(layers, matrix, size, flags=flags), np.uint8)
        half = cv2.resize(warped, half_size, interpolation=cv2.INTER_AREA)
        luma, _, _, alpha = cv2.split(warped)
        _, u, v, alpha_half = cv2.split(np.asarray(half, np.uint8))
        large = [np.asarray(plane, np.uint8) for plane in (luma, alpha)]
    else:
        # Drawn at half the size it still has more samples than the sheet, at a quarter of the cost.
        halved = np.column_stack([matrix[:, :2] / 2, (matrix[:, 2] - 0.5) / 2])
        small, u, v, alpha_half = cv2.split(
            np.asarray(cv2.warpAffine(layers, halved, half_size, flags=flags), np.uint8)
        )
        large = [np.empty((height, width), np.uint8) for _ in range(2)]
        for before, after in zip((small, alpha_half), large, strict=True):
            enlarged(np.asarray(before, np.uint8), after, 2)
    return _Turned(
        y=large[0],
        u=np.asarray(u, np.uint8),
        v=np.asarray(v, np.uint8),
        alpha=large[1],
        alpha_half=np.asarray(alpha_half, np.uint8),
    )


@lru_cache(maxsize=4)
def _layered(sheet: bytes, side: int, opacity: float) -> tuple[NDArray[np.uint8], tuple[Box, ...]]:
    """Return (side, side, 4) luma, colours and alpha of a square RGBA sheet, and its boxes."""
    image = np.frombuffer(sheet, np.uint8).reshape(side, side, 4)
    flat = Sprite.from_rgba(image)
    alpha = np.round(image[..., 3] * opacity).astype(np.uint8)
    u, v = (np.repeat(np.repeat(plane, 2, 0), 2, 1) for plane in flat.planes.all[1:])
    # Colour times alpha, so that what is transparent does not bleed into the edges when it is turned; and
    # alpha with them as one picture, so that one warp moves all four.
    colour = [np.round(plane * (alpha / 255)).astype(np.uint8) for plane in (flat.planes.y, u, v)]
    return np.dstack([*colour, alpha]), tuple(boxes(alpha))


def _rest(alpha: cv2.typing.MatLike) -> Plane:
    return np.asarray(cv2.bitwise_not(alpha), np.uint8)


def boxes(alpha: Plane) -> list[Box]:
    """Return the boxes of what is not transparent, with two pixels round it; none overlap."""
    count, _, stats, _ = cv2.connectedComponentsWithStats((alpha > 0).astype(np.uint8), connectivity=8)
    found = [
        (x - 2, y - 2, x + width + 2, y + height + 2) for x, y, width, height, _ in stats[1:count].tolist()
    ]
    merged: list[Box] = []
    for box in found:
        current = box
        while touching := [other for other in merged if _overlap(current, other)]:
            merged = [other for other in merged if other not in touching]
            current = _hull([current, *touching])
        merged.append(current)
    if len(merged) > PARTS_MAX:
        merged = [_hull(merged)]
    height, width = alpha.shape
    return [
        (max(0, left), max(0, top), min(width, right), min(height, bottom))
        for left, top, right, bottom in merged
    ]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _hull(several: list[Box]) -> Box:
    left, top, right, bottom = zip(*several, strict=True)
    return min(left), min(top), max(right), max(bottom)
