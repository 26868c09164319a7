"""What is done to a face and round it: smoothed skin, a blurred room, emoji, a speech bubble."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from harness.videos.perturb.drawing import pictures as drawing
from harness.videos.perturb.drawing.blur import blurred, halved
from harness.videos.perturb.drawing.face_tracker import FacePlace, FaceTracker, close
from harness.videos.perturb.drawing.pictures import Image, opaque, shrink
from harness.videos.perturb.drawing.planes import Plane, Planes, Sprite, mixed, scalar
from harness.videos.perturb.kinds.faces import EYES, FACE, SHEET, follow_face
from harness.videos.perturb.registry import Family, LifeStage, draw_seed, frame_generator, perturbation
from harness.videos.perturb.steps import Canvas, EditFrame, Step

SINCE = 2
SKIN = (110, 150)  # Cb and Cr of skin of every shade lie on one line; its middle (Chai and Ngan 1999)
SKIN_REACH = (22, 26)  # levels about it that count as skin


def _likeness(middle: int, reach: int) -> NDArray[np.uint8]:
    """(256,) 255 at the middle of skin's colours, falling to 128 at their border and then twice as fast."""
    far = np.clip(np.rint(np.abs(np.arange(256) - middle) * (128 / reach)), 0, 255)
    near = 255 - far
    return np.asarray(np.clip(near + np.clip(near - 127, 0, 255), 0, 255), np.uint8)


SKIN_TABLES = tuple(_likeness(middle, reach) for middle, reach in zip(SKIN, SKIN_REACH, strict=True))


