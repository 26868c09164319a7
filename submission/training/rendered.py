"""What render.py wrote, read back: pairs of real and fake crops that went through encoders and the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from augment import MARGINS, SHIFT, TEST_MARGIN, Disguise, cut_square, resize
from data import DISGUISED, Batch
from fakes import Crop
from numpy.typing import NDArray

RENDERED_MARGIN = 1.65  # render.py's


@dataclass(frozen=True, kw_only=True, eq=False)
class Rendered:
    """The pairs of one clip and round: real and fake are (pairs, frames, side, side, 3) RGB uint8."""

    clip: str
    real: NDArray[np.uint8]
    fake: NDArray[np.uint8]
    methods: tuple[str, ...]


def read_rendered(folder: Path) -> list[Rendered]:
    """One entry per clip and round, in order of name; rounds in which every face was lost are left out."""
    out = []
    for path in sorted(folder.glob("*.*.npz")):
        if path.stem.endswith(".part"):
            continue
        with np.load(path) as file:
            if len(file["real"]):
                out.append(
                    Rendered(
                        clip=path.stem.rsplit(".", 1)[0],
                        real=file["real"],
                        fake=file["fake"],
                        methods=tuple(str(m) for m in file["methods"]),
                    )
                )
    return out


def rendered_batch(
    rendered: Sequence[Rendered], *, pairs: int, size: int, key: Sequence[int], augment: bool = True
) -> Batch:
    """Draws `pairs` rendered pairs, one frame of each; what a video goes through is in them already.

    Args:
        rendered: to draw from.
        pairs: the batch has twice as many rows.
        size: of the crops, in pixels.
        key: seeds the draw; the same key gives the same batch.
        augment: whether squares are cut and mirrored at random, rather than the entry's own square.
    """
    rng = np.random.default_rng(list(key))
    weights = np.array([len(r.methods) for r in rendered], np.float64)
    crops, used, clips = [], [], []
    for _ in range(pairs):
        one = rendered[rng.choice(len(rendered), p=weights / weights.sum())]
        pair, frame = rng.integers(len(one.methods)), rng.integers(one.real.shape[1])
        margin, shift = float(rng.uniform(*MARGINS)), rng.uniform(-SHIFT, SHIFT, 2)
        mirrored, disguised = bool(rng.random() < 0.5), rng.random() < DISGUISED
        disguise = Disguise.draw(rng)
        for twin in (one.real[pair, frame], one.fake[pair, frame]):
            if augment:
                shown = disguise.put_on(twin) if disguised else twin
                crops.append(finish(shown, margin, shift, mirrored=mirrored, size=size))
            else:
                crops.append(finish(twin, size=size))
        used += ["real", one.methods[pair]]
        clips += [one.clip] * 2
    labels = np.tile(np.array([0, 1], np.float32), pairs)
    return Batch(crops=np.stack(crops), labels=labels, methods=tuple(used), clips=tuple(clips))


def finish(
    crop: Crop,
    margin: float = TEST_MARGIN,
    shift: NDArray[np.float64] | None = None,
    *,
    mirrored: bool = False,
    size: int,
) -> Crop:
    """Cuts a square out of a rendered crop, the entry's own by default, and scales it to `size`."""
    square = cut_square(crop, margin, np.zeros(2) if shift is None else shift, of=RENDERED_MARGIN)
    return resize(square[:, ::-1] if mirrored else square, size)
