"""People and the fakes that are forged from their faces, one picture at a time.

Not covered: anything that needs more than one frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import album
from .clips import Clip
from .fakes import METHODS, Crop, RealFace, Resynthesis
from .studio import WITH_DONOR_SPACE, WITH_FACE, WITH_OWN_SPACE, FaceSpaces

FACE_SIDE = 256  # pixels of the crops that prepare.py cuts
FACE_MARGIN = 1.9  # of the face box: room for random squares around the face
FEWEST_FACES = 4  # of a clip that is used
METHOD_SHARES = {
    "self_blended": 0.18,
    "swapped": 0.14,
    "resynthesis": 0.07,
    "warped": 0.06,
    "studio_self_blend": 0.18,
    "studio_warp": 0.12,
    "studio_swap": 0.13,
    "studio_pca_swap": 0.06,
    "studio_pca_resynthesis": 0.06,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """The faces of one clip, who is seen, and all that forging needs of them."""

    clip: str
    identity: str
    faces: tuple[RealFace, ...]
    resynthesis: Resynthesis
    spaces: FaceSpaces


def person_of(clip: str, identity: str, faces: Sequence[RealFace]) -> Person:
    """A person with everything that forging needs of them."""
    return Person(
        clip=clip,
        identity=identity,
        faces=tuple(faces),
        resynthesis=Resynthesis(faces),
        spaces=FaceSpaces(faces),
    )


def read_faces(cache: Path, clips: Sequence[Clip]) -> dict[str, Person]:
    """What prepare.py found in the real ones of the clips, by name; clips with too few faces are left out.

    Raises:
        FileNotFoundError: a clip was not prepared.
    """
    people = {}
    for clip in clips:
        if clip.label:
            continue
        path = cache / "faces" / f"{clip.name}.npz"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: run training.prepare on the folder of {clip.video.name} first")
        with np.load(path) as file:
            crops, landmarks = album.unpack("crops", file), file["landmarks"]
        faces = [RealFace(crop=c, landmarks=p) for c, p in zip(crops, landmarks, strict=True)]
        if len(faces) >= FEWEST_FACES:
            people[clip.name] = person_of(clip.name, clip.identity, faces)
    return people


def draw_person(persons: Sequence[Person], rng: np.random.Generator) -> Person:
    """An identity, each as likely as any other, and one of its clips."""
    identities = sorted({p.identity for p in persons})
    identity = identities[rng.integers(len(identities))]
    clips = [p for p in persons if p.identity == identity]
    return clips[rng.integers(len(clips))]


def forge(
    person: Person, face: RealFace, others: Sequence[Person], method: str, rng: np.random.Generator
) -> Crop:
    """Makes a fake twin of a face by a named method; donors come from `others`, if there are any."""
    if method == "resynthesis":
        return person.resynthesis(face, rng)
    if method in WITH_OWN_SPACE:
        return WITH_OWN_SPACE[method](face, person.spaces, rng)
    donor = draw_person([p for p in others if p.identity != person.identity] or [person], rng)
    if method in WITH_DONOR_SPACE:
        return WITH_DONOR_SPACE[method](face, donor.spaces, rng)
    return {**METHODS, **WITH_FACE}[method](face, donor.faces[rng.integers(len(donor.faces))], rng)
