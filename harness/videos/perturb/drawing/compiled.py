"""Loops over samples as machine code: numba, and the arithmetic that it does not have.

Only what every processor rounds alike: whole numbers, and +, -, *, / and rint of fractions. numba joins none
of them into one, as long as nobody asks for fast mathematics.
Import it where it is used: numba takes half a second to load, and a command that draws nothing needs none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numpy.typing import NDArray

from harness.core.errors import InfrastructureError
from harness.core.locks import exclusive, machine_folder
from harness.videos.perturb.drawing.planes import Plane
from harness.videos.perturb.drawing.vectors import Vectors

Function = TypeVar("Function", bound=Callable[..., Any])
Operation = Callable[[Any, Any], Any]

BYTES, INTS, LONG = types.Array(types.uint8, 1, "C"), types.Array(types.int32, 1, "C"), types.int64
SHORTS = types.Array(types.uint16, 1, "C")
FLAT: Any = types.Tuple((BYTES, LONG))  # type: ignore[no-untyped-call]  # what `flat` returns
PLANE = types.Array(types.uint8, 2, "A")  # as it is, rows apart or not: see `memory`
PAIR: Any = types.UniTuple(LONG, 2)  # type: ignore[no-untyped-call]  # a shape, for one
Bytes = NDArray[np.uint8]
Shorts = NDArray[np.uint16]
Ints = NDArray[np.int32]
Flat = tuple[Bytes, int]
Pair = tuple[int, int]
LOOK_AGAIN_SECONDS = 0.05  # whether another process has compiled what is wanted
APART = "a plane's samples must follow each other in memory"
_NJIT: Any = njit  # its types do not know `_nrt`
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
U = np.uintp  # an index that is not looked at twice: numba counts others from the end if they are negative


def compiled(*arguments: Any) -> Callable[[Function], Function]:
    """Compile a function for these types of arguments when it is first called, or take it from the cache.

    What is compiled counts no references to arrays, which takes as long as a short row does: it can make no
    arrays of its own.
    The cache is kept beside the module, or in the user's cache if that is read-only. A process that can write
    to neither compiles for itself. Of several processes one compiles; the others wait, and take what it made.
    """

    def compile_it(function: Function) -> Function:
        signature, made = types.void(*arguments), list[Function]()

        @wraps(function)
        def call(*values: Any) -> None:
            if not made:
                with _alone(f"{function.__module__}.{function.__qualname__}"):
                    made.append(_compile(function, signature))
            made[0](*values)

        return cast("Function", call)

    return compile_it


@cache
def _edition() -> str:
    """Return what stands for everything that loops are made of: numba looks at a loop's own module alone."""
    digest = hashlib.sha256()
    for module in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()[:12]


def _compile(function: Function, signature: Any) -> Function:
    function.__qualname__ += f"-{_edition()}"  # the name in the cache
    try:
        made = _NJIT(signature, cache=True, nogil=True, error_model="numpy", _nrt=False)(function)
    except RuntimeError as error:
        if "no locator" not in str(error):
            raise
        made = _NJIT(signature, nogil=True, error_model="numpy", _nrt=False)(function)
    return cast("Function", made)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Be the only process of this machine that compiles this function, if locks can be kept here."""
    with ExitStack() as held:
        with suppress(InfrastructureError):
            path = machine_folder() / f"compiling-{_UNSAFE.sub('-', name)}.lock"
            held.enter_context(exclusive(path, every_seconds=LOOK_AGAIN_SECONDS))
        yield


def inlined(function: Function) -> Function:
    """Let compiled functions call this one."""
    return cast("Function", _NJIT(inline="always", error_model="numpy", _nrt=False)(function))


def called(function: Function) -> Function:
    """Let compiled functions call this one as a whole: among many others its loops may become no vectors."""
    return cast("Function", _NJIT(error_model="numpy", _nrt=False)(function))


def narrow(name: str, result: types.Integer) -> Operation:
    """Make an operation of two numbers that wraps round as its result's type does.

    numba does all arithmetic in 64 bits, of which a vector holds a quarter as many as of 16.
    """

    @intrinsic  # type: ignore[untyped-decorator, unused-ignore]
    def operation(_: Any, one: Any, other: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, __: Any, values: Any) -> Any:
            pair = (
                context.cast(builder, value, kind, result)
                for value, kind in zip(values, (one, other), strict=True)
            )
            return getattr(builder, name)(*pair)

        return result(one, other), generate

    return cast("Operation", operation)


add, sub, mul, shr = (narrow(name, types.uint16) for name in ("add", "sub", "mul", "lshr"))


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _high(_: Any, one: Any, other: Any) -> Any:
    """Return the upper 16 of the 32 bits of a product of two numbers of 16."""

    def generate(context: Any, builder: ir.IRBuilder, __: Any, values: Any) -> Any:
        both = (
            builder.zext(context.cast(builder, value, kind, types.uint16), ir.IntType(32))
            for value, kind in zip(values, (one, other), strict=True)
        )
        return builder.trunc(
            builder.lshr(builder.mul(*both), ir.Constant(ir.IntType(32), 16)), ir.IntType(16)
        )

    return types.uint16(one, other), generate


high = cast("Operation", _high)


def _prefetch(_: Any, source: Any, place: Any) -> Any:
    """Ask the memory for a byte that is going to be read: a walk across rows is none that it foresees."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, values[0])
        Vectors.of(context, builder).fetch(array, values[1])
        return context.get_dummy_value()

    return types.void(source, place), generate


prefetch: Any = intrinsic(_prefetch)


def _memory(_: Any, plane: Any) -> Any:
    """Return a plane's memory from its first sample to its last, and the bytes from a row to the next.

    As `flat` does, but within what is compiled: outside, it takes longer than drawing something small.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        given = context.make_array(signature.args[0])(context, builder, values[0])
        height, width = cgutils.unpack_tuple(builder, given.shape, 2)  # type: ignore[no-untyped-call]
        step, beside = cgutils.unpack_tuple(builder, given.strides, 2)  # type: ignore[no-untyped-call]
        one = ir.Constant(step.type, 1)
        apart = builder.icmp_signed("!=", beside, one)
        short = builder.icmp_signed("<", step, width)
        with builder.if_then(builder.or_(apart, short), likely=False):
            context.call_conv.return_user_exc(builder, ValueError, (APART,))
        length = builder.add(builder.mul(builder.sub(height, one), step), width)
        result = context.make_array(signature.return_type[0])(context, builder)
        populate_array(  # type: ignore[no-untyped-call]
            result,
            data=given.data,
            shape=cgutils.pack_array(builder, [length]),  # type: ignore[no-untyped-call]
            strides=cgutils.pack_array(builder, [one]),  # type: ignore[no-untyped-call]
            itemsize=given.itemsize,
            meminfo=None,  # whoever called holds the plane
        )
        return context.make_tuple(builder, signature.return_type, [result._getvalue(), step])

    return FLAT(plane), generate


memory: Any = intrinsic(_memory)


def flat(plane: Plane) -> Flat:
    """Return a plane's memory from its first sample to its last, and the bytes from a row to the next."""
    height, width = plane.shape
    if plane.flags.c_contiguous:
        return plane.reshape(-1), width
    stride = plane.strides[0]
    if plane.strides[1] != 1 or stride < width:
        raise ValueError(APART)
    length = (height - 1) * stride + width
    return np.lib.stride_tricks.as_strided(plane, (length,), (1,)), stride
