"""Rows of samples worked out eight at a time, each loop written as vectors: see `Vectors`.

All take arrays, places in them, and how many vectors of eight; nothing looks whether they are there.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from harness.videos.perturb.drawing.vectors import LANES, NUMBERS, PAIRS, SAMPLES, SHORT, Vectors, kept

FACTORS = (2, 4, 8)
DOUBLE = ir.VectorType(SHORT, 2 * LANES)
WORDS = ir.VectorType(ir.IntType(32), 4)


class Row:
    """What a loop over a row works with: its arrays, and where in them it is."""

    def __init__(self, context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> None:
        self.vectors, self.values, self.builder = Vectors.of(context, builder), values, builder
        self.arrays = {
            number: context.make_array(kind)(context, builder, values[number])
            for number, kind in enumerate(signature.args)
            if isinstance(kind, types.Array)
        }

    def read(self, number: int, index: Any, kind: ir.Type) -> Any:
        """Read a vector from an argument that is an array."""
        return self.vectors.load(self.arrays[number], index, kind)

    def write(self, vector: Any, number: int, index: Any) -> None:
        """Write a vector to an argument that is an array."""
        self.vectors.store(vector, self.arrays[number], index)

    def mixed(self, places: list[Any], weights: tuple[Any, Any], number: int = 0) -> Any:
        """Return samples at two places of an argument, times their weights, added."""
        one, other = (
            self.builder.mul(self.vectors.widened(self.read(number, place, SAMPLES)), weight)
            for place, weight in zip(places, weights, strict=True)
        )
        return self.builder.add(one, other)

    def sixteenths(self, lower: Any) -> tuple[Any, Any]:
        """Return the weights of two rows, between which something lies so many 16ths from the first."""
        share = self.vectors.spread(self.builder.trunc(lower, SHORT))
        return self.builder.sub(self.vectors.numbers(16), share), share

    def moved(self, index: Any, number: Any, times: int = LANES) -> Any:
        """Return a place that lies so many times a number further on."""
        return self.builder.add(index, self.builder.mul(number, ir.Constant(number.type, times)))

    def after(self, index: Any, samples: int) -> Any:
        """Return a place that lies so many samples further on."""
        return self.builder.add(index, ir.Constant(index.type, samples))


def _summed(
    _: Any, source: Any, begin: Any, length: Any, target: Any, there: Any, whole: Any, share: Any, count: Any
) -> Any:
    """Write `share` of 65536 of each sum of `length` samples, the first beginning one after `begin`.

    `whole` is the sum that begins at `begin`, and what is to be added to every sum.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        row = Row(context, builder, signature, values)
        vectors = row.vectors
        carry = kept(builder, NUMBERS)
        builder.store(vectors.spread(builder.trunc(values[5], ir.IntType(16))), carry)
        shares = vectors.spread(builder.trunc(values[6], ir.IntType(16)))
        with cgutils.for_range(builder, values[7]) as loop:
            at = row.moved(values[1], loop.index)
            old, new = (row.read(0, place, SAMPLES) for place in (at, builder.add(at, values[2])))
            sums = vectors.running(builder.sub(vectors.widened(new), vectors.widened(old)))
            before = builder.load(carry)
            means = vectors.upper(builder.add(sums, before), shares)
            row.write(vectors.narrowed(means), 3, row.moved(values[4], loop.index))
            builder.store(builder.add(before, vectors.shuffled(sums, sums, [LANES - 1] * LANES)), carry)
        return context.get_dummy_value()

    return types.void(source, begin, length, target, there, whole, share, count), generate


summed: Any = intrinsic(_summed)


def _halved(_: Any, source: Any, one: Any, other: Any, target: Any, there: Any, count: Any) -> Any:
    """Write the means of two times two samples, of two rows: 16 of them so many times.

    Of the two rows after them, the memory is asked for what lies below.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        row = Row(context, builder, signature, values)
        vectors, ones, two = row.vectors, ir.Constant(PAIRS, [1] * 2 * LANES), row.vectors.numbers(2)
        apart = builder.sub(values[2], values[1])
        with cgutils.for_range(builder, values[5]) as loop:
            halves = []
            later = row.moved(builder.add(values[2], apart), loop.index, 4 * LANES)
            for place in (later, builder.add(later, apart)):
                vectors.fetch(row.arrays[0], place)
            for off in (0, 2 * LANES):
                places = (row.after(row.moved(place, loop.index, 4 * LANES), off) for place in values[1:3])
                above, below = (vectors.weighted(row.read(0, place, PAIRS), ones) for place in places)
                halves.append(builder.lshr(builder.add(builder.add(above, below), two), two))
            means = builder.trunc(vectors.shuffled(halves[0], halves[1], list(range(2 * LANES))), PAIRS)
            row.write(means, 3, row.moved(values[4], loop.index, 2 * LANES))
        return context.get_dummy_value()

    return types.void(source, one, other, target, there, count), generate


halved_row: Any = intrinsic(_halved)


def _enlarged(
    _: Any, source: Any, one: Any, other: Any, lower: Any, target: Any, there: Any, count: Any, factor: Any
) -> Any:
    """Write 2, 4 or 8 times as many samples, from the middle of each sample to the middle of the next.

    The samples lie between those of two rows, `lower` 16ths from the first to the second.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        row = Row(context, builder, signature, values)
        weights = row.sixteenths(values[3])
        for times in FACTORS:
            wanted = builder.icmp_unsigned("==", values[7], ir.Constant(values[7].type, times))
            with builder.if_then(wanted), cgutils.for_range(builder, values[6]) as loop:
                there = row.moved(values[5], loop.index, times * LANES)
                vectors = _enlarged_here(row, 0, values[1:3], weights, loop.index, times)
                for number, vector in enumerate(vectors):
                    row.write(vector, 4, row.after(there, number * 2 * LANES))
        return context.get_dummy_value()

    return types.void(source, one, other, lower, target, there, count, factor), generate


