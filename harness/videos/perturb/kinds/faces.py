"""DFDC's two face filters, drawn by us: a dog mask and a flower crown that follow a face, its size and tilt.

If there is no face, the filter rests in the upper middle: see `face_tracker.FaceTracker`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.random import Generator

from harness.videos.perturb.drawing.face_tracker import FaceTracker
from harness.videos.perturb.drawing.pictures import Image, opaque, shrink
from harness.videos.perturb.drawing.planes import Planes
from harness.videos.perturb.drawing.sticker import Sticker
from harness.videos.perturb.registry import Family, LifeStage, perturbation
from harness.videos.perturb.steps import Canvas, EditParts, Step

SHEET = 384  # pixels: the filter is drawn once on a square sheet of this size
FACE = 0.42  # width of the face on the sheet, as a share of its side
EYES = (0.5, 0.52)  # where on the sheet the middle between the eyes is
DOG, CROWN = "dog", "crown"


def _sheet() -> Image:
    return np.zeros((SHEET * 4, SHEET * 4, 4), np.uint8)


def _at(x: float, y: float) -> tuple[int, int]:
    """Place a point given in face widths from the middle between the eyes, on the oversampled sheet."""
    return round((EYES[0] + x * FACE) * SHEET * 4), round((EYES[1] + y * FACE) * SHEET * 4)


def _length(share: float) -> int:
    return max(1, round(share * FACE * SHEET * 4))


@cache
def draw_dog_mask() -> Image:
    """Ears, muzzle, nose and tongue; the eyes stay free."""
    sheet = _sheet()
    for side in (-1, 1):
        ear = _at(side * 0.52, -0.62)
        angle = side * 28
        cv2.ellipse(
            sheet, ear, (_length(0.17), _length(0.34)), angle, 0, 360, opaque((112, 72, 44)), cv2.FILLED
        )
        cv2.ellipse(
            sheet, ear, (_length(0.09), _length(0.24)), angle, 0, 360, opaque((196, 140, 120)), cv2.FILLED
        )
    cv2.ellipse(
        sheet, _at(0, 0.76), (_length(0.1), _length(0.2)), 0, 0, 360, opaque((226, 92, 110)), cv2.FILLED
    )
    for side in (-1, 1):
        centre = _at(side * 0.13, 0.46)
        cv2.ellipse(
            sheet, centre, (_length(0.17), _length(0.13)), 0, 0, 360, opaque((240, 226, 206)), cv2.FILLED
        )
        for dot in range(3):
            spot = _at(side * (0.1 + 0.06 * dot), 0.47 + 0.03 * (dot % 2))
            cv2.circle(sheet, spot, _length(0.012), opaque((90, 70, 60)), cv2.FILLED)
    cv2.ellipse(
        sheet, _at(0, 0.34), (_length(0.13), _length(0.09)), 0, 0, 360, opaque((34, 28, 28)), cv2.FILLED
    )
    cv2.ellipse(
        sheet, _at(-0.04, 0.31), (_length(0.035), _length(0.02)), 0, 0, 360, opaque((120, 112, 112)), -1
    )
    return shrink(sheet)


@cache
def draw_flower_crown() -> Image:
    """Nine flowers and leaves on an arc over the forehead."""
    sheet = _sheet()
    petals = ((236, 96, 140), (250, 244, 240), (250, 196, 64), (176, 110, 214), (240, 130, 96))
    angles = np.linspace(-1.25, 1.25, 9)
    for index, angle in enumerate(angles):
        x, y = 0.62 * np.sin(angle), -0.02 - 0.68 * np.cos(angle)
        for side in (-1, 1):
            leaf = _at(x + side * 0.08, y + 0.03)
            tilt = float(np.rad2deg(angle)) + side * 40
            cv2.ellipse(
                sheet, leaf, (_length(0.05), _length(0.1)), tilt, 0, 360, opaque((62, 128, 66)), cv2.FILLED
            )
        size = 0.1 if index % 2 else 0.13
        for petal in range(6):
            turn = petal * np.pi / 3 + angle
            place = _at(x + size * 0.62 * np.cos(turn), y + size * 0.62 * np.sin(turn))
            cv2.circle(sheet, place, _length(size * 0.45), opaque(petals[index % len(petals)]), cv2.FILLED)
        cv2.circle(sheet, _at(x, y), _length(size * 0.36), opaque((226, 168, 40)), cv2.FILLED)
    return shrink(sheet)


@dataclass(frozen=True, kw_only=True)
class FaceFilter:
    """A drawing that sits on the largest face."""

    drawing: str
    scale: float  # of the drawing against the face
    opacity: float

    def start(self, canvas: Canvas) -> EditParts:
        """Draw once; track, turn and paste per frame."""
        sheet = draw_dog_mask() if self.drawing == DOG else draw_flower_crown()
        return follow_face(sheet, canvas, scale=self.scale, opacity=self.opacity)


def follow_face(sheet: Image, canvas: Canvas, *, scale: float, opacity: float) -> EditParts:
    """Lay a sheet on the largest face of every picture: turned, sized and moved with it."""
    sticker = Sticker(sheet, (EYES[0] * SHEET, EYES[1] * SHEET), FACE * SHEET, opacity)
    tracker = FaceTracker(canvas.width, canvas.height, canvas.frames_per_second)

    def edit(planes: Planes, index: int) -> None:
        sticker.lay(planes, tracker.at(planes, index), scale)

    return EditParts(edit)


@perturbation(
    family=Family.DISTRACTOR,
    stage=LifeStage.OVERLAY,
    group="face",
    in_contest=True,
    unit="size against the face; opacity",
    source="DFDC's face filters had one setting; sizes by eye",
    scale=(0.7, 0.85, 1.0, 1.12, 1.25),
    opacity=(0.5, 0.65, 0.8, 0.95, 1.0),
)
def dog_mask(canvas: Canvas, rng: Generator, *, scale: float, opacity: float) -> Step:
    """Apply a social-media filter with a dog's ears, nose and tongue that follows the face."""
    return Step(operation=FaceFilter(drawing=DOG, scale=scale, opacity=opacity))


@perturbation(
    family=Family.DISTRACTOR,
    stage=LifeStage.OVERLAY,
    group="face",
    in_contest=True,
    unit="size against the face; opacity",
    source="DFDC's face filters had one setting; sizes by eye",
    scale=(0.75, 0.9, 1.0, 1.12, 1.25),
    opacity=(0.5, 0.65, 0.8, 0.95, 1.0),
)
def flower_crown(canvas: Canvas, rng: Generator, *, scale: float, opacity: float) -> Step:
    """Apply a social-media filter with a crown of flowers that follows the head."""
    return Step(operation=FaceFilter(drawing=CROWN, scale=scale, opacity=opacity))
