"""What is done to a face and round it: smoothed skin, a blurred room, emoji, a speech bubble."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from harness.videos.perturb.drawing import pictures as drawing
from harness.videos.perturb.drawing.face_tracker import SOFTLY, FaceTracker, face_box
from harness.videos.perturb.drawing.pictures import Image, opaque, shrink
from harness.videos.perturb.drawing.planes import Plane, Planes, Sprite, scalar
from harness.videos.perturb.drawing.room import BlurredRoom
from harness.videos.perturb.kinds.faces import EYES, FACE, SHEET, follow_face
from harness.videos.perturb.registry import Family, LifeStage, draw_seed, frame_generator, perturbation
from harness.videos.perturb.steps import Canvas, EditParts, Step

SINCE = 2
STEP = 16  # pixels: sides of the box that is smoothed
ENOUGH = 1.15  # samples of the smoothed skin for each that it is enlarged from
LOOK_EVERY = 4  # pictures: where skin is in the box about the face changes slowly
SKIN = (110, 150)  # Cb and Cr of skin of every shade lie on one line; its middle (Chai and Ngan 1999)
SKIN_REACH = (22, 26)  # levels about it that count as skin


def _likeness(middle: int, reach: int) -> NDArray[np.uint8]:
    """(256,) 255 at the middle of skin's colours, falling to 128 at their border and then twice as fast."""
    far = np.clip(np.rint(np.abs(np.arange(256) - middle) * (128 / reach)), 0, 255)
    near = 255 - far
    return np.asarray(np.clip(near + np.clip(near - 127, 0, 255), 0, 255), np.uint8)


SKIN_TABLES = tuple(_likeness(middle, reach) for middle, reach in zip(SKIN, SKIN_REACH, strict=True))


def _resized(small: Plane, size: tuple[int, int]) -> Plane:
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.uint8)


@dataclass(frozen=True, kw_only=True)
class SmoothSkin:
    """Smoothed between edges where the colour is skin's, about the face; a little lighter."""

    strength: float
    seen: int  # pixels of the box's longer side at which it is smoothed: fewer take more detail

    def start(self, canvas: Canvas) -> EditParts:
        """Work on the face's box only, small, and enlarge what comes of it as it is laid on."""
        # These load the compiler, for which nobody should wait who draws nothing.
        from harness.videos.perturb.drawing.blending import cut_out  # noqa: PLC0415  (compiler)
        from harness.videos.perturb.drawing.layers import laid_behind  # noqa: PLC0415  (compiler)

        tracker = FaceTracker(canvas.width, canvas.height, canvas.frames_per_second, often=SOFTLY)
        kept = np.zeros((0, 0), np.uint8)  # of 255 of what was there: the same in a few pictures

        def edit(planes: Planes, index: int) -> None:
            place = tracker.at(planes, index)
            left, top, right, bottom = face_box(place, canvas, (0.85, 0.8, 1.3))
            # In whole steps of what it is made small and enlarged by.
            height, width = (max(2, side // STEP * STEP) for side in (bottom - top, right - left))
            scale = min(1.0, self.seen / max(height, width))
            # A little smaller still, if half as many samples are then enough.
            shrink = next(k for k in (8, 4, 2, 1) if k * scale <= ENOUGH and not (height % k or width % k))
            box = np.s_[top : top + height, left : left + width]
            half = np.s_[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2]
            luma = planes.y[box]
            size = (max(2, round(width * scale)), max(2, round(height * scale)))
            grown = (width // shrink, height // shrink)
            nonlocal kept
            if index % LOOK_EVERY == 0 or kept.shape != grown[::-1]:
                # Colour has half as many samples, and what is made of it is soft.
                coarse = (max(min(size[0], STEP), size[0] // 2), max(min(size[1], STEP), size[1] // 2))
                weight = self._weight(planes.u[half], planes.v[half], coarse)
                kept = _resized(255 - weight, grown)
            skin = _resized(self._smooth(luma, size), grown)
            planes.keep(luma)
            if shrink > 1:
                laid_behind(skin, kept, luma, luma, shrink)
            else:
                cut_out(luma, skin, 255 - kept)

        return EditParts(edit)

    def _smooth(self, luma: Plane, size: tuple[int, int]) -> Plane:
        """Shrink to (width, height), smooth between edges and lighten."""
        from harness.videos.perturb.drawing.evening import evened  # noqa: PLC0415  (loads the compiler)
        from harness.videos.perturb.drawing.shrinking import shrunk  # noqa: PLC0415  (loads the compiler)

        # Twice over five samples reaches as far as once over nine, in a quarter of the time.
        soft = evened(evened(shrunk(luma, size)))
        return np.asarray(cv2.add(soft, scalar(round(6 * self.strength))), np.uint8)

    def _weight(self, blue: Plane, red: Plane, size: tuple[int, int]) -> Plane:
        """Full in the middle of skin's colours, none beyond their border, and fading to the box's rim."""
        from harness.videos.perturb.drawing.shrinking import shrunk  # noqa: PLC0415  (loads the compiler)

        likeness = [
            cv2.LUT(shrunk(plane, size), table) for plane, table in zip((blue, red), SKIN_TABLES, strict=True)
        ]
        near = np.asarray(cv2.min(*likeness), np.uint8)
        near[:1], near[-1:], near[:, :1], near[:, -1:] = 0, 0, 0, 0
        soft = cv2.blur(near, (max(3, size[0] // 24 | 1),) * 2)
        return np.asarray(cv2.convertScaleAbs(soft, alpha=self.strength), np.uint8)


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
    """Apply a beauty filter: skin without pores, a little lighter; at 4 and 5 eyes and lips are soft, too."""
    return Step(operation=SmoothSkin(strength=strength, seen=seen))


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

    def start(self, canvas: Canvas) -> EditParts:
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

    def start(self, canvas: Canvas) -> EditParts:
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

        return EditParts(edit)

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
    """Put a comic's speech bubble beside the face, its tail towards the mouth; without room, over a cheek."""
    return Step(operation=SpeechBubble(width=width, right=bool(rng.random() < 0.5), seed=draw_seed(rng)))
