"""Memory of a picture is used again when nobody can see the picture any more, and not before."""

from __future__ import annotations

import av
import numpy as np
import pytest

from harness.videos.perturb.drawing.planes import Planes
from harness.videos.perturb.frame_pool import FramePool


def address(frame: av.VideoFrame) -> int:
    return int(Planes.reading(frame).y.ctypes.data)


@pytest.mark.parametrize("size", [(64, 48), (66, 52), (2, 2), (1920, 1080), (50, 66)])
def test_a_picture_is_as_libav_s_own(size: tuple[int, int]) -> None:
    width, height = size
    frame, own = FramePool().frame(width, height), av.VideoFrame(width, height, "yuv420p")
    rng = np.random.default_rng(1)
    for mine, theirs in zip(Planes.of(frame).all, Planes.of(own).all, strict=True):
        mine[:] = theirs[:] = rng.integers(0, 256, theirs.shape, np.uint8)
    assert (frame.width, frame.height, frame.format.name) == (width, height, "yuv420p")
    assert np.array_equal(frame.to_ndarray(), own.to_ndarray())
    assert np.array_equal(frame.to_ndarray(format="rgb24"), own.to_ndarray(format="rgb24"))


def test_memory_is_lent_again_once_a_picture_is_gone() -> None:
    pool = FramePool()
    first = pool.frame(64, 48)
    place = address(first)
    assert address(pool.frame(64, 48)) != place, "lent twice at once"
    del first
    assert {address(frame) for frame in (pool.frame(64, 48), pool.frame(64, 48))} >= {place}
    assert pool.frame(32, 16).width == 32


def test_memory_is_not_lent_while_planes_refer_to_it() -> None:
    pool = FramePool()
    frame = pool.frame(64, 48)
    planes = Planes.of(frame)
    for plane in planes.all:
        plane[:] = 7
    del frame
    for value in range(3):
        other = pool.frame(64, 48)
        for plane in Planes.of(other).all:
            plane[:] = value
    assert all((plane == 7).all() for plane in planes.all)
