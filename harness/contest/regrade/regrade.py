"""Every run of a challenge scored again: all of them, or none.

Each run gets a new result, sealed, that names the one before; the old ones stay. They hold from
the moment at which the regrade's record is written, which is one file: a regrade that is killed before that
changed nothing, and a later one begins again.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

import numpy as np

from harness.contest.regrade.corrections import Correction, SetFrame
from harness.contest.regrade.rescore import Effects, rescore
from harness.core.engines.local import LocalEngine
from harness.core.errors import ConfigError, HarnessError, InfrastructureError
from harness.core.files import write_text
from harness.core.types import SetName
from harness.results.columns import KINDS, Columns, read_columns
from harness.results.result import RegradeFacts, Result, parse_result
from harness.results.run_folder import RunFolder, regrade_record
from harness.results.run_row import read_row
from harness.results.seal import Key, read_document, seal_path, seal_text, sha256_of

RUNS_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class RegradePlan:
    """What a regrade does. It goes to every worker."""

    regrade: str
    reason: str
    challenge: str
    frames: Mapping[SetName, SetFrame]
    correction: Correction
    write: bool = True
    key: Key | None = None
    anew: bool = False  # read journals, and not their columns

    @property
    def labels_changed(self) -> int:
        """How many labels change, over all sets."""
        return sum(frame.changed for frame in self.frames.values())


@dataclass(frozen=True, kw_only=True)
class Graded:
    """One run before and after."""

    run_id: str
    team: str | None  # by whom it was entered with `harness submit`
    package: str
    eligible: bool
    before: Mapping[SetName, float | None]  # log loss
    after: Mapping[SetName, float | None]
    effects: Mapping[SetName, Effects]
    result_sha256: str  # of the new result's content


@dataclass(frozen=True, kw_only=True)
class RegradedRun:
    """The outcome of a regrade."""

    regrade: str
    runs: tuple[Graded, ...]  # by run id
    left_out: tuple[str, ...]  # folders that were not scored again, each with why


def new_regrade(now: datetime) -> str:
    """Return a fresh id, which sorts by time."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def regrade_runs(
    runs_root: Path,
    plan: RegradePlan,
    *,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> RegradedRun:
    """Score every finished run of a challenge again.

    Args:
        runs_root: The folder of run folders.
        plan: What changes.
        workers: Processes; by default one a core, 0 for this one.
        progress: Called with how many folders are done.

    Raises:
        ConfigError: there is no run of this challenge.
        InfrastructureError: a disk refuses; nothing has changed.
    """
    folders = [path for path in sorted(runs_root.iterdir()) if (path / "result.json").is_file()]
    graded: list[Graded] = []
    left_out: list[str] = []
    jobs = ((plan, chunk) for chunk in _chunks(folders))
    done = 0
    for result in LocalEngine(workers).map(_grade_chunk, jobs):
        found = result.unwrap()
        graded += found[0]
        left_out += found[1]
        done += len(result.job[1])
        if progress is not None:
            progress(done)
    if not graded:
        raise ConfigError(
            f"no run of {plan.challenge} can be scored again: {'; '.join(left_out[:3]) or 'there is none'}",
            place=runs_root,
            remedy="Name the folder of the runs with --runs.",
        )
    found_all = RegradedRun(
        regrade=plan.regrade,
        runs=tuple(sorted(graded, key=lambda one: one.run_id)),
        left_out=tuple(sorted(left_out)),
    )
    if plan.write:
        os.sync()  # every new result is on the disk before the record says that they hold
        write_text(regrade_record(runs_root, plan.regrade), _record(plan, found_all))
    return found_all


