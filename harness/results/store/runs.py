"""The index of runs, and the leaderboards that can be read out of it.

The run folders are the truth: whatever is here can be built again from them, the teams of `harness submit`
included, which are written into the run's folder before they are written here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import sqlalchemy as sa

from harness.core.errors import ConfigError, ResultError
from harness.core.types import SetName
from harness.results.leaderboard import Choice, LeaderboardRow, ranked
from harness.results.result import NO_ISOLATION, Result, read_result
from harness.results.run_folder import RunFolder
from harness.results.run_row import RunRow, read_row
from harness.results.store.database import one_writer
from harness.results.store.tables import RUNS, SETS


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What a rebuild found."""

    runs: int
    entries: int
    problems: tuple[str, ...]  # folders that could not be read, each with why


@dataclass(frozen=True, kw_only=True)
class SetRow:
    """One set of one run as the index has it, as the run scored it or as a regrade did."""

    run_id: str
    regrade: str  # empty: as the run itself scored it
    set_name: str
    verdict: str
    videos: int
    predicted: int
    failed: int
    log_loss: float | None
    roc_auc: float | None
    billed_seconds: float
    prepared_sha256: str


def record(connection: sa.Connection, folder: RunFolder) -> RunRow:
    """Put a finished run into the index, or update its row; doing it twice changes nothing.

    Raises:
        ResultError: the folder contains no result that can be read.
    """
    one_writer(connection, RUNS)
    return _renew(connection, folder)


def rebuild(connection: sa.Connection, runs_root: Path) -> Rebuilt:
    """Forget every run and read every folder again.

    A folder without a result is an unfinished run and no problem; one that cannot be read is named.
    """
    one_writer(connection, RUNS)
    for table in (RUNS, SETS):
        connection.execute(sa.delete(table))
    rows, problems = [], []
    for path in sorted(runs_root.iterdir()) if runs_root.is_dir() else []:
        folder = RunFolder(path=path)
        if folder.result.exists():
            try:
                rows.append(_renew(connection, folder))
            except ResultError as error:
                problems.append(f"{path.name}: {error.message}")
    entries = sum(row.team is not None for row in rows)
    return Rebuilt(runs=len(rows), entries=entries, problems=tuple(problems))


def all_runs(connection: sa.Connection, *, run_ids: tuple[str, ...] | None = None) -> tuple[RunRow, ...]:
    """Return runs, the newest first: all, or those that are named."""
    query = sa.select(RUNS).order_by(RUNS.c.created.desc(), RUNS.c.run_id.desc())
    if run_ids is not None:
        query = query.where(RUNS.c.run_id.in_(run_ids))
    return tuple(RunRow(**row) for row in connection.execute(query).mappings())


def sets_of(connection: sa.Connection, run_id: str) -> tuple[SetRow, ...]:
    """Return the sets of a run, as it scored them and as every regrade did."""
    query = sa.select(SETS).where(SETS.c.run_id == run_id).order_by(SETS.c.regrade, SETS.c.set_name)
    return tuple(SetRow(**row) for row in connection.execute(query).mappings())


def leaderboard(
    connection: sa.Connection, *, challenge_sha256: str, by: SetName, choice: Choice, decimals: int
) -> tuple[LeaderboardRow, ...]:
    """Rank the teams of one challenge by the log loss of a set, the lowest first.

    Only runs that were submitted, isolated, and scored on both sets count; one that a rule stopped early on
    the private set is on the public board only. Ranks are those of the rounded scores, so that a board gives
    away no more than it shows; within a rank the earlier entry is first.

    Raises:
        ConfigError: `by` is a set that has no leaderboard.
    """
    if by not in {SetName.PUBLIC, SetName.PRIVATE}:
        raise ConfigError(f"no leaderboard by the {by} set", remedy="By public or private.")
    query = sa.select(RUNS).where(RUNS.c.challenge_sha256 == challenge_sha256, *_COUNTS)
    if by is SetName.PRIVATE:
        query = query.where(RUNS.c.private_log_loss.is_not(None))
    rows = [RunRow(**row) for row in connection.execute(query).mappings()]
    return ranked(rows, by=by, choice=choice, decimals=decimals)


_COUNTS = (
    RUNS.c.eligible,
    RUNS.c.isolation != NO_ISOLATION,
    RUNS.c.team.is_not(None),
    RUNS.c.public_log_loss.is_not(None),
)


def _renew(connection: sa.Connection, folder: RunFolder) -> RunRow:
    """Write what a folder says, read *after* other writers are out: an old reading never wins over a new."""
    connection.execute(sa.delete(RUNS).where(RUNS.c.run_id == folder.run_id))
    connection.execute(sa.delete(SETS).where(SETS.c.run_id == folder.run_id))
    row = read_row(folder)
    sets = [*_set_rows(read_result(folder.result), "")]
    for regrade in folder.regrades:
        sets += _set_rows(read_result(regrade.result), regrade.path.name)
    connection.execute(sa.insert(RUNS).values(**asdict(row)))
    if sets:
        connection.execute(sa.insert(SETS), [asdict(one) for one in sets])
    return row


def _set_rows(result: Result, regrade: str) -> list[SetRow]:
    return [
        SetRow(
            run_id=result.run_id,
            regrade=regrade,
            set_name=name.value,
            verdict=one.verdict.value,
            videos=one.score.videos,
            predicted=one.score.predicted,
            failed=one.score.failed,
            log_loss=one.score.log_loss,
            roc_auc=one.score.metrics["roc_auc"].value if "roc_auc" in one.score.metrics else None,
            billed_seconds=one.clocks.billed_seconds,
            prepared_sha256=one.prepared_sha256,
        )
        for name, one in result.sets.items()
    ]
