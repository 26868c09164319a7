"""Loops written as vectors give, to the last bit, what plain whole numbers give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.videos.perturb.drawing import lookup_rows
from harness.videos.perturb.drawing.averages import averaged
from harness.videos.perturb.drawing.compiled import BYTES, LONG, SHORTS, U, compiled
from harness.videos.perturb.drawing.lookup import LookUp
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.scaling import averaged_blocks, enlarged
from harness.videos.perturb.drawing.stretching import stretched
from harness.videos.perturb.drawing.toning import ALL_OF_A_ROW, Curve, toned_and_dimmed

SIZES = [(5, 203), (2, 16), (3, 17), (1, 31), (40, 64)]
TURN = (0.9397, 0.342, 0.01, -0.342, 0.9397, -0.02, 0.0, 0.0, 1.0)
SHRINK = (2.3, 0.7, 0.0, -0.9, 2.4, 0.0, 0.3, 0.2, 1.0)
TILT = (1.1, 0.05, 0.0, 0.02, 0.9, 0.0, 0.2, -0.1, 1.0)


def noise(size: tuple[int, int], seed: int = 1) -> Plane:
    """Part of a larger picture, so that rows do not follow each other in memory."""
    height, width = size
    return np.random.default_rng(seed).integers(0, 256, (height + 2, width + 5), np.uint8)[1:-1, 2:-3]


def around(plane: Plane) -> Plane:
    """Return the larger picture."""
    assert isinstance(plane.base, np.ndarray)
    return plane.base


def looked_up(look_up: LookUp, plane: Plane, outside: int) -> Any:
    """Mix four neighbours by a map's own places: to 13 bits along the row, then rounded twice."""
    height, width = plane.shape
    columns, rows, across, down = (np.asarray(each, np.int64) for each in look_up._map)
    across, down = across.reshape(columns.shape), down.reshape(columns.shape)
    columns, rows = columns.clip(-2, width + 1), rows.clip(-2, height + 1)
    room: Any = np.full((height + 6, width + 6), outside, np.int64)
    room[3:-3, 3:-3] = plane
    above, below = (
        room[rows + 3 + off, columns + 3] * (32 - across) + room[rows + 3 + off, columns + 4] * across
        for off in (0, 1)
    )
    return (above + (((below - above) * down + 16) >> 5) + 16) >> 5


@pytest.mark.parametrize("size", [(53, 131), (300, 530), (16, 16), (70, 9), (21, 600)], ids=str)
@pytest.mark.parametrize("kind", ["turn", "shrink", "tilt", "barrel", "pincushion"])
def test_what_is_looked_up_is_exact(size: tuple[int, int], kind: str) -> None:
    matrices = {"turn": TURN, "shrink": SHRINK, "tilt": TILT}
    strengths = {"barrel": 0.3, "pincushion": -0.4}
    look_up = (
        LookUp.projective(matrices[kind], size) if kind in matrices else LookUp.bent(strengths[kind], size)
    )
    for source in (size, (size[0] + 7, max(4, size[1] - 30))):
        planes, found = [noise(source), noise(source, 2)], [noise(size, 3), noise(size, 4)]
        look_up.move(planes, found, 77)
        for plane, target in zip(planes, found, strict=True):
            assert np.array_equal(target, looked_up(look_up, plane, 77))