def grade(folder: RunFolder, plan: RegradePlan) -> Graded | str:
    """Score one run again, and write its new result if the plan says so; or say why not.

    Raises:
        InfrastructureError: the disk refuses.
    """
    holds = folder.current
    try:
        content = read_document(holds.result)
        before = parse_result(content, place=holds.result)
        wrong = _unfit(before, folder, plan)
        if wrong:
            return wrong
        columns = {
            name: read_columns(folder, name, plan.frames[name].video_ids, anew=plan.anew)
            for name in before.sets
        }
        wrong = _disagree(before, columns, folder)
        if wrong:
            return wrong
        team = read_row(folder).team if (folder.path / "entry.json").exists() else None
    except InfrastructureError:
        raise
    except HarnessError as error:
        return f"{folder.run_id}: {error.message}"
    found = rescore(before, columns, plan.frames, plan.correction, _facts(plan, before, sha256_of(content)))
    document = found.after.model_dump(mode="json")
    if plan.write:
        _write(folder.regrade(plan.regrade), document, plan.key)
    return Graded(
        run_id=before.run_id,
        team=team,
        package=before.package.name,
        eligible=before.leaderboard.eligible,
        before={name: one.score.log_loss for name, one in before.sets.items()},
        after={name: one.score.log_loss for name, one in found.after.sets.items()},
        effects=found.effects,
        result_sha256=sha256_of(document),
    )


def _grade_chunk(job: tuple[RegradePlan, Sequence[Path]]) -> tuple[list[Graded], list[str]]:
    plan, paths = job
    found = [grade(RunFolder(path=path), plan) for path in paths]
    return [one for one in found if isinstance(one, Graded)], [one for one in found if isinstance(one, str)]


def _unfit(before: Result, folder: RunFolder, plan: RegradePlan) -> str:
    if before.run_id != folder.run_id:
        return f"{folder.run_id}: holds the result of {before.run_id}"
    if before.challenge.name != plan.challenge:
        return f"{folder.run_id}: is of the challenge {before.challenge.name}"
    missing = [name for name in before.sets if name not in plan.frames]
    return f"{folder.run_id}: the challenge has no {missing[0]} set" if missing else ""


def _disagree(before: Result, columns: Mapping[SetName, Columns], folder: RunFolder) -> str:
    """Compare what the journals say with what the result counted.

    A set that another release of the harness prepared may differ in its bytes; its videos have the same ids,
    and what the ids stand for is all that scoring needs. With another seed or other sources ids differ.
    """
    for name, one in before.sets.items():
        counts = np.bincount(columns[name].kind, minlength=len(KINDS))
        found = {kind: int(count) for kind, count in zip(KINDS, counts, strict=True) if count}
        if found != {kind: count for kind, count in one.outcomes.items() if count}:
            return f"{folder.run_id}: its {name} journal and its result do not agree, or the set is another"
    return ""


def _facts(plan: RegradePlan, before: Result, of_sha256: str) -> RegradeFacts:
    frames = [plan.frames[name] for name in before.sets]
    return RegradeFacts(
        regrade=plan.regrade,
        reason=plan.reason,
        of_sha256=of_sha256,
        labels_sha256={frame.name: frame.labels_sha256 for frame in frames},
        labels_changed=sum(frame.changed for frame in frames),
        videos_dropped=sum(frame.dropped for frame in frames),
        exact_values_only=True,
    )


def _write(folder: RunFolder, document: dict[str, object], key: Key | None) -> None:
    """Write a result without waiting for the disk: the whole regrade does so once, before its record."""
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        if key is not None:
            seal_path(folder.result).write_text(seal_text(document, key), encoding="utf-8")
        folder.result.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(
            f"cannot be written: {error.strerror}",
            place=folder.result,
            remedy="Make room on the disk; the old results hold.",
        ) from error


def _record(plan: RegradePlan, found: RegradedRun) -> str:
    document = {
        "schema_version": 1,
        "regrade": plan.regrade,
        "reason": plan.reason,
        "challenge": plan.challenge,
        "labels_changed": {
            name.value: sorted(
                source
                for source, old, now in zip(frame.source_ids, frame.fake, frame.fake_now, strict=True)
                if old != now
            )
            for name, frame in plan.frames.items()
        },
        "labels": {name.value: dict(rows) for name, rows in plan.correction.labels.items()},
        "dropped": sorted(plan.correction.dropped),
        "epsilon": plan.correction.epsilon,
        "failed_probability": plan.correction.failed_probability,
        "runs": {one.run_id: one.result_sha256 for one in found.runs},
        "left_out": list(found.left_out),
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _chunks(paths: Sequence[Path]) -> Iterator[Sequence[Path]]:
    rest = iter(paths)
    while chunk := tuple(islice(rest, RUNS_AT_ONCE)):
        yield chunk
