"""What happens to single crops before they are forged: other people, poorer recordings, smaller squares."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .fakes import Crop, RealFace, compress

SOURCE_SIDE = (90, 240)  # of a whole cached crop: what a poor source had, before anything was forged on it
BENDS = 5  # of a disguise, along each side


def cut_square(crop: Crop, margin: float, shift: NDArray[np.float64], *, of: float) -> Crop:
    """A smaller square out of a crop of margin `of`; `shift` (2,) is in units of its side."""
    size = crop.shape[0]
    side = min(size, round(size * margin / of))
    left, top = ((size - side) / 2 + shift * side).round().astype(int).clip(0, size - side)
    return crop[top : top + side, left : left + side]


def resize(crop: Crop, size: int) -> Crop:
    """To (size, size, 3), as the entry scales: by area down, bilinear up."""
    how = cv2.INTER_AREA if crop.shape[0] > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(crop), (size, size), interpolation=how), np.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class Disguise:
    """A change of a face's shape and complexion, the same for a real picture and its fake twin.

    Twenty people are soon known by heart, and then whoever is not one of them looks forged. So every pair
    shows somebody who does not exist: stretched, gently bent at the scale of the whole face, of another
    colour. It does not perturb the video: nothing of it is stronger than people differ from each other.

    Attributes:
        stretch: (2,), width and height.
        bends: (2, BENDS, BENDS), displacements on a coarse grid, in units of the crop's side.
        tint: (2,), added to a and b of CIELAB.
        saturation: factor on both.
    """

    stretch: NDArray[np.float64]
    bends: NDArray[np.float64]
    tint: NDArray[np.float64]
    saturation: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Disguise:
        """Somebody at random."""
        return cls(
            stretch=np.exp(rng.uniform(-0.13, 0.13, 2)),
            bends=rng.normal(0, 0.015, (2, BENDS, BENDS)),
            tint=rng.uniform(-9, 9, 2),
            saturation=float(rng.uniform(0.75, 1.25)),
        )

    def _shift(self, size: int) -> NDArray[np.float32]:
        """(2, size, size): how far from each place the picture is read, in pixels, x then y."""
        centred = np.mgrid[0:size, 0:size][::-1] - size / 2
        stretched = centred / self.stretch[:, None, None] - centred
        bent = [cv2.resize(axis, (size, size), interpolation=cv2.INTER_CUBIC) for axis in self.bends * size]
        return np.asarray(stretched + np.stack(bent), np.float32)

    def put_on(self, crop: Crop) -> Crop:
        """The crop as it is of somebody else."""
        size = crop.shape[0]
        ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
        dx, dy = self._shift(size)
        moved = cv2.remap(crop, xs + dx, ys + dy, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        lab = cv2.cvtColor(np.asarray(moved, np.uint8), cv2.COLOR_RGB2LAB).astype(np.float32)
        lab[..., 1:] = (lab[..., 1:] - 128) * self.saturation + 128 + self.tint
        return np.asarray(cv2.cvtColor(lab.clip(0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)

    def put_on_face(self, face: RealFace) -> RealFace:
        """The same with the landmarks (to first order: bends are gentle)."""
        size = face.crop.shape[0]
        x, y = face.landmarks.round().astype(int).clip(0, size - 1).T
        shift = self._shift(size)[:, y, x].T
        # A place reads from where it is plus the shift; what was there is now at the place minus it, and the
        # stretch is undone exactly.
        bent = shift - (face.landmarks - size / 2) * (1 / self.stretch - 1)
        moved = (face.landmarks - size / 2 - bent) * self.stretch + size / 2
        return RealFace(crop=self.put_on(face.crop), landmarks=moved.astype(np.float32))


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
