"""Batches of aligned real and fake crops, and identity-disjoint folds.

Everything is a function of (seed, step): a resumed run sees the very batches that it would have seen.

Not covered: anything that needs more than one frame.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from fakes import METHODS, Crop, RealFace, Resynthesis, compress
from numpy.typing import NDArray

CACHE_MARGIN = 1.9  # prepare.py's
RENDERED_MARGIN = 1.65  # render.py's
TEST_MARGIN = 1.35  # the entry's: detector.models.MemberConfig.margin
FOLDS = 5
MARGINS = (1.2, 1.55)  # of the squares cut for training, in units of the face box
SHIFT = 0.06  # of the square's side
NATIVE = (48, 224)  # side in pixels to which half of the squares are shrunk: faces in small videos
JPEG_QUALITY = (30, 95)
CUT_OUT = 0.15  # of the pairs lose an eye, the nose or the mouth: no single part may carry the answer
MIX = 0.15  # of the pairs: the fake is mixed with its real twin, and so is its label
METHOD_SHARES = {"self_blended": 0.4, "swapped": 0.3, "resynthesis": 0.15, "warped": 0.15}


@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """The faces of one clip, and who is seen: clips of one identity never fall into different folds."""

    clip: str
    identity: str
    faces: tuple[RealFace, ...]
    resynthesis: Resynthesis


@dataclass(frozen=True, kw_only=True, eq=False)
class Rendered:
    """render.py's pairs of one clip: real and fake are (pairs, frames, side, side, 3) RGB uint8."""

    clip: str
    real: NDArray[np.uint8]
    fake: NDArray[np.uint8]
    methods: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """crops (n, size, size, 3) RGB uint8; labels (n,): 1 for fake, between where mixed.

    Rows 2i and 2i + 1 are a pair, the real one first.
    """

    crops: NDArray[np.uint8]
    labels: NDArray[np.float32]
    methods: tuple[str, ...]
    clips: tuple[str, ...]


def read_identities(path: Path | None) -> dict[str, str]:
    """Clip name to identity, from JSON; empty where every clip shows somebody else."""
    return {} if path is None else dict(json.loads(path.read_text()))


def read_cache(folder: Path, identities: Mapping[str, str]) -> list[Person]:
    """Reads what prepare.py wrote.

    Args:
        folder: of .npz files.
        identities: clip name to identity; a clip that is not named is an identity of its own.

    Raises:
        ValueError: fewer than two clips with faces: a swap needs two persons.
    """
    persons = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            faces = tuple(
                RealFace(crop=crop, landmarks=points)
                for crop, points in zip(file["crops"], file["landmarks"], strict=True)
            )
        if len(faces) >= 4:
            identity = identities.get(path.stem, path.stem)
            persons.append(
                Person(clip=path.stem, identity=identity, faces=faces, resynthesis=Resynthesis(faces))
            )
    if len({p.identity for p in persons}) < 2:
        raise ValueError(f"{folder} holds fewer than two persons: run prepare.py on more clips")
    return persons


def read_rendered(folder: Path) -> list[Rendered]:
    """Reads what render.py wrote, one entry per clip and round."""
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


def split(
    persons: Sequence[Person], *, fold: int, folds: int, seed: int
) -> tuple[list[Person], list[Person]]:
    """(training, held out): every identity is held out in exactly one of the folds."""
    identities = sorted({p.identity for p in persons})
    np.random.default_rng(seed).shuffle(identities)
    held_out = set(identities[fold % folds :: folds])
    return (
        [p for p in persons if p.identity not in held_out],
        [p for p in persons if p.identity in held_out],
    )


def forge(
    person: Person, face: RealFace, others: Sequence[Person], method: str, rng: np.random.Generator
) -> Crop:
    """Makes a fake twin of a face by a named method."""
    if method == "resynthesis":
        return person.resynthesis(face, rng)
    strangers = [p for p in others if p.identity != person.identity] or [person]
    donor = strangers[rng.integers(len(strangers))]
    return METHODS[method](face, donor.faces[rng.integers(len(donor.faces))], rng)


def cut_square(crop: Crop, margin: float, shift: NDArray[np.float64], *, of: float = CACHE_MARGIN) -> Crop:
    """A smaller square out of a crop of margin `of`; `shift` (2,) is in units of its side."""
    size = crop.shape[0]
    side = min(size, round(size * margin / of))
    left, top = ((size - side) / 2 + shift * side).round().astype(int).clip(0, size - side)
    return crop[top : top + side, left : left + side]


def cut_out(face: RealFace, rng: np.random.Generator) -> tuple[slice, slice]:
    """A square around one landmark, half as wide as the eyes are apart or a little more, to be blanked."""
    reach = float(np.linalg.norm(face.landmarks[1] - face.landmarks[0])) * rng.uniform(0.25, 0.5)
    x, y = face.landmarks[rng.integers(5)]
    return (
        slice(max(0, round(y - reach)), max(0, round(y + reach))),
        slice(max(0, round(x - reach)), max(0, round(x + reach))),
    )


