"""Smoothing between edges is what its formula says, and keeps edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.videos.perturb.drawing.evening import FAR, evened
from harness.videos.perturb.drawing.planes import Plane

STEPS = [(down, across) for down in range(-2, 3) for across in range(-2, 3) if abs(down) + abs(across) <= 2]


def by_formula(plane: Plane) -> NDArray[Any]:
    height, width = plane.shape
    padded = np.pad(plane, 2, "edge").astype(int)
    parts = np.stack([padded[2 + y : 2 + y + height, 2 + x : 2 + x + width] for y, x in STEPS])
    weights = np.maximum(0, FAR - np.abs(parts - plane.astype(int))) // 8
    mean: NDArray[Any] = (2 * (weights * parts).sum(0) + weights.sum(0)) // (2 * weights.sum(0))
    return mean


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (33, 21), (40, 71)])
@pytest.mark.parametrize("least", [0, 200])
def test_means_are_weighted_by_likeness(size: tuple[int, int], least: int) -> None:
    whole = np.random.default_rng(1).integers(least, 256, (size[0] + 2, size[1] + 5), np.uint8)
    plane = whole[1:-1, 2:-3]
    assert np.array_equal(evened(plane), by_formula(plane))


def test_an_edge_stays_and_noise_goes() -> None:
    noise = np.random.default_rng(2).integers(-12, 13, (40, 40))
    plane = (np.where(np.arange(40) < 20, 50, 180) + noise).astype(np.uint8)
    smooth = evened(evened(plane)).astype(int)
    assert smooth[:, :20].std() < 0.5 * plane[:, :20].std()
    assert (smooth[:, 20] - smooth[:, 19]).min() > 100
