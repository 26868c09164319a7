"""Made-up faces, so that training can be tried where there is no video at all (`train.py --tiny`)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .fakes import TEMPLATE, Crop, Points, RealFace
from .forge import Person, person_of

Floats = NDArray[np.float64]
SIDE = 96
FACE = (22, 74)  # where the 100 x 100 template lies in the crop, in pixels


def toy_person(number: int, *, pictures: int = 8) -> Person:
    """A cartoon with a skin, a background and features of its own; the pictures differ in light and place."""
    rng = np.random.default_rng([7, number])
    skin, back, hair = rng.uniform(90, 220, 3), rng.uniform(20, 200, 3), rng.uniform(10, 120, 3)
    texture = rng.normal(0, 9, (SIDE, SIDE, 1))
    faces = []
    for _ in range(pictures):
        scale = (FACE[1] - FACE[0]) / 100
        points: Points = (TEMPLATE * scale + FACE[0] + rng.uniform(-3, 3, 2)).astype(np.float32)
        faces.append(RealFace(crop=_draw(points, skin, back, hair, texture, rng), landmarks=points))
    return person_of(f"toy_{number}", f"toy_{number}", faces)


def _draw(  # noqa: PLR0917  (a drawing has as many measures)
    points: Points,
    skin: Floats,
    back: Floats,
    hair: Floats,
    texture: Floats,
    rng: np.random.Generator,
) -> Crop:
    canvas = np.broadcast_to(back, (SIDE, SIDE, 3)).astype(np.float32).copy()
    x, y = (int(v) for v in points.mean(axis=0))
    cv2.ellipse(canvas, (x, y - 8), (24, 30), 0, 0, 360, [float(v) for v in hair], -1)
    cv2.ellipse(canvas, (x, y), (19, 26), 0, 0, 360, [float(v) for v in skin], -1)
    for eye in points[:2]:
        cv2.circle(canvas, (int(eye[0]), int(eye[1])), 3, (30.0, 30.0, 30.0), -1)
    left, right = points[3], points[4]
    cv2.line(canvas, (int(left[0]), int(left[1])), (int(right[0]), int(right[1])), (120.0, 40.0, 40.0), 2)
    light = rng.uniform(0.85, 1.15)
    return np.asarray((canvas * light + texture).clip(0, 255), np.uint8)
