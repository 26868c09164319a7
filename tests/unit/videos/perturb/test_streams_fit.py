from __future__ import annotations

from collections.abc import Iterator

import av
import pytest

from harness.videos.orientation import Orientation
from harness.videos.perturb.steps import Canvas
from harness.videos.perturb.streams import TIME_BASE, _fit, standing

WIDE = Canvas(width=1024, height=576, frames_per_second=25, duration_seconds=1, has_audio=False)


@pytest.mark.parametrize(
    ("coded", "aspect", "filters"),
    [
        ((1024, 576), 1.0, ()),
        ((1025, 577), 1.0, ("crop=1024:576:0:0:exact=1",)),
        ((720, 576), 64 / 45, ("scale=1024:576:flags=bicubic", "setsar=1")),
        ((512, 288), 1.0, ("scale=1024:576:flags=bicubic", "setsar=1")),
        (
            (720, 576),
            16 / 15,
            ("scale=768:576:flags=bicubic", "pad=1024:576:(ow-iw)/2:(oh-ih)/2", "setsar=1"),
        ),
        ((352, 640), 1.0, ("scale=316:576:flags=bicubic", "pad=1024:576:(ow-iw)/2:(oh-ih)/2", "setsar=1")),
    ],
)
def test_a_picture_of_another_shape_stands_between_bars(
    coded: tuple[int, int], aspect: float, filters: tuple[str, ...]
) -> None:
    assert _fit(coded, WIDE, Orientation(), aspect) == filters


def test_a_turned_picture_is_measured_as_it_is_shown() -> None:
    turned = Orientation(degrees=90)
    assert _fit((576, 1024), WIDE, turned, 1.0) == ()
    bars = ("scale=576:576:flags=bicubic", "pad=1024:576:(ow-iw)/2:(oh-ih)/2", "setsar=1")
    assert _fit((576, 768), WIDE, turned, 4 / 3) == bars


def pictures(*seconds: float) -> Iterator[av.VideoFrame]:
    for second in seconds:
        frame = av.VideoFrame(16, 16, "yuv420p")
        frame.pts, frame.time_base = round(second / TIME_BASE), TIME_BASE
        yield frame
        frame.pts = 0  # as an encoder may leave it


def test_a_picture_that_stands_is_given_twice_a_minute() -> None:
    found = [float((frame.pts or 0) * TIME_BASE) for frame in standing(pictures(0, 30, 95, 96))]
    assert found == [0, 30, 60, 90, 95, 96]