@pytest.mark.slow
def test_a_processor_without_these_instructions_gives_the_same_bytes() -> None:
    known, plain = lookup_rows.mixer(3), lookup_rows.mixer(3, plain=True)

    @compiled(BYTES, BYTES, BYTES, BYTES, SHORTS, LONG)
    def both(source: Any, other: Any, target: Any, another: Any, records: Any, step: int) -> None:
        for number in range(U(records.size // 8)):
            at = U(8) * number
            known(target, another, at, source, other, number, step, records, number)
            plain(target, another, at + U(target.size // 2), source, other, number, step, records, number)

    rng = np.random.default_rng(2)
    source, other = (rng.integers(0, 256, 400, np.uint8) for _ in range(2))
    records = (
        rng.integers(0, 15, 800) | rng.integers(0, 3, 800) << 4 | rng.integers(0, 1024, 800) << 6
    ).astype(np.uint16)
    targets = [np.zeros(1600, np.uint8) for _ in range(2)]
    both(source, other, targets[0], targets[1], records, 60)
    for target in targets:
        assert np.array_equal(target[:800], target[800:])
        assert target.any()


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((97, 161), (108, 180)),
        ((16, 16), (40, 33)),
        ((120, 200), (70, 101)),
        ((64, 64), (64, 64)),
        ((50, 90), (27, 46)),
    ],
)
def test_what_is_stretched_is_exact(source: tuple[int, int], target: tuple[int, int]) -> None:
    plane, found = noise(source), noise(target, 2)
    before = around(found).copy()
    stretched(plane, found)
    steps, places = [], []
    for many, wanted in zip(source, target, strict=True):
        middle = ((np.arange(wanted) + 0.5) * many / wanted - 0.5).clip(0, many - 1)
        whole = np.rint(middle * 64).astype(int)
        places.append(np.minimum(whole // 64, many - 2))
        steps.append(whole - places[-1] * 64)
    rows, columns = places[0][:, None], places[1]
    samples = plane.astype(int)
    above, below = (
        samples[rows + off, columns] * (64 - steps[1]) + samples[rows + off, columns + 1] * steps[1]
        for off in (0, 1)
    )
    expected = (above + (((below - above) * steps[0][:, None] + 32) >> 6) + 32) >> 6
    assert np.array_equal(found, expected)
    found[:] = before[1:-1, 2:-3]
    assert np.array_equal(around(found), before), "a sample beside the plane was written to"


def test_rows_are_stretched_apart_as_together() -> None:
    plane, whole = noise((90, 70)), noise((60, 50), 2)
    parts = noise((60, 50), 3)
    stretched(plane, whole)
    for first in range(0, 60, 25):
        stretched(plane, parts, rows=(first, min(60, first + 25)))
    assert np.array_equal(parts, whole)
    with pytest.raises(ValueError, match="below 16 samples"):
        stretched(plane[:15], whole)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("length", [3, 21, 255])
def test_averages_along_a_row_are_exact(size: tuple[int, int], length: int) -> None:
    plane, target = noise(size), noise(size, 2)
    before = around(target).copy()
    averaged(plane, target, length, upright=False)
    reach = length // 2
    room = np.pad(plane.astype(int), ((0, 0), (reach, reach)), mode="reflect" if size[1] > 1 else "edge")
    sums = np.lib.stride_tricks.sliding_window_view(room, length, axis=1).sum(2)
    assert np.array_equal(target, (sums + reach) * (65536 // length + 1) >> 16)
    target[:] = before[1:-1, 2:-3]
    assert np.array_equal(around(target), before), "a sample beside the plane was written to"


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_halves_and_doubles_are_exact(size: tuple[int, int]) -> None:
    plane = noise(size)
    even = np.pad(plane.astype(int), ((0, size[0] % 2), (0, size[1] % 2)), mode="edge")
    small = averaged_blocks(plane, 2)
    assert np.array_equal(small, (even.reshape(even.shape[0] // 2, 2, -1, 2).sum((1, 3)) + 2) // 4)
    for factor in (2, 4, 8):
        target = np.zeros((small.shape[0] * factor, small.shape[1] * factor), np.uint8)
        enlarged(small, target, factor)
        lines = _between(small.astype(int), factor, 0)
        assert np.array_equal(target, (_between(lines, factor, 1) + 128) >> 8)


def _between(samples: Any, factor: int, axis: int) -> Any:
    """16 times the samples on straight lines between these, the outermost repeated."""
    count = samples.shape[axis]
    place = np.maximum(0, (2 * np.arange(count * factor) + 1 - factor) * (8 // factor))
    first = np.minimum(count - 1, place // 16)
    beside = np.minimum(count - 1, first + 1)
    weight = place % 16 if axis else (place % 16)[:, None]
    return samples.take(first, axis) * (16 - weight) + samples.take(beside, axis) * weight


@pytest.mark.parametrize("width", [3, 16, 256, 300])
def test_tones_are_exact_and_near_their_curve(width: int) -> None:
    curve = Curve.of(lambda level: 16 + 219 * min(1.0, max(0.0, (level - 16) / 219)) ** 1.4)
    plane, gain = noise((40, width)), noise((40, width), 2)
    rows = np.linspace(0, ALL_OF_A_ROW, 40).round().astype(np.uint16)
    target = noise((40, width), 3)
    before = around(target).copy()
    target[:] = plane
    toned_and_dimmed(target, curve, gain, rows)
    level, tables = plane.astype(int), curve.tables.astype(int)
    level = np.minimum(tables[level >> 4] * 16 + tables[16 + (level >> 4)] * (level & 15), 235 * 16)
    light = gain.astype(int) * rows[:, None]
    assert np.array_equal(target, ((level * 16 * light >> 16) + 128) >> 8)
    target[:] = before[1:-1, 2:-3]
    assert np.array_equal(around(target), before), "a sample beside the plane was written to"
    whole = np.arange(256, dtype=np.uint8)[None].copy()
    toned_and_dimmed(whole, curve, np.full((1, 256), 255, np.uint8), np.array([ALL_OF_A_ROW], np.uint16))
    exact = 16 + 219 * ((np.arange(256) - 16) / 219).clip(0, 1) ** 1.4
    assert np.abs(whole[0] - exact).max() <= 1.5
    assert whole[0, 235] == 235
