"""Filters that are look-up tables: libavfilter's bytes at a quarter of its cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache

import av
import cv2
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from harness.videos.perturb.drawing.planes import Plane, Planes
from harness.videos.perturb.steps import Redraw

Table = NDArray[np.uint8]  # 256 values
Apply = Callable[[Plane, Plane], None]  # from one plane into another of its size
LUT = "lutyuv="
VALUES: Table = np.arange(256, dtype=np.uint8)


def is_table(text: str) -> bool:
    """Whether this filter gives each sample a value that depends on nothing but the sample."""
    return text.startswith(LUT)


def drawer(texts: Sequence[str]) -> Redraw:
    """Return filters that follow each other as one pass: a table of tables is a table."""
    whole = [VALUES, VALUES, VALUES]
    for text in texts:
        whole = [table[before] for table, before in zip(_tables(text), whole, strict=True)]
    parts = [applied(table) for table in whole]

    def draw(source: Planes, target: Planes, index: int) -> None:
        for before, after, apply in zip(source.all, target.all, parts, strict=True):
            apply(before, after)

    return Redraw(draw, by_sample=True)


def applied(table: Table) -> Apply:
    """Return what looks a plane up in a table, in the way that costs least for this one."""
    least, most = table[0], table[-1]
    # Two samples at a time: the pairs that occur are few, so that their part of the table stays in the cache.
    pairs = table[np.arange(1 << 16, dtype=np.uint16).view(np.uint8)].view(np.uint16)

    def copy(before: Plane, after: Plane) -> None:
        after[:] = before

    def clip(before: Plane, after: Plane) -> None:
        np.clip(before, least, most, out=after)

    def look_up(before: Plane, after: Plane) -> None:
        if before.shape[1] % 2:
            cv2.LUT(before, table, dst=after)
        else:
            cv2.LUT(before.view(np.uint16), pairs, dst=after.view(np.uint16))

    if np.array_equal(table, VALUES):
        return copy
    # libavfilter clips every plane that nothing is said about, which costs no more than a copy.
    return clip if np.array_equal(table, np.clip(VALUES, least, most)) else look_up


@cache
def _tables(text: str) -> tuple[Table, Table, Table]:
    """Ask libavfilter what it makes of every value, so that it stays the law."""
    # 32 x 32 samples of luma and 16 x 16 of each colour: every value is in each plane.
    frame = av.VideoFrame(32, 32, "yuv420p")
    planes = Planes.of(frame)
    for plane in planes.all:
        plane[:] = np.resize(VALUES, plane.shape)
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
