"""The catalogue of perturbations: a dict and a decorator, and one checked way to call what is in it.

Adding one is a function with its strengths as a table, in a module that `catalogue()` imports::

    @perturbation(family=AUGMENTER, stage=Stage.OPTICS, group="blur", unit="σ in pixels at 720 lines",
                  source="AugLy 0-10", sigma=(1.0, 2.0, 3.5, 5.5, 8.0))
    def gaussian_blur(canvas: Canvas, rng: Generator, *, sigma: float) -> Step:
        \"\"\"A lens out of focus, or a video enlarged from a small one.\"\"\"
        return Step(video=(f"gblur=sigma={sigma * canvas.unit:.3f}",))
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cache
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from harness.core.errors import RecipeError
from harness.videos.perturb.steps import Canvas, Step

SEVERITIES = (1, 2, 3, 4, 5)
MODULES = (
    "augmenters",
    "distractors",
    "faces",
    "colour",
    "texture",
    "geometry",
    "timing",
    "codecs",
    "scenes",
    "audio",
    "camera",
    "software",
    "retouch",
)

CATALOGUE_VERSION = 2  # counted up with new kinds: what "all" means in a recipe is one version's kinds

Strength = float | int | str


class Family(StrEnum):
    """Changes the picture, timing, sound or coding itself; or lays something over it."""

    AUGMENTER = "augmenter"
    DISTRACTOR = "distractor"


class LifeStage(IntEnum):
    """Where in a video's life a change belongs; plans are rendered in this order."""

    GEOMETRY = 1  # how the camera saw it
    OPTICS = 2
    COLOUR = 3
    SENSOR = 4
    TIME = 5
    OVERLAY = 6  # what somebody laid over the recording
    RESOLUTION = 7  # what a service did to it on the way
    CODING = 8
    FINAL = 9
    AUDIO = 10


class AudioEffect(StrEnum):
    """What happens to the sound."""

    KEPT = "kept"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """One kind: its name, its law and its table of strengths."""

    name: str
    family: Family
    stage: LifeStage
    group: str  # kinds of one group are never combined
    imitates: str  # first paragraph of the docstring
    unit: str
    source: str  # where the strengths come from
    strengths: Mapping[str, tuple[Strength, ...]]  # five of each, mild to harsh
    in_contest: bool  # one of the nineteen of the DeepFake Detection Challenge
    audio: AudioEffect
    function: Callable[..., Step]
    since: int = 1  # the catalogue's version that had it first

    def step(self, severity: int, rng: Generator, canvas: Canvas) -> Step:
        """Return what this kind does to a video at a severity.

        Args:
            severity: 1 (mild) to 5 (harsh). 0 is the control, and no step at all.
            rng: Decides places, colours, directions; the caller seeds it per video and kind.
            canvas: What it finds.

        Raises:
            RecipeError: The severity is not 1-5.
        """
        if severity not in SEVERITIES:
            raise RecipeError(
                f"severity {severity!r} of {self.name}", remedy="use 1 to 5; 0 is the untouched control"
            )
        chosen = {name: values[severity - 1] for name, values in self.strengths.items()}
        return self.function(canvas, rng, **chosen)


StepFunction = TypeVar("StepFunction", bound=Callable[..., Step])
_KINDS: dict[str, Perturbation] = {}  # filled by the decorator as `catalogue()` imports the modules


def perturbation(
    *,
    family: Family,
    stage: LifeStage,
    group: str,
    unit: str,
    source: str,
    in_contest: bool = False,
    audio: AudioEffect = AudioEffect.KEPT,
    name: str | None = None,
    since: int = 1,
    **strengths: tuple[Strength, ...],
) -> Callable[[StepFunction], StepFunction]:
    """Register `function(canvas, rng, *, <one keyword per strength>) -> Step` under its own name.

    Raises:
        ValueError: A duplicate name, no docstring, or a table that has not five strengths (when imported).
    """

    def register(function: StepFunction) -> StepFunction:
        own = name or function.__name__
        if own in _KINDS:
            raise ValueError(f"a perturbation named {own!r} exists; there are {', '.join(sorted(_KINDS))}")
        if not function.__doc__:
            raise ValueError(f"{own} does not say what it imitates")
        wrong = {key: row for key, row in strengths.items() if len(row) != len(SEVERITIES)}
        if wrong or not strengths:
            raise ValueError(f"{own} needs five strengths per table, got {wrong}")
        _KINDS[own] = Perturbation(
            name=own,
            family=family,
            stage=stage,
            group=group,
            imitates=" ".join(inspect.getdoc(function).split("\n\n")[0].split()),  # type: ignore[union-attr]  # it has one
            unit=unit,
            source=source,
            strengths=MappingProxyType(dict(strengths)),
            in_contest=in_contest,
            audio=audio,
            function=function,
            since=since,
        )
        return function

    return register


@cache
def catalogue() -> Mapping[str, Perturbation]:
    """Every kind, by name, in the order of the modules."""
    for module in MODULES:
        importlib.import_module(f"harness.videos.perturb.kinds.{module}")
    return MappingProxyType(_KINDS)


def find(name: str) -> Perturbation:
    """Return the kind of that name.

    Raises:
        RecipeError: There is none; the text lists what there is.
    """
    kinds = catalogue()
    if name not in kinds:
        raise RecipeError(
            f"no perturbation is called {name!r}", remedy=f"use one of {', '.join(sorted(kinds))}"
        )
    return kinds[name]


def generator(set_seed: int, video_id: str, purpose: str) -> Generator:
    """Make a random generator, keyed by what it is for: order and workers do not matter. The only way."""
    key = hashlib.sha256(f"{set_seed}\0{video_id}\0{purpose}".encode()).digest()[:16]
    return Generator(np.random.Philox(key=np.frombuffer(key, "<u8")))


def draw_seed(rng: Generator) -> int:
    """Draw a seed for a step, for what is random from frame to frame. It fits 31 bits, as libav wants."""
    return int(rng.integers(2**31 - 1))


def frame_generator(seed: int, index: int) -> Generator:
    """Return the generator of one frame: frames may be drawn in any order."""
    return Generator(np.random.Philox(key=np.array([seed, index], np.uint64)))
