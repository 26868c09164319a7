"""Compiled: a map cut into chunks that are worked out as vectors, and what is none; once for a video."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from harness.videos.perturb.drawing.compiled import (
    BYTES,
    INTS,
    LONG,
    PAIR,
    SHORTS,
    Bytes,
    Ints,
    Pair,
    U,
    called,
    compiled,
    inlined,
)
from harness.videos.perturb.drawing.compiled import Shorts as Records
from harness.videos.perturb.drawing.lookup_rows import (
    ACROSS,
    CHUNK,
    DOWN,
    GROUPS,
    MOST_ROWS,
    PLACES,
    RIM,
    ROW,
    SMALLEST,
    SPAN,
    TWO,
    WINDOW,
    Shorts,
)
from harness.videos.perturb.drawing.vectors import NUMBERS, SAMPLES, SHORT, Vectors

ROOM: Any = types.Tuple((BYTES, INTS, INTS, SHORTS, SHORTS))  # type: ignore[no-untyped-call]


def room_for(columns: int) -> tuple[Bytes, Ints, Ints, Records, Records]:
    """Return room to sort a row's chunks in, as many as there could be: what is compiled asks for none."""
    most = columns + CHUNK * CHUNK
    groups, counts, places = np.empty(most, np.uint8), np.empty(GROUPS, np.int32), np.empty(most, np.int32)
    return groups, counts, places, np.empty(most, np.uint16), np.empty(CHUNK * most, np.uint16)


@inlined
def _where(column: Any, row: Any, height: Any, width: Any) -> Any:
    """Return 0 for outside, 1 for the rim, 2 where all four neighbours are there."""
    if column < -1 or column >= width or row < -1 or row >= height:
        return 0
    return 1 if column < 0 or column + 1 >= width or row < 0 or row + 1 >= height else 2


@inlined
def _at_rim(rim: Any, edges: Any, y: Any, x: Any, columns: Any, rows: Any, across: Any, down: Any) -> Any:
    """Note a sample: where it is, where it comes from, and its weights."""
    own = y * columns.shape[1] + x
    rim[edges], rim[edges + 1], rim[edges + 2] = x, columns[y, x], rows[y, x]
    rim[edges + 3], rim[edges + 4] = across[own], down[own]
    return edges + RIM


@inlined
def _corner(column: Any, row: Any, height: Any, width: Any) -> Any:
    """Return where a window begins that holds this place, and ends in the source."""
    return min(np.int64(column), width - WINDOW), min(np.int64(row), height - MOST_ROWS - 1)


@inlined
def _window(columns: Any, rows: Any, y: Any, begin: Any, end: Any, shape: Any) -> Any:
    """Return the end of the samples from `begin` on that fit into one window, and where it is."""
    (height, width), x = shape, begin + 1
    left = least = np.int64(columns[y, begin])
    top = highest = np.int64(rows[y, begin])
    while x < end:
        column, row = np.int64(columns[y, x]), np.int64(rows[y, x])
        wide = max(least, column) - min(left, column, width - WINDOW) < WINDOW - 1
        high = max(highest, row) - min(top, row, height - MOST_ROWS - 1) < MOST_ROWS
        if not (wide and high) or _where(column, row, height, width) != 2:
            break
        left, least = min(left, column), max(least, column)
        top, highest = min(top, row), max(highest, row)
        x += 1
    return x, min(left, width - WINDOW), min(top, height - MOST_ROWS - 1)


def _bounds(_: Any, places: Any, own: Any, found: Any) -> Any:
    """Write the least and the greatest of eight places."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        vectors = Vectors.of(context, builder)
        array, to = (
            context.make_array(signature.args[index])(context, builder, values[index]) for index in (0, 2)
        )
        eight = vectors.load(array, values[1], NUMBERS)
        for number, name in enumerate(("smin", "smax")):
            bound = vectors.call(f"llvm.vector.reduce.{name}.v{CHUNK}i16", SHORT, eight)
            index = ir.Constant(values[1].type, number)
            builder.store(builder.sext(bound, ir.IntType(32)), builder.gep(to.data, [index]))
        return context.get_dummy_value()

    return types.void(places, own, found), generate


def _note(
    _: Any,
    columns: Any,
    rows: Any,
    across: Any,
    down: Any,
    own: Any,
    left: Any,
    top: Any,
    records: Any,
    to: Any,
) -> Any:
    """Write what is known of eight samples that are all in one window."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        vectors = Vectors.of(context, builder)
        arrays = {
            index: context.make_array(signature.args[index])(context, builder, values[index])
            for index in (0, 1, 2, 3, 7)
        }
        own, first = values[4], {0: values[5], 1: values[6]}
        record: Any = vectors.numbers(0)
        for index, bit in enumerate((0, ROW, ACROSS, DOWN)):
            if index in first:
                off = vectors.spread(builder.trunc(first[index], SHORT))
                part = builder.sub(vectors.load(arrays[index], own, NUMBERS), off)
            else:
                part = vectors.widened(vectors.load(arrays[index], own, SAMPLES))
            record = builder.or_(record, builder.shl(part, vectors.numbers(bit)))
        vectors.store(record, arrays[7], values[8])
        return context.get_dummy_value()

    return types.void(columns, rows, across, down, own, left, top, records, to), generate


