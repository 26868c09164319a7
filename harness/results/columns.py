"""A set's outcomes as columns, beside its journal: an array of probabilities and one of kinds.

The journal is the truth. The columns are made when a run ends, are read a hundred times as fast, say which
journal they were made from, and are made again if that is not the one beside them.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.core.errors import ResultError
from harness.core.types import Outcome, OutcomeKind, SetName
from harness.gateway.journal import read_journal
from harness.results.run_folder import RunFolder

VERSION = 1
KINDS = tuple(OutcomeKind)  # by number; only ever added to at its end, or VERSION goes up
NOT_REACHED = KINDS.index(OutcomeKind.NOT_REACHED)
PREDICTED = KINDS.index(OutcomeKind.PREDICTED)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The outcomes of one set, in the order of the prepared set's videos."""

    probability: NDArray[np.float64]  # NaN if there is none
    kind: NDArray[np.uint8]  # an index into KINDS


def columns_path(folder: RunFolder, name: SetName) -> Path:
    """Return where a set's columns are kept."""
    return folder.journal(name).with_name("outcomes.npz")


def read_columns(
    folder: RunFolder, name: SetName, video_ids: Sequence[str], *, anew: bool = False
) -> Columns:
    """Read a set's outcomes; from its journal if the columns are missing, older than it, or `anew`.

    A disk that refuses the columns costs time and nothing else.

    Args:
        folder: The run's.
        name: Which set.
        video_ids: Of the prepared set, in its order.
        anew: Do not believe the columns that are there.

    Raises:
        ResultError: the journal is damaged, or names a video that is not in the set.
        InfrastructureError: the journal cannot be read.
    """
    path, stamp = columns_path(folder, name), _stamp(folder.journal(name), video_ids)
    found = None if anew else _load(path, stamp)
    if found is not None:
        return found
    made = columns_of_journal(folder.journal(name), video_ids)
    _save(path, made, stamp)
    return made


def keep_columns(
    folder: RunFolder, name: SetName, video_ids: Sequence[str], outcomes: Iterable[Outcome]
) -> None:
    """Write the columns of a set whose journal is complete, from the outcomes that it holds.

    Without a journal there is nothing that they could be the columns of, and none are written.
    """
    stamp = _stamp(folder.journal(name), video_ids)
    if stamp:
        _save(columns_path(folder, name), _columns(outcomes, video_ids, folder.journal(name)), stamp)


def columns_of_journal(journal: Path, video_ids: Sequence[str]) -> Columns:
    """Make the columns from a journal; videos that it does not name were not reached.

    Raises:
        ResultError: it is damaged, is not there, or names a video twice or one that is not in the set.
        InfrastructureError: it cannot be read.
    """
    header, lines = read_journal(journal)
    if header is None:
        raise ResultError(
            "there is no journal", place=journal, remedy="Restore it, or run the package again."
        )
    return _columns((line.outcome for line in lines), video_ids, journal)


def _columns(outcomes: Iterable[Outcome], video_ids: Sequence[str], journal: Path) -> Columns:
    place = {video: index for index, video in enumerate(video_ids)}
    probability = np.full(len(video_ids), np.nan)
    kind = np.full(len(video_ids), NOT_REACHED, dtype=np.uint8)
    seen: set[str] = set()
    for outcome in outcomes:
        if outcome.video_id not in place or outcome.video_id in seen:
            raise ResultError(
                f"names {outcome.video_id!r} twice, or it is not a video of this set",
                place=journal,
                remedy="It was run on another prepared set; run the package again.",
            )
        seen.add(outcome.video_id)
        index = place[outcome.video_id]
        kind[index] = KINDS.index(outcome.kind)
        if outcome.probability is not None:
            probability[index] = outcome.probability
    return Columns(probability=probability, kind=kind)


def _stamp(journal: Path, video_ids: Sequence[str]) -> str:
    try:
        facts = journal.stat()
    except OSError:
        return ""
    digest = hashlib.sha256("\n".join(video_ids).encode()).hexdigest()
    return json.dumps([VERSION, facts.st_size, facts.st_mtime_ns, len(video_ids), digest])


def _load(path: Path, stamp: str) -> Columns | None:
    try:
        with np.load(path, allow_pickle=False) as found:
            if stamp and found["stamp"].item() == stamp:
                return Columns(probability=found["probability"], kind=found["kind"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return None


def _save(path: Path, columns: Columns, stamp: str) -> None:
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as stream:
            np.savez(stream, probability=columns.probability, kind=columns.kind, stamp=np.asarray(stamp))
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
