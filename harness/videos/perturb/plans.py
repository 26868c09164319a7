"""A plan: everything that will be done to one video, decided before it is touched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.core.types import AppliedPerturbation
from harness.videos.perturb.registry import find, generator
from harness.videos.perturb.steps import Canvas, FinalEncode, Step, to_json


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """The one final encode that every video of a set goes through, H.264 and AAC in MP4.

    `ultrafast` is the default preset for three measured reasons: it is the only one whose bytes did not
    change between builds of x264 and CPU features, it encodes 1080p at twice the speed of `veryfast`, and
    what it loses is file size, not what a detector sees.
    """

    preset: str = "ultrafast"
    crf: float = 23.0
    bits_per_pixel: float = 0.25  # the rate cap: without one, noise makes a 5 MB clip 185 MB
    group_of_pictures: int = 250
    audio_bits_per_second: int = 128_000
    audio_rate: int = 48_000
    copy_untouched: bool | None = None  # see `copying`; None, not False: plans without it say nothing of it

    def with_changes(self, change: FinalEncode | None) -> Encoding:
        """Take in what a step asks of the final encode."""
        if change is None:
            return self
        return replace(
            self,
            crf=self.crf if change.crf is None else change.crf,
            bits_per_pixel=self.bits_per_pixel if change.bits_per_pixel is None else change.bits_per_pixel,
        )


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One perturbation of a plan."""

    name: str
    severity: int
    step: Step


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done to one video, in order. No steps: the re-encoded control, severity 0."""

    recipe: str
    set_seed: int
    video_id: str
    steps: tuple[PlannedStep, ...]
    canvas: Canvas  # before the first step
    expected: Canvas  # after the last
    encoding: Encoding

    @property
    def applied(self) -> tuple[AppliedPerturbation, ...]:
        """The perturbations, as other modules and the manifest name them."""
        return tuple(AppliedPerturbation(name=item.name, severity=item.severity) for item in self.steps)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, equal for equal plans."""
        content = to_json(self)
        if not isinstance(content, dict):  # to_json maps every dataclass to a dict
            raise TypeError(type(content).__name__)
        return content

    def digest(self) -> str:
        """sha256 of the plan's JSON."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def build_plan(
    chosen: Sequence[AppliedPerturbation],
    *,
    recipe: str,
    set_seed: int,
    video_id: str,
    canvas: Canvas,
    encoding: Encoding | None = None,
) -> Plan:
    """Turn chosen kinds and severities, already in order, into steps for this video.

    Raises:
        RecipeError: An unknown kind or severity.
    """
    current, steps = canvas, []
    final = encoding or Encoding()
    for item in chosen:
        rng = generator(set_seed, video_id, item.name)
        step = find(item.name).step(item.severity, rng, current)
        steps.append(PlannedStep(name=item.name, severity=item.severity, step=step))
        current, final = step.after(current), final.with_changes(step.encode)
    return Plan(
        recipe=recipe,
        set_seed=set_seed,
        video_id=video_id,
        steps=tuple(steps),
        canvas=canvas,
        expected=current,
        encoding=final,
    )