_bounds_of: Any = intrinsic(_bounds)
_note_chunk: Any = intrinsic(_note)


@inlined
def _record(column: Any, row: Any, across: Any, down: Any) -> Any:
    """Return what is known of a sample whose place in its window is given; -1 if it is not in there."""
    if column < 0 or column > WINDOW - 2 or row < 0 or row >= MOST_ROWS:
        return np.int64(-1)
    return column | row << ROW | np.int64(across) << ACROSS | np.int64(down) << DOWN


@called
def _sort(
    begin: int, count: int, room: Any, ends: Ints, places: Ints, starts: Records, records: Records
) -> None:
    """Sort a row's chunks, from one on, by their groups, otherwise in their order; say where each ends."""
    groups, counts, kept_places, kept_starts, kept_records = room
    counts[:] = 0
    for number in range(count):
        counts[groups[number]] += 1
        kept_places[number], kept_starts[number] = places[begin + number], starts[begin + number]
    for number in range(CHUNK * count):
        kept_records[number] = records[CHUNK * begin + number]
    end = begin
    for group in range(GROUPS):
        size, counts[group] = counts[group], end  # from here on, where its next chunk goes
        end += size
        ends[group] = end
    for number in range(count):
        to = counts[groups[number]]
        counts[groups[number]] += 1
        places[to], starts[to] = kept_places[number], kept_starts[number]
        for lane in range(CHUNK):
            records[CHUNK * to + lane] = kept_records[CHUNK * number + lane]


@compiled(PLACES, PLACES, BYTES, BYTES, PAIR, LONG, TWO, SHORTS, SHORTS, TWO, INTS, INTS, ROOM)
def cut(
    columns: Shorts,
    rows: Shorts,
    across: Bytes,
    down: Bytes,
    shape: Pair,
    stride: int,
    chunks: tuple[Ints, Ints],
    starts: Records,
    records: Records,
    rims: tuple[Ints, Ints],
    spans: Ints,
    lengths: Ints,
    room: tuple[Bytes, Ints, Ints, Records, Records],
) -> None:
    """Cut a map into chunks, what is outside, and what is at the rim; `lengths` says how many of each.

    `shape` is the source's, `stride` the bytes from one of its rows to the next. A row's chunks lie in
    groups, those that need most rows of the source first; in the first group, too, are those that write more
    than is theirs, over which others write what is right. `room` is what a row needs: see `room_for`.
    """
    (height, width), (high, wide), (places, first), (rim, edge) = shape, columns.shape, chunks, rims
    large = min(height, width, wide) >= SMALLEST
    flat_columns, flat_rows = columns.reshape(high * wide), rows.reshape(high * wide)
    across_bounds, down_bounds = lengths[3:5], lengths[5:7]  # room: nothing here may ask for memory
    made = edges = filled = 0
    groups = room[0]
    for y in range(high):
        edge[y], begun = edges, made
        x = 0
        while x < wide:
            own = y * wide + x
            if large and x + CHUNK <= wide:
                _bounds_of(flat_columns, own, across_bounds)
                _bounds_of(flat_rows, own, down_bounds)
                left, top = _corner(across_bounds[0], down_bounds[0], height, width)
                last, lowest = np.int64(across_bounds[1]), np.int64(down_bounds[1])
                inside = left >= 0 and top >= 0 and last + 1 < width and lowest + 1 < height
                if inside and last - left < WINDOW - 1 and lowest - top < MOST_ROWS:
                    _note_chunk(flat_columns, flat_rows, across, down, own, left, top, records, made * CHUNK)
                    places[made], starts[made] = top * stride + left, x
                    groups[made - begun] = MOST_ROWS - 1 - (lowest - top)
                    made, x = made + 1, x + CHUNK
                    continue
            where = _where(np.int64(columns[y, x]), np.int64(rows[y, x]), height, width)
            if where == 0:
                begin = x
                while x < wide and _where(np.int64(columns[y, x]), np.int64(rows[y, x]), height, width) == 0:
                    x += 1
                spans[filled], spans[filled + 1], spans[filled + 2] = y, begin, x - begin
                filled += SPAN
            elif where == 1 or not large:
                edges = _at_rim(rim, edges, y, x, columns, rows, across, down)
                x += 1
            else:
                # At the end of a row, a chunk begins before its first sample: what is there is done again.
                at = min(x, wide - CHUNK)
                x, left, top = _window(columns, rows, y, x, at + CHUNK, shape)
                for sample in range(at, x):
                    column, row, own = (
                        np.int64(columns[y, sample]),
                        np.int64(rows[y, sample]),
                        y * wide + sample,
                    )
                    record = _record(column - left, row - top, across[own], down[own])
                    if record < 0 and _where(column, row, height, width) == 2:
                        edges = _at_rim(rim, edges, y, sample, columns, rows, across, down)
                    records[U(made * CHUNK + sample - at)] = max(record, 0)
                for lane in range(x - at, CHUNK):
                    records[U(made * CHUNK + lane)] = 0
                places[made], starts[made] = top * stride + left, at
                groups[made - begun] = 0
                made += 1
        ends = first[GROUPS * y + 1 : GROUPS * (y + 1) + 1]
        _sort(begun, made - begun, room, ends, places, starts, records)
    edge[high], lengths[0], lengths[1], lengths[2] = edges, made, edges, filled
