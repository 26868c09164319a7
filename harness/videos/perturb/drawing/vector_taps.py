"""Weighted sums of samples that lie around, four vectors of eight at a time, kept in registers until done.

A row is taken in groups of 32; the last begins earlier, so that it ends where the row does. Nothing looks
whether what is asked for is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from harness.videos.perturb.drawing.vectors import LANES, NUMBERS, SAMPLES, Vectors, kept

TOGETHER = 4  # vectors, so that a weight and a place are read once for all of them
GROUP = TOGETHER * LANES  # samples
ROUNDING, BITS = 128, 8  # weights are 256ths


class _Group:
    """Sums of a group of samples, over a number of taps that is known when it runs."""

    def __init__(self, vectors: Vectors, place: Any) -> None:
        self.vectors, self.build, self.place = vectors, vectors.builder, place
        self.totals = [kept(self.build, NUMBERS) for _ in range(TOGETHER)]

    def begin(self, values: list[Any]) -> None:
        """Set the sums."""
        for total, value in zip(self.totals, values, strict=True):
            self.build.store(value, total)

    def places(self, begin: Any) -> list[Any]:
        """Return where each vector begins in a row that begins there."""
        first = self.build.add(begin, self.place)
        return [self.build.add(first, ir.Constant(first.type, LANES * number)) for number in range(TOGETHER)]

    def add(self, values: list[Any], weight: Any) -> None:
        """Add weighted values."""
        for total, value in zip(self.totals, values, strict=True):
            self.build.store(self.build.add(self.build.load(total), self.build.mul(value, weight)), total)

    def rounded(self) -> list[Any]:
        """Return the sums without the bits of the weights."""
        number = self.vectors.numbers
        sums = (self.build.add(self.build.load(total), number(ROUNDING)) for total in self.totals)
        return [self.build.lshr(total, number(BITS)) for total in sums]


@contextmanager
def _groups(vectors: Vectors, width: Any) -> Iterator[_Group]:
    build = vectors.builder
    group = ir.Constant(width.type, GROUP)
    count = build.sdiv(build.add(width, ir.Constant(width.type, GROUP - 1)), group)
    last = build.sub(width, group)
    with cgutils.for_range(build, count) as loop:
        place = build.mul(loop.index, group)
        yield _Group(vectors, build.select(build.icmp_signed("<", place, last), place, last))


def _listed(vectors: Vectors, array: Any, index: Any, kind: Any) -> Any:
    """Read a number of an array, as wide as the index."""
    pointer = vectors.builder.gep(array.data, [index])
    return vectors.builder.sext(vectors.builder.load(pointer), kind)


def _times(vectors: Vectors, index: Any, number: int, more: int = 0) -> Any:
    product = vectors.builder.mul(index, ir.Constant(index.type, number))
    return vectors.builder.add(product, ir.Constant(index.type, more)) if more else product


def _down(
    _: Any, source: Any, lines: Any, weights: Any, taps: Any, target: Any, begin: Any, width: Any
) -> Any:
    """Sum up rows of bytes: the first of `lines`, and two for each further tap; to numbers, rounded.

    Weights are eight times in `weights`.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        vectors = Vectors.of(context, builder)
        samples, places, shares, to = (
            context.make_array(signature.args[index])(context, builder, values[index])
            for index in (0, 1, 2, 4)
        )
        taps, begin, width = values[3], values[5], values[6]
        zero = ir.Constant(width.type, 0)

        def row(group: _Group, index: Any) -> list[Any]:
            start = _listed(vectors, places, index, width.type)
            return [vectors.widened(vectors.load(samples, at, SAMPLES)) for at in group.places(start)]

        with _groups(vectors, width) as group:
            weight = vectors.load(shares, zero, NUMBERS)
            group.begin([builder.mul(each, weight) for each in row(group, zero)])
            with cgutils.for_range(builder, taps) as loop:
                one = row(group, _times(vectors, loop.index, 2, 1))
                other = row(group, _times(vectors, loop.index, 2, 2))
                weight = vectors.load(shares, _times(vectors, loop.index, LANES, LANES), NUMBERS)
                group.add([builder.add(*pair) for pair in zip(one, other, strict=True)], weight)
            for at, total in zip(group.places(begin), group.rounded(), strict=True):
                vectors.store(total, to, at)
        return context.get_dummy_value()

    return types.void(source, lines, weights, taps, target, begin, width), generate


tapped_down: Any = intrinsic(_down)


def _beside(
    _: Any, room: Any, pairs: Any, weights: Any, taps: Any, target: Any, begin: Any, width: Any
) -> Any:
    """Sum up pairs of numbers, each tap's two places in `room` being in `pairs`; to bytes, rounded."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        vectors = Vectors.of(context, builder)
        numbers, places, shares, to = (
            context.make_array(signature.args[index])(context, builder, values[index])
            for index in (0, 1, 2, 4)
        )
        taps, begin, width = values[3], values[5], values[6]

        def row(group: _Group, index: Any) -> list[Any]:
            start = _listed(vectors, places, index, width.type)
            return [vectors.load(numbers, at, NUMBERS) for at in group.places(start)]

        with _groups(vectors, width) as group:
            group.begin([vectors.numbers(0)] * TOGETHER)
            with cgutils.for_range(builder, taps) as loop:
                one = row(group, _times(vectors, loop.index, 2))
                other = row(group, _times(vectors, loop.index, 2, 1))
                weight = vectors.load(shares, _times(vectors, loop.index, LANES), NUMBERS)
                group.add([builder.add(*pair) for pair in zip(one, other, strict=True)], weight)
            for at, total in zip(group.places(begin), group.rounded(), strict=True):
                vectors.store(vectors.narrowed(total), to, at)
        return context.get_dummy_value()

    return types.void(room, pairs, weights, taps, target, begin, width), generate


tapped_beside: Any = intrinsic(_beside)