enlarged_row: Any = intrinsic(_enlarged)


def _laid(
    _: Any,
    behind: Any,
    one: Any,
    other: Any,
    weight: Any,
    above: Any,
    below: Any,
    lower: Any,
    front: Any,
    here: Any,
    target: Any,
    there: Any,
    count: Any,
    factor: Any,
) -> Any:
    """Write samples of the front, mixed with what is behind by weights; both are enlarged as by `_enlarged`.

    Of 255 the weight is what is kept of the front. The target may be the front.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        row = Row(context, builder, signature, values)
        weights = row.sixteenths(values[6])
        for times in FACTORS:
            wanted = builder.icmp_unsigned("==", values[12], ir.Constant(values[12].type, times))
            with builder.if_then(wanted), cgutils.for_range(builder, values[11]) as loop:
                soft, kept_ = (
                    _enlarged_here(row, number, places, weights, loop.index, times)
                    for number, places in ((0, values[1:3]), (3, values[4:6]))
                )
                read, write = (row.moved(place, loop.index, times * LANES) for place in values[8:11:2])
                for number, (sample, keep) in enumerate(zip(soft, kept_, strict=True)):
                    off = number * 2 * LANES
                    before = row.read(7, row.after(read, off), PAIRS)
                    row.write(_over(builder, before, sample, keep), 9, row.after(write, off))
        return context.get_dummy_value()

    arguments = (behind, one, other, weight, above, below, lower, front, here, target, there, count, factor)
    return types.void(*arguments), generate


laid_row: Any = intrinsic(_laid)


def _enlarged_here(
    row: Row, number: int, places: Any, weights: tuple[Any, Any], index: Any, times: int
) -> list[Any]:
    """Return vectors of what lies from eight samples to the next ones, in a plane that is an argument."""
    left, right = (
        row.mixed([row.moved(row.after(place, off), index) for place in places], weights, number)
        for off in (0, 1)
    )
    return _between(row.vectors, left, right, times)


def _over(builder: ir.IRBuilder, front: Any, behind: Any, weight: Any) -> Any:
    """Return `weight` of 255 of 16 samples and the rest of 16 others, rounded as by `blending.over_255`."""
    above, below, kept_ = (
        builder.zext(builder.bitcast(samples, PAIRS), DOUBLE) for samples in (front, behind, weight)
    )
    rest = builder.sub(ir.Constant(DOUBLE, [255] * 2 * LANES), kept_)
    whole = builder.add(builder.mul(above, kept_), builder.mul(below, rest))
    whole = builder.add(whole, ir.Constant(DOUBLE, [128] * 2 * LANES))
    eight = ir.Constant(DOUBLE, [8] * 2 * LANES)
    return builder.trunc(builder.lshr(builder.add(whole, builder.lshr(whole, eight)), eight), PAIRS)


def _between(vectors: Vectors, one: Any, other: Any, factor: int) -> list[Any]:
    """Return the straight lines between 16 times eight samples and 16 times eight more."""
    builder = vectors.builder
    step = builder.shl(builder.sub(other, one), vectors.numbers((8 // factor).bit_length() - 1))
    base = builder.add(builder.shl(one, vectors.numbers(4)), vectors.numbers(128))
    parts, step = [builder.add(base, step)], builder.add(step, step)
    for _ in range(factor - 1):
        parts.append(builder.add(parts[-1], step))
    return _in_order(vectors, parts)


def _in_order(vectors: Vectors, parts: list[Any]) -> list[Any]:
    """Return the upper bytes of 2, 4 or 8 vectors: the first of all, the second of all, and so on."""
    pairs = [
        vectors.beside_each_other(one, other) for one, other in zip(parts[::2], parts[1::2], strict=True)
    ]
    if len(pairs) == 1:
        return pairs
    fours = [vectors.zipped(one, other) for one, other in zip(pairs[::2], pairs[1::2], strict=True)]
    if len(fours) == 1:
        return list(fours[0])
    words = [[vectors.builder.bitcast(each, WORDS) for each in side] for side in fours]
    return [half for one, other in zip(*words, strict=True) for half in vectors.zipped(one, other)]
