"""Fakes made on the fly from crops of real faces, so that every real picture has an aligned fake twin.

Each method takes a face (256-pixel crop and five landmarks), a donor face of another person and a random
generator, and returns the crop with the face, or a part of it, replaced. What surrounds the face stays the
real picture to the pixel: only what every forgery has in common is left to learn, which is that inside and
outside do not match. (Self-blended images: Shiohara and Yamasaki 2022.)

Not covered: anything made by a trained generator; hair, ears and necks; motion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Crop = NDArray[np.uint8]
Points = NDArray[np.float32]
Mask = NDArray[np.float32]

# A face of 100 x 100 in which the five landmarks have these places, and the outline of what gets replaced.
TEMPLATE: Points = np.array([[31, 38], [69, 38], [50, 59], [35, 77], [65, 77]], np.float32)
OUTLINES: dict[str, list[tuple[float, float]]] = {
    "face": [
        (12, 30),
        (20, 16),
        (50, 10),
        (80, 16),
        (88, 30),
        (86, 62),
        (72, 90),
        (50, 99),
        (28, 90),
        (14, 62),
    ],
    "inner": [(18, 26), (50, 22), (82, 26), (82, 56), (70, 84), (50, 90), (30, 84), (18, 56)],
    "mouth": [(26, 64), (50, 60), (74, 64), (76, 80), (62, 92), (38, 92), (24, 80)],
    "eyes": [(14, 26), (50, 24), (86, 26), (86, 46), (60, 52), (40, 52), (14, 46)],
}


@dataclass(frozen=True, kw_only=True)
class RealFace:
    """A crop (size, size, 3) RGB uint8 and its landmarks (5, 2) in pixels of the crop."""

    crop: Crop
    landmarks: Points


def align(source: Points, target: Points) -> NDArray[np.float64]:
    """The 2x3 similarity that carries five landmarks onto five others, least squares."""
    centre_source, centre_target = source.mean(axis=0), target.mean(axis=0)
    a, b = source - centre_source, target - centre_target
    scale = float((a * a).sum()) or 1.0
    real = float((a * b).sum()) / scale
    imaginary = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / scale
    turn = np.array([[real, -imaginary], [imaginary, real]])
    return np.hstack([turn, (centre_target - turn @ centre_source)[:, None]])


def face_mask(face: RealFace, rng: np.random.Generator) -> Mask:
    """A soft mask in [0, 1] over the face or a part of it, of random outline and softness."""
    name = rng.choice(["face", "inner", "mouth", "eyes"], p=[0.4, 0.35, 0.15, 0.1])
    outline = np.array(OUTLINES[name], np.float32)
    outline += rng.normal(0, 2.5, outline.shape).astype(np.float32)
    centre = outline.mean(axis=0)
    outline = centre + (outline - centre) * rng.uniform(0.85, 1.08)
    to_crop = align(TEMPLATE, face.landmarks)
    points = outline @ to_crop[:, :2].T + to_crop[:, 2]
    size = face.crop.shape[0]
    mask = np.zeros((size, size), np.float32)
    cv2.fillPoly(mask, [points.round().astype(np.int32)], 1.0)
    softness = float(rng.uniform(0.6, 0.035 * size))
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8), iterations=round(softness))
    soft = cv2.GaussianBlur(inner if inner.any() else mask, (0, 0), softness)
    return np.asarray(soft * rng.choice([1.0, 1.0, 1.0, 0.75, 0.5]), np.float32)


def blend(below: Crop, above: Crop, mask: Mask) -> Crop:
    """`above` over `below` by a mask in [0, 1]."""
    share = mask[..., None]
    return np.asarray((above * share + below * (1 - share)).round().clip(0, 255), np.uint8)


def change_colour(crop: Crop, rng: np.random.Generator) -> Crop:
    """Another camera: gain, offset and saturation per colour."""
    gain = rng.uniform(0.88, 1.12, 3) * rng.uniform(0.9, 1.1)
    out = (crop.astype(np.float32) - 128) * gain + 128 + rng.uniform(-12, 12, 3)
    grey = out.mean(axis=2, keepdims=True)
    return np.asarray((grey + (out - grey) * rng.uniform(0.75, 1.25)).clip(0, 255), np.uint8)


def change_detail(crop: Crop, rng: np.random.Generator) -> Crop:
    """Another resolution: down and up again, a blur, a sharpening, or a compression of its own."""
    size = crop.shape[0]
    kind = rng.integers(4)
    if kind == 0:
        small = int(size * rng.uniform(0.2, 0.7))
        how = int(rng.choice([cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
        down = cv2.resize(crop, (small, small), interpolation=how)
        return np.asarray(cv2.resize(down, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8)
    if kind == 1:
        return np.asarray(cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.6, 2.5)), np.uint8)
    if kind == 2:
        soft = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.8, 2.0))
        return np.asarray(cv2.addWeighted(crop, 1.0 + (k := rng.uniform(0.4, 1.2)), soft, -k, 0), np.uint8)
    return compress(crop, int(rng.integers(25, 75)))


def compress(crop: Crop, quality: int) -> Crop:
    """Through JPEG and back."""
    data = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if decoded is None:
        raise AssertionError("OpenCV does not read the JPEG that it wrote")
    return np.ascontiguousarray(decoded[..., ::-1], np.uint8)


def match_colour(crop: Crop, like: Crop, mask: Mask) -> Crop:
    """Gives a crop the mean and spread of another's Lab colours, both under a mask (Reinhard et al. 2001)."""
    inside = mask > 0.3
    if inside.sum() < 16:
        return crop
    ours = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB).astype(np.float32)
    theirs = cv2.cvtColor(like, cv2.COLOR_RGB2LAB)[inside].astype(np.float32)
    part = ours[inside]
    spread = theirs.std(axis=0) / np.maximum(part.std(axis=0), 1.0)
    out = (ours - part.mean(axis=0)) * spread.clip(0.5, 2.0) + theirs.mean(axis=0)
    return np.asarray(cv2.cvtColor(out.clip(0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)


def self_blended(face: RealFace, donor: RealFace, rng: np.random.Generator) -> Crop:
    """The face over itself, slightly moved, recoloured and of another sharpness. The donor is not used."""
    size = face.crop.shape[0]
    mask = face_mask(face, rng)
    above = face.crop
    if rng.random() < 0.8:
        above = change_colour(above, rng)
    if rng.random() < 0.8:
        above = change_detail(above, rng)
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-3, 3), rng.uniform(0.96, 1.04))
    turn[:, 2] += rng.uniform(-0.02, 0.02, 2) * size
    moved = cv2.warpAffine(above, turn, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return blend(face.crop, np.asarray(moved, np.uint8), mask)


def swapped(face: RealFace, donor: RealFace, rng: np.random.Generator) -> Crop:
    """The donor's face laid over this one by its landmarks, recoloured, of another resolution, blended."""
    size = face.crop.shape[0]
    mask = face_mask(face, rng)
    moved: Crop = np.asarray(
        cv2.warpAffine(
            donor.crop,
            align(donor.landmarks, face.landmarks),
            (size, size),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )
    if rng.random() < 0.85:
        moved = match_colour(moved, face.crop, mask)
    if rng.random() < 0.6:
        moved = change_detail(moved, rng)
    if rng.random() < 0.25:
        hard = (mask > 0.5).astype(np.uint8) * 255
        x, y, width, height = cv2.boundingRect(hard)
        inside = x > 0 and y > 0 and x + width < size and y + height < size
        if inside and width > 8 and height > 8:
            centre = (x + width // 2, y + height // 2)
            return np.asarray(cv2.seamlessClone(moved, face.crop, hard, centre, cv2.NORMAL_CLONE), np.uint8)
    return blend(face.crop, moved, mask)


def warped(face: RealFace, donor: RealFace, rng: np.random.Generator) -> Crop:
    """Mouth or eyes pushed and scaled by a smooth local warp. The donor is not used."""
    size = face.crop.shape[0]
    eyes = float(np.linalg.norm(face.landmarks[1] - face.landmarks[0]))
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    map_x, map_y = xs.copy(), ys.copy()
    mouth = face.landmarks[3:].mean(axis=0)
    places = [mouth] if rng.random() < 0.6 else [face.landmarks[0], face.landmarks[1]]
    if rng.random() < 0.3:
        places = [mouth, face.landmarks[0], face.landmarks[1]]
    for place in places:
        reach = eyes * rng.uniform(0.3, 0.6)
        push = rng.uniform(0.06, 0.16) * eyes
        angle = rng.uniform(0, 2 * np.pi)
        zoom_x, zoom_y = rng.uniform(-0.35, 0.35, 2)
        x, y = xs - place[0], ys - place[1]
        bump = np.exp(-(x * x + y * y) / (2 * (reach / 1.5) ** 2))
        map_x += bump * (push * np.cos(angle) + zoom_x * x)
        map_y += bump * (push * np.sin(angle) + zoom_y * y)
    how = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    return np.asarray(cv2.remap(face.crop, map_x, map_y, how, borderMode=cv2.BORDER_REPLICATE), np.uint8)


class Resynthesis:
    """A face drawn from a few principal components of its own clip: a generator of very low capacity."""

    SIDE = 80
    COMPONENTS = (4, 14)
    MARGIN = 0.15  # of the template around it

    def __init__(self, faces: Sequence[RealFace]) -> None:
        self._template = (TEMPLATE / 100 * (1 - 2 * self.MARGIN) + self.MARGIN) * self.SIDE
        aligned = np.stack([self._align(face) for face in faces]).astype(np.float32)
        self._shape = aligned.shape[1:]
        rows = aligned.reshape(len(faces), -1)
        self._mean = rows.mean(axis=0)
        self._basis = _components(rows - self._mean, self.COMPONENTS[1])

    def _align(self, face: RealFace) -> NDArray[np.uint8]:
        matrix = align(face.landmarks, self._template.astype(np.float32))
        return np.asarray(cv2.warpAffine(face.crop, matrix, (self.SIDE, self.SIDE)), np.uint8)

    def __call__(self, face: RealFace, rng: np.random.Generator) -> Crop:
        """Redraws the face and blends it in."""
        basis = self._basis[: rng.integers(*self.COMPONENTS)]
        row = self._align(face).reshape(-1).astype(np.float32) - self._mean
        drawn = ((row @ basis.T) @ basis + self._mean).reshape(self._shape).clip(0, 255).astype(np.uint8)
        size = face.crop.shape[0]
        matrix = align(self._template.astype(np.float32), face.landmarks)
        # Outside of what was drawn there is nothing to blend: the crop itself shines through.
        above = face.crop.copy()
        cv2.warpAffine(
            drawn, matrix, (size, size), dst=above, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_TRANSPARENT
        )
        return blend(face.crop, above, face_mask(face, rng))


def _components(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The first principal components of a few long rows, by their small Gram matrix: (count, length)."""
    values, vectors = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    order = np.argsort(values)[::-1][:count]
    order = order[values[order] > 1e-6 * max(values.max(), 1e-12)]
    return np.asarray((vectors[:, order].T @ rows) / np.sqrt(values[order])[:, None], np.float32)


METHODS: dict[str, Callable[[RealFace, RealFace, np.random.Generator], Crop]] = {
    "self_blended": self_blended,
    "swapped": swapped,
    "warped": warped,
}
