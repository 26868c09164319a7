"""The members. Each is made once, with the package's folder, and called with the frames of one video."""

from pathlib import Path

import cv2
import numpy as np


class Sharpness:
    """Blurred pictures are a little suspicious. An example: replace it with a model."""

    def __init__(self, package: Path) -> None:
        self.package = package

    def __call__(self, frames: list[np.ndarray]) -> float:
        grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]
        sharpness = np.mean([cv2.Laplacian(one, cv2.CV_64F).var() for one in grey])
        return 0.5 + 0.1 / (1.0 + float(sharpness) / 100.0)


class Flicker:
    """Pictures that change abruptly are a little suspicious. An example, too."""

    def __init__(self, package: Path) -> None:
        self.package = package

    def __call__(self, frames: list[np.ndarray]) -> float:
        small = [cv2.resize(frame, (64, 64)).astype(float) for frame in frames]
        change = [float(np.abs(a - b).mean()) for a, b in zip(small, small[1:], strict=False)]
        return 0.45 + 0.1 * min(1.0, float(np.std(change)) / 5.0) if change else 0.5


MEMBERS = (Sharpness, Flicker)
