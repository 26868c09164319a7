"""What happens to crops, real and fake alike: cutting, parts blanked, the wear of a video's way.

The kinds of wear are those of the public recipe (blur, noise, resolution, compression, brightness, grey,
mirroring): the private ones are never seen.
"""

from __future__ import annotations

import cv2
import numpy as np
from fakes import Crop, RealFace, compress
from numpy.typing import NDArray

CACHE_MARGIN = 1.9  # prepare.py's
TEST_MARGIN = 1.35  # the entry's: detector.models.MemberConfig.margin
MARGINS = (1.2, 1.55)  # of the squares cut for training, in units of the face box
SHIFT = 0.06  # of the square's side
NATIVE = (48, 224)  # side in pixels to which half of the squares are shrunk: faces in small videos
SOURCE_SIDE = (90, 240)  # of a whole cached crop: what a poor source had, before anything was forged on it
JPEG_QUALITY = (30, 95)


def cut_square(crop: Crop, margin: float, shift: NDArray[np.float64], *, of: float = CACHE_MARGIN) -> Crop:
    """A smaller square out of a crop of margin `of`; `shift` (2,) is in units of its side."""
    size = crop.shape[0]
    side = min(size, round(size * margin / of))
    left, top = ((size - side) / 2 + shift * side).round().astype(int).clip(0, size - side)
    return crop[top : top + side, left : left + side]


def cut_out(face: RealFace, rng: np.random.Generator) -> tuple[slice, slice]:
    """A square around one landmark, half as wide as the eyes are apart or a little more, to be blanked."""
    reach = float(np.linalg.norm(face.landmarks[1] - face.landmarks[0])) * rng.uniform(0.25, 0.5)
    x, y = face.landmarks[rng.integers(5)]
    return (
        slice(max(0, round(y - reach)), max(0, round(y + reach))),
        slice(max(0, round(x - reach)), max(0, round(x + reach))),
    )


def resize(crop: Crop, size: int) -> Crop:
    """To (size, size, 3), as the entry scales: by area down, bilinear up."""
    how = cv2.INTER_AREA if crop.shape[0] > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(crop), (size, size), interpolation=how), np.uint8)


def wear_source(crop: Crop, rng: np.random.Generator) -> Crop:
    """The crop as a poorer recording would have it, at its old size: small, compressed, enlarged again.

    Most real clips have been through that before anybody forges anything on them.
    """
    side = round(float(np.exp(rng.uniform(*np.log(SOURCE_SIDE)))))
    small = np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.6:
        small = compress(small, int(rng.integers(45, 95)))
    how = int(rng.choice([cv2.INTER_LANCZOS4, cv2.INTER_CUBIC, cv2.INTER_LINEAR]))
    size = crop.shape[0]
    return np.asarray(cv2.resize(small, (size, size), interpolation=how), np.uint8)


def wear(crop: Crop, size: int, rng: np.random.Generator) -> Crop:
    """What happens to any video on its way; ends at `size` pixels."""
    out = crop
    if rng.random() < 0.5:
        side = round(float(np.exp(rng.uniform(*np.log(NATIVE)))))
        if side < out.shape[0]:
            out = np.asarray(cv2.resize(out, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.2:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.6)), np.uint8)
    if rng.random() < 0.25:
        noise = rng.normal(0, rng.uniform(1, 10), out.shape)
        out = np.asarray((out + noise).clip(0, 255), np.uint8)
    if rng.random() < 0.5:
        tint = rng.uniform(-40, 40) + rng.uniform(-10, 10, 3)  # brighter or darker, warmer or colder
        out = np.asarray((out + tint).clip(0, 255), np.uint8)
    if rng.random() < 0.1:
        out = np.repeat(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.uint8)
    if rng.random() < 0.8:
        out = compress(out, int(rng.integers(*JPEG_QUALITY)))
    return resize(out, size)
