"""Memory of pictures that is used again: fresh memory costs a page fault for every 4 KiB written to."""

from __future__ import annotations

import weakref
from collections import defaultdict

import av
import numpy as np
from numpy.typing import NDArray

ALIGNED = 64  # bytes: where rows of luma begin; those of colour at half of it
BEHIND = 1024  # bytes that vectors may read after the last sample


class FramePool:
    """Makes 8-bit 4:2:0 pictures; the memory of those that nobody refers to any more is used again.

    What is in a new picture is not defined. No more memory is kept than pictures were in use at once.
    """

    def __init__(self) -> None:
        self._free: defaultdict[tuple[int, int], list[NDArray[np.uint8]]] = defaultdict(list)

    def frame(self, width: int, height: int) -> av.VideoFrame:
        """Return a picture of even sizes."""
        if height % 4:  # PyAV counts the lines of such an array wrong
            return av.VideoFrame(width, height, "yuv420p")
        free = self._free[width, height]
        memory = free.pop() if free else _memory(width, height)
        lent = memory[:]  # an object of its own, which libav holds as long as anything refers to the picture
        weakref.finalize(lent, free.append, memory).atexit = False
        return av.VideoFrame.from_numpy_buffer(lent, "yuv420p", width=width)


def _memory(width: int, height: int) -> NDArray[np.uint8]:
    """Return lines of luma, and of both colours, two of which are one line."""
    stride = -(-width // ALIGNED) * ALIGNED
    size = stride * height * 3 // 2
    room = np.empty(size + ALIGNED + BEHIND, np.uint8)
    start = -room.ctypes.data % ALIGNED
    return room[start : start + size].reshape(height * 3 // 2, stride)
