"""Batches of aligned real and fake crops, and identity-disjoint folds.

Everything is a function of (seed, step): a resumed run sees the very batches that it would have seen.

Not covered: anything that needs more than one frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from augment import MARGINS, SHIFT, TEST_MARGIN, Disguise, cut_out, cut_square, resize, wear, wear_source
from fakes import METHODS, Crop, RealFace, Resynthesis
from numpy.typing import NDArray
from studio import WITH_DONOR_SPACE, WITH_FACE, WITH_OWN_SPACE, FaceSpaces

FOLDS = 5
FEWEST_FACES = 4  # of a clip that is used
CUT_OUT = 0.15  # of the pairs lose an eye, the nose or the mouth: no single part may carry the answer
MIX = 0.15  # of the pairs: the fake is mixed with its real twin, and so is its label
DISGUISED = 0.85  # of the pairs show somebody who does not exist
POOR_SOURCE = 0.5  # of the pairs are forged on a recording made poorer first
TWIN_WEAR = 0.7  # of the pairs are worn alike, and differ by the forgery alone; the others each in its way
METHOD_SHARES = {
    "self_blended": 0.15,
    "swapped": 0.12,
    "resynthesis": 0.06,
    "warped": 0.07,
    "studio_self_blend": 0.18,
    "studio_warp": 0.17,
    "studio_swap": 0.13,
    "studio_pca_swap": 0.06,
    "studio_pca_resynthesis": 0.06,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """The faces of one clip, and who is seen: clips of one identity never fall into different folds."""

    clip: str
    identity: str
    faces: tuple[RealFace, ...]
    resynthesis: Resynthesis
    spaces: FaceSpaces


@dataclass(frozen=True, kw_only=True)
class Batch:
    """crops (n, size, size, 3) RGB uint8; labels (n,): 1 for fake, between where mixed.

    Rows 2i and 2i + 1 are a pair, the real one first.
    """

    crops: NDArray[np.uint8]
    labels: NDArray[np.float32]
    methods: tuple[str, ...]
    clips: tuple[str, ...]


def person_of(clip: str, identity: str, faces: Sequence[RealFace]) -> Person:
    """A person with everything that forging needs of them."""
    return Person(
        clip=clip,
        identity=identity,
        faces=tuple(faces),
        resynthesis=Resynthesis(faces),
        spaces=FaceSpaces(faces),
    )


def read_cache(folder: Path) -> list[Person]:
    """Reads what prepare.py wrote, in order of clip.

    Raises:
        ValueError: fewer than two people with faces: a swap needs two.
    """
    persons = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            faces = [
                RealFace(crop=crop, landmarks=points)
                for crop, points in zip(file["crops"], file["landmarks"], strict=True)
            ]
            if len(faces) >= FEWEST_FACES:
                persons.append(person_of(path.stem, str(file["identity"]), faces))
    if len({p.identity for p in persons}) < 2:
        raise ValueError(f"{folder} holds fewer than two persons: run prepare.py on more clips")
    return persons


def split(
    persons: Sequence[Person], *, fold: int, folds: int, seed: int, trained: Sequence[str] = ()
) -> tuple[list[Person], list[Person]]:
    """(training, held out): every identity is held out in exactly one of the folds.

    Args:
        persons: of all identities.
        fold: which one to hold out.
        folds: how many there are.
        seed: shuffles the identities into folds.
        trained: identities that are on the training side of every fold.
    """
    identities = sorted({p.identity for p in persons} - set(trained))
    np.random.default_rng(seed).shuffle(identities)
    held_out = set(identities[fold % folds :: folds])
    return (
        [p for p in persons if p.identity not in held_out],
        [p for p in persons if p.identity in held_out],
    )


def draw_person(persons: Sequence[Person], rng: np.random.Generator) -> Person:
    """An identity, each as likely as any other, and one of its clips."""
    identities = sorted({p.identity for p in persons})
    identity = identities[rng.integers(len(identities))]
    clips = [p for p in persons if p.identity == identity]
    return clips[rng.integers(len(clips))]


def forge(
    person: Person, face: RealFace, others: Sequence[Person], method: str, rng: np.random.Generator
) -> Crop:
    """Makes a fake twin of a face by a named method; donors come from `others`."""
    if method == "resynthesis":
        return person.resynthesis(face, rng)
    if method in WITH_OWN_SPACE:
        return WITH_OWN_SPACE[method](face, person.spaces, rng)
    donor = draw_person([p for p in others if p.identity != person.identity] or [person], rng)
    if method in WITH_DONOR_SPACE:
        return WITH_DONOR_SPACE[method](face, donor.spaces, rng)
    return {**METHODS, **WITH_FACE}[method](face, donor.faces[rng.integers(len(donor.faces))], rng)


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
        augment: whether pictures are worn, and squares cut and mirrored at random, rather than the entry's
            own square of the clean picture.
        mix: whether to mix twins and to cut parts out; not where a batch is to be scored.
        methods: share of each method; `METHOD_SHARES` where not given.
    """
    rng = np.random.default_rng(list(key))
    shares = methods or METHOD_SHARES
    names, weights = list(shares), np.array(list(shares.values()))
    crops, used, clips = [], [], []
    labels: list[float] = []
    for _ in range(pairs):
        person = draw_person(persons, rng)
        face = person.faces[rng.integers(len(person.faces))]
        if augment and rng.random() < DISGUISED:
            face = Disguise.draw(rng).put_on_face(face)
        if augment and rng.random() < POOR_SOURCE:
            face = replace(face, crop=wear_source(face.crop, rng))
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
        mirrored, alike = rng.random() < 0.5, rng.random() < TWIN_WEAR
        seeds = rng.integers(2**32, size=2)
        for twin, seed in zip(twins, (seeds[0], seeds[0] if alike else seeds[1]), strict=True):
            if not augment:
                crops.append(resize(cut_square(twin, TEST_MARGIN, np.zeros(2)), size))
                continue
            square = cut_square(twin, margin, shift)
            square = square[:, ::-1] if mirrored else square
            crops.append(wear(np.ascontiguousarray(square), size, np.random.default_rng(seed)))
        used += ["real", method]
        clips += [person.clip] * 2
    return Batch(
        crops=np.stack(crops),
        labels=np.array(labels, np.float32),
        methods=tuple(used),
        clips=tuple(clips),
    )


def join(a: Batch, b: Batch) -> Batch:
    """The rows of two batches."""
    return Batch(
        crops=np.concatenate([a.crops, b.crops]),
        labels=np.concatenate([a.labels, b.labels]),
        methods=a.methods + b.methods,
        clips=a.clips + b.clips,
    )
