"""A filter that is a table gives libavfilter's bytes without its graph; other filters are left alone."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
import pytest

from harness.videos.perturb.colour_table import is_table
from harness.videos.perturb.registry import SEVERITIES, catalogue, generator
from harness.videos.perturb.steps import Canvas
from harness.videos.perturb.streams import TIME_BASE, Pictures, _graphed, filtered

CANVAS = Canvas(width=66, height=50, frames_per_second=25, duration_seconds=1, has_audio=False)
FILTERS = sorted(
    {
        text
        for name, kind in catalogue().items()
        for severity in SEVERITIES
        for text in kind.step(severity, generator(1, "v", name), CANVAS).video
        if is_table(text)
    }
)


def noise(width: int = 68) -> Iterator[av.VideoFrame]:
    rng = np.random.default_rng(3)
    for index in range(2):
        frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (75, width), np.uint8), "yuv420p")
        frame.pts, frame.time_base = index * 3600, TIME_BASE
        yield frame


def content(frames: Iterator[av.VideoFrame]) -> list[tuple[int | None, bytes]]:
    return [(frame.pts, frame.to_ndarray().tobytes()) for frame in frames]


def test_there_are_such_filters() -> None:
    assert len(FILTERS) > 30


@pytest.mark.parametrize("width", [66, 68])  # colour has an odd number of samples in a row, or an even one
@pytest.mark.parametrize("text", FILTERS)
def test_bytes_are_libavfilters(text: str, width: int) -> None:
    looked_up = filtered(Pictures(noise(width)), (text,))
    assert content(looked_up.frames) == content(_graphed(noise(width), (text,)))


def test_filters_keep_their_order_round_tables() -> None:
    texts = ("lutyuv=y='val/2'", "hflip", "lutyuv=y='val+40'", "lutyuv=u='255-val'")
    assert content(filtered(Pictures(noise()), texts).frames) == content(_graphed(noise(), texts))
    ours = filtered(Pictures(noise(), ours=True), texts)
    assert content(ours.frames) == content(_graphed(noise(), texts))
