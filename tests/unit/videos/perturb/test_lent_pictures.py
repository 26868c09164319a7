"""Steps draw on pictures that are not theirs, or no longer needed: nobody may see that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from harness.core.types import AppliedPerturbation
from harness.videos.perturb.drawing.planes import Before, Planes
from harness.videos.perturb.plans import Encoding, build_plan
from harness.videos.perturb.registry import SEVERITIES, catalogue, generator
from harness.videos.perturb.render import render
from harness.videos.perturb.steps import Canvas, EditParts, FrameOperation
from harness.videos.perturb.streams import TIME_BASE, Pictures, operated
from harness.videos.probe import probe
from harness.videos.synthetic import ClipSpec, write_clip

CANVAS = Canvas(width=354, height=242, frames_per_second=10, duration_seconds=1, has_audio=False)
COUNT = 5


def operation(kind: str, severity: int, canvas: Canvas = CANVAS) -> FrameOperation | None:
    return catalogue()[kind].step(severity, generator(1, "v", kind), canvas).operation


OPERATIONS = {
    f"{kind}-{severity}": found
    for kind in catalogue()
    for severity in (SEVERITIES[0], SEVERITIES[-1])
    if (found := operation(kind, severity)) is not None
}
ON_PARTS = {name: found for name, found in OPERATIONS.items() if isinstance(found.start(CANVAS), EditParts)}


def pictures(count: int = COUNT) -> Iterator[av.VideoFrame]:
    rng = np.random.default_rng(5)
    for index in range(count):
        size = (CANVAS.height * 3 // 2, CANVAS.width)
        frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, size, np.uint8), "yuv420p")
        frame.pts, frame.time_base = index * 9000, TIME_BASE
        yield frame


def samples(frame: av.VideoFrame) -> bytes:
    return b"".join(plane.tobytes() for plane in Planes.reading(frame).all)


def test_there_are_kinds_that_draw_on_parts() -> None:
    kinds = {name.rpartition("-")[0] for name in ON_PARTS}
    assert {"logo", "dog_mask", "beauty_filter", "grey_blocks", "white_balance_drift", "letterbox"} <= kinds
    assert len(kinds) > 15


@pytest.mark.parametrize("name", ON_PARTS)
def test_a_lent_picture_is_drawn_on_and_given_back_as_it_was(name: str) -> None:
    lent = list(pictures())
    was = [samples(frame) for frame in lent]
    drawn = operated(Pictures(iter(lent)), ON_PARTS[name], CANVAS, lent=True)
    assert not drawn.ours
    copied = operated(Pictures(pictures()), ON_PARTS[name], CANVAS)
    for number, (frame, other) in enumerate(zip(drawn.frames, copied.frames, strict=True)):
        assert frame is lent[number]
        assert samples(frame) == samples(other)
    assert [samples(frame) for frame in lent] == was


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name.endswith("5")])
def test_a_picture_of_ours_may_be_drawn_on(name: str) -> None:
    plain = operated(Pictures(pictures()), OPERATIONS[name], CANVAS)
    onto = operated(Pictures(pictures(), ours=True), OPERATIONS[name], CANVAS)
    assert [samples(frame) for frame in onto.frames] == [samples(frame) for frame in plain.frames]


def test_what_a_step_looks_at_again_is_not_drawn_on() -> None:
    blended = operated(Pictures(pictures()), OPERATIONS["frame_blending-5"], CANVAS)
    alone = [samples(frame) for frame in blended.frames]
    blended = operated(Pictures(pictures()), OPERATIONS["frame_blending-5"], CANVAS)
    assert not blended.ours
    before = []

    def noted() -> Iterator[av.VideoFrame]:
        for frame in blended.frames:
            before.append(samples(frame))
            yield frame

    bars = OPERATIONS["letterbox-5"]
    after = [samples(frame) for frame in operated(Pictures(noted()), bars, CANVAS).frames]
    assert before == alone
    assert all(one != other for one, other in zip(after, before, strict=True))


@pytest.mark.parametrize("preset", ["veryfast", "medium"])  # both look ahead, and code pictures out of order
def test_encoders_that_look_ahead_have_copied_what_is_put_back(tmp_path: Path, preset: str) -> None:
    """Pictures that are made ahead are copies: the file must be the same."""
    source = write_clip(tmp_path / "in.mp4", ClipSpec(seed=2, frames=16))
    info, made = probe(source), []
    plan = build_plan(
        [AppliedPerturbation(name="grey_blocks", severity=5)],
        recipe="t",
        set_seed=2,
        video_id="v",
        canvas=Canvas.of(info),
        encoding=Encoding(preset=preset),
    )
    for ahead in (False, True):
        render(source, info, plan, tmp_path / f"{ahead}.mp4", ahead=ahead)
        made.append((tmp_path / f"{ahead}.mp4").read_bytes())
    assert made[0] == made[1]


def test_what_overlaps_is_put_back_in_turn_however_much_it_is() -> None:
    rng = np.random.default_rng(1)
    plane = rng.integers(0, 256, (60, 80), np.uint8)
    was, before = plane.copy(), Before()
    for _ in range(3):  # the room grows in the first picture only, and all of it is used again
        for top, side in ((0, 10), (5, 40), (3, 57), (0, 2)):
            part = plane[top : top + side, top : top + side]
            before.keep(part)
            part += 1
        assert not np.array_equal(plane, was)
        before.put_back()
        assert np.array_equal(plane, was)
