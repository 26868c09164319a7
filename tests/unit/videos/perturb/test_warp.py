"""Pictures that are looked up together come out as each by itself would, and as OpenCV makes them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.videos.perturb.drawing.lookup import LookUp
from harness.videos.perturb.drawing.planes import Plane, Planes, scalar
from harness.videos.perturb.drawing.warp import Lens, Warp, rotated, tilted
from harness.videos.perturb.steps import Canvas

SIZES = ((66, 50), (320, 182), (2, 2), (16, 34), (8300, 34))


def operations(canvas: Canvas) -> dict[str, Warp | Lens]:
    corners = np.array([[0.1, 0.02], [-0.03, 0.1], [0.05, 0.05], [0.0, 0.12]])
    return {
        "turn": rotated(17),
        "over": rotated(-130),
        "tilt": tilted(corners, canvas),
        "barrel": Lens(strength=0.2),
        "pincushion": Lens(strength=-0.2),
    }


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", ["turn", "over", "tilt", "barrel", "pincushion"])
def test_two_pictures_at_once_are_the_same_bytes_as_one_after_another(
    kind: str, size: tuple[int, int]
) -> None:
    width, height = size
    canvas = Canvas(width=width, height=height, frames_per_second=25, duration_seconds=1, has_audio=False)
    rng = np.random.default_rng(5)
    pictures = [Planes.blank(width, height) for _ in range(2)]
    for plane in (plane for planes in pictures for plane in planes.all):
        plane[:] = rng.integers(0, 256, plane.shape)
    redraw = operations(canvas)[kind].start(canvas)
    together = [Planes.blank(width, height) for _ in pictures]
    redraw.draw(pictures, together, 0)
    for index, (picture, drawn) in enumerate(zip(pictures, together, strict=True)):
        alone = Planes.blank(width, height)
        redraw.draw([picture], [alone], index)
        for one, other in zip(drawn.all, alone.all, strict=True):
            assert np.array_equal(one, other)
    assert size == (2, 2) or any(
        not np.array_equal(planes.y, drawn.y) for planes, drawn in zip(pictures, together, strict=True)
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", ["turn", "over", "tilt", "barrel", "pincushion"])
def test_what_is_looked_up_is_what_opencv_finds_there(kind: str, size: tuple[int, int]) -> None:
    width, height = size
    canvas = Canvas(width=width, height=height, frames_per_second=25, duration_seconds=1, has_audio=False)
    operation = operations(canvas)[kind]
    if isinstance(operation, Lens):
        look_up, places = (
            LookUp.bent(operation.strength, (height, width)),
            bent(operation.strength, width, height),
        )
    else:
        look_up = LookUp.projective(operation.matrix, (height, width))
        places = projected(np.array(operation.matrix).reshape(3, 3), width, height)
    across, down = (each.astype(np.float32) for each in places)
    fixed = cv2.convertMaps(across, down, cv2.CV_16SC2)
    plane = np.random.default_rng(7).integers(0, 256, (height, width), np.uint8)
    found = _inside(np.full((height, width), 77, np.uint8))
    look_up.move([_inside(plane)], [found], 200)
    rim = cv2.BORDER_CONSTANT
    expected = cv2.remap(plane, *fixed, cv2.INTER_LINEAR, borderMode=rim, borderValue=scalar(200))
    assert np.abs(found.astype(int) - np.asarray(expected, int)).max() <= 1
    room = found.base
    assert isinstance(room, np.ndarray)
    assert (room[-1] == room[0]).all(), "a sample after the plane was written to"


Places = tuple[NDArray[np.float64], NDArray[np.float64]]  # columns and rows of the source


def projected(matrix: NDArray[np.float64], width: int, height: int) -> Places:
    unit = max(height, width)
    x = (np.arange(width) + 0.5 - width / 2) / unit
    y = (np.arange(height) + 0.5 - height / 2)[:, None] / unit
    across, down, depth = (row[0] * x + (row[1] * y + row[2]) for row in matrix)
    return across / depth * unit + width / 2 - 0.5, down / depth * unit + height / 2 - 0.5


def bent(strength: float, width: int, height: int) -> Places:
    x, y = np.arange(width) + 0.5 - width / 2, (np.arange(height) + 0.5 - height / 2)[:, None]
    scale = (1 + strength * ((x * x + y * y) / ((width / 2) ** 2 + (height / 2) ** 2))) / (
        1 + max(0.0, strength)
    )
    return x * scale + width / 2 - 0.5, y * scale + height / 2 - 0.5


def _inside(plane: Plane) -> Plane:
    """Return the plane with a stride of its own, in memory that a row goes before and a row after."""
    height, width = plane.shape
    room = np.full((height + 2, width + 24), 99, np.uint8)
    room[1:-1, :width] = plane
    return room[1:-1, :width]
