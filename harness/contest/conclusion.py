"""From the accepted shards of an entry to its result: judged as a whole, scored, recorded, reported.

May be done again after a kill at any moment: it reads what the database accepted and comes to the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from harness.contest.accepted_shard import AcceptedShard
from harness.contest.admission import AdmittedEntry, Prepared, shards
from harness.contest.disturbance import Disturbance, worst_of
from harness.contest.shard_job import ShardDone
from harness.contest.shards import comparison, together
from harness.core.errors import ConfigError, ResultError
from harness.core.files import write_text
from harness.core.types import Outcome, OutcomeKind, SetName, Verdict
from harness.gateway.journal import Journal, header_of
from harness.gateway.set_run import SetRun
from harness.results.result import Result
from harness.results.run_folder import RunFolder
from harness.results.seal import Key
from harness.results.store.jobs import OVER, Job, JobState
from harness.run.conclude import Ran, finish
from harness.scoring.repeatability import TOLERANCE
from harness.videos.ready_set import ReadySet

_RESTORE = "Restore it from a backup, or name the folder that the contest was begun with: --runs."
_DONE = TypeAdapter(ShardDone)
_SET_RUN = TypeAdapter(SetRun)


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """One entry whose shards are all accepted, or which cannot be run."""

    common: Prepared
    entry: AdmittedEntry
    jobs: tuple[Job, ...] = ()
    signing_key: Key | None = None
    stopped_early: str = ""  # why the private set was not finished


def keep(folder: RunFolder, job: Job, done: ShardDone) -> AcceptedShard:
    """Write down what an attempt brought, under its own name, before it is offered to the database."""
    place = folder.shard(SetName(job.set_name), job.shard, attempt=job.attempt, token=job.token)
    text = _DONE.dump_json(done).decode()
    write_text(place, text)
    return AcceptedShard(
        file=str(place.relative_to(folder.path)),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        videos=len(done.run.outcomes),
        seconds=done.seconds,
        billed_seconds=done.run.billed_seconds,
        startup_seconds=done.run.startup_seconds or 0.0,
        fetch_seconds=done.fetch_seconds,
        node=done.node,
        disturbed=done.disturbance.in_words(),
    )


def conclude(asked: Conclusion) -> Result:
    """Judge, score, record and report one entry. `result.json` is written last.

    Raises:
        ResultError: what was accepted is not there, or was changed since.
        InfrastructureError: the disk refuses.
    """
    common, entry, folder = asked.common, asked.entry, asked.entry.folder
    sets = _finished(asked)
    if entry.why_not:
        runs = {ready.name: _never_ran(common, ready.name, entry.why_not) for ready in sets}
    else:
        runs = {ready.name: _whole(asked, ready.name) for ready in sets}
    ran = Ran(
        challenge=common.challenge,
        package=entry.facts,
        image=common.image,
        engine=common.engine,
        folder=folder,
        gpus=common.gpus[: common.challenge.limits.gpus],
        signing_key=asked.signing_key,
        stopped_early=asked.stopped_early,
    )
    return finish(ran, sets, runs, {}, reports=common.reports)


def _finished(asked: Conclusion) -> tuple[ReadySet, ...]:
    """Return the sets of a run: all, but for what an early stop has left unfinished."""
    if not asked.stopped_early:
        return asked.common.sets
    open_ = {job.set_name for job in asked.jobs if job.state is not JobState.DONE}
    return tuple(ready for ready in asked.common.sets if ready.name.value not in open_)


def must_have_accepted(folder: RunFolder, jobs: Sequence[Job]) -> None:
    """Look whether what was accepted of a run that goes on is here: in a new folder it would be cut anew.

    Raises:
        ConfigError: it is not.
    """
    if all(job.state in OVER for job in jobs):
        return
    for job in jobs:
        outcome = AcceptedShard.of(job)
        if outcome is not None and not (folder.path / outcome.file).is_file():
            raise ConfigError(
                f"is not there, and was accepted of run {folder.run_id}",
                place=folder.path / outcome.file,
                remedy=f"{_RESTORE} Or give this run up: `harness contest cancel-run`.",
            )


def accepted_of(folder: RunFolder, job: Job) -> ShardDone:
    """Read what was accepted of a job.

    Raises:
        ResultError: nothing was, or the file is not what was accepted.
    """
    outcome = AcceptedShard.of(job)
    if outcome is None:
        raise ResultError(
            f"nothing was accepted of shard {job.shard}",
            place=folder.path,
            remedy="`harness contest requeue-run` queues it again.",
        )
    place = folder.path / outcome.file
    try:
        data = place.read_bytes()
    except OSError as error:
        raise ResultError(f"cannot be read: {error.strerror}", place=place, remedy=_RESTORE) from error
    if hashlib.sha256(data).hexdigest() != outcome.sha256:
        raise ResultError("is not what was accepted", place=place, remedy=_RESTORE)
    return _DONE.validate_json(data)


def _whole(asked: Conclusion, name: SetName) -> SetRun:
    """Put a set together, and leave the files that a run without shards leaves."""
    common, entry, folder = asked.common, asked.entry, asked.entry.folder
    parts = shards(common, entry)[name]
    done = {job.shard: accepted_of(folder, job) for job in asked.jobs if job.set_name == name.value}
    whole = done.pop(len(parts), None)  # behind the shards: the set once more, to compare with
    run = together({number: one.run for number, one in done.items()}, parts, terms=common.challenge.terms)
    if whole is not None:
        compared = comparison(run.outcomes, whole.run.outcomes, tolerance=TOLERANCE)
        write_text(folder.sharding(name), json.dumps(asdict(compared), indent=1) + "\n")
    _write_journal(common, folder, name, done)
    write_text(folder.set_run(name), _SET_RUN.dump_json(run, indent=1).decode() + "\n")
    if run.log_tail:
        write_text(folder.log(name), run.log_tail)
    _write_disturbance(folder.disturbance(name), [one.disturbance for one in done.values()])
    return run


def _write_journal(common: Prepared, folder: RunFolder, name: SetName, done: Mapping[int, ShardDone]) -> None:
    ready = next(one for one in common.sets if one.name == name)
    limits = common.challenge.limits
    header = header_of(videos=ready.videos, limits=limits, order_seed=folder.seed())
    with Journal(folder.journal(name), header) as journal:
        journal.restart()
        journal.append([line for number in sorted(done) for line in done[number].lines])


def _write_disturbance(place: Path, heard: Sequence[Disturbance]) -> None:
    worst = worst_of(heard)
    document = asdict(worst) | {"disturbed": worst.disturbed, "in_words": worst.in_words()}
    write_text(place, json.dumps(document, indent=1) + "\n")


def _never_ran(common: Prepared, name: SetName, why: str) -> SetRun:
    ready = next(one for one in common.sets if one.name == name)
    return SetRun(
        verdict=Verdict.INVALID_PACKAGE,
        detail=why,
        outcomes=tuple(
            Outcome(video_id=video.video_id, kind=OutcomeKind.NOT_REACHED) for video in ready.videos
        ),
        isolation=common.isolation,
        billed_seconds=0.0,
        budget_seconds=common.challenge.limits.mean_video_seconds * len(ready.videos),
    )
