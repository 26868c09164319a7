"""Filters that are look-up tables: libavfilter's bytes at a third of its cost."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import av
import cv2
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from harness.videos.perturb.drawing.planes import Planes
from harness.videos.perturb.steps import Redraw

Table = NDArray[np.uint8]  # 256 values
LUT = "lutyuv="


def is_table(text: str) -> bool:
    """Whether this filter gives each sample a value that depends on nothing but the sample."""
    return text.startswith(LUT)


def drawer(texts: Sequence[str]) -> Redraw:
    """Return filters that follow each other as one pass: a table of tables is a table."""
    plain = np.arange(256, dtype=np.uint8)
    whole = [plain, plain, plain]
    for text in texts:
        whole = [table[before] for table, before in zip(_tables(text), whole, strict=True)]

    def draw(source: Planes, target: Planes, index: int) -> None:
        for before, after, table in zip(source.all, target.all, whole, strict=True):
            if np.array_equal(table, plain):
                after[:] = before
            else:
                cv2.LUT(before, table, dst=after)

    return Redraw(draw)


@cache
def _tables(text: str) -> tuple[Table, Table, Table]:
    """Ask libavfilter what it makes of every value, so that it stays the law."""
    ramp = np.arange(256, dtype=np.uint8)
    # 32 x 32 samples of luma and 16 x 16 of each colour: every value is in each plane.
    frame = av.VideoFrame(32, 32, "yuv420p")
    planes = Planes.of(frame)
    for plane in planes.all:
        plane[:] = np.resize(ramp, plane.shape)
    frame.pts = 0
    graph = Graph()
    name, _, arguments = text.partition("=")
    nodes = [
        graph.add_buffer(width=32, height=32, format=frame.format, time_base=Fraction(1, 25)),
        graph.add(name, arguments),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    graph.vpush(frame)
    mapped = Planes.reading(graph.vpull())
    y, u, v = (np.ascontiguousarray(plane).ravel()[:256].copy() for plane in mapped.all)
    return y, u, v
