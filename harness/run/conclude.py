"""The end of a run: score every set, put all of it on record, and write the reports."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from harness import __version__
from harness.core.challenge import Challenge
from harness.core.files import write_text
from harness.core.types import ImageFacts, Limits, OutcomeKind, SetName, Verdict
from harness.core.usage import total
from harness.gateway.set_run import SetRun
from harness.report import SetData
from harness.results.columns import keep_columns
from harness.results.outcomes_on_record import outcomes_sha256
from harness.results.result import (
    ChallengeFacts,
    Clocks,
    HostFacts,
    PackageFacts,
    Resources,
    Result,
    SetResult,
    clocks_of,
    eligibility,
    write_result,
)
from harness.results.run_folder import RunFolder
from harness.results.seal import Key, seal
from harness.scoring.intervals import Gap
from harness.scoring.repeatability import Repeatability
from harness.scoring.score import SetScore, gaps, score_rows
from harness.scoring.scored import ScoredVideo, scored_videos

if TYPE_CHECKING:
    from harness.videos.ready_set import ReadySet

TOOLS = (
    *("av", "docker", "numpy", "opencv-python-headless", "pandas"),
    *("pydantic", "scikit-learn", "sqlalchemy"),
)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """Everything about a run that its sets do not say themselves."""

    challenge: Challenge
    package: PackageFacts
    image: ImageFacts
    engine: str
    folder: RunFolder
    gpus: tuple[str, ...] = ()  # their names
    signing_key: Key | None = None
    stopped_early: str = ""  # why the private set was left unfinished


def finish(
    ran: Ran,
    sets: Sequence[ReadySet],
    runs: Mapping[SetName, SetRun],
    repeats: Mapping[SetName, Repeatability | None],
    *,
    reports: bool = True,
) -> Result:
    """Score, record and report. `result.json` is written last: it says that the run is finished.

    Args:
        ran: What was run, on what.
        sets: Every set of the challenge, with its labels.
        runs: What happened to each.
        reports: Whether both reports are written.
        repeats: How the answers of further passes compare, if there were any.

    Raises:
        ScoreInputError: outcomes and labels do not fit together: our fault.
    """
    folder = ran.folder
    rows = {ready.name: _rows(ran, ready, runs[ready.name]) for ready in sets}
    results = {
        ready.name: _set_result(
            ready,
            runs[ready.name],
            score=_score(ran.challenge, ready.name, runs[ready.name], rows[ready.name]),
            repeat=repeats.get(ready.name),
            outcomes=outcomes_sha256(folder, ready.name),
        )
        for ready in sets
    }
    for ready in sets:
        ids = [video.video_id for video in ready.videos]
        keep_columns(folder, ready.name, ids, runs[ready.name].outcomes)
    result = _result(ran, runs, results, gaps(rows, {name: one.score for name, one in results.items()}))
    if reports:
        data = {ready.name: _set_data(ready, runs[ready.name], rows[ready.name]) for ready in sets}
        from harness.report.write import write_reports  # noqa: PLC0415  (plots are slow to load)

        write_reports(result, data, folder)
    if ran.signing_key is not None:  # before the result: there is none without its seal
        seal(result.model_dump(mode="json"), folder.result, ran.signing_key)
    write_result(result, folder.result)
    return result


def judge(ran: Ran, ready: ReadySet, run: SetRun) -> SetResult:
    """Score one set by itself, as `finish` will."""
    score = _score(ran.challenge, ready.name, run, _rows(ran, ready, run))
    outcomes = outcomes_sha256(ran.folder, ready.name)
    return _set_result(ready, run, score=score, repeat=None, outcomes=outcomes)


def keep_score(one: SetResult, folder: RunFolder) -> None:
    """Write a set's score down before the run is finished; `result.json` will say the same.

    Raises:
        InfrastructureError: the disk refuses.
    """
    write_text(folder.score(one.set_name), one.model_dump_json(indent=1) + "\n")


def tool_versions() -> dict[str, str]:
    """Return the versions of what has a part in a result."""
    return {"python": platform.python_version(), **{name: version(name) for name in TOOLS}}


def limits_on_record(limits: Limits) -> dict[str, float]:
    """Return every limit by name."""
    return {name: float(value) for name, value in asdict(limits).items()}


def host_facts(*, engine: str, gpus: tuple[str, ...] = ()) -> HostFacts:
    """Describe this machine, without anything that names it."""
    return HostFacts(
        system=_system(),
        kernel=platform.release(),
        cpu=_cpu(),
        cpu_cores=os.cpu_count() or 0,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        gpus=gpus,
        engine=engine,
    )


def _result(
    ran: Ran,
    runs: Mapping[SetName, SetRun],
    results: dict[SetName, SetResult],
    gaps_found: tuple[Gap, ...],
) -> Result:
    challenge, scoring = ran.challenge, ran.challenge.scoring
    isolation = next(iter(runs.values())).isolation
    set_seeds = {f"{name}_set": spec.seed for name, spec in challenge.sets.items()}
    return Result(
        run_id=ran.folder.run_id,
        created=datetime.now(UTC),
        harness_version=__version__,
        package=ran.package,
        image=ran.image,
        challenge=ChallengeFacts(
            name=challenge.name,
            sha256=challenge.sha256,
            public_decimals=scoring.public_decimals,
        ),
        limits=limits_on_record(challenge.limits),
        seeds={"order": ran.folder.seed(), **set_seeds},
        tools=tool_versions(),
        host=host_facts(engine=ran.engine, gpus=ran.gpus),
        isolation=isolation,
        gpu_level=total(run.usage for run in runs.values()).gpu_level,
        failure_rule=scoring.failure_rule,
        epsilon=scoring.epsilon,
        failed_probability=scoring.failed_probability,
        sets=results,
        gaps=gaps_found,
        leaderboard=eligibility(results, isolation=isolation, stopped_early=ran.stopped_early),
        stopped_early=ran.stopped_early,
    )


def _rows(ran: Ran, ready: ReadySet, run: SetRun) -> tuple[ScoredVideo, ...]:
    if run.verdict is Verdict.INVALID_PACKAGE:  # nothing was prepared for it
        return ()
    return scored_videos(
        outcomes=run.outcomes,
        videos=ready.videos,
        labels=ready.labels,
        epsilon=ran.challenge.scoring.epsilon,
        failed_probability=ran.challenge.scoring.failed_probability,
    )


def _score(challenge: Challenge, name: SetName, run: SetRun, rows: Sequence[ScoredVideo]) -> SetScore:
    scoring = challenge.scoring
    return score_rows(
        rows,
        set_name=name,
        verdict=run.verdict,
        rule=scoring.failure_rule,
        epsilon=scoring.epsilon,
        failed_probability=scoring.failed_probability,
        max_failed_share=scoring.max_failed_share,
        detail=run.detail,
    )


def _set_result(
    ready: ReadySet, run: SetRun, *, score: SetScore, repeat: Repeatability | None, outcomes: str
) -> SetResult:
    return SetResult(
        set_name=ready.name,
        verdict=run.verdict,
        detail=run.detail,
        videos=len(ready.videos),
        left_out=len(ready.left_out),
        outcomes=_counts(outcome.kind for outcome in run.outcomes),
        clocks=_clocks(run),
        resources=Resources.of(run.usage, restarts=run.restarts),
        prepared_sha256=ready.sha256,
        outcomes_sha256=outcomes,
        score=score,
        repeat=repeat,
    )


def _set_data(ready: ReadySet, run: SetRun, rows: tuple[ScoredVideo, ...]) -> SetData:
    return SetData(
        rows=rows,
        samples=run.samples,
        log_tail="\n".join(part for part in (run.log_tail, run.message) if part),
        videos={video.video_id: video.path for video in ready.videos},
    )


def _counts(kinds: Iterable[OutcomeKind]) -> dict[OutcomeKind, int]:
    listed = list(kinds)
    return {kind: listed.count(kind) for kind in OutcomeKind if kind in listed}


def _clocks(run: SetRun) -> Clocks:
    return clocks_of(
        run.outcomes,
        startup_seconds=run.startup_seconds,
        billed_seconds=run.billed_seconds,
        budget_seconds=run.budget_seconds,
    )


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
