"""Does a package give a video the same answer every time? `run --repeat N` asks it again.

Each further pass over a set feeds the same videos in another order, and some of them a second time under
another name. An answer that changed has one of two reasons, which one more pass, in exactly the
order of the last tells apart: it comes out as before (then the answers hang on the order, or on the
videos seen before), or it does not (then they hang on chance).

What it does not show: that the answers of a deterministic package hang on nothing but the picture. In batch
mode the names, drawn again for every pass, decide the order in which most programs read a folder, so
there the two reasons cannot be told apart, and chance is named.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from harness.core.types import Mode, Outcome, OutcomeKind, PreparedVideo, SetName

TOLERANCE = 1e-6  # of a probability: sums of 32-bit numbers in another order differ by less
DUPLICATED_SHARE = 0.2
DUPLICATES_MAX = 100


class Steadiness(StrEnum):
    """What the answers of one set did."""

    DETERMINISTIC = "deterministic"
    ORDER_DEPENDENT = "order-dependent"  # the same in the same order, others in another
    NON_DETERMINISTIC = "non-deterministic"
    NOT_COMPARED = "not compared"  # no video was answered twice


@dataclass(frozen=True, kw_only=True)
class Repeatability:
    """How a set's answers compared over all passes. It names no video and holds no answer."""

    steadiness: Steadiness
    passes: int  # over the set, the scored one included
    compared: int  # videos that were answered more than once
    duplicates: int  # videos that a further pass showed twice
    tolerance: float
    differing: int  # videos whose answers differ by more than the tolerance, or that failed only sometimes
    largest_difference: float | None  # between two answers to one video; None if no video has two


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One further pass over a set.

    Attributes:
        number: Counted from 2; the scored pass is 1.
        order_seed: Decides the order.
        videos: The set's, and some of them twice.
        same_as: The videos that are there under another name: that name → the set's.
    """

    number: int
    order_seed: int
    videos: tuple[PreparedVideo, ...]
    same_as: Mapping[str, str]


def plan_pass(name: SetName, videos: Sequence[PreparedVideo], *, seed: int, number: int) -> Pass:
    """Plan a further pass; it depends on nothing but the arguments, so an interrupted one can be resumed.

    Args:
        name: The set's.
        videos: The prepared set.
        seed: Of the run.
        number: Counted from 2.
    """
    key = f"{seed}/{name}/{number}"
    by_rank = sorted(videos, key=lambda video: _digest(f"{key}/{video.video_id}"))
    count = min(DUPLICATES_MAX, math.ceil(DUPLICATED_SHARE * len(videos)))
    twins = tuple(_twin(video, key, {one.video_id for one in videos}) for video in by_rank[:count])
    return Pass(
        number=number,
        order_seed=int(_digest(key)[:15], 16),
        videos=(*videos, *twins),
        same_as={twin.video_id: video.video_id for twin, video in zip(twins, by_rank[:count], strict=True)},
    )


def ask_again(
    name: SetName,
    videos: Sequence[PreparedVideo],
    scored: Sequence[Outcome],
    *,
    seed: int,
    passes: int,
    mode: Mode,
    run: Callable[[Pass], Sequence[Outcome]],
) -> Repeatability:
    """Run a set again, and compare.

    Args:
        name: The set's.
        videos: The prepared set.
        scored: The outcomes of the scored pass.
        seed: Of the run.
        passes: How many in all, the scored one included. One more is run if answers differ.
        mode: How the package is fed.
        run: Runs one pass. Whatever it raises ends the comparison.
    """
    answers = [_by_video(scored, {})]
    planned = None
    for number in range(2, passes + 1) if _answered(answers[0]) else ():
        planned = plan_pass(name, videos, seed=seed, number=number)
        answers.append(_by_video(run(planned), planned.same_as))
    differ = _differing(answers)
    steadiness = Steadiness.NON_DETERMINISTIC if differ else Steadiness.DETERMINISTIC
    if differ and planned is not None and mode is Mode.STREAM:
        confirming = replace(planned, number=passes + 1)
        answers.append(_by_video(run(confirming), confirming.same_as))
        if not _in_order(answers[-2], answers[-1]):
            steadiness = Steadiness.ORDER_DEPENDENT
    compared = [video for video in answers[0] if len(_numbers(answers, video)) > 1]
    return Repeatability(
        steadiness=steadiness if compared or differ else Steadiness.NOT_COMPARED,
        passes=len(answers),
        compared=len(compared),
        duplicates=0 if planned is None else len(planned.same_as),
        tolerance=TOLERANCE,
        differing=len(_differing(answers)),
        largest_difference=max((_spread(_numbers(answers, video)) for video in compared), default=None),
    )


def in_words(found: Repeatability) -> str:
    """Say in one line what was found."""
    if found.largest_difference is None:
        return f"{found.steadiness} over {found.passes} passes: no video was answered twice"
    return (
        f"{found.steadiness} over {found.passes} passes with shuffled order and {found.duplicates} repeated"
        f" videos: {found.differing} of {found.compared} answers differ by more than {found.tolerance:g},"
        f" at most by {found.largest_difference:.3g}"
    )


_Answers = dict[str, list[float | None]]  # the set's video → its answers in one pass; None: it failed


def _by_video(outcomes: Sequence[Outcome], same_as: Mapping[str, str]) -> _Answers:
    """Sort a pass by the set's videos: each answer to a video itself first, then to its twins."""
    found: _Answers = {}
    for outcome in sorted(outcomes, key=lambda one: one.video_id in same_as):
        if outcome.kind is not OutcomeKind.NOT_REACHED:
            video = same_as.get(outcome.video_id, outcome.video_id)
            found.setdefault(video, []).append(outcome.probability)
    return found


def _answered(answers: _Answers) -> bool:
    return any(value is not None for values in answers.values() for value in values)


def _numbers(passes: Sequence[_Answers], video: str) -> list[float]:
    return [value for one in passes for value in one.get(video, []) if value is not None]


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


def _differing(passes: Sequence[_Answers]) -> list[str]:
    return [
        video for video in passes[0] if _differ([value for one in passes for value in one.get(video, [])])
    ]


def _differ(values: Sequence[float | None]) -> bool:
    """Tell whether any two are apart: the ends are, also where each step between them is within tolerance."""
    numbers = [value for value in values if value is not None]
    if not numbers or len(numbers) < len(values):
        return bool(numbers)
    return _spread(numbers) > TOLERANCE


def _apart(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is not other
    return abs(one - other) > TOLERANCE


def _in_order(one: _Answers, other: _Answers) -> bool:
    """Tell whether two passes in the same order differ anywhere."""
    if {video: len(values) for video, values in one.items()} != {
        video: len(values) for video, values in other.items()
    }:
        return True
    return any(
        _apart(first, second) for video in one for first, second in zip(one[video], other[video], strict=True)
    )


def _twin(video: PreparedVideo, key: str, taken: set[str]) -> PreparedVideo:
    name = f"{_digest(f'{key}/twin/{video.video_id}')[:16]}{Path(video.video_id).suffix}"
    if name in taken:  # 64 bits: not in the life of this universe, but a silent mix-up would be worse
        raise ValueError(f"two videos would be named {name}")
    return replace(video, video_id=name)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="surrogateescape")).hexdigest()
