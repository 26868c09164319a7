"""Compiled: for each sample of a result, four neighbours of the source and how much of each.

A chunk is up to eight samples in a row of the result whose neighbours lie in 16 columns of at most five rows
of the source. Each of these rows is read in one piece; which of its bytes are neighbours of which sample is
worked out once for all pictures that are moved together, in a vector, as are the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from harness.videos.perturb.drawing.compiled import (
    BYTES,
    FLAT,
    INTS,
    LONG,
    PAIR,
    SHORTS,
    Bytes,
    Flat,
    Ints,
    Pair,
    U,
    compiled,
    inlined,
    prefetch,
)
from harness.videos.perturb.drawing.compiled import Shorts as Records
from harness.videos.perturb.drawing.vectors import LANES, PAIRS, Vectors

Shorts = NDArray[np.int16]

WHOLE = 32  # steps from a sample to the next
CHUNK = LANES  # samples
WINDOW = 16  # columns of the source that a chunk may take from
MOST_ROWS = 4  # of the source whose samples and the ones below may be neighbours of a chunk's
GROUPS = MOST_ROWS  # of a row's chunks: those that need this many rows, and so on down to one
ROWS_AHEAD = 8  # before a chunk is read, the memory is asked for it: walks across rows are none it foresees
SMALLEST = 16  # samples of a side from which on there are chunks
RIM, SPAN = 5, 3  # numbers of a sample at the rim, and of a span outside
PLACES = types.Array(types.int16, 2, "C")
TWO: Any = types.UniTuple(INTS, 2)  # type: ignore[no-untyped-call]  # numba has no types

# What is known of a sample in a chunk, in 16 bits: column and row in its window, and 32nds on the way to
# the next ones.
ROW, ACROSS, DOWN = 4, 6, 11  # the first bit of each


def mixed_rows(vectors: Vectors, above: Any, below: Any, down: Any, whole: int = WHOLE) -> Any:
    """Mix two rows, each `whole` times its samples; `down` of 32768 of the second; to bytes."""
    build = vectors.builder
    step = vectors.scaled(build.sub(below, above), down)
    total = build.add(build.add(above, step), vectors.numbers(whole // 2))
    return vectors.narrowed(build.lshr(total, vectors.numbers(whole.bit_length() - 1)))


def mixer(rows: int, *, plain: bool = False) -> Any:
    """Make what works out a chunk of two pictures from as many rows of each, and the one below them."""

    def mix(
        _: Any,
        target: Any,
        target2: Any,
        at: Any,
        source: Any,
        source2: Any,
        place: Any,
        step: Any,
        records: Any,
        number: Any,
    ) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
            vectors = Vectors.of(context, builder, plain=plain)
            arrays = {
                index: context.make_array(signature.args[index])(context, builder, values[index])
                for index in (0, 1, 3, 4, 7)
            }
            eight = ir.Constant(values[8].type, LANES)
            record = vectors.load(arrays[7], builder.mul(values[8], eight), vectors.numbers(0).type)
            places, weights, down = _read(vectors, record, rows)
            for picture, result in ((3, 0), (4, 1)):
                start, lines = values[5], []
                for _ in range(rows + 1):
                    lines.append(vectors.load(arrays[picture], start, PAIRS))
                    start = builder.add(start, values[6])
                pair = [_gathered(vectors, lines[off : off + rows], places) for off in (0, 1)]
                above, below = (vectors.weighted(each, weights) for each in pair)
                vectors.store(mixed_rows(vectors, above, below, down), arrays[result], values[2])
            return context.get_dummy_value()

        return types.void(target, target2, at, source, source2, place, step, records, number), generate

    return intrinsic(mix)


def _read(vectors: Vectors, record: Any, rows: int) -> tuple[list[Any], Any, Any]:
    """Return the places of two neighbours in each row, how much of each, and of what is below."""
    build, number = vectors.builder, vectors.numbers
    both = build.mul(build.and_(record, number((1 << ACROSS) - 1)), number(0x0101))
    places = [
        build.add(build.xor(both, number(0x1010 * row)) if row else both, number(0x0100))
        for row in range(rows)
    ]
    across = build.and_(build.lshr(record, number(ACROSS)), number(WHOLE - 1))
    weights = build.add(build.mul(across, number(255)), number(WHOLE))  # the left one's in the lower byte
    down = build.and_(build.lshr(record, number(1)), number((WHOLE - 1) << (DOWN - 1)))
    return places, build.bitcast(weights, PAIRS), down


def _gathered(vectors: Vectors, rows: Sequence[Any], places: Sequence[Any]) -> Any:
    found = [vectors.looked_up(row, place) for row, place in zip(rows, places, strict=True)]
    whole = found[0]
    for more in found[1:]:
        whole = vectors.builder.or_(whole, more)
    return whole


_mix_1, _mix_2, _mix_3, _mix_4 = (mixer(rows) for rows in range(1, MOST_ROWS + 1))


@inlined
def _mixed_at_rim(source: Any, stride: Any, shape: Any, rim: Any, number: Any, outside: Any) -> Any:
    column, row = np.int64(rim[number + U(1)]), np.int64(rim[number + U(2)])
    across, down = np.int64(rim[number + U(3)]), np.int64(rim[number + U(4)])
    place = row * stride + column
    above, under = row >= 0, row + 1 < shape[0]
    left, right = column >= 0, column + 1 < shape[1]
    one = np.int64(source[U(place)]) if above and left else outside
    beside = np.int64(source[U(place + 1)]) if above and right else outside
    below = np.int64(source[U(place + stride)]) if under and left else outside
    last = np.int64(source[U(place + stride + 1)]) if under and right else outside
    high, low = one * (WHOLE - across) + beside * across, below * (WHOLE - across) + last * across
    return np.uint8((high + ((low - high) * down + WHOLE // 2 >> 5) + WHOLE // 2) >> 5)


@inlined
def _place(source: Any, other: Any, places: Any, number: Any, ahead: Any) -> Any:
    """Return where a chunk is read, and ask for what one further on will read."""
    later = U(places[number + U(ahead)])
    prefetch(source, later)
    prefetch(other, later)
    return U(places[number])


@compiled(FLAT, BYTES, FLAT, BYTES, PAIR, TWO, SHORTS, SHORTS, TWO, INTS, LONG, LONG)
def move_two(
    source_plane: Flat,
    other_source: Bytes,
    target_plane: Flat,
    other_target: Bytes,
    shape: Pair,
    chunks: tuple[Ints, Ints],
    columns: Records,
    records: Records,
    rims: tuple[Ints, Ints],
    spans: Ints,
    ahead: int,
    outside: int,
) -> None:
    """Work out two pictures row by row: every chunk, then the rim one by one; and fill what is outside.

    What a chunk writes too much is written over by what follows it. Of chunks, `places` goes on for `ahead`
    more; `shape` is the sources'.
    """
    (source, stride), (target, pitch) = source_plane, target_plane
    (places, first), (rim, edge), step = chunks, rims, U(stride)
    for y in range(U(edge.size - 1)):
        row, group = U(pitch) * y, U(GROUPS) * y
        for number in range(U(first[group]), U(first[group + U(1)])):
            place, at = _place(source, other_source, places, number, ahead), row + U(columns[number])
            _mix_4(target, other_target, at, source, other_source, place, step, records, number)
        for number in range(U(first[group + U(1)]), U(first[group + U(2)])):
            place, at = _place(source, other_source, places, number, ahead), row + U(columns[number])
            _mix_3(target, other_target, at, source, other_source, place, step, records, number)
        for number in range(U(first[group + U(2)]), U(first[group + U(3)])):
            place, at = _place(source, other_source, places, number, ahead), row + U(columns[number])
            _mix_2(target, other_target, at, source, other_source, place, step, records, number)
        for number in range(U(first[group + U(3)]), U(first[group + U(4)])):
            place, at = _place(source, other_source, places, number, ahead), row + U(columns[number])
            _mix_1(target, other_target, at, source, other_source, place, step, records, number)
        for number in range(U(edge[y]), U(edge[y + U(1)]), U(RIM)):
            at = row + U(rim[number])
            target[at] = _mixed_at_rim(source, stride, shape, rim, number, outside)
            other_target[at] = _mixed_at_rim(other_source, stride, shape, rim, number, outside)
    for number in range(0, spans.size, SPAN):
        start = U(spans[number] * pitch + spans[number + 1])
        for sample in range(start, start + U(spans[number + 2])):
            target[sample] = outside
            other_target[sample] = outside
