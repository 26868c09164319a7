"""The index of runs, against SQLite and against a real PostgreSQL of the tests' own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from harness.core.errors import ConfigError, ResultError, StoreError
from harness.core.types import SetName, Verdict
from harness.results.leaderboard import Choice
from harness.results.result import Eligibility, Result, read_result, write_result
from harness.results.run_folder import RunFolder
from harness.results.run_row import entry_path
from harness.results.store import Store

pytestmark = pytest.mark.slow

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
CHALLENGE = "ef" * 32


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    found = Store(url)
    yield found
    found.close()


@pytest.fixture(scope="module")
def example(finished_run: tuple[Path, Result, object]) -> Result:
    return finished_run[1]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


def finished(
    root: Path,
    example: Result,
    run_id: str,
    *,
    public: float | None = 0.5,
    private: float | None = 0.6,
    isolation: str = "docker",
    eligible: bool = True,
    challenge: str = CHALLENGE,
) -> RunFolder:
    """Make the folder of a finished run with these scores."""
    from dataclasses import replace

    sets = dict(example.sets)
    for name, loss in ((SetName.PUBLIC, public), (SetName.PRIVATE, private)):
        score = sets[name].score
        metrics = {"log_loss": replace(score.metrics["log_loss"], value=loss)} if loss is not None else {}
        changed = replace(
            score, scored=loss is not None, reason="" if loss is not None else "spoiled", metrics=metrics
        )
        sets[name] = sets[name].model_copy(update={"score": changed})
    result = example.model_copy(
        update={
            "run_id": run_id,
            "sets": sets,
            "isolation": isolation,
            "leaderboard": Eligibility(eligible=eligible),
            "challenge": example.challenge.model_copy(update={"sha256": challenge}),
        }
    )
    folder = RunFolder(path=root / run_id)
    folder.path.mkdir()
    write_result(result, folder.result)
    return folder


def submit(store: Store, folder: RunFolder, team: str, minute: int = 0) -> None:
    store.submit(folder, team=team, submitted=NOON + timedelta(minutes=minute))


def board(store: Store, **how: object) -> list[tuple[int, str, float]]:
    rows = store.leaderboard(challenge_sha256=CHALLENGE, **how)  # type: ignore[arg-type]  # spelled at each call
    return [(row.rank, row.team, row.log_loss) for row in rows]


def test_a_run_is_indexed_as_its_folder_has_it(store: Store, root: Path, example: Result) -> None:
    failed = example.sets[SetName.PRIVATE].model_copy(update={"verdict": Verdict.RUNTIME_ERROR})
    example = example.model_copy(update={"sets": {**example.sets, SetName.PRIVATE: failed}})
    folder = finished(root, example, "r1", public=0.123456789012345, private=None)
    store.record(folder)
    store.record(folder)  # twice is once
    (row,) = store.runs()
    assert (row.run_id, row.public_log_loss, row.private_log_loss, row.team) == (
        "r1",
        0.123456789012345,
        None,
        None,
    )
    assert row.package_sha256 == example.package.sha256
    assert (row.public_verdict, row.private_verdict) == ("OK", "RUNTIME_ERROR")


def test_the_lowest_log_loss_is_first(store: Store, root: Path, example: Result) -> None:
    for name, public, private in (("a", 0.5, 0.6), ("b", 0.4, 0.9), ("c", 0.7, 0.5)):
        submit(store, finished(root, example, name, public=public, private=private), f"team {name}")
    assert board(store) == [(1, "team b", 0.4), (2, "team a", 0.5), (3, "team c", 0.7)]
    assert board(store, by=SetName.PRIVATE) == [(1, "team c", 0.5), (2, "team a", 0.6), (3, "team b", 0.9)]


def test_best_or_last_of_a_teams_entries(store: Store, root: Path, example: Result) -> None:
    for minute, (name, public) in enumerate((("z", 0.5), ("y", 0.3), ("x", 0.8))):
        submit(store, finished(root, example, name, public=public), "us", minute)
    submit(store, finished(root, example, "w", public=0.6), "them", 9)
    assert board(store, choice=Choice.BEST) == [(1, "us", 0.3), (2, "them", 0.6)]
    assert board(store, choice=Choice.LAST) == [(1, "them", 0.6), (2, "us", 0.8)]
    assert store.leaderboard(challenge_sha256=CHALLENGE)[0].entries == 3


def test_ranks_are_those_of_the_rounded_scores(store: Store, root: Path, example: Result) -> None:
    for minute, (name, public) in enumerate((("a", 0.50049), ("b", 0.50041), ("c", 0.5006))):
        submit(store, finished(root, example, name, public=public), f"team {name}", minute)
    rounded = [
        (1, "team a", 0.5),
        (1, "team b", 0.5),
        (3, "team c", 0.501),
    ]  # the earlier first, not the better
    assert board(store, decimals=3) == rounded
    assert [team for _, team, _ in board(store, decimals=5)] == ["team b", "team a", "team c"]


@pytest.mark.parametrize(
    "how",
    [
        {"isolation": "none"},  # even where the result says it is eligible
        {"eligible": False},
        {"public": None},
        {"challenge": "0" * 64},
    ],
)
def test_what_does_not_count_is_on_no_board(
    store: Store, root: Path, example: Result, how: dict[str, object]
) -> None:
    submit(store, finished(root, example, "bad", **how), "them")  # type: ignore[arg-type]  # one of its parameters
    submit(store, finished(root, example, "good"), "us")
    for by in (SetName.PUBLIC, SetName.PRIVATE):
        for choice in Choice:
            assert [row[1] for row in board(store, by=by, choice=choice)] == ["us"]


def test_an_entry_that_was_stopped_early_is_on_the_public_board_only(
    store: Store, root: Path, example: Result
) -> None:
    submit(store, finished(root, example, "stopped", private=None), "them")
    submit(store, finished(root, example, "good"), "us")
    for by, teams in ((SetName.PUBLIC, {"us", "them"}), (SetName.PRIVATE, {"us"})):
        assert {row[1] for row in board(store, by=by, choice=Choice.BEST, decimals=4)} == teams
    assert len(store.runs()) == 2


def test_a_run_that_nobody_submitted_is_on_no_board(store: Store, root: Path, example: Result) -> None:
    store.record(finished(root, example, "r1"))
    assert board(store) == []


def test_there_is_no_leaderboard_by_the_control_set(store: Store) -> None:
    with pytest.raises(ConfigError, match="control"):
        store.leaderboard(challenge_sha256=CHALLENGE, by=SetName.CONTROL)


def test_the_index_is_rebuilt_from_the_folders(store: Store, root: Path, example: Result) -> None:
    submit(store, finished(root, example, "a", public=0.4), "us", 1)
    submit(store, finished(root, example, "b", public=0.3, isolation="none"), "them", 2)
    store.record(finished(root, example, "c"))
    before, standing = store.runs(), board(store)
    store.record(finished(root, example, "gone"))
    (root / "gone" / "result.json").unlink()
    (root / "unfinished").mkdir()
    found = store.rebuild(root)
    assert store.runs() == before
    assert board(store) == standing
    assert (found.runs, found.entries, found.problems) == (3, 2, ())


def test_a_rebuild_names_what_it_could_not_read_and_keeps_the_rest(
    store: Store, root: Path, example: Result
) -> None:
    submit(store, finished(root, example, "good"), "us")
    finished(root, example, "torn").result.write_text("{")
    finished(root, example, "moved").path.rename(root / "elsewhere")
    submit(store, finished(root, example, "named"), "us")
    entry_path(RunFolder(path=root / "named")).write_text(
        '{"schema_version": 1, "team": "", "submitted": "x"}'
    )
    found = store.rebuild(root)
    assert [row.run_id for row in store.runs()] == ["good"]
    assert [problem.split(":")[0] for problem in found.problems] == ["elsewhere", "named", "torn"]


def test_a_rebuild_of_nothing_is_empty(store: Store, tmp_path: Path) -> None:
    assert store.rebuild(tmp_path / "nowhere").runs == 0


def test_submitting_twice_keeps_the_first_time(store: Store, root: Path, example: Result) -> None:
    folder = finished(root, example, "r1")
    submit(store, folder, "us", 1)
    submit(store, folder, "us", 9)
    assert store.runs()[0].submitted == (NOON + timedelta(minutes=1)).isoformat(timespec="microseconds")
    with pytest.raises(ConfigError, match="already entered by 'us'"):
        submit(store, folder, "them")


def test_a_teams_name_is_one_line_of_printable_text(store: Store, root: Path, example: Result) -> None:
    folder = finished(root, example, "r1")
    for name in ("", "   ", "a" * 81, "a\x1b[2J", "a\u202eb", "a\x00b"):
        with pytest.raises(ConfigError):
            store.submit(folder, team=name)
    assert not entry_path(folder).exists()
    hostile = "Robert'); DROP TABLE harness_runs;-- <b>面</b>"
    submit(store, folder, f"  {hostile}\n ")
    assert store.runs()[0].team == hostile


def test_a_submission_is_in_the_folder_before_it_is_in_the_index(
    store: Store, root: Path, example: Result
) -> None:
    folder = finished(root, example, "r1")
    submit(store, folder, "us")
    assert json.loads(entry_path(folder).read_text(encoding="utf-8"))["team"] == "us"
    assert read_result(folder.result).run_id == "r1"


def test_a_folder_without_a_result_cannot_be_submitted(store: Store, root: Path) -> None:
    (root / "r1").mkdir()
    with pytest.raises(ResultError):
        store.submit(RunFolder(path=root / "r1"), team="us")
    assert not entry_path(RunFolder(path=root / "r1")).exists()


def test_several_harnesses_may_write_at_once(url: str, root: Path, example: Result) -> None:
    folders = [finished(root, example, f"r{number}") for number in range(4)]

    def write(number: int) -> None:
        mine = Store(url)  # the tables do not exist yet: all of them try to make them
        try:
            for folder in folders:
                mine.record(folder)
            submit(mine, folders[number], f"team {number}")
        finally:
            mine.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    store = Store(url)
    assert sorted(row.team or "" for row in store.runs()) == [f"team {number}" for number in range(4)]
    store.close()


def test_another_version_is_refused_with_a_remedy(url: str) -> None:
    Store(url).close()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE harness_migrations SET version_num = 'v0099'"))
    engine.dispose()
    with pytest.raises(StoreError, match="schema version v0099") as caught:
        Store(url)
    assert "rebuild" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    "bad",
    [
        "nonsense",
        "oracle+nothing://x",
        "sqlite:////nowhere/at/all/runs.db",
        "postgresql+psycopg://harness:secret@/postgres?host=/nowhere",
    ],
)
def test_a_database_that_is_not_there_is_our_own_error_and_hides_the_password(bad: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store(bad)
    assert "secret" not in str(caught.value)
    assert caught.value.remedy
