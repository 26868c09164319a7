"""What coding as a JPEG takes from a picture, without the coding: blocks of eight, transformed and rounded.

JPEG's loss is in its quantiser alone (ITU-T T.81, A.3); what is written comes out as it was. So nothing is
written. The transform is that of Arai, Agui and Nakajima (1988), whose factors at the ends are part of the
tables; in single precision, each operation rounded by itself, so that every processor finds the same.
Imports numba: see `compiled`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from harness.videos.perturb.drawing.compiled import PAIR, Pair, U, called, compiled, inlined
from harness.videos.perturb.drawing.planes import Plane, Planes
from harness.videos.perturb.steps import Canvas, Redraw

Floats = NDArray[np.float32]
Words = NDArray[np.uint32]
Tables = tuple[Floats, Floats, Floats]  # for each of the numbers that are in the lanes
FLOATS, WORDS = types.Array(types.float32, 1, "C"), types.Array(types.uint32, 1, "C")
THREE: Any = types.UniTuple(FLOATS, 3)  # type: ignore[no-untyped-call]
SIDE = 8  # samples of a block
LANES = 16  # blocks that are transformed at once, side by side
CHUNK = SIDE * LANES  # samples of a row
ROWS = 8 * SIDE  # that are worked on in a row: they stay in the cache
TABLES, PICTURE = 0xDB, 0xC0  # what a JPEG marks so: quantisation tables, and a baseline picture
# What Arai's transform leaves to the tables, for each place of a row or a column.
OWN = (1.0, 1.387039845, 1.306562965, 1.175875602, 1.0, 0.785694958, 0.5411961, 0.275899379)
HALF_ROOT, SMALL, LESS, MORE = (
    np.float32(value) for value in (0.707106781, 0.382683433, 0.5411961, 1.306562965)
)
ROOT, WIDE, NEAR, FAR = (np.float32(value) for value in (1.414213562, 1.847759065, 1.0823922, -2.61312593))
SLACK = 1 / 8  # of a step: libav's encoder rounds up from five eighths, which takes fewer bits
WHOLE = np.float32(12_582_912)  # 1.5 times 2**23: what is added to it becomes a whole number
NONE, MOST, HALF = np.float32(0), np.float32(255), np.float32(0.5)


@dataclass(frozen=True, kw_only=True)
class Jpegs:
    """Every picture as it comes out of a JPEG."""

    luma: tuple[int, ...]  # the steps to which a block's 64 numbers are rounded, row by row
    colour: tuple[int, ...]

    def start(self, canvas: Canvas) -> Redraw:
        """Keep room for a few rows."""
        luma, colour = scaled(self.luma), scaled(self.colour)
        rooms: dict[int, Plane] = {}

        def draw(source: Planes, target: Planes, index: int) -> None:
            quantised([source.y], [target.y], luma, rooms)
            quantised([source.u, source.v], [target.u, target.v], colour, rooms)

        return Redraw(draw)

    @staticmethod
    def of(content: bytes) -> Jpegs:
        """Take the steps of a JPEG's first two components (ITU-T T.81, B.2.2 and B.2.4.1)."""
        tables: dict[int, tuple[int, ...]] = {}
        at = 2
        while content[at + 1] != PICTURE:
            length = int.from_bytes(content[at + 2 : at + 4], "big")
            if content[at + 1] == TABLES:
                body = content[at + 4 : at + 2 + length]
                for begin in range(0, len(body), 65):
                    steps = dict(zip(_zigzag(), body[begin + 1 : begin + 65], strict=True))
                    tables[body[begin] & 15] = tuple(steps[place] for place in range(64))
            at += 2 + length
        # Each component is a name, its sampling and its table.
        return Jpegs(luma=tables[content[at + 12]], colour=tables[content[at + 15]])


def _zigzag() -> list[int]:
    """Return where in rows each of a block's numbers belongs, in the order in which a JPEG writes them."""
    places = [(x + y, y if (x + y) % 2 else x, y * SIDE + x) for y in range(SIDE) for x in range(SIDE)]
    return [place for _, _, place in sorted(places)]


