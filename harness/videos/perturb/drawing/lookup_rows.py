"""Compiled: for each sample of a result, four neighbours of the source and how much of each.

A map near the identity is, row by row, made of runs that lie in the source as they lie in the result. A chunk
of a run is read in one piece and worked out as one vector, by weights that were computed once.
"""

from __future__ import annotations

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
    Bytes,
    Flat,
    Pair,
    U,
    compiled,
    inlined,
    prefetch,
)

Ints = NDArray[np.int32]
Shorts = NDArray[np.int16]

WHOLE = 32  # steps from a sample to the next
CHUNK = 8  # samples: as many as there are numbers of 16 bits in the vectors that every processor has
AHEAD = 24  # chunks before it is read, the memory is asked for a chunk
SMALLEST = 16  # samples of a side from which on there are chunks
RIM, SPAN = 5, 3  # numbers of a sample at the rim, and of a span outside
PLACES = types.Array(types.int16, 2, "C")
TWO: Any = types.UniTuple(INTS, 2)  # type: ignore[no-untyped-call]  # numba has no types
THREE: Any = types.UniTuple(INTS, 3)  # type: ignore[no-untyped-call]  # likewise


def _mix(
    _: Any, target: Any, at: Any, source: Any, place: Any, step: Any, across: Any, down: Any, own: Any
) -> Any:
    """Mix four neighbours for `CHUNK` samples in a row; nothing looks whether they are there."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        small, wide = (ir.VectorType(ir.IntType(bits), CHUNK) for bits in (8, 16))

        def pointer(number: int, index: Any) -> Any:
            array = context.make_array(signature.args[number])(context, builder, values[number])
            return builder.bitcast(builder.gep(array.data, [index]), small.as_pointer())

        def loaded(number: int, index: Any) -> Any:
            return builder.zext(builder.load(pointer(number, index), align=1), wide)

        def constant(value: int) -> Any:
            return ir.Constant(wide, [value] * CHUNK)

        def mixed(one: Any, other: Any, weight: Any, rounding: int, bits: int) -> Any:
            whole = builder.shl(one, constant(WHOLE.bit_length() - 1))
            total = builder.add(whole, builder.mul(builder.sub(other, one), weight))
            return builder.lshr(builder.add(total, constant(rounding)), constant(bits))

        row, own = values[3], values[7]
        right, lower, one = loaded(5, own), loaded(6, own), ir.Constant(row.type, 1)
        rows = [
            mixed(loaded(2, start), loaded(2, builder.add(start, one)), right, 2, 2)
            for start in (row, builder.add(row, values[4]))
        ]
        result = builder.trunc(mixed(rows[0], rows[1], lower, 128, 8), small)
        builder.store(result, pointer(0, values[1]), align=1)
        return context.get_dummy_value()

    return types.void(target, at, source, place, step, across, down, own), generate


_mix_chunk: Any = intrinsic(_mix)


@inlined
def _mixed(one: Any, other: Any, weight: Any, rounding: Any, bits: Any) -> Any:
    """For one sample: 13 bits, of which 11 are kept, and then 16."""
    return (one * (WHOLE - weight) + other * weight + rounding) >> bits


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
    high, low = _mixed(one, beside, across, 2, 2), _mixed(below, last, across, 2, 2)
    return np.uint8(_mixed(high, low, down, 128, 8))


@compiled(FLAT, BYTES, FLAT, BYTES, PAIR, THREE, TWO, INTS, BYTES, BYTES, LONG)
def move_two(
    source_plane: Flat,
    other_source: Bytes,
    target_plane: Flat,
    other_target: Bytes,
    shape: Pair,
    chunks: tuple[Ints, Ints, Ints],
    rims: tuple[Ints, Ints],
    spans: Ints,
    across: Bytes,
    down: Bytes,
    outside: int,
) -> None:
    """Work out two pictures: every chunk, then the rim one by one; and fill what is outside.

    What a chunk writes too much is written over by what follows it. The rim is worked out while its row is
    near. Of chunks, `places` goes on for `AHEAD` more; `shape` is the sources'.
    """
    (source, stride), (target, pitch) = source_plane, target_plane
    (places, counts, first), (rim, edge) = chunks, rims
    step, own = U(stride), U(0)
    for y in range(U(first.size - 1)):
        row = U(pitch) * y
        at = row
        for number in range(U(first[y]), U(first[y + U(1)])):
            ahead, place = U(places[number + U(AHEAD)]) + step, U(places[number])
            prefetch(source, ahead)
            prefetch(other_source, ahead)
            _mix_chunk(target, at, source, place, step, across, down, own)
            _mix_chunk(other_target, at, other_source, place, step, across, down, own)
            at += U(counts[number])
            own += U(counts[number])
        for number in range(U(edge[y]), U(edge[y + U(1)]), U(RIM)):
            at = row + U(rim[number])
            target[at] = _mixed_at_rim(source, stride, shape, rim, number, outside)
            other_target[at] = _mixed_at_rim(other_source, stride, shape, rim, number, outside)
    for number in range(0, spans.size, SPAN):
        start = U(spans[number] * pitch + spans[number + 1])
        for sample in range(start, start + U(spans[number + 2])):
            target[sample] = outside
            other_target[sample] = outside


@inlined
def _where(column: Any, row: Any, height: Any, width: Any) -> Any:
    """Return 0 for outside, 1 for the rim, 2 where a whole chunk can be read."""
    if column < -1 or column >= width or row < -1 or row >= height:
        return 0
    if column < 0 or column + 1 >= width or row < 0 or row + 1 >= height:
        return 1
    return 1 if row + 2 == height and column + 1 + CHUNK > width else 2


@inlined
def _at_rim(rim: Any, edges: Any, y: Any, x: Any, columns: Any, rows: Any, across: Any, down: Any) -> Any:
    """Note a sample: where it is, where it comes from, and its weights."""
    own = y * columns.shape[1] + x
    rim[edges], rim[edges + 1], rim[edges + 2] = x, columns[y, x], rows[y, x]
    rim[edges + 3], rim[edges + 4] = across[own], down[own]
    return edges + RIM


@compiled(PLACES, PLACES, BYTES, BYTES, LONG, LONG, LONG, INTS, INTS, INTS, INTS, INTS, INTS, INTS)
def cut(
    columns: Shorts,
    rows: Shorts,
    across: Bytes,
    down: Bytes,
    height: int,
    width: int,
    stride: int,
    places: Ints,
    counts: Ints,
    first: Ints,
    rim: Ints,
    edge: Ints,
    spans: Ints,
    lengths: Ints,
) -> None:
    """Cut a map into chunks, what is outside, and what is at the rim; `lengths` says how many of each.

    A place in which nothing is moved is a chunk too: it reads the source's first samples, and what it writes
    is written over.
    """
    high, wide = columns.shape
    large = min(height, width, wide) >= SMALLEST
    made = edges = filled = 0
    for y in range(high):
        first[y], edge[y] = made, edges
        x = 0
        while x < wide:
            column, row, start = np.int64(columns[y, x]), np.int64(rows[y, x]), x
            where = _where(column, row, height, width)
            alone = not large or (y + 1 == high and start + CHUNK > wide)
            x += 1
            if where == 0:
                while x < wide and _where(columns[y, x], rows[y, x], height, width) == 0:
                    x += 1
                spans[filled], spans[filled + 1], spans[filled + 2] = y, start, x - start
                filled += SPAN
            elif where == 1 or alone:
                edges = _at_rim(rim, edges, y, start, columns, rows, across, down)
            else:
                while (
                    x < min(wide, start + CHUNK)
                    and rows[y, x] == row
                    and columns[y, x] == column + x - start
                    and _where(columns[y, x], row, height, width) == where
                ):
                    x += 1
            if not alone:
                places[made], counts[made] = (row * stride + column if where == 2 else 0), x - start
                made += 1
    first[high], edge[high] = made, edges
    lengths[0], lengths[1], lengths[2] = made, edges, filled
