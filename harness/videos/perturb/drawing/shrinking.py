"""Planes made smaller, and sharpened, in one pass over memory: what lies between is a few rows.

Imports numba: see `compiled`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from harness.videos.perturb.drawing.compiled import (
    BYTES,
    LONG,
    PAIR,
    PLANE,
    SHORTS,
    Bytes,
    Ints,
    Pair,
    Shorts,
    U,
    called,
    compiled,
    memory,
)
from harness.videos.perturb.drawing.lookup_rows import TWO
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.scaling import averaged_blocks, halve_row
from harness.videos.perturb.drawing.sharpening import fixed, sharpen_row, sharpened_by_mean
from harness.videos.perturb.drawing.stretching import SMALLEST, TWO_SHORTS, mix_chunk, stretch_of
from harness.videos.perturb.drawing.vectors import LANES

HALVED, STRETCHED = 2, 3  # rows that are kept: as many as the next step looks at


def shrunk(
    plane: Plane, size: tuple[int, int], *, into: Plane | None = None, sharpening: float = 0.0
) -> Plane:
    """Shrink to (width, height) by halves, and by straight lines for the rest, which is less than a half.

    A plane that is smaller is enlarged. `into` is a plane of that size to write to; `sharpening` is how much
    of what a 3x3 mean takes away is added.
    """
    height, width = plane.shape
    shrink = next(k for k in (8, 4, 2, 1) if k == 1 or (k * size[0] <= width and k * size[1] <= height))
    whole = plane[: height // shrink * shrink, : width // shrink * shrink]
    result = np.empty(size[::-1], np.uint8) if into is None else into
    if min(height // shrink, width // shrink, *size) >= SMALLEST:
        # What is left over at the far ends is no whole sample, but counts in where everything else belongs.
        lengths = height / shrink, width / shrink
        most = averaged_blocks(whole, max(1, shrink // 2))
        shrunk_and_sharpened(most, result, lengths, sharpening, halving=shrink > 1)
        return result
    cv2.resize(averaged_blocks(whole, shrink), size, dst=result, interpolation=cv2.INTER_LINEAR)
    if sharpening:
        sharpened_by_mean(result.copy(), result, sharpening)
    return result


def shrunk_and_sharpened(
    source: Plane, target: Plane, lengths: tuple[float, float], amount: float, *, halving: bool
) -> None:
    """Halve a plane, if asked to, scale it to another's size and sharpen it by its 3 x 3 means.

    It is what `averaged_blocks` by 2, `stretched` and `sharpened_by_mean` do one after another.

    Args:
        source: Of even sides if it is halved.
        target: Both have at least 16 samples a side, the source after it was halved.
        lengths: Of the halved source's sides (h, w), in its samples.
        amount: Of sharpening, at most 7; 0 for none.
        halving: Whether it is halved.
    """
    half = 2 if halving else 1
    height, width = source.shape[0] // half, source.shape[1] // half
    how = stretch_of((height, width), (target.shape[0], target.shape[1]), lengths)
    across = target.shape[1] + LANES  # the last chunk may reach beyond the row
    _shrink(
        source,
        target,
        (how.lines, how.places),
        (how.below, how.starts),
        how.tables,
        np.empty(HALVED * (width + LANES), np.uint8),
        np.empty(STRETCHED * across, np.uint8),
        np.zeros(target.shape[1] + 2, np.uint16),
        fixed(amount) if amount else (0, 0),
        int(halving),
    )


@called
def _stretch_row(
    source: Bytes,
    line: Any,
    step: Any,
    places: Ints,
    starts: Shorts,
    tables: Bytes,
    down: Any,
    to: Bytes,
    at: Any,
) -> None:
    for number in range(U(places.size)):
        place = line + U(places[number])
        mix_chunk(to, at + U(starts[number]), source, place, step, tables, number, down)


@compiled(PLANE, PLANE, TWO, TWO_SHORTS, BYTES, BYTES, BYTES, SHORTS, PAIR, LONG)
def _shrink(
    source_plane: Plane,
    target_plane: Plane,
    where: tuple[Ints, Ints],
    whither: tuple[Shorts, Shorts],
    tables: Bytes,
    halved: Bytes,
    rows: Bytes,
    sums: Shorts,
    how: Pair,
    halving: int,
) -> None:
    (source, step), (target, pitch), (height, width) = (
        memory(source_plane),
        memory(target_plane),
        target_plane.shape,
    )
    (lines, places), (below, starts) = where, whither
    wide, across, made = halved.size // HALVED, rows.size // STRETCHED, 0
    for y in range(height):
        line, down, at = np.int64(lines[y]), np.int64(below[y]), U(y % STRETCHED * across)
        if halving:
            while made <= line + 1:
                one = 2 * made * step
                halve_row(source, (one, one + step), source_plane.shape[1], halved, made % HALVED * wide)
                made += 1
            here = line % HALVED * wide
            off = wide if here == 0 else -wide
            _stretch_row(halved, U(here), U(off), places, starts, tables, down, rows, at)
        else:
            _stretch_row(source, U(line * step), U(step), places, starts, tables, down, rows, at)
        if how[1] == 0:
            for x in range(U(width)):
                target[U(pitch * y) + x] = rows[at + x]
            continue
        if y > 0:
            above, this = max(0, y - 2) % STRETCHED * across, (y - 1) % STRETCHED * across
            sharpen_row(rows, (above, this, int(at)), target, pitch * (y - 1), sums, how)
    if how[1] != 0:
        above, this = max(0, height - 2) % STRETCHED * across, (height - 1) % STRETCHED * across
        sharpen_row(rows, (above, this, this), target, pitch * (height - 1), sums, how)
