"""The tone map over pictures is the formula, also where a channel runs into black."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2] / "torture"))
from tone_reference import as_bt709

from harness.videos.tone import CODE_MAX, ToneMap, to_bt709

SHAPE = (66, 96)  # not a multiple of the rows that are mapped at once
TRANSFERS = {"sdr": 14, "pq": 16, "hlg": 18}


def mapped(codes: NDArray[np.uint16], primaries: int, transfer: int) -> NDArray[np.float64]:
    """(h, w, 3) codes of 12 bits as BT.709 shows them, 0..255."""
    height, width = codes.shape[:2]
    frame: Any = av.VideoFrame(width, height, "gbrp12le")
    for plane, channel in zip(frame.planes, (1, 2, 0), strict=True):
        rows = np.zeros((height, plane.line_size // 2), np.uint16)
        rows[:, :width] = codes[..., channel]
        plane.update(rows.tobytes())
    ToneMap(primaries, transfer).apply(frame)
    planes = [
        np.frombuffer(bytes(plane), np.uint16).reshape(-1, plane.line_size // 2) for plane in frame.planes
    ]
    return np.stack([planes[index][:height, :width] for index in (2, 0, 1)], -1) / CODE_MAX * 255


@pytest.mark.parametrize("transfer", TRANSFERS.values(), ids=TRANSFERS)
@pytest.mark.parametrize("primaries", [9, 12, 1])
def test_every_colour_is_mapped_as_the_formula_says(primaries: int, transfer: int) -> None:
    codes = np.random.default_rng(3).integers(0, CODE_MAX + 1, (*SHAPE, 3)).astype(np.uint16)
    wanted = to_bt709(codes / CODE_MAX, primaries=primaries, transfer=transfer) * 255
    assert np.abs(mapped(codes, primaries, transfer) - wanted).max() < 0.1


@pytest.mark.parametrize("name", TRANSFERS)
def test_colours_at_the_rim_of_bt709_follow_the_standards(name: str) -> None:
    # Saturated colours of BT.2020: in BT.709 one channel of each is just above or below black. A table of 65
    # colours a side was off by 38 of 255 on such.
    rng = np.random.default_rng(4)
    codes = rng.integers(0, CODE_MAX + 1, (8, 64, 3)).astype(np.uint16)
    codes[..., 1] = codes[..., 0] // rng.integers(2, 9, (8, 64))
    found = mapped(codes, 9, TRANSFERS[name]).reshape(-1, 3)
    coded = (codes.reshape(-1, 3) / CODE_MAX * 255).tolist()
    wanted = [as_bt709((red, green, blue), name) for red, green, blue in coded]
    # The reference has the matrix of BT.2087, which is rounded to four digits.
    assert np.abs(found - np.array(wanted)).max() < 2