def quantised(
    sources: Sequence[Plane], targets: Sequence[Plane], tables: Tables, rooms: dict[int, Plane]
) -> None:
    """Round planes of one shape as one JPEG does each of them; what a last block lacks repeats its end.

    `rooms` is kept by the caller for the next picture.
    """
    height, width = sources[0].shape
    own = -(-width // SIDE) * SIDE
    row = -(-own * len(sources) // CHUNK) * CHUNK
    if row not in rooms:
        rooms[row] = np.zeros((ROWS, row), np.uint8)
    room = rooms[row]
    words, lanes = room.reshape(-1).view(np.uint32), np.empty(SIDE * SIDE * LANES, np.float32)
    for top in range(0, height, ROWS):
        count = min(ROWS, height - top)
        lines = -(-count // SIDE)
        for number, source in enumerate(sources):
            part = room[: lines * SIDE, number * own : (number + 1) * own]
            part[:count, :width] = source[top : top + count]
            part[:count, width:] = part[:count, width - 1 : width]
            part[count:] = part[count - 1]
        _quantise(words, (lines, row // CHUNK), lanes, tables)
        for number, target in enumerate(targets):
            target[top : top + count] = room[:count, number * own : number * own + width]


def scaled(steps: tuple[int, ...]) -> Tables:
    """Return by what a block's numbers are multiplied, how far drawn to 0 to be rounded, and multiplied."""
    own, table = np.outer(OWN, OWN).reshape(-1), np.array(steps, np.float64)
    slack = np.full(table.shape, SLACK)
    slack[0] = 0  # a block's mean is rounded as ever
    tables = (1 / (SIDE * own * table), slack, table * own / SIDE)
    first, second, third = (np.repeat(each.astype(np.float32), LANES) for each in tables)
    return first, second, third


@called
def _unpacked(words: Words, first: Any, room: Floats, begin: Any) -> None:
    """Spread a row of bytes: each block's into a lane of its own."""
    for x in range(U(LANES)):
        low, high = words[first + U(2) * x], words[first + U(2) * x + U(1)]
        room[begin + x] = np.float32(np.int32(low & 255))
        room[begin + U(LANES) + x] = np.float32(np.int32((low >> 8) & 255))
        room[begin + U(2 * LANES) + x] = np.float32(np.int32((low >> 16) & 255))
        room[begin + U(3 * LANES) + x] = np.float32(np.int32((low >> 24) & 255))
        room[begin + U(4 * LANES) + x] = np.float32(np.int32(high & 255))
        room[begin + U(5 * LANES) + x] = np.float32(np.int32((high >> 8) & 255))
        room[begin + U(6 * LANES) + x] = np.float32(np.int32((high >> 16) & 255))
        room[begin + U(7 * LANES) + x] = np.float32(np.int32((high >> 24) & 255))


@inlined
def _byte(value: Any) -> Any:
    clipped = value if value > NONE else NONE
    clipped = clipped if clipped < MOST else MOST
    return np.int32(clipped + HALF)


@called
def _packed(room: Floats, begin: Any, words: Words, first: Any) -> None:
    """Round what is in the lanes, and write it as a row of bytes."""
    for x in range(U(LANES)):
        low = _byte(room[begin + x]) | (_byte(room[begin + U(LANES) + x]) << 8)
        low |= _byte(room[begin + U(2 * LANES) + x]) << 16
        low |= _byte(room[begin + U(3 * LANES) + x]) << 24
        high = _byte(room[begin + U(4 * LANES) + x]) | (_byte(room[begin + U(5 * LANES) + x]) << 8)
        high |= _byte(room[begin + U(6 * LANES) + x]) << 16
        high |= _byte(room[begin + U(7 * LANES) + x]) << 24
        words[first + U(2) * x], words[first + U(2) * x + U(1)] = np.uint32(low), np.uint32(high)


@called
def _forward(room: Floats, first: Any, step: Any) -> None:
    """Transform eight numbers of each lane, which are `step` apart."""
    for x in range(U(LANES)):
        at = first + x
        a, b, c, d = room[at], room[at + step], room[at + U(2) * step], room[at + U(3) * step]
        h, g = room[at + U(7) * step], room[at + U(6) * step]
        f, e = room[at + U(5) * step], room[at + U(4) * step]
        # Sums and differences of what lies alike on both sides of the middle.
        outer, inner, middle, next_middle = a + h, b + g, d + e, c + f
        even, odd = outer + middle, outer - middle
        other, rest = inner + next_middle, inner - next_middle
        turned = (rest + odd) * HALF_ROOT
        room[at], room[at + U(4) * step] = even + other, even - other
        room[at + U(2) * step], room[at + U(6) * step] = odd + turned, odd - turned
        near, between, far = (d - e) + (c - f), (c - f) + (b - g), (b - g) + (a - h)
        shared, half = (near - far) * SMALL, between * HALF_ROOT
        low, high = LESS * near + shared, MORE * far + shared
        more, less = (a - h) + half, (a - h) - half
        room[at + U(5) * step], room[at + U(3) * step] = less + low, less - low
        room[at + step], room[at + U(7) * step] = more + high, more - high


@called
def _back(room: Floats, first: Any, step: Any) -> None:
    """Transform back eight numbers of each lane, which are `step` apart."""
    for x in range(U(LANES)):
        at = first + x
        a, c = room[at], room[at + U(2) * step]
        e, g = room[at + U(4) * step], room[at + U(6) * step]
        both, apart, sides = a + e, a - e, c + g
        turned = (c - g) * ROOT - sides
        outer, middle, inner, next_middle = both + sides, both - sides, apart + turned, apart - turned
        b, d = room[at + step], room[at + U(3) * step]
        f, h = room[at + U(5) * step], room[at + U(7) * step]
        more, less, wide, near = f + d, f - d, b + h, b - h
        first_odd = wide + more
        shared = (less + near) * WIDE
        second_odd = FAR * less + shared - first_odd
        third_odd = (wide - more) * ROOT - second_odd
        fourth_odd = NEAR * near - shared + third_odd
        room[at], room[at + U(7) * step] = outer + first_odd, outer - first_odd
        room[at + step], room[at + U(6) * step] = inner + second_odd, inner - second_odd
        room[at + U(2) * step], room[at + U(5) * step] = next_middle + third_odd, next_middle - third_odd
        room[at + U(4) * step], room[at + U(3) * step] = middle + fourth_odd, middle - fourth_odd


@called
def _rounded(room: Floats, down: Floats, slack: Floats, up: Floats) -> None:
    for at in range(U(SIDE * SIDE * LANES)):
        share = room[at] * down[at]
        least, most = -slack[at], slack[at]
        near = share if share > least else least
        near = near if near < most else most
        room[at] = ((share - near) + WHOLE - WHOLE) * up[at]


@compiled(WORDS, PAIR, FLOATS, THREE)
def _quantise(words: Words, blocks: Pair, room: Floats, tables: Tables) -> None:
    (lines, chunks), (down, slack, up) = blocks, tables
    pitch = U(chunks * (CHUNK // 4))  # words from a row to the next
    for line in range(U(lines)):
        for chunk in range(U(chunks)):
            first = line * U(SIDE) * pitch + chunk * U(CHUNK // 4)
            for y in range(U(SIDE)):
                _unpacked(words, first + y * pitch, room, y * U(CHUNK))
            for y in range(U(SIDE)):
                _forward(room, y * U(CHUNK), U(LANES))
            for x in range(U(SIDE)):
                _forward(room, x * U(LANES), U(CHUNK))
            _rounded(room, down, slack, up)
            for x in range(U(SIDE)):
                _back(room, x * U(LANES), U(CHUNK))
            for y in range(U(SIDE)):
                _back(room, y * U(CHUNK), U(LANES))
            for y in range(U(SIDE)):
                _packed(room, y * U(CHUNK), words, first + y * pitch)
