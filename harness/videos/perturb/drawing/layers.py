"""A small plane enlarged behind another, or before it: in whole numbers, and in one pass over memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from harness.videos.perturb.drawing.blending import over_255
from harness.videos.perturb.drawing.compiled import (
    BYTES,
    FLAT,
    INTS,
    LONG,
    SHORTS,
    Bytes,
    Flat,
    Ints,
    Pair,
    Shorts,
    U,
    add,
    called,
    compiled,
    flat,
    inlined,
    mul,
    sub,
)
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.scaling import FACTORS, between_rows, row_places, stretched

Two = tuple[Flat, Flat]
Rows = tuple[Shorts, Shorts]
Rests = tuple[Bytes, Ints]
TWO: Any = types.UniTuple(FLAT, 2)  # type: ignore[no-untyped-call]
ROWS: Any = types.UniTuple(SHORTS, 2)  # type: ignore[no-untyped-call]
SIZE: Any = types.UniTuple(LONG, 3)  # type: ignore[no-untyped-call]  # of the target, and the factor
IN_FRONT, BEHIND, MIXED = 0, 1, 2
RESTS: Any = types.Tuple((BYTES, INTS))  # type: ignore[no-untyped-call]
WHOLE = 255


def laid_behind(behind: Plane, weight: Plane, front: Plane, target: Plane, factor: int) -> None:
    """Keep `weight` of 255 of the front, and lay behind it a plane that is enlarged as its weights are.

    Both are enlarged to 2, 4 or 8 times their size as by `enlarged`; what is beyond the target is left out.
    Where all of the front is kept, nothing is enlarged. The target may be the front.

    Raises:
        ValueError: The sizes do not fit each other.
    """
    needed = tuple(-(-side // factor) for side in target.shape)
    if factor not in FACTORS or not behind.shape == weight.shape == needed or front.shape != target.shape:
        raise ValueError(
            f"{target.shape} is made by {factor} of {needed}, {needed} and as much in front, "
            f"not of {behind.shape}, {weight.shape} and {front.shape}"
        )
    rows = (np.empty(behind.shape[1], np.uint16), np.empty(behind.shape[1], np.uint16))
    rests = (np.empty(2 * target.shape[1], np.uint8), np.empty(2 * behind.shape[1], np.int32))
    _lay((flat(behind), flat(weight)), (flat(front), flat(target)), (*target.shape, factor), rows, rests)


@inlined
def _kind(weight: Bytes, above: int, below: int, beside: int) -> int:
    """Say of what lies between four samples whether all of the front is kept, nothing, or a part."""
    one, other = weight[U(above)], weight[U(below)]
    third, fourth = weight[U(above + beside)], weight[U(below + beside)]
    if (one & other & third & fourth) == WHOLE:
        return IN_FRONT
    return MIXED if one | other | third | fourth else BEHIND


@called
def _find_runs(weight: Bytes, rows: Pair, sides: Pair, runs: Ints) -> Pair:
    """Write where each run of one kind between two rows ends in the target's, and which it is.

    Returns:
        How many runs there are, and the kind that takes most work.
    """
    (above, below), (factor, width) = rows, sides
    few, count, most, x = -(-width // factor), 0, IN_FRONT, 0
    while x < few:
        # The last sample has none after it.
        kind = _kind(weight, above + x, below + x, min(1, few - 1 - x))
        x += 1
        while x < few and _kind(weight, above + x, below + x, min(1, few - 1 - x)) == kind:
            x += 1
        # What lies before the middle of the first sample is as it is there.
        runs[2 * count], runs[2 * count + 1] = (
            (width if x == few else min(width, factor * x + factor // 2)),
            kind,
        )
        count, most = count + 1, max(most, kind)
    return count, most


@called
def _mix(line: Bytes, span: Pair, front_row: Flat, target_row: Flat) -> None:
    """Mix a part of the front's row and of `line`, which holds one that is behind it and then its weights."""
    (front, here), (target, there), width = front_row, target_row, U(line.size // 2)
    for x in range(U(span[0]), U(span[1])):
        kept = line[width + x]
        whole = add(mul(front[U(here) + x], kept), mul(line[x], sub(255, kept)))
        target[U(there) + x] = np.uint8(over_255(whole))


@called
def _copy(span: Pair, front_row: Flat, target_row: Flat) -> None:
    (front, here), (target, there) = front_row, target_row
    for x in range(U(span[0]), U(span[1])):
        target[U(there) + x] = front[U(here) + x]


@called
def _stretch(room: Shorts, target: Bytes, there: int, width: int, factor: int) -> None:
    stretched(room, target, U(there), width, factor)


@compiled(TWO, TWO, SIZE, ROWS, RESTS)
def _lay(small: Two, large: Two, size: tuple[int, int, int], rows: Rows, rests: Rests) -> None:
    ((behind, step), (weight, every)), ((front, own), (target, stride)) = small, large
    (height, width, factor), (room, kept), (line, runs) = size, rows, rests
    before, count, wanted = -1, 0, IN_FRONT
    for y in range(height):
        above, below, _ = row_places(weight, every, y, factor, kept)
        if above + below != before:
            before = above + below
            count, wanted = _find_runs(weight, (above, below), (factor, width), runs)
        if wanted != IN_FRONT:
            between_rows(behind, step, y, factor, room)
            if wanted == BEHIND and count == 1:
                _stretch(room, target, stride * y, width, factor)
                continue
            _stretch(room, line, 0, width, factor)
        if wanted == MIXED:
            between_rows(weight, every, y, factor, kept)
            _stretch(kept, line, width, width, factor)
        here, there, begin = (front, own * y), (target, stride * y), 0
        for run in range(count):
            end, kind = runs[2 * run], runs[2 * run + 1]
            if kind == IN_FRONT:
                _copy((begin, end), here, there)
            elif kind == BEHIND:
                _copy((begin, end), (line, 0), there)
            else:
                _mix(line, (begin, end), here, there)
            begin = end
