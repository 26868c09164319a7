"""Pictures laid over others and mixed, in whole numbers and in one pass over memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.videos.perturb.drawing.compiled import (
    BYTES,
    FLAT,
    LONG,
    PAIR,
    SHORTS,
    Bytes,
    Flat,
    Pair,
    Shorts,
    U,
    add,
    compiled,
    flat,
    inlined,
    mul,
    shr,
    sub,
)
from harness.videos.perturb.drawing.planes import Plane


def cut_out(target: Plane, person: Plane, weight: Plane) -> None:
    """Lay `weight` of 255 of another picture over the target; planes of one size."""
    _cut_out(flat(target), flat(person), flat(weight), target.shape)


def laid_on(target: Plane, kept: Plane, more: Plane) -> None:
    """Keep a share of 255 of the target and add to it what was multiplied by its own; planes of one size."""
    _lay_on(flat(target), flat(kept), flat(more), target.shape)


@inlined
def over_255(product: Any) -> Any:
    """Divide by 255, rounded: exact for all that 255 times 255 holds."""
    whole = add(product, 128)
    return shr(add(whole, shr(whole, 8)), 8)


@inlined
def _share(sample: Any, weight: Any) -> Any:
    return over_255(mul(sample, weight))


@compiled(FLAT, FLAT, FLAT, PAIR)
def _cut_out(target_plane: Flat, person_plane: Flat, weight_plane: Flat, shape: Pair) -> None:
    (target, stride), (person, step), (weights, every) = target_plane, person_plane, weight_plane
    for y in range(U(shape[0])):
        here, there, own = U(stride) * y, U(step) * y, U(every) * y
        for x in range(U(shape[1])):
            weight = weights[own + x]
            room = _share(target[here + x], sub(255, weight))
            target[here + x] = np.uint8(add(room, _share(person[there + x], weight)))


@compiled(FLAT, FLAT, FLAT, PAIR)
def _lay_on(target_plane: Flat, kept_plane: Flat, more_plane: Flat, shape: Pair) -> None:
    (target, stride), (kept, step), (more, every) = target_plane, kept_plane, more_plane
    for y in range(U(shape[0])):
        here, there, own = U(stride) * y, U(step) * y, U(every) * y
        for x in range(U(shape[1])):
            whole = add(_share(target[here + x], kept[there + x]), more[own + x])
            target[here + x] = np.uint8(min(whole, np.uint16(255)))


def faded(source: Plane, target: Plane, kept: Plane, colour: int) -> None:
    """Mix every sample with one colour: `kept` of it stays, of 255. Planes of one size."""
    _fade(flat(source), flat(target), flat(kept), source.shape, colour)


@compiled(FLAT, FLAT, FLAT, PAIR, LONG)
def _fade(source_plane: Flat, target_plane: Flat, kept_plane: Flat, shape: Pair, colour: int) -> None:
    (source, step), (target, stride), (kept, every) = source_plane, target_plane, kept_plane
    for y in range(U(shape[0])):
        here, there, weights = U(step) * y, U(stride) * y, U(every) * y
        for x in range(U(shape[1])):
            weight = kept[weights + x]
            whole = add(mul(source[here + x], weight), mul(colour, sub(255, weight)))
            target[there + x] = np.uint8(over_255(whole))


def laid(target: Plane, above: Plane, weight: Shorts) -> None:
    """Lay a plane over another, with weights of 0 to 256; of one size."""
    _lay(flat(target), np.ascontiguousarray(above).ravel(), np.ascontiguousarray(weight).ravel(), above.shape)


@compiled(FLAT, BYTES, SHORTS, PAIR)
def _lay(target_plane: Flat, above: Bytes, weight: Shorts, shape: Pair) -> None:
    (target, stride), (height, width) = target_plane, shape
    for y in range(U(height)):
        row, own = U(stride) * y, U(width) * y
        for x in range(U(width)):
            part = weight[own + x]
            below = mul(target[row + x], sub(256, part))
            target[row + x] = np.uint8(shr(add(add(below, mul(above[own + x], part)), 128), 8))


def mixed(one: Plane, other: Plane, target: Plane, weight: int) -> None:
    """Mix two planes: `weight` is the share of the first, of 256. Planes of one size."""
    _mix(flat(one), flat(other), flat(target), one.shape, weight)


@compiled(FLAT, FLAT, FLAT, PAIR, LONG)
def _mix(one_plane: Flat, other_plane: Flat, target_plane: Flat, shape: Pair, weight: int) -> None:
    (one, step), (other, every), (target, stride) = one_plane, other_plane, target_plane
    for y in range(U(shape[0])):
        here, beside, there = U(step) * y, U(every) * y, U(stride) * y
        for x in range(U(shape[1])):
            whole = add(mul(one[here + x], weight), mul(other[beside + x], sub(256, weight)))
            target[there + x] = np.uint8(shr(add(whole, 128), 8))