def degrade(crop: Crop, size: int, rng: np.random.Generator) -> Crop:
    """What happens to any video on its way, real or fake alike; ends at `size` pixels."""
    out = crop
    if rng.random() < 0.5:
        side = round(float(np.exp(rng.uniform(*np.log(NATIVE)))))
        if side < out.shape[0]:
            out = np.asarray(cv2.resize(out, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.2:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.4)), np.uint8)
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(1, 8), out.shape)
        out = np.asarray((out + noise).clip(0, 255), np.uint8)
    if rng.random() < 0.3:
        gain, offset = rng.uniform(0.75, 1.25), rng.uniform(-25, 25)
        out = np.asarray(((out.astype(np.float32) - 128) * gain + 128 + offset).clip(0, 255), np.uint8)
    if rng.random() < 0.1:
        out = np.repeat(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.uint8)
    if rng.random() < 0.8:
        out = compress(out, int(rng.integers(*JPEG_QUALITY)))
    how = cv2.INTER_AREA if out.shape[0] > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(out, (size, size), interpolation=how), np.uint8)


def make_batch(
    persons: Sequence[Person],
    *,
    pairs: int,
    size: int,
    key: Sequence[int],
    augment: bool = True,
    mix: bool = True,
    methods: Mapping[str, float] | None = None,
) -> Batch:
    """Draws `pairs` real faces and forges a twin of each.

    Args:
        persons: to draw from; donors come from the same list, so that held-out people stay held out.
        pairs: the batch has twice as many rows.
        size: of the crops, in pixels.
        key: seeds the draw; the same key gives the same batch.
        augment: whether to degrade; the two of a pair are degraded independently, or the difference between
            them would be the forgery alone and the network would learn to need a clean picture.
        mix: whether to mix twins and to cut parts out; not where a batch is to be scored.
        methods: share of each method; `METHOD_SHARES` where not given.
    """
    rng = np.random.default_rng(list(key))
    shares = methods or METHOD_SHARES
    names, weights = list(shares), np.array(list(shares.values()))
    crops, used, clips = [], [], []
    labels: list[float] = []
    for _ in range(pairs):
        person = persons[rng.integers(len(persons))]
        face = person.faces[rng.integers(len(person.faces))]
        method = str(rng.choice(names, p=weights / weights.sum()))
        fake, label = forge(person, face, persons, method, rng), 1.0
        if augment and mix and rng.random() < MIX:
            label = float(rng.uniform(0.4, 0.9))
            fake = cv2.addWeighted(fake, label, face.crop, 1 - label, 0).astype(np.uint8)
        twins = [face.crop, fake]
        if augment and mix and rng.random() < CUT_OUT:
            part, grey = cut_out(face, rng), rng.integers(0, 255, 3)
            twins = [twin.copy() for twin in twins]
            for twin in twins:
                twin[part] = grey
        labels += [0.0, label]
        margin, shift = float(rng.uniform(*MARGINS)), rng.uniform(-SHIFT, SHIFT, 2)
        mirrored = rng.random() < 0.5
        for twin in twins:
            square = cut_square(twin, margin, shift)
            if mirrored:
                square = square[:, ::-1]
            if augment:
                crops.append(degrade(np.ascontiguousarray(square), size, rng))
            else:
                resized = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
                crops.append(np.asarray(resized, np.uint8))
        used += ["real", method]
        clips += [person.clip] * 2
    return Batch(
        crops=np.stack(crops),
        labels=np.array(labels, np.float32),
        methods=tuple(used),
        clips=tuple(clips),
    )


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
        mirrored = rng.random() < 0.5
        for twin in (one.real[pair, frame], one.fake[pair, frame]):
            crops.append(
                finish(
                    twin,
                    margin if augment else TEST_MARGIN,
                    shift * augment,
                    mirrored=mirrored and augment,
                    size=size,
                )
            )
        used += ["real", one.methods[pair]]
        clips += [one.clip] * 2
    labels = np.tile(np.array([0, 1], np.float32), pairs)
    return Batch(crops=np.stack(crops), labels=labels, methods=tuple(used), clips=tuple(clips))


def finish(crop: Crop, margin: float, shift: NDArray[np.float64], *, mirrored: bool, size: int) -> Crop:
    """Cuts a square of `margin` out of a rendered crop and scales it to `size`."""
    square = cut_square(crop, margin, shift, of=RENDERED_MARGIN)
    if mirrored:
        square = square[:, ::-1]
    how = cv2.INTER_AREA if square.shape[0] > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(square), (size, size), interpolation=how), np.uint8)


def join(a: Batch, b: Batch) -> Batch:
    """The rows of two batches."""
    return Batch(
        crops=np.concatenate([a.crops, b.crops]),
        labels=np.concatenate([a.labels, b.labels]),
        methods=a.methods + b.methods,
        clips=a.clips + b.clips,
    )
