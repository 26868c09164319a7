"""Pictures packed into arrays of bytes, so that a cache of thousands of crops is some tens of megabytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

# WebP's traces are in real and fake crops alike; at 92 they are far below those of the videos' own encoders.
QUALITY = 92

Crop = NDArray[np.uint8]


def pack(name: str, pictures: Sequence[Crop]) -> dict[str, NDArray[np.generic]]:
    """Arrays `<name>_bytes` and `<name>_ends` that hold RGB pictures."""
    coded = [
        cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].ravel()
        for picture in pictures
    ]
    return {
        f"{name}_bytes": np.concatenate([*coded, np.empty(0, np.uint8)]),
        f"{name}_ends": np.cumsum([len(one) for one in coded], dtype=np.int64),
    }


def unpack(name: str, arrays: Mapping[str, NDArray[np.generic]]) -> list[Crop]:
    """The pictures that `pack` put under a name.

    Raises:
        ValueError: a picture cannot be decoded.
    """
    data, ends = np.asarray(arrays[f"{name}_bytes"], np.uint8), arrays[f"{name}_ends"]
    pictures: list[Crop] = []
    begin = 0
    for end in (int(e) for e in ends):
        picture = cv2.imdecode(data[begin:end], cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f"picture {len(pictures)} of {name} cannot be decoded: make the cache again")
        pictures.append(np.ascontiguousarray(picture[..., ::-1], np.uint8))
        begin = end
    return pictures


def save(target: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    """Writes an .npz beside its place and renames it: what is there is whole."""
    partial = target.with_suffix(".part.npz")
    np.savez(partial, allow_pickle=False, **arrays)
    partial.rename(target)
