"""The correction of the regrade that is in force: boards go by it, and so do runs that end later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.contest.regrade.corrections import UNCORRECTED, Correction, frame_of
from harness.contest.regrade.regrade import Graded, RegradedRun, RegradePlan, grade
from harness.core.errors import ResultError
from harness.core.types import SetName
from harness.results.result import read_result
from harness.results.run_folder import RunFolder, regrade_record
from harness.results.seal import Key
from harness.videos.ready_set import ReadySet


def correction_in_force(runs_root: Path, regrades: Sequence[str]) -> Correction:
    """Return what the last of a contest's regrades changed; nothing if there was none.

    Raises:
        ResultError: its record cannot be read.
    """
    return correction_of(read_record(runs_root, regrades[-1])) if regrades else UNCORRECTED


def regrades_of(runs_root: Path, challenge: str) -> tuple[str, ...]:
    """Return the regrades of a challenge that hold for runs in this folder, the first first.

    Raises:
        ResultError: a record cannot be read.
    """
    names = sorted(path.stem for path in regrade_record(runs_root, "any").parent.glob("*.json"))
    return tuple(name for name in names if read_record(runs_root, name).get("challenge") == challenge)


def read_record(runs_root: Path, regrade: str) -> Mapping[str, Any]:
    """Read the record of a regrade.

    Raises:
        ResultError: it is not there, or is damaged.
    """
    place = regrade_record(runs_root, regrade)
    try:
        found: Mapping[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        correction_of(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultError(
            f"cannot be read: {error}", place=place, remedy="Restore it from a backup, or regrade again."
        ) from error
    return found


def correction_of(record: Mapping[str, Any]) -> Correction:
    """Return what a record says was changed. Those of older releases name no label."""
    labels: Mapping[str, Mapping[str, bool]] = record.get("labels", {})
    return Correction(
        labels={SetName(name): dict(rows) for name, rows in labels.items()},
        dropped=frozenset(record["dropped"]),
        epsilon=record["epsilon"],
        failed_probability=record["failed_probability"],
    )


def catch_up(
    folder: RunFolder,
    runs_root: Path,
    regrades: Sequence[str],
    *,
    challenge: str,
    sets: Sequence[ReadySet],
    key: Key | None,
) -> str:
    """Score a run that ended after a regrade as that one scored all others; nothing if there was none.

    Returns:
        Why it could not be; empty if it is.

    Raises:
        ResultError: the regrade's record cannot be read.
        InfrastructureError: the disk refuses.
    """
    if not regrades or folder.regrade(regrades[-1]).result.is_file():
        return ""
    record = read_record(runs_root, regrades[-1])
    correction = correction_of(record)
    plan = RegradePlan(
        regrade=regrades[-1],
        reason=str(record["reason"]),
        challenge=challenge,
        frames={ready.name: frame_of(ready, correction) for ready in sets},
        correction=correction,
        key=key,
    )
    found = grade(folder, plan)
    return found if isinstance(found, str) else ""


def recorded(runs_root: Path, regrade: str) -> RegradedRun:
    """Read a finished regrade back from its record and its results: what it came to, not what was before.

    Raises:
        ResultError: the record or one of the results cannot be read.
    """
    record = read_record(runs_root, regrade)
    found = []
    for run_id, sha256 in record["runs"].items():
        result = read_result(RunFolder(path=runs_root / run_id).regrade(regrade).result)
        after = {name: one.score.log_loss for name, one in result.sets.items()}
        found.append(
            Graded(
                run_id=run_id,
                team=None,
                package=result.package.name,
                eligible=result.leaderboard.eligible,
                before={},
                after=after,
                effects={},
                result_sha256=sha256,
            )
        )
    return RegradedRun(regrade=regrade, runs=tuple(found), left_out=tuple(record["left_out"]))
