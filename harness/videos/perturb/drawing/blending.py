"""Drawings and people blended into pictures: shares of 255, in place, in one pass over memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.videos.perturb.drawing.compiled import (
    BYTES,
    FLAT,
    PAIR,
    Bytes,
    Flat,
    Pair,
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


def dimmed(plane: Plane, gain: Plane, rows: Plane) -> None:
    """Keep, in place, a share of 255 of every sample, and of that the row's share of 255."""
    _dim(flat(plane), flat(gain), rows, plane.shape)


@inlined
def _share(sample: Any, weight: Any) -> Any:
    """Divide a product by 255, rounded: exact for all that fits 16 bits."""
    whole = add(mul(sample, weight), 128)
    return shr(add(whole, shr(whole, 8)), 8)


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


@compiled(FLAT, FLAT, BYTES, PAIR)
def _dim(plane: Flat, gain_plane: Flat, rows: Bytes, shape: Pair) -> None:
    (samples, stride), (gain, step) = plane, gain_plane
    for y in range(U(shape[0])):
        here, own, row = U(stride) * y, U(step) * y, rows[y]
        for x in range(U(shape[1])):
            samples[here + x] = np.uint8(_share(_share(samples[here + x], gain[own + x]), row))
