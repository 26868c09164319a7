"""Run folders that release 0.1 left are read, scored again with the same numbers, and resumed.

The fixture was made by that release: one run that it finished, and one that was killed after the fifth video
of the private set. Its videos are a line of text each, fed as they are to a package that reads it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from silent import Silent

from harness.core.challenge import load_challenge
from harness.core.types import ImageFacts, OutcomeKind, SetName, Verdict
from harness.gateway.journal import read_journal
from harness.results.result import Result, read_result
from harness.results.run_folder import RunFolder
from harness.run.evaluate import Evaluated, Evaluation, evaluate
from harness.sandbox import Backend
from harness.sandbox.process import ProcessSandbox

pytestmark = pytest.mark.slow  # starts processes

FIXTURE = Path(__file__).parents[2] / "fixtures" / "earlier_release"
FINISHED, CUT_OFF = "20200101-000000-aaaaaa", "20200102-000000-bbbbbb"


def go_on(tmp_path: Path, run: str, observer: Silent) -> Evaluated:
    """Run the same package on the same challenge, where this run alone lies."""
    (tmp_path / "runs").mkdir()
    shutil.copytree(FIXTURE / "runs" / run, tmp_path / "runs" / run)
    (tmp_path / "runs" / run / "result.json").unlink(missing_ok=True)
    asked = Evaluation(
        package=FIXTURE / "package",
        challenge=load_challenge(FIXTURE / "challenge" / "challenge.toml"),
        runs=tmp_path / "runs",
        cache=tmp_path / "cache",
        isolation="none",
    )
    image = ImageFacts(label="", digest="none", variant="cpu")
    return evaluate(asked, backend=lambda: Backend(sandbox=ProcessSandbox(), image=image), observer=observer)


def numbers(result: Result) -> dict[tuple[str, str], float | None]:
    return {
        (name, metric): found.value
        for name, one in result.sets.items()
        for metric, found in one.score.metrics.items()
    }


@pytest.fixture(scope="module")
def before() -> Result:
    return read_result(FIXTURE / "runs" / FINISHED / "result.json")


def test_its_result_is_read(before: Result) -> None:
    assert before.valid
    assert before.sets[SetName.PRIVATE].outcomes == {OutcomeKind.PREDICTED: 11, OutcomeKind.RUNTIME_ERROR: 1}
    assert before.sets[SetName.PUBLIC].resources.cpu_seconds is not None


def test_its_finished_sets_are_scored_again_with_the_same_numbers(before: Result, tmp_path: Path) -> None:
    observer = Silent()
    done = go_on(tmp_path, FINISHED, observer)
    assert done.folder.run_id == FINISHED
    assert observer.ran == []
    known = numbers(before)
    assert {key: value for key, value in numbers(done.result).items() if key in known} == known
    for name, one in before.sets.items():
        again = done.result.sets[name]
        assert (again.verdict, again.outcomes) == (Verdict.OK, one.outcomes)
        assert again.resources == one.resources
        assert again.clocks == one.clocks


def test_its_cut_off_run_is_resumed_where_it_stopped(before: Result, tmp_path: Path) -> None:
    journal = RunFolder(path=FIXTURE / "runs" / CUT_OFF).journal(SetName.PRIVATE)
    asked_before = [line.outcome.video_id for line in read_journal(journal)[1]]
    observer = Silent()
    done = go_on(tmp_path, CUT_OFF, observer)
    assert done.folder.run_id == CUT_OFF
    lines = read_journal(done.folder.journal(SetName.PRIVATE))[1]
    assert [line.outcome.video_id for line in lines][: len(asked_before)] == asked_before
    assert min(count for _, count in observer.ran) == len(asked_before) == 5
    assert {name for name, _ in observer.ran} == {SetName.PRIVATE}
    known = numbers(before)
    assert {key: value for key, value in numbers(done.result).items() if key in known} == known