def _box(place: FacePlace, canvas: Canvas, sides: tuple[float, float, float]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom, even: face widths to each side, above and below the eyes."""
    across, above, below = (share * place.width for share in sides)
    left, top = max(0, int(place.x - across) // 2 * 2), max(0, int(place.y - above) // 2 * 2)
    right = min(canvas.width, int(place.x + across) // 2 * 2)
    bottom = min(canvas.height, int(place.y + below) // 2 * 2)
    return left, top, max(left + 2, right), max(top + 2, bottom)


@dataclass(frozen=True, kw_only=True)
class SmoothSkin:
    """A bilateral filter where the colour is skin's, about the face; a little lighter."""

    strength: float
    seen: int  # pixels of the box's longer side at which it is smoothed: fewer take more detail

    def start(self, canvas: Canvas) -> EditFrame:
        """Works on the face's box only."""
        tracker = FaceTracker(canvas.width, canvas.height, canvas.frames_per_second)

        def edit(planes: Planes, index: int) -> None:
            place = tracker.at(planes, index)
            left, top, right, bottom = _box(place, canvas, (0.85, 0.8, 1.3))
            luma = planes.y[top:bottom, left:right]
            half = np.s_[top // 2 : bottom // 2, left // 2 : right // 2]
            weight = self._weight(planes.u[half], planes.v[half], luma.shape)
            luma[:] = mixed(luma, self._smooth(luma), weight)

        return edit

    def _smooth(self, luma: Plane) -> Plane:
        height, width = luma.shape
        scale = min(1.0, self.seen / max(height, width))
        size = (max(2, round(width * scale)), max(2, round(height * scale)))
        # Halves first, which OpenCV averages many times faster than other blocks.
        small = cv2.resize(halved(luma, 2) if scale <= 0.5 else luma, size, interpolation=cv2.INTER_AREA)
        soft = cv2.bilateralFilter(small, 7, 40, 5)
        lighter = cv2.add(soft, scalar(round(6 * self.strength)))
        return np.asarray(cv2.resize(lighter, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

    def _weight(self, blue: Plane, red: Plane, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Full in the middle of skin's colours, none beyond their border, and fading to the box's rim."""
        likeness = [cv2.LUT(plane, table) for plane, table in zip((blue, red), SKIN_TABLES, strict=True)]
        near = np.asarray(cv2.min(*likeness), np.uint8)
        near[:1], near[-1:], near[:, :1], near[:, -1:] = 0, 0, 0, 0
        soft = cv2.blur(near, (max(3, blue.shape[1] // 24 | 1),) * 2)
        whole = cv2.resize(soft, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.convertScaleAbs(whole, alpha=self.strength), np.uint8)


@perturbation(
    family=Family.AUGMENTER,
    stage=LifeStage.OVERLAY,
    group="retouch",
    since=SINCE,
    unit="weight of the smoothed skin; pixels across the face that are left",
    source="our own, by eye, after phones' beauty modes",
    strength=(0.55, 0.65, 0.75, 0.85, 0.95),
    seen=(320, 260, 205, 165, 130),
)
def beauty_filter(canvas: Canvas, rng: Generator, *, strength: float, seen: int) -> Step:
    """Apply a beauty filter: skin without pores, a little lighter; eyes and mouth stay sharp."""
    return Step(operation=SmoothSkin(strength=strength, seen=seen))


@dataclass(frozen=True, kw_only=True)
class BlurredRoom:
    """Everything but the person is out of focus; the person is guessed from the face."""

    sigma: float  # pixels

    def start(self, canvas: Canvas) -> EditFrame:
        """Blur at low resolution, then lay the person over it again."""
        cutouts: list[_Cutout] = []
        tracker = FaceTracker(canvas.width, canvas.height, canvas.frames_per_second)

        def edit(planes: Planes, index: int) -> None:
            place = tracker.at(planes, index)
            if not cutouts or not close(cutouts[0].place, place):
                cutouts[:] = _cutouts(place, canvas)
            before = [cutout.weighted(planes) for cutout in cutouts]
            for plane, step in zip(planes.all, (1, 2, 2), strict=True):
                blurred(plane, self.sigma / step, into=plane)
            for cutout, person in zip(cutouts, before, strict=True):
                cutout.lay(planes, person)

        return edit


@dataclass(frozen=True, kw_only=True)
class _Cutout:
    """A part of the person: how much of it is kept when the room is blurred."""

    place: FacePlace  # that it was made for
    box: tuple[int, int, int, int]
    weights: tuple[Plane, Plane]  # of the person: for luma, for colour
    rests: tuple[Plane, Plane]  # of the room

    def _parts(self, planes: Planes) -> list[Plane]:
        left, top, right, bottom = self.box
        return [
            plane[top // step : bottom // step, left // step : right // step]
            for plane, step in zip(planes.all, (1, 2, 2), strict=True)
        ]

    def weighted(self, planes: Planes) -> list[cv2.typing.MatLike]:
        """Return the person's share, from before the room is blurred."""
        return [
            cv2.multiply(part, self.weights[min(number, 1)], scale=1 / 255)
            for number, part in enumerate(self._parts(planes))
        ]

    def lay(self, planes: Planes, person: list[cv2.typing.MatLike]) -> None:
        """Put it over the blurred room."""
        for number, (part, own) in enumerate(zip(self._parts(planes), person, strict=True)):
            cv2.multiply(part, self.rests[min(number, 1)], dst=part, scale=1 / 255)
            cv2.add(part, own, dst=part)


def _cutouts(place: FacePlace, canvas: Canvas) -> list[_Cutout]:
    """Head and shoulders in a box each: a box about both would be half empty."""
    whole = _box(place, canvas, (1.9, 1.1, 9.0))
    mask = _person(place, whole)
    left, top, right, bottom = whole
    neck = min(bottom, max(top, int(place.y + 0.6 * place.width) // 2 * 2))
    head = _box(place, canvas, (0.95, 1.1, 0.6))
    made = []
    for box in ((head[0], top, head[2], neck), (left, neck, right, bottom)):
        if box[0] >= box[2] or box[1] >= box[3]:
            continue
        part = np.ascontiguousarray(mask[box[1] - top : box[3] - top, box[0] - left : box[2] - left])
        size = (part.shape[1] // 2, part.shape[0] // 2)
        half = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        made.append(_Cutout(place=place, box=box, weights=(part, half), rests=(~part, ~half)))
    return made


def _person(place: FacePlace, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Head and shoulders, drawn small and enlarged: the edge is soft as a segmenter's is."""
    left, top, right, bottom = box
    unit = 48 / place.width  # pixels of the drawing per pixel of the picture
    size = (max(2, round((right - left) * unit)), max(2, round((bottom - top) * unit)))
    mask = np.zeros((size[1], size[0]), np.uint8)
    x, y = (place.x - left) * unit, (place.y - top) * unit
    cv2.ellipse(mask, (round(x), round(y + 8)), (40, 56), 0, 0, 360, (255,), cv2.FILLED)
    body = np.array([[x - 20, y + 40], [x - 80, y + 78], [x - 88, 9999], [x + 88, 9999], [x + 80, y + 78]])
    cv2.fillPoly(mask, [np.vstack([body, [[x + 20, y + 40]]]).round().astype(np.int32)], (255,))
    soft = cv2.blur(mask, (7, 7))
    return np.asarray(
        cv2.resize(soft, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR), np.uint8
    )


@perturbation(
    family=Family.AUGMENTER,
    stage=LifeStage.OVERLAY,
    group="background",
    since=SINCE,
    unit="σ in pixels at 720 lines, round the person",
    source="our own, by eye, after conference tools",
    sigma=(4.0, 7.0, 11.0, 17.0, 26.0),
)
def background_blur(canvas: Canvas, rng: Generator, *, sigma: float) -> Step:
    """Blur the background as a conference tool does, with an imperfect edge round the head."""
    return Step(operation=BlurredRoom(sigma=round(max(2.0, sigma * canvas.unit), 3)))


def draw_emoji(size: float, *, mouth: bool) -> Image:
    """Emoji over both eyes, and over the mouth; `size` in face widths."""
    sheet = np.zeros((SHEET, SHEET, 4), np.uint8)
    places = [(-0.2, 0.0, drawing.heart), (0.2, 0.0, drawing.heart)]
    if mouth:
        places.append((0.0, 0.45, drawing.smiley))
    for x, y, picture in places:
        image = picture(max(8, round(size * FACE * SHEET)))
        height, width = image.shape[:2]
        left = round((EYES[0] + x * FACE) * SHEET - width / 2)
        top = round((EYES[1] + y * FACE) * SHEET - height / 2)
        part = sheet[top : top + height, left : left + width]
        covers = image[..., 3:] > part[..., 3:]
        part[:] = np.where(covers, image, part)
    return sheet


@dataclass(frozen=True, kw_only=True)
class EmojiFace:
    """Emoji that sit on the eyes and the mouth of the largest face."""

    size: float  # in face widths
    mouth: bool

    def start(self, canvas: Canvas) -> EditFrame:
        """Draw once, then follow."""
        return follow_face(draw_emoji(self.size, mouth=self.mouth), canvas, scale=1.0, opacity=1.0)


@perturbation(
    family=Family.DISTRACTOR,
    stage=LifeStage.OVERLAY,
    group="face",
    since=SINCE,
    unit="width in face widths; 1: over the mouth as well",
    source="our own, by eye",
    size=(0.16, 0.22, 0.28, 0.34, 0.42),
    mouth=(0, 0, 0, 1, 1),
)
def emoji_face(canvas: Canvas, rng: Generator, *, size: float, mouth: int) -> Step:
    """Stick emoji over the eyes, and in the end over the mouth: what a detector looks at is gone."""
    return Step(operation=EmojiFace(size=size, mouth=bool(mouth)))


@dataclass(frozen=True, kw_only=True)
class SpeechBubble:
    """A comic's bubble beside the face, whose tail points to the mouth."""

    width: float  # share of the shorter side
    right: bool
    seed: int

    def start(self, canvas: Canvas) -> EditFrame:
        """Draw once, then follow."""
        sprite = Sprite.from_rgba(self._draw(canvas))
        tracker = FaceTracker(canvas.width, canvas.height, canvas.frames_per_second)

        def edit(planes: Planes, index: int) -> None:
            place = tracker.at(planes, index)
            aside = place.width * 0.35
            x = place.x + aside if self.right else place.x - aside - sprite.width
            y = place.y + place.width * 0.45 - sprite.height
            x = min(max(0, x), max(0, canvas.width - sprite.width))
            sprite.paste(planes, round(x), round(min(max(0, y), max(0, canvas.height - sprite.height))))

        return edit

    def _draw(self, canvas: Canvas) -> Image:
        rng = frame_generator(self.seed, 0)
        width = max(24, round(self.width * min(canvas.width, canvas.height)))
        sheet = drawing.blank(width * 3 // 4, width)
        height, across = sheet.shape[:2]
        ink, paper = opaque((20, 20, 20)), opaque((252, 252, 250))
        tail = 0.12 if self.right else 0.88
        points = np.array(
            [[tail, 0.98], [0.36, 0.66], [0.52, 0.7]]
            if self.right
            else [[tail, 0.98], [0.64, 0.66], [0.48, 0.7]]
        )
        corners = (points * [across - 1, height - 1]).astype(np.int32)
        centre, axes = (across // 2, round(height * 0.38)), (round(across * 0.48), round(height * 0.36))
        rim = max(2, across // 70)
        for colour, grow in ((ink, rim), (paper, 0)):
            cv2.ellipse(sheet, centre, (axes[0] + grow, axes[1] + grow), 0, 0, 360, colour, cv2.FILLED)
            cv2.fillPoly(sheet, [corners], colour)
            if grow:
                cv2.polylines(sheet, [corners], isClosed=True, color=colour, thickness=2 * rim)
        sheet = shrink(sheet)
        text = drawing.words(
            drawing.pick_words(rng, 2), max(6, width // 11), (20, 20, 20), cv2.FONT_HERSHEY_DUPLEX
        )
        room = (max(2, width * 3 // 4), max(2, text.shape[0] * (width * 3 // 4) // text.shape[1]))
        text = np.asarray(cv2.resize(text, room, interpolation=cv2.INTER_AREA), np.uint8)
        left, top = (sheet.shape[1] - room[0]) // 2, max(0, round(sheet.shape[0] * 0.38) - text.shape[0] // 2)
        part = sheet[top : top + text.shape[0], left : left + text.shape[1]]
        cut = text[: part.shape[0], : part.shape[1]]
        alpha = cut[..., 3:].astype(np.uint16)
        part[..., :3] = ((part[..., :3] * (255 - alpha) + cut[..., :3] * alpha) // 255).astype(np.uint8)
        return sheet


@perturbation(
    family=Family.DISTRACTOR,
    stage=LifeStage.OVERLAY,
    group="bubble",
    since=SINCE,
    unit="width as a share of the shorter side",
    source="our own, by eye",
    width=(0.22, 0.3, 0.38, 0.47, 0.58),
)
def speech_bubble(canvas: Canvas, rng: Generator, *, width: float) -> Step:
    """Put a comic's speech bubble beside the face, with its tail at the mouth."""
    return Step(operation=SpeechBubble(width=width, right=bool(rng.random() < 0.5), seed=draw_seed(rng)))
