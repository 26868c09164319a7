"""What is shrunk stays where it was, whatever the sides divide into."""

from __future__ import annotations

import numpy as np
import pytest

from harness.videos.perturb.drawing.scaling import averaged_blocks
from harness.videos.perturb.drawing.sharpening import sharpened_by_mean
from harness.videos.perturb.drawing.shrinking import shrunk, shrunk_and_sharpened
from harness.videos.perturb.drawing.stretching import stretched


@pytest.mark.parametrize("side", [640, 641, 646, 647])
@pytest.mark.parametrize("to", [320, 150, 78, 700])
def test_a_ramp_keeps_its_places(side: int, to: int) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, side), (side, side)).round().astype(np.uint8)
    across = shrunk(np.ascontiguousarray(ramp), (to, to))[to // 2]
    down = shrunk(np.ascontiguousarray(ramp.T), (to, to))[:, to // 2]
    centres = (np.arange(to) + 0.5) / to * side - 0.5  # of the samples, in the source's
    expected = np.clip(centres / (side - 1), 0, 1) * 255
    within = slice(to // 40 + 1, -(to // 40 + 1))  # at the rim, what is left over repeats its last sample
    for found in (across, down):
        assert (
            np.abs(found.astype(float) - expected)[within].max() <= 1.9
        )  # halves round up, half a level each time; seven samples off would be 2.7


def test_it_writes_where_it_is_told_to() -> None:
    for height in (72, 75):  # by halves alone, and with something left over
        target = np.zeros((9, 11), np.uint8)
        shrunk(np.full((height, 88), 7, np.uint8), (11, 9), into=target)
        assert (target == 7).all()


@pytest.mark.parametrize("halving", [False, True])
@pytest.mark.parametrize("amount", [0.0, 0.6, 5.0])
@pytest.mark.parametrize(
    ("height", "width", "target"), [(40, 64, (17, 16)), (70, 98, (31, 45)), (33, 131, (19, 70))]
)
def test_one_pass_gives_what_one_step_after_another_does(
    height: int, width: int, target: tuple[int, int], amount: float, halving: bool
) -> None:
    half = 2 if halving else 1
    rng = np.random.default_rng(height)
    source = rng.integers(0, 256, (half * height + 2, half * width + 5), np.uint8)[1:-1, 2:-3]
    small = averaged_blocks(source, half)
    lengths = (height + 0.5, width + 0.25)
    expected = np.empty(target, np.uint8)
    stretched(small, expected, lengths)
    if amount:
        sharpened_by_mean(expected.copy(), expected, amount)
    room = np.full((target[0] + 2, target[1] + 9), 7, np.uint8)
    shrunk_and_sharpened(source, room[1:-1, 4:-5], lengths, amount, halving=halving)
    assert np.array_equal(room[1:-1, 4:-5], expected)
    room[1:-1, 4:-5] = 7
    assert (room == 7).all(), "a sample beside the plane was written to"
