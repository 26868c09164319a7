"""What conference tools do to the room behind a person."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from harness.videos.perturb.drawing.blur import coarsely_blurred
from harness.videos.perturb.drawing.face_tracker import SOFTLY, FacePlace, FaceTracker, close
from harness.videos.perturb.drawing.planes import Plane, Planes
from harness.videos.perturb.steps import Canvas, Redraw

WHOLE = 255
UNIT = 48  # samples of a face's width in the drawing of a person
ABOVE, ASIDE, BELOW = 56, 96, 140  # samples of the drawing over the eyes, to each side, and under them


@dataclass(frozen=True, kw_only=True)
class BlurredRoom:
    """Everything but the person is out of focus; the person is guessed from the face."""

    sigma: float  # pixels

    def start(self, canvas: Canvas) -> Redraw:
        """Blur at low resolution, and lay that behind the person as it is enlarged."""
        # These load the compiler, for which nobody should wait who draws nothing.
        from harness.videos.perturb.drawing.blending import cut_out  # noqa: PLC0415  (compiler)
        from harness.videos.perturb.drawing.layers import laid_behind  # noqa: PLC0415  (compiler)

        tracker = FaceTracker(canvas.width, canvas.height, canvas.frames_per_second, often=SOFTLY)
        persons: dict[int, tuple[FacePlace, Plane]] = {}  # by how much smaller they are drawn

        def draw(source: Planes, target: Planes, index: int) -> None:
            place = tracker.at(source, index)
            for before, after, step in zip(source.all, target.all, (1, 2, 2), strict=True):
                soft, shrink = coarsely_blurred(before, self.sigma / step)
                pixels = shrink * step
                if pixels not in persons or not close(persons[pixels][0], place):
                    persons[pixels] = place, _person(place, pixels, soft.shape)
                person = persons[pixels][1]
                if shrink > 1:
                    laid_behind(soft, person, before, after, shrink)
                else:
                    after[:] = soft
                    cut_out(after, before, person)

        return Redraw(draw)


def _person(place: FacePlace, shrink: int, shape: tuple[int, ...]) -> Plane:
    """Return head and shoulders as weights for planes that are so much smaller than the picture."""
    from harness.videos.perturb.drawing.scaling import enlarged  # noqa: PLC0415  (loads the compiler)

    unit = UNIT / place.width  # samples of the drawing for a pixel of the picture
    # The edge is soft: at half the size it is as good, in a quarter of the time.
    step, middle = 2 * shrink, (2 * shrink - 1) / 2
    places = np.array(
        [
            [unit * step, 0, (middle - place.x) * unit + ASIDE],
            [0, unit * step, (middle - place.y) * unit + ABOVE],
        ]
    )
    look_up, rim = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
    height, width = (-(-side // 2) for side in shape)
    small = cv2.warpAffine(_drawing(), places, (width, height), flags=look_up, borderMode=rim)
    weights = np.empty(shape, np.uint8)
    enlarged(np.asarray(small, np.uint8), weights, 2)
    return weights


@cache
def _drawing() -> Plane:
    """Draw head and shoulders, small: the edge is as soft as a segmenter's, and the body goes on below."""
    mask = np.zeros((ABOVE + BELOW, 2 * ASIDE), np.uint8)
    x, y = ASIDE, ABOVE
    cv2.ellipse(mask, (x, y + 8), (40, 56), 0, 0, 360, (WHOLE,), cv2.FILLED)
    body = np.array(
        [[x - 20, y + 40], [x - 80, y + 78], [x - 88, 999], [x + 88, 999], [x + 80, y + 78], [x + 20, y + 40]]
    )
    cv2.fillPoly(mask, [body.astype(np.int32)], (WHOLE,))
    return np.asarray(cv2.blur(mask, (7, 7)), np.uint8)
