"""Where the face is, frame by frame: YuNet now and then, and in between the eye follows what it has seen.

The model file and its licence are in `models/`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import resources
from threading import local

import cv2
import numpy as np
from numpy.typing import NDArray

from harness.videos.perturb.drawing.blur import halved
from harness.videos.perturb.drawing.planes import Plane, Planes
from harness.videos.perturb.steps import Canvas

# Frames from one detection to the next, which costs a third of an encode, and from one look at the known
# face to the next, a twentieth: for drawings that sit on the face, and for soft ones without a border there.
# Where the face is not followed, it is looked for as often for both.
ON_THE_FACE, SOFTLY = (15, 1), (60, 4)
SEARCH_SIDE = 480  # pixels of the longer side that the detector sees while it looks for a face
FIRST_SIDE = 224  # likewise, when it looks for a large one at first, in a fifth of the time
LARGE = 40  # pixels of a face that is as large as that: where one is seen so large, none is overlooked
CLOSE_SIDE = 160  # and of the square about a known face
SMALLEST_SIDE = 64  # of what it sees: if one is 32, OpenCV's network reads memory that nobody has written
CLOSE_FACES = 1.4  # side of that square in face widths: it sees tilts better the more of the square is face
CLOSE_BELOW = 0.2  # face widths from between the eyes down to its middle
MIN_SCORE = 0.7
FOLLOW = 0.55  # share of the way to the detected place that is gone in each frame: calm, and no visible lag
LOST_AFTER_SECONDS = 1.0
SLACK = 0.012  # of the face's width: a drawing is laid again as it is if nothing of it is further off
PATCH_SIDE, PATCH_REACH = 32, 5  # samples of the face that is followed, and how far it may move in one frame
PATCH_FACES = 1.1  # side of that patch in face widths
PATCH_LIKENESS = 0.7  # correlation from which on it is the same face


@dataclass(frozen=True, kw_only=True)
class FacePlace:
    """Where something that sits on a face belongs."""

    x: float  # pixels: between the eyes
    y: float
    width: float  # pixels: of the face
    tilt: float  # radians, clockwise: of the line through the eyes


def close(one: FacePlace, other: FacePlace, moved: tuple[int, int] = (0, 0), *, slack: float = SLACK) -> bool:
    """Whether what was drawn for one place, and moved by so many pixels, lies well on the other."""
    off = float(np.hypot(other.x - one.x - moved[0], other.y - one.y - moved[1]))
    # A drawing reaches about one face width from the point between the eyes.
    turned = abs(other.tilt - one.tilt) * other.width
    return off + abs(other.width - one.width) + turned <= slack * other.width


def resting_place(width: int, height: int) -> FacePlace:
    """Where a filter stays while there is no face: upper middle, as wide as a third of the shorter side."""
    return FacePlace(x=width / 2, y=height * 0.4, width=min(width, height) / 3, tilt=0.0)


def face_box(
    place: FacePlace, canvas: Canvas, sides: tuple[float, float, float]
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom, even: face widths to each side, above and below the eyes."""
    across, above, below = (share * place.width for share in sides)
    left, top = max(0, int(place.x - across) // 2 * 2), max(0, int(place.y - above) // 2 * 2)
    right = min(canvas.width, int(place.x + across) // 2 * 2)
    bottom = min(canvas.height, int(place.y + below) // 2 * 2)
    return left, top, max(left + 2, right), max(top + 2, bottom)


class FaceTracker:
    """Follows the largest face of a video.

    Before the first face is found, and once none was for more than a second, or between two detections if
    that is longer, the answer is `resting_place`, so that a filter is never without effect. The same pictures
    give the same places.
    """

    def __init__(
        self,
        width: int,
        height: int,
        frames_per_second: float,
        *,
        often: tuple[int, int] = ON_THE_FACE,
    ) -> None:
        self._detect_every, self._look_every = often
        self.first_size, self.search_size = (
            _seen_size(width, height, min(1.0, side / max(width, height)))
            for side in (FIRST_SIDE, SEARCH_SIDE)
        )
        self.detector = _detector()
        # One failure to find a face that was followed until then is not the end of it.
        self._patience = max(1, round(LOST_AFTER_SECONDS * frames_per_second), self._detect_every)
        self._rest = resting_place(width, height)
        self._place: FacePlace | None = None
        self._goal: FacePlace | None = None
        self._patch: Plane | None = None
        self._follows = False
        self._seen = 0

    def at(self, planes: Planes, index: int) -> FacePlace:
        """Return the place in this picture; call it for every frame in turn."""
        if index % (self._detect_every if self._follows else ON_THE_FACE[0]) == 0:
            found = self._detect(planes)
            if found is not None:
                self._goal, self._seen = found, index
                self._patch = _sampled(planes.y, found)
            elif index - self._seen > self._patience:
                self._goal = self._place = self._patch = None
            self._follows = found is not None and self._patch is not None
        elif index % self._look_every == 0 and self._goal is not None and self._patch is not None:
            moved = _moved(planes.y, self._goal, self._patch)
            self._follows = moved is not None
            if moved is not None:  # seen anew at once: a head also turns
                self._goal, self._patch = moved
        if self._goal is None:
            return self._rest
        if self._place is None:
            self._place = self._goal
        self._place = _between(self._place, self._goal, FOLLOW)
        return self._place

    def _detect(self, planes: Planes) -> FacePlace | None:
        """First about the place where it was, then everywhere; and once more close by for finer landmarks."""
        close = None if self._goal is None else self._close_by(planes, self._goal)
        if close is not None:
            return close
        found = self._search(planes)
        return found if found is None else self._close_by(planes, found) or found

    def _search(self, planes: Planes) -> FacePlace | None:
        """Look for the largest face everywhere: a large one is also found among fewer pixels."""
        size = planes.y.shape[::-1]
        found = self._largest(planes, (0, 0), size, self.first_size)
        large = found is not None and found.width * self.first_size[0] >= LARGE * size[0]
        if large or self.first_size == self.search_size:
            return found
        return self._largest(planes, (0, 0), size, self.search_size)

    def _close_by(self, planes: Planes, place: FacePlace) -> FacePlace | None:
        height, width = planes.y.shape
        half, middle = place.width * CLOSE_FACES / 2, place.y + place.width * CLOSE_BELOW
        left, top = (max(0, int(edge) // 2 * 2) for edge in (place.x - half, middle - half))
        right, bottom = min(width, int(place.x + half)), min(height, int(middle + half))
        size = ((right - left) // 2 * 2, (bottom - top) // 2 * 2)
        if min(size) < 16:
            return None
        scale = CLOSE_SIDE / max(size)
        return self._largest(planes, (left, top), size, _seen_size(*size, scale))

    def _largest(
        self, planes: Planes, corner: tuple[int, int], size: tuple[int, ...], seen: tuple[int, int]
    ) -> FacePlace | None:
        """Find the largest face in a part of the picture, which the detector sees `seen` pixels large."""
        parts = []
        for plane, step in zip(planes.all, (1, 2, 2), strict=True):
            x, y, width, height = (value // step for value in (*corner, *size))
            part = plane[y : y + height, x : x + width]
            parts.append(cv2.resize(part, seen, interpolation=cv2.INTER_LINEAR))
        picture = cv2.cvtColor(cv2.merge([parts[0], parts[2], parts[1]]), cv2.COLOR_YCrCb2BGR)
        self.detector.setInputSize(seen)
        _, faces = self.detector.detect(picture)
        # On pictures of a few pixels the detector's sizes overflow: such a row is not a face.
        rows = [] if faces is None else list(np.asarray(faces))
        sane = [face for face in rows if np.isfinite(face).all() and 0 < face[2] <= 2 * seen[0]]
        if not sane:
            return None
        largest = max(sane, key=lambda face: float(face[2] * face[3]))
        scale = np.array([size[0] / seen[0], size[1] / seen[1]])
        return _place(largest, scale, np.array(corner))


def _seen_size(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(SMALLEST_SIDE, round(width * scale)), max(SMALLEST_SIDE, round(height * scale))


_OF_THREAD = local()


def _detector() -> cv2.FaceDetectorYN:
    """Return this thread's detector: it keeps nothing of a picture, and making one costs four encodes."""
    if not hasattr(_OF_THREAD, "detector"):
        model = resources.files("harness.videos.perturb") / "models" / "face_detection_yunet_2023mar.onnx"
        content = np.frombuffer(model.read_bytes(), np.uint8)
        _OF_THREAD.detector = cv2.FaceDetectorYN.create(
            "onnx", content, np.zeros(0, np.uint8), (SEARCH_SIDE, SEARCH_SIDE), MIN_SCORE
        )
    made: cv2.FaceDetectorYN = _OF_THREAD.detector
    return made


@dataclass(frozen=True, kw_only=True)
class _Square:
    """The picture about a face, made small by averages of halves; what follows it reads only this."""

    left: int  # of its first sample, in pixels of the picture
    top: int
    shrink: int  # pixels of a sample
    small: Plane

    @staticmethod
    def about(luma: Plane, place: FacePlace, reach: int) -> _Square | None:
        """Take the patch and `reach` of its samples more to each side; None if it is not all there."""
        left, top, side = _corner(place, reach)
        part = luma[max(0, top) : top + side, max(0, left) : left + side]
        if part.shape != (side, side) or side < PATCH_SIDE // 2:
            return None
        seen = PATCH_SIDE + 2 * reach
        # OpenCV takes ten times as long for other shares; the rest is by straight lines.
        shrink = next(k for k in (16, 8, 4, 2, 1) if k * seen <= side or k == 1)
        whole = side // shrink * shrink
        return _Square(left=left, top=top, shrink=shrink, small=halved(part[:whole, :whole], shrink))

    def sampled(self, place: FacePlace, reach: int) -> Plane:
        """Sample a patch that lies within."""
        left, top, side = _corner(place, reach)
        seen = PATCH_SIDE + 2 * reach
        step = side / seen
        across, down = ((edge + step / 2) / self.shrink - 0.5 for edge in (left - self.left, top - self.top))
        places = np.array([[step / self.shrink, 0, across], [0, step / self.shrink, down]])
        look_up, rim = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
        return np.asarray(
            cv2.warpAffine(self.small, places, (seen, seen), flags=look_up, borderMode=rim), np.uint8
        )


def _corner(place: FacePlace, reach: int) -> tuple[int, int, int]:
    """Return left, top and side of the square about a face, in pixels."""
    half = place.width * PATCH_FACES * (0.5 + reach / PATCH_SIDE)
    return round(place.x - half), round(place.y + 0.2 * place.width - half), round(2 * half)


def _sampled(luma: Plane, place: FacePlace) -> Plane | None:
    square = _Square.about(luma, place, 0)
    return None if square is None else square.sampled(place, 0)


def _moved(luma: Plane, place: FacePlace, patch: Plane) -> tuple[FacePlace, Plane] | None:
    """Return where the patch is now, which was at a place before, and what it looks like; None in doubt."""
    square = _Square.about(luma, place, PATCH_REACH)
    if square is None:
        return None
    from harness.videos.perturb.drawing.likeness import likeness  # noqa: PLC0415  (loads the compiler)

    alike = likeness(square.sampled(place, PATCH_REACH), patch)
    down, across = divmod(int(alike.argmax()), alike.shape[1])
    if alike[down, across] <= PATCH_LIKENESS:
        return None
    step = place.width * PATCH_FACES / PATCH_SIDE
    x = (across - PATCH_REACH + _peak(alike[down], across)) * step
    y = (down - PATCH_REACH + _peak(alike[:, across], down)) * step
    # Rounded as the detector's answers are: the last bits may depend on the processor.
    moved = replace(place, x=round(place.x + x), y=round(place.y + y))
    return moved, square.sampled(moved, 0)


def _peak(row: NDArray[np.float64], best: int) -> float:
    """Return how far beside its largest value a row peaks: the top of a parabola through three values."""
    if not 0 < best < len(row) - 1:
        return 0.0
    before, top, after = (float(value) for value in row[best - 1 : best + 2])
    bend = before - 2 * top + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend


def _place(face: NDArray[np.float32], scale: NDArray[np.float64], corner: NDArray[np.int64]) -> FacePlace:
    """From YuNet's row: box x, y, width, height; right eye, left eye, nose, mouth corners; score."""
    one, other = face[4:6] * scale + corner, face[6:8] * scale + corner
    if one[0] > other[0]:
        one, other = other, one
    middle = (one + other) / 2
    # Rounded: the last bits of a neural network's output depend on the processor.
    return FacePlace(
        x=round(float(middle[0])),
        y=round(float(middle[1])),
        width=round(float(face[2] * scale[0])),
        tilt=round(float(np.arctan2(other[1] - one[1], other[0] - one[0])), 2),
    )


def _between(one: FacePlace, other: FacePlace, share: float) -> FacePlace:
    return FacePlace(
        x=one.x + (other.x - one.x) * share,
        y=one.y + (other.y - one.y) * share,
        width=one.width + (other.width - one.width) * share,
        tilt=one.tilt + (other.tilt - one.tilt) * share,
    )
