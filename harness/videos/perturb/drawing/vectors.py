"""Vectors of eight samples in machine code: what numba does not make of plain loops by itself.

Three things have an instruction of their own on most processors; on others, the same numbers come out of
what there is. Element 0 is the first in memory, and of two bytes the lower one: as on every machine that is
supported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils

LANES = 8  # numbers of 16 bits in the vectors that every processor has
BYTE, SHORT = ir.IntType(8), ir.IntType(16)
SAMPLES, PAIRS, NUMBERS = (
    ir.VectorType(BYTE, LANES),
    ir.VectorType(BYTE, 2 * LANES),
    ir.VectorType(SHORT, LANES),
)
NOT_HERE = 0x7070  # added to two places of bytes: what was 16 or more now has the bit that asks for 0


def kept(builder: ir.IRBuilder, kind: ir.Type) -> Any:
    """Return room for a value that changes from one turn of a loop to the next: a register, in the end."""
    return cgutils.alloca_once(builder, kind)  # type: ignore[no-untyped-call]  # numba has no types


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """Writes operations on vectors into a function that is being compiled."""

    builder: ir.IRBuilder
    features: str  # of the processor, as LLVM names them
    triple: str

    @staticmethod
    def of(context: Any, builder: ir.IRBuilder, *, plain: bool = False) -> Vectors:
        """For the processor that is compiled for; with `plain`, by what every processor has."""
        triple, _, features = context.codegen().magic_tuple()
        return Vectors(builder=builder, features="" if plain else features, triple="" if plain else triple)

    @property
    def _is_x86(self) -> bool:
        return "+ssse3" in self.features.split(",")

    def numbers(self, value: int) -> ir.Constant:
        """Return eight times the same number."""
        return ir.Constant(NUMBERS, [value] * LANES)

    def pointer(self, array: Any, index: Any, kind: ir.Type) -> Any:
        """Return where a vector is in an array of numba's, made by `context.make_array`."""
        return self.builder.bitcast(self.builder.gep(array.data, [index]), kind.as_pointer())

    def load(self, array: Any, index: Any, kind: ir.Type) -> Any:
        """Read a vector that may begin at any byte; nothing looks whether it is there."""
        return self.builder.load(self.pointer(array, index, kind), align=1)

    def store(self, vector: Any, array: Any, index: Any) -> None:
        """Write a vector to where any byte may be."""
        self.builder.store(vector, self.pointer(array, index, vector.type), align=1)

    def fetch(self, array: Any, index: Any) -> None:
        """Ask the memory for a byte that is going to be read; it need not be there."""
        pointer, number = BYTE.as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        hint = self.builder.module.declare_intrinsic("llvm.prefetch.p0", fnty=kind)
        # To read, to be kept near, as data.
        self.builder.call(hint, [self.builder.gep(array.data, [index]), number(0), number(3), number(1)])

    def widened(self, samples: Any) -> Any:
        """Return eight bytes as eight numbers."""
        return self.builder.zext(samples, NUMBERS)

    def narrowed(self, numbers: Any) -> Any:
        """Return eight numbers, none above 255, as bytes."""
        return self.builder.trunc(numbers, SAMPLES)

    def spread(self, number: Any) -> Any:
        """Return one number of 16 bits eight times."""
        one = self.builder.insert_element(
            ir.Constant(NUMBERS, ir.Undefined), number, ir.Constant(ir.IntType(32), 0)
        )
        return self.shuffled(one, one, [0] * LANES)

    def shuffled(self, one: Any, other: Any, places: Sequence[int]) -> Any:
        """Choose among the elements of two vectors, those of the second counted on."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))
        return self.builder.shuffle_vector(one, other, mask)

    def call(self, name: str, result: ir.Type, *arguments: Any) -> Any:
        """Call one of LLVM's own functions."""
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)  # type: ignore[no-untyped-call]
        return self.builder.call(function, arguments)

    def looked_up(self, row: Any, places: Any) -> Any:
        """Choose bytes of 16 by their places, two in each of eight numbers; 0 for places of 16 to 127."""
        build = self.builder
        if self._is_x86:
            wanted = build.bitcast(build.add(places, self.numbers(NOT_HERE)), PAIRS)
            return self.call("llvm.x86.ssse3.pshuf.b.128", PAIRS, row, wanted)
        wanted = build.bitcast(places, PAIRS)
        if self.triple.startswith(("aarch64", "arm64")):
            return self.call("llvm.aarch64.neon.tbl1.v16i8", PAIRS, row, wanted)
        found: Any = ir.Constant(PAIRS, ir.Undefined)
        for lane in range(2 * LANES):
            number = ir.Constant(ir.IntType(32), lane)
            place = build.extract_element(wanted, number)
            byte = build.extract_element(row, build.and_(place, ir.Constant(BYTE, 15)))
            there = build.icmp_unsigned("<", place, ir.Constant(BYTE, 16))
            found = build.insert_element(found, build.select(there, byte, ir.Constant(BYTE, 0)), number)
        return found

    def weighted(self, samples: Any, weights: Any) -> Any:
        """Return, for eight pairs of bytes, each byte times its weight, both added; no weight above 127."""
        build = self.builder
        if self._is_x86:
            return self.call("llvm.x86.ssse3.pmadd.ub.sw.128", NUMBERS, samples, weights)
        sides = []
        for each in (samples, weights):
            both = build.bitcast(each, NUMBERS)
            sides.append((build.and_(both, self.numbers(255)), build.lshr(both, self.numbers(8))))
        (left, right), (low, high) = sides
        return build.add(build.mul(left, low), build.mul(right, high))

    def scaled(self, numbers: Any, shares: Any) -> Any:
        """Return a share of each number with its sign, of 32768, rounded: halves upwards."""
        build = self.builder
        if self._is_x86:
            return self.call("llvm.x86.ssse3.pmul.hr.sw.128", NUMBERS, numbers, shares)
        wide = ir.VectorType(ir.IntType(32), LANES)
        product = build.mul(build.sext(numbers, wide), build.sext(shares, wide))
        half = ir.Constant(wide, [1 << 14] * LANES)
        return build.trunc(build.ashr(build.add(product, half), ir.Constant(wide, [15] * LANES)), NUMBERS)

    def upper(self, numbers: Any, shares: Any) -> Any:
        """Return a share of each number, of 65536, without a sign; cut off."""
        build, wide = self.builder, ir.VectorType(ir.IntType(32), LANES)
        if self._is_x86:  # LLVM finds it by itself only if the shares do not come from before a loop
            return self.call("llvm.x86.sse2.pmulhu.w", NUMBERS, numbers, shares)
        product = build.mul(build.zext(numbers, wide), build.zext(shares, wide))
        return build.trunc(build.lshr(product, ir.Constant(wide, [16] * LANES)), NUMBERS)

    def above_0(self, bytes_: Any, less: Any) -> Any:
        """Return by how much 16 bytes are larger than 16 others; 0 where they are not."""
        return self.call("llvm.usub.sat.v16i8", PAIRS, bytes_, less)

    def running(self, numbers: Any) -> Any:
        """Return the sums of the first number, of the first two, and so on."""
        none, whole = ir.Constant(NUMBERS, [0] * LANES), numbers
        for off in (1, 2, 4):
            moved = self.shuffled(none, whole, list(range(LANES - off, 2 * LANES - off)))
            whole = self.builder.add(whole, moved)
        return whole

    def beside_each_other(self, low: Any, high: Any) -> Any:
        """Return the upper bytes of two vectors of numbers, those of the first in the lower bytes."""
        build = self.builder
        return build.or_(build.lshr(low, self.numbers(8)), build.and_(high, self.numbers(0xFF00)))

    def zipped(self, one: Any, other: Any) -> tuple[Any, Any]:
        """Return the elements of two vectors in turns: the first half of them, and the second."""
        count = one.type.count
        turns = [lane + side for lane in range(count) for side in (0, count)]
        return self.shuffled(one, other, turns[:count]), self.shuffled(one, other, turns[count:])
