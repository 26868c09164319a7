"""Copies are recognised, and other takes are not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest

from harness.diagnose.audit.fingerprint import SIDE, Fingerprint, compare, copies

LENGTH = 24


@cache
def clip(seed: int, *, wall: int = 0, count: int = LENGTH) -> np.ndarray:
    """A head that sways before a wall, read-only, (count, 96, 96); `wall` seeds what does not move."""
    rng = np.random.default_rng(seed)
    background = cv2.GaussianBlur(np.random.default_rng(wall).uniform(0, 255, (96, 96)), (0, 0), 6)
    background = np.interp(background, (background.min(), background.max()), (40, 200))
    sway = np.cumsum(rng.normal(size=(count, 3)), axis=0) * (2.0, 1.5, 6.0)
    pictures = []
    for x, y, mouth in sway:
        picture = background.copy()
        centre = (round(48 + x), round(44 + y))
        cv2.ellipse(picture, centre, (18, 26), 0, 0, 360, 230, -1)
        cv2.ellipse(picture, (centre[0], centre[1] + 12), (8, 2 + round(abs(mouth)) % 6), 0, 0, 360, 30, -1)
        pictures.append(picture)
    found = np.stack(pictures)
    found.flags.writeable = False
    return found


def fingerprint(pictures: np.ndarray) -> Fingerprint:
    small = [cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for one in pictures]
    return Fingerprint(pictures=np.clip(np.stack(small), 0, 255).astype(np.uint8))


def noisy(pictures: np.ndarray) -> np.ndarray:
    return pictures * 0.8 + 20 + np.random.default_rng(1).normal(0, 12, pictures.shape)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "itself": lambda pictures: pictures,
    "noise and brightness": noisy,
    "mirror": lambda pictures: pictures[:, :, ::-1],
    "crop": lambda pictures: pictures[:, 4:92, 4:92],
    "crop at a corner": lambda pictures: pictures[:, :88, 8:],
    "mirror, crop and noise": lambda pictures: noisy(pictures[:, 4:92, 4:92][:, :, ::-1]),
    "start cut off": lambda pictures: pictures[5:],
    "middle": lambda pictures: pictures[4:16],
}


@pytest.mark.parametrize("change", COPIES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_copies_are_the_same(change: str, seed: int) -> None:
    likeness = compare(fingerprint(clip(seed)), fingerprint(COPIES[change](clip(seed))))
    assert likeness.same
    assert likeness.mirrored is ("mirror" in change)


@pytest.mark.parametrize("change", COPIES)
def test_the_screen_lets_copies_through(change: str) -> None:
    ours = [fingerprint(clip(seed, wall=seed)) for seed in range(3)]
    theirs = [fingerprint(COPIES[change](clip(seed, wall=seed))) for seed in (1, 99)]
    assert [(i, j) for i, j, _ in copies(ours, theirs)] == [(1, 0)]


def test_a_shift_in_time_is_told() -> None:
    likeness = compare(fingerprint(clip(1)), fingerprint(clip(1)[5:]))
    assert likeness.shift_seconds == 1.25


@pytest.mark.parametrize("seed", range(10))
def test_other_takes_before_the_same_wall_are_not_the_same(seed: int) -> None:
    likeness = compare(fingerprint(clip(seed)), fingerprint(clip(seed + 100)))
    assert likeness.mean_picture > 0.5
    assert not likeness.same


def test_still_pictures_are_compared_as_pictures() -> None:
    still = np.repeat(clip(1)[:1], LENGTH, axis=0)
    other = np.repeat(clip(1, wall=5)[:1], LENGTH, axis=0)
    assert compare(fingerprint(still), fingerprint(still + 3)).same
    assert not compare(fingerprint(still), fingerprint(other)).same
    assert [(i, j) for i, j, _ in copies([fingerprint(still), fingerprint(other)], [fingerprint(still)])] == [
        (0, 0)
    ]


def test_copies_within_a_set_come_once_each() -> None:
    prints = [fingerprint(clip(seed, wall=seed)) for seed in (0, 1, 0, 2, 1)]
    assert sorted((i, j) for i, j, _ in copies(prints)) == [(0, 2), (1, 4)]


def test_a_clip_without_pictures_is_like_nothing() -> None:
    empty = Fingerprint(pictures=np.zeros((0, SIDE, SIDE), dtype=np.uint8))
    assert not compare(empty, fingerprint(clip(1))).same
    assert list(copies([empty, fingerprint(clip(1))], [empty])) == []
    assert list(copies([empty], [])) == []
