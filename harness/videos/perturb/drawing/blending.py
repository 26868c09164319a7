"""Pictures laid over others and mixed, in whole numbers and in one pass over memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.videos.perturb.drawing.compiled import (
    LONG,
    PAIR,
    PLANE,
    SHORTS,
    Pair,
    Shorts,
    U,
    add,
    called,
    compiled,
    inlined,
    memory,
    mul,
    shr,
    sub,
)
from harness.videos.perturb.drawing.planes import Plane, Planes


def cut_out(target: Plane, person: Plane, weight: Plane) -> None:
    """Lay `weight` of 255 of another picture over the target; planes of one size."""
    _cut_out(target, person, weight, target.shape)


def laid_on(target: Plane, kept: Plane, more: Plane) -> None:
    """Keep a share of 255 of the target and add to it what was multiplied by its own; planes of one size."""
    _lay_on(target, kept, more, target.shape)


@inlined
def over_255(product: Any) -> Any:
    """Divide by 255, rounded: exact for all that 255 times 255 holds."""
    whole = add(product, 128)
    return shr(add(whole, shr(whole, 8)), 8)


@inlined
def _share(sample: Any, weight: Any) -> Any:
    return over_255(mul(sample, weight))


@compiled(PLANE, PLANE, PLANE, PAIR)
def _cut_out(target_plane: Plane, person_plane: Plane, weight_plane: Plane, shape: Pair) -> None:
    (target, stride), (person, step), (weights, every) = (
        memory(target_plane),
        memory(person_plane),
        memory(weight_plane),
    )
    for y in range(U(shape[0])):
        here, there, own = U(stride) * y, U(step) * y, U(every) * y
        for x in range(U(shape[1])):
            weight = weights[own + x]
            room = _share(target[here + x], sub(255, weight))
            target[here + x] = np.uint8(add(room, _share(person[there + x], weight)))


@compiled(PLANE, PLANE, PLANE, PAIR)
def _lay_on(target_plane: Plane, kept_plane: Plane, more_plane: Plane, shape: Pair) -> None:
    (target, stride), (kept, step), (more, every) = (
        memory(target_plane),
        memory(kept_plane),
        memory(more_plane),
    )
    for y in range(U(shape[0])):
        here, there, own = U(stride) * y, U(step) * y, U(every) * y
        for x in range(U(shape[1])):
            whole = add(_share(target[here + x], kept[there + x]), more[own + x])
            target[here + x] = np.uint8(min(whole, np.uint16(255)))


def faded(source: Plane, target: Plane, kept: Plane, colour: int) -> None:
    """Mix every sample with one colour: `kept` of it stays, of 255. Planes of one size."""
    _fade(source, target, kept, source.shape, colour)


@compiled(PLANE, PLANE, PLANE, PAIR, LONG)
def _fade(source_plane: Plane, target_plane: Plane, kept_plane: Plane, shape: Pair, colour: int) -> None:
    (source, step), (target, stride), (kept, every) = (
        memory(source_plane),
        memory(target_plane),
        memory(kept_plane),
    )
    for y in range(U(shape[0])):
        here, there, weights = U(step) * y, U(stride) * y, U(every) * y
        for x in range(U(shape[1])):
            weight = kept[weights + x]
            whole = add(mul(source[here + x], weight), mul(colour, sub(255, weight)))
            target[there + x] = np.uint8(over_255(whole))


def lightened(plane: Plane, levels: int) -> None:
    """Add so many levels to every sample, or take them away if there are fewer than none, within 0 to 255."""
    _lighten(plane, plane.shape, min(255, max(0, levels)), min(255, max(0, -levels)))


@compiled(PLANE, PAIR, LONG, LONG)
def _lighten(plane: Plane, shape: Pair, more: int, less: int) -> None:
    samples, stride = memory(plane)
    for y in range(U(shape[0])):
        here = U(stride) * y
        for x in range(U(shape[1])):
            whole = min(add(samples[here + x], more), np.uint16(255))
            samples[here + x] = np.uint8(sub(max(whole, np.uint16(less)), less))


def pasted(onto: Planes, above: Planes, weights: tuple[Shorts, Shorts], left: int, top: int) -> None:
    """Lay a picture over another from (left, top) on, even numbers, cut off at the borders.

    `weights` are 0 to 256 for each of its samples, in one piece of memory: of luma, of colour.
    """
    _paste(*onto.all, *above.all, *weights, left, top)


@called
def _lay(target_plane: Plane, above_plane: Plane, weight: Shorts, left: int, top: int) -> None:
    (target, stride), (above, step) = memory(target_plane), memory(above_plane)
    (height, width), (rows, columns) = above_plane.shape, target_plane.shape
    first, last = max(0, left), min(columns, left + width)
    for y in range(max(0, top), min(rows, top + height)):
        here, there = U(stride * y + first), U(step * (y - top) + first - left)
        own = U(width * (y - top) + first - left)
        for x in range(U(max(0, last - first))):
            part = weight[own + x]
            below = mul(target[here + x], sub(256, part))
            target[here + x] = np.uint8(shr(add(add(below, mul(above[there + x], part)), 128), 8))


@compiled(PLANE, PLANE, PLANE, PLANE, PLANE, PLANE, SHORTS, SHORTS, LONG, LONG)
def _paste(
    y: Plane,
    u: Plane,
    v: Plane,
    above: Plane,
    above_u: Plane,
    above_v: Plane,
    weight: Shorts,
    half: Shorts,
    left: int,
    top: int,
) -> None:
    _lay(y, above, weight, left, top)
    _lay(u, above_u, half, left // 2, top // 2)
    _lay(v, above_v, half, left // 2, top // 2)


def mixed(one: Plane, other: Plane, target: Plane, weight: int) -> None:
    """Mix two planes: `weight` is the share of the first, of 256. Planes of one size."""
    _mix(one, other, target, one.shape, weight)


@compiled(PLANE, PLANE, PLANE, PAIR, LONG)
def _mix(one_plane: Plane, other_plane: Plane, target_plane: Plane, shape: Pair, weight: int) -> None:
    (one, step), (other, every), (target, stride) = (
        memory(one_plane),
        memory(other_plane),
        memory(target_plane),
    )
    for y in range(U(shape[0])):
        here, beside, there = U(step) * y, U(every) * y, U(stride) * y
        for x in range(U(shape[1])):
            whole = add(mul(one[here + x], weight), mul(other[beside + x], sub(256, weight)))
            target[there + x] = np.uint8(shr(add(whole, 128), 8))
