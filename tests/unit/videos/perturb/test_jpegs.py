"""What a JPEG takes from a picture, taken without one: as the formula says, and as libav's own does."""

from __future__ import annotations

import hashlib

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.videos.perturb.drawing.jpegs import SLACK, Jpegs, quantised, scaled
from harness.videos.perturb.drawing.planes import Plane, Planes
from harness.videos.perturb.generations import motion_jpeg
from harness.videos.perturb.recoding import open_decoder, open_encoder, recoded
from harness.videos.perturb.steps import Canvas

STEPS = tuple(8 + 3 * (place // 8) + 2 * (place % 8) for place in range(64))


def scene(size: tuple[int, int], seed: int) -> Plane:
    """Large shapes and noise, in a larger picture."""
    height, width = size
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 9 + 2, width // 9 + 2), np.uint8)
    whole = cv2.resize(coarse, (width + 5, height + 2)).astype(int) + rng.integers(
        -20, 21, (height + 2, width + 5)
    )
    return np.clip(whole, 0, 255).astype(np.uint8)[1:-1, 2:-3]


def transformed(plane: Plane, steps: tuple[int, ...]) -> NDArray[np.float64]:
    """By the formula (ITU-T T.81, A.3.3 and A.3.4), block by block, in double precision."""
    height, width = plane.shape
    padded = np.pad(plane, ((0, -height % 8), (0, -width % 8)), "edge").astype(np.float64)
    table = np.array(steps, np.float64).reshape(8, 8)
    for top in range(0, padded.shape[0], 8):
        for left in range(0, padded.shape[1], 8):
            block = padded[top : top + 8, left : left + 8]
            shares = cv2.dct(block.copy()) / table
            near = np.minimum(np.maximum(shares, -SLACK), SLACK)
            near[0, 0] = 0
            block[:] = cv2.idct(np.rint(shares - near) * table)
    return np.asarray(np.clip(padded[:height, :width], 0, 255), np.float64)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (13, 21), (70, 150), (131, 44)])
def test_blocks_are_rounded_as_the_formula_says(size: tuple[int, int]) -> None:
    sources = [scene(size, 1), scene(size, 2)]
    before = [source.copy() for source in sources]
    targets, rooms = [scene(size, 3), scene(size, 4)], dict[int, Plane]()
    for _ in range(2):  # what is left in the room from one picture is not seen in the next
        quantised(sources, targets, scaled(STEPS), rooms)
    for source, target, kept in zip(sources, targets, before, strict=True):
        off = np.abs(target - transformed(source, STEPS))
        assert (off > 0.51).mean() < 0.04  # the blocks with a number just between two steps
        assert off.max() < max(STEPS) / 8
        assert np.array_equal(source, kept)


def test_every_processor_finds_the_same() -> None:
    source = scene((72, 200), 5)
    target = np.empty(source.shape, np.uint8)
    quantised([source], [target], scaled(STEPS), {})
    assert hashlib.sha256(target.tobytes()).hexdigest()[:16] == "51fab86ee8635633"


@pytest.mark.parametrize("quantiser", [2, 8, 31])
def test_pictures_come_out_as_from_libavs_own_jpegs(quantiser: int) -> None:
    generation = motion_jpeg(quantiser)
    frame = av.VideoFrame(176, 102, "yuv420p")
    for number, plane in enumerate(Planes.of(frame).all):
        plane[:] = scene(plane.shape, number) // 2 + 60
    frame.pts, frame.color_range = 7, 1
    canvas = Canvas(width=176, height=102, frames_per_second=30, duration_seconds=1, has_audio=False)
    encoder = open_encoder(generation, canvas)
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    (theirs,) = (made for packet in packets for made in open_decoder(encoder, generation).decode(packet))
    (ours,) = recoded(iter([frame]), generation, canvas)
    assert (ours.pts, ours.color_range) == (7, 1)
    before = [plane.copy() for plane in Planes.reading(frame).all]
    pairs = zip(before, Planes.reading(ours).all, Planes.reading(theirs).all, strict=True)
    for source, one, other in pairs:
        assert np.abs(one.astype(int) - other).mean() < 0.5
        assert np.abs(one.astype(int) - source).mean() > 1 or quantiser == 2


def test_the_tables_are_those_of_the_picture() -> None:
    table = bytes([0, *range(1, 65)])
    content = b"\xff\xd8\xff\xdb\x00\x43" + table + b"\xff\xdb\x00\x43" + bytes([1, *[9] * 64])
    content += b"\xff\xc0\x00\x11\x08\x00\x08\x00\x08\x03" + b"\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    found = Jpegs.of(content)
    assert found.luma[:3] + found.luma[8:10] + found.luma[-1:] == (1, 2, 6, 3, 5, 64)
    assert found.colour == (9,) * 64
