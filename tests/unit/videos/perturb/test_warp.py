"""Pictures that are looked up together come out as each by itself would."""

from __future__ import annotations

import numpy as np
import pytest

from harness.videos.perturb.drawing.planes import Planes
from harness.videos.perturb.drawing.warp import Lens, Warp, rotated, tilted
from harness.videos.perturb.steps import Canvas

SIZES = ((66, 50), (320, 182), (2, 2), (8300, 34))  # in the last, a row of four is too long for the fast way


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", ["turn", "tilt", "barrel", "pincushion"])
def test_four_pictures_at_once_are_the_same_bytes_as_one_after_another(
    kind: str, size: tuple[int, int]
) -> None:
    width, height = size
    canvas = Canvas(width=width, height=height, frames_per_second=25, duration_seconds=1, has_audio=False)
    corners = np.array([[0.1, 0.02], [-0.03, 0.1], [0.05, 0.05], [0.0, 0.12]])
    operations: dict[str, Warp | Lens] = {
        "turn": rotated(17),
        "tilt": tilted(corners, canvas),
        "barrel": Lens(strength=0.2),
        "pincushion": Lens(strength=-0.2),
    }
    rng = np.random.default_rng(5)
    pictures = [Planes.blank(width, height) for _ in range(4)]
    for plane in (plane for planes in pictures for plane in planes.all):
        plane[:] = rng.integers(0, 256, plane.shape)
    redraw = operations[kind].start(canvas)
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
