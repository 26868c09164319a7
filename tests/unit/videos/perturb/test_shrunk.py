"""What is shrunk stays where it was, whatever the sides divide into."""

from __future__ import annotations

import numpy as np
import pytest

from harness.videos.perturb.drawing.blur import shrunk


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
