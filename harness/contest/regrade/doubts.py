"""Labels that may be wrong: videos on which every good entry agrees, and against the label.

That all of them are wrong in the same way happens, too: a hard fake is not a wrong label. So each is shown
with a frame, and a person decides; `harness regrade --labels` then scores everything again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.contest.regrade.corrections import SetFrame
from harness.core.errors import HarnessError
from harness.core.types import SetName
from harness.results.columns import PREDICTED, read_columns
from harness.results.result import read_result
from harness.results.run_folder import RunFolder

CONSTANT_HALF = math.log(2.0)
ENTRIES_MIN = 2


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers of the good entries to one set: entries × videos, NaN if there is none."""

    entries: tuple[str, ...]  # run ids, the best first
    probability: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """One video whose label may be wrong."""

    set_name: SetName
    video_id: str
    source_id: str
    fake: bool  # by its label
    entries: int  # that answered; all of them against the label
    least: float  # P(the label is wrong) by the least sure of them
    mean: float


def good_answers(runs_root: Path, frame: SetFrame, *, challenge: str, best: int) -> Answers:
    """Read the best entries' answers to a set, one run for each package.

    Good is who scores better than a constant 0.5 does; of these the best so many.

    Args:
        runs_root: The folder of run folders.
        frame: The set.
        challenge: Its name.
        best: How many at most.
    """
    found: dict[str, tuple[float, str, NDArray[np.float64]]] = {}
    for path in sorted(runs_root.iterdir()) if runs_root.is_dir() else []:
        folder = RunFolder(path=path)
        if not folder.result.is_file():
            continue
        try:
            result = read_result(folder.current.result)
            one = result.sets.get(frame.name)
            if result.challenge.name != challenge or one is None:
                continue
            loss = one.score.log_loss
            if loss is None or loss >= CONSTANT_HALF:
                continue
            columns = read_columns(folder, frame.name, frame.video_ids)
        except HarnessError:
            continue  # a damaged run is not a witness
        answers = np.where(columns.kind == PREDICTED, columns.probability, np.nan)
        if result.package.sha256 not in found or loss < found[result.package.sha256][0]:
            found[result.package.sha256] = (loss, result.run_id, answers)
    chosen = sorted(found.values(), key=lambda one: (one[0], one[1]))[:best]
    table = np.stack([answers for _, _, answers in chosen]) if chosen else np.empty((0, len(frame.video_ids)))
    return Answers(entries=tuple(run_id for _, run_id, _ in chosen), probability=table)


def doubts_of(frame: SetFrame, answers: Answers) -> tuple[Doubt, ...]:
    """List the videos on which all good entries agree against the label, the surest first.

    Nobody's doubt counts if fewer than two good entries answered.
    """
    if len(answers.entries) < ENTRIES_MIN:
        return ()
    against = np.where(frame.fake[None, :], 1.0 - answers.probability, answers.probability)
    answered = np.sum(~np.isnan(against), axis=0)
    least = np.min(np.where(np.isnan(against), 1.0, against), axis=0)
    mean = np.sum(np.nan_to_num(against), axis=0) / np.maximum(answered, 1)
    chosen = [int(one) for one in np.flatnonzero((answered >= ENTRIES_MIN) & (least > 0.5))]
    rows = [
        Doubt(
            set_name=frame.name,
            video_id=frame.video_ids[index],
            source_id=frame.source_ids[index],
            fake=bool(frame.fake[index]),
            entries=int(answered[index]),
            least=float(least[index]),
            mean=float(mean[index]),
        )
        for index in chosen
    ]
    return tuple(sorted(rows, key=lambda one: (-one.least, -one.mean, one.video_id)))


def doubts_csv(doubts: Sequence[Doubt]) -> str:
    """Return the doubted labels turned round, as `harness regrade --labels` takes them."""
    rows = {one.source_id: int(not one.fake) for one in doubts}
    return "".join(["filename,label\n", *(f"{name},{label}\n" for name, label in sorted(rows.items()))])
