"""Luma through a tone curve and dimmed, in one pass.

Imports numba: see `compiled`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from harness.videos.perturb.drawing.compiled import (
    BYTES,
    LONG,
    PAIR,
    PLANE,
    SHORTS,
    Bytes,
    Pair,
    Shorts,
    U,
    compiled,
    memory,
)
from harness.videos.perturb.drawing.planes import WHITE, Plane
from harness.videos.perturb.drawing.vectors import LANES, NUMBERS, PAIRS, SAMPLES, SHORT, Vectors

PIECE = 16  # levels that a curve is straight over
ALL_OF_A_ROW = 257  # times 255 of a gain: all of the light


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A tone curve in 16 straight pieces, which ends at white."""

    tables: Bytes  # where each piece begins, and by how much it rises

    @staticmethod
    def of(value: Callable[[float], float]) -> Curve:
        """From a curve that gives a level for each; white stays white."""
        starts = np.array([round(value(PIECE * piece)) for piece in range(16)])
        rises = np.append(np.diff(starts), 0)
        last, into = divmod(WHITE, PIECE)
        rises[last] = -(-(WHITE - starts[last]) * PIECE // into)  # white lies within a piece
        return Curve(tables=np.concatenate((starts, rises)).astype(np.uint8))


def toned_and_dimmed(plane: Plane, curve: Curve, gain: Plane, rows: Shorts) -> None:
    """Change luma in place: by the curve, then `gain` of 255, then a share of `ALL_OF_A_ROW` for each row."""
    _tone(plane, gain, curve.tables, rows, plane.shape, WHITE * PIECE)


def _toned(_: Any, samples: Any, at: Any, gain: Any, own: Any, tables: Any, row: Any, most: Any) -> Any:
    """Change 16 samples."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        vectors = Vectors.of(context, builder)
        array, gains, known = (
            context.make_array(signature.args[index])(context, builder, values[index]) for index in (0, 2, 4)
        )
        share, limit = (vectors.spread(builder.trunc(value, SHORT)) for value in (values[5], values[6]))
        both = vectors.load(array, values[1], NUMBERS)
        piece = builder.and_(builder.lshr(both, vectors.numbers(4)), vectors.numbers(0x0F0F))
        into = builder.bitcast(builder.and_(both, vectors.numbers(0x0F0F)), PAIRS)
        index = values[1].type
        halves = (vectors.load(known, ir.Constant(index, off), PAIRS) for off in (0, 2 * LANES))
        starts, rises = (vectors.looked_up(table, piece) for table in halves)
        pairs = vectors.zipped(starts, rises)
        weights = vectors.zipped(ir.Constant(PAIRS, [PIECE] * 2 * LANES), into)
        results = []
        for number, (pair, weight) in enumerate(zip(pairs, weights, strict=True)):
            level = vectors.weighted(pair, weight)
            level = builder.select(builder.icmp_unsigned("<", level, limit), level, limit)
            place = builder.add(values[3], ir.Constant(index, number * LANES))
            light = builder.mul(vectors.widened(vectors.load(gains, place, SAMPLES)), share)
            dim = vectors.upper(builder.shl(level, vectors.numbers(4)), light)
            dim = builder.lshr(builder.add(dim, vectors.numbers(128)), vectors.numbers(8))
            place = builder.add(values[1], ir.Constant(index, number * LANES))
            results.append((vectors.narrowed(dim), place))
        for result, place in results:
            vectors.store(result, array, place)
        return context.get_dummy_value()

    return types.void(samples, at, gain, own, tables, row, most), generate


_tone_16: Any = intrinsic(_toned)


@compiled(PLANE, PLANE, BYTES, SHORTS, PAIR, LONG)
def _tone(plane: Plane, gains: Plane, tables: Bytes, rows: Shorts, shape: Pair, most: int) -> None:
    (samples, stride), (gain, step), (height, width) = memory(plane), memory(gains), shape
    many = U(width // (2 * LANES))
    for y in range(U(height)):
        here, own, row = U(stride) * y, U(step) * y, np.int64(rows[y])
        for number in range(many):
            off = number * U(2 * LANES)
            _tone_16(samples, here + off, gain, own + off, tables, row, most)
        for x in range(many * U(2 * LANES), U(width)):
            sample = np.int64(samples[here + x])
            piece = U(sample >> 4)
            level = np.int64(tables[piece]) * PIECE + np.int64(tables[piece + U(16)]) * (sample & 15)
            light = np.int64(gain[own + x]) * row
            level = level if level < most else np.int64(most)
            samples[here + x] = np.uint8(((level * 16 * light >> 16) + 128) >> 8)
