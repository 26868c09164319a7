"""A small plane enlarged behind another, or before it: in whole numbers, and in one pass over memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from harness.videos.perturb.drawing.blending import over_255
from harness.videos.perturb.drawing.compiled import (
    BYTES,
    INTS,
    LONG,
    PLANE,
    Bytes,
    Ints,
    Pair,
    U,
    add,
    called,
    compiled,
    memory,
    mul,
    sub,
)
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.scaling import (
    Triple,
    row_places,
    stretched,
    stretched_freely,
)
from harness.videos.perturb.drawing.vector_rows import FACTORS, laid_row
from harness.videos.perturb.drawing.vectors import LANES

Two = tuple[Plane, Plane]
Runs = tuple[Bytes, Ints]
Memories = tuple[Bytes, Bytes, Bytes, Bytes]  # behind, its weights, the front, the target
Seven = tuple[int, int, int, int, int, int, int]  # where rows are in them, and `lower` of `row_places`
TWO: Any = types.UniTuple(PLANE, 2)  # type: ignore[no-untyped-call]
SIZE: Any = types.UniTuple(LONG, 3)  # type: ignore[no-untyped-call]  # of the target, and the factor
IN_FRONT, BEHIND, MIXED = 0, 1, 2
RUNS: Any = types.Tuple((BYTES, INTS))  # type: ignore[no-untyped-call]  # the kind of each sample, and runs of them
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
    few, width = behind.shape[1], target.shape[1]
    small, large = (behind, weight), (front, target)
    runs = (np.empty(few, np.uint8), np.empty(2 * few, np.int32))
    _lay(small, large, (*target.shape, factor), np.empty(2 * width, np.uint8), runs, target is not front)


@called
def _find_kinds(weight: Bytes, above: int, below: int, kinds: Bytes) -> None:
    """Write of what lies between four samples whether all of the front is kept, nothing, or a part."""
    last = kinds.size - 1
    for x in range(U(last)):
        one, other = weight[U(above) + x], weight[U(below) + x]
        third, fourth = weight[U(above) + x + U(1)], weight[U(below) + x + U(1)]
        least, most = min(one, other, third, fourth), max(one, other, third, fourth)
        kinds[x] = IN_FRONT if least == WHOLE else (MIXED if most else BEHIND)
    # The last sample has none after it.
    one, other = weight[U(above + last)], weight[U(below + last)]
    kinds[U(last)] = IN_FRONT if min(one, other) == WHOLE else (MIXED if max(one, other) else BEHIND)


@called
def _find_runs(kinds: Bytes, runs: Ints) -> int:
    """Write where each run of one kind ends, in samples, and which it is; return how many there are.

    What is mixed is whole vectors, and what would be less than one is mixed, too: with all or nothing of the
    front that gives the same.
    """
    few, count, x = kinds.size, 0, 0
    while x < few:
        kind, begin = kinds[U(x)], x
        while x < few and kinds[U(x)] == kind:
            x += 1
        if kind == MIXED or (kind == BEHIND and x - begin < LANES):
            kind, x = MIXED, min(few, begin + (x - begin + LANES - 1) // LANES * LANES)
        runs[2 * count], runs[2 * count + 1] = x, kind
        count += 1
    return count


@called
def _copy(front: Bytes, target: Bytes, block: Pair, span: Pair, strides: Pair) -> None:
    for y in range(block[0], block[1]):
        here, there = U(strides[0] * y), U(strides[1] * y)
        for x in range(U(span[0]), U(span[1])):
            target[there + x] = front[here + x]


@called
def _mix(lines: Bytes, front: Bytes, target: Bytes, places: Pair, span: Pair) -> None:
    """Mix a part of a row of the front and of a line behind it; after that line come the front's weights."""
    here, there, share = U(places[0]), U(places[1]), U(lines.size // 2)
    for x in range(U(span[0]), U(span[1])):
        kept = lines[share + x]
        whole = add(mul(front[here + x], kept), mul(lines[x], sub(255, kept)))
        target[there + x] = np.uint8(over_255(whole))


@called
def _mix_some(memories: Memories, lines: Bytes, rows: Seven, span: Pair, size: Triple, pixels: Pair) -> None:
    """Mix a few samples of a run, and of what they are enlarged to only some."""
    behind, weight, front, target = memories
    one, other, above, below, lower, here, there = rows
    stretched_freely(behind, lines, (one, other, lower, 0), span, size)
    stretched_freely(weight, lines, (above, below, lower, size[1]), span, size)
    _mix(lines, front, target, (here, there), pixels)


@called
def _mix_run(memories: Memories, lines: Bytes, rows: Seven, span: Pair, size: Triple) -> None:
    """Mix a part of a row: vectors of samples at once, and what is before, between and after them."""
    behind, weight, front, target = memories
    one, other, above, below, lower, here, there = rows
    (begin, end), (few, width, factor) = span, size
    many = max(0, min(end, few - 2) - begin) // LANES
    done, half = begin + many * LANES, factor // 2
    laid_row(
        behind,
        one + begin,
        other + begin,
        weight,
        above + begin,
        below + begin,
        lower,
        front,
        here + factor * begin + half,
        target,
        there + factor * begin + half,
        many,
        factor,
    )
    if begin == 0:  # what lies before the middle of the first sample is as it is there
        _mix_some(memories, lines, rows, (0, 1), size, (0, min(half, width)))
    if done < end:
        last = min(width, factor * end + half) if end < few else width
        _mix_some(memories, lines, rows, (done, end), size, (factor * done + half, last))


@compiled(TWO, TWO, SIZE, BYTES, RUNS, types.boolean)
def _lay(small: Two, large: Two, size: Triple, lines: Bytes, found: Runs, apart: bool) -> None:
    (behind, step), (weight, every) = memory(small[0]), memory(small[1])
    (front, own), (target, stride) = memory(large[0]), memory(large[1])
    (height, width, factor), (kinds, runs) = size, found
    few, y, memories = kinds.size, 0, (behind, weight, front, target)
    while y < height:
        # Rows between the same two rows of weights have the same runs.
        above, below, _ = row_places(weight, every, y, factor, few)
        after = y + 1
        while after < height and row_places(weight, every, after, factor, few)[:2] == (above, below):
            after += 1
        _find_kinds(weight, above, below, kinds)
        begin = 0
        for run in range(_find_runs(kinds, runs)):
            end, kind = runs[2 * run], runs[2 * run + 1]
            if kind == IN_FRONT and apart:
                # What lies before the middle of the first sample is as it is there.
                first = factor * begin + factor // 2 if begin else 0
                last = min(width, factor * end + factor // 2) if end < few else width
                _copy(front, target, (y, after), (first, last), (own, stride))
            for row in range(y, after if kind != IN_FRONT else y):
                one, other, lower = row_places(behind, step, row, factor, few)
                if kind == BEHIND:
                    stretched(
                        behind, target, (one, other, lower, stride * row), (begin, end), (few, width, factor)
                    )
                else:
                    rows = (one, other, above, below, lower, own * row, stride * row)
                    _mix_run(memories, lines, rows, (begin, end), (few, width, factor))
            begin = end
        y = after
