"""From a package to its record, in plain processes: refused before anything is prepared, and true words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from silent import Silent

from harness.core.challenge import load_challenge
from harness.core.errors import PackageError
from harness.core.types import ImageFacts, OutcomeKind, SetName, Verdict
from harness.results.result import read_result
from harness.run.evaluate import Evaluated, Evaluation, evaluate
from harness.sandbox import Backend
from harness.sandbox.process import ProcessSandbox

pytestmark = pytest.mark.slow

CHALLENGE = Path(__file__).parents[2] / "fixtures" / "earlier_release" / "challenge"
BATCH = 'name = "batch"\ncommand = ["python", "main.py", "{videos}", "{output}"]\n'
NEVER_READY = """
class Predictor:
    def __init__(self, package): raise ImportError("no torch")
    def predict(self, video): return 0.5
"""
MakePackage = Callable[..., Path]
Run = Callable[[Path], Evaluated]


@pytest.fixture
def observer() -> Silent:
    return Silent()


@pytest.fixture
def run(tmp_path: Path, observer: Silent) -> Run:
    shutil.copytree(CHALLENGE, tmp_path / "challenge")
    with (tmp_path / "challenge" / "challenge.toml").open("a") as stream:
        stream.write("\n[limits]\nmean_video_seconds = 60\n")

    def go(package: Path) -> Evaluated:
        asked = Evaluation(
            package=package,
            challenge=load_challenge(tmp_path / "challenge" / "challenge.toml"),
            runs=tmp_path / "runs",
            cache=tmp_path / "cache",
            isolation="none",
            order_seed=1,
        )
        image = ImageFacts(label="", digest="none", variant="cpu")
        return evaluate(
            asked, backend=lambda: Backend(sandbox=ProcessSandbox(), image=image), observer=observer
        )

    return go


def test_a_package_that_is_not_there_leaves_nothing_behind(
    run: Run, observer: Silent, tmp_path: Path
) -> None:
    with pytest.raises(PackageError, match="does not exist") as caught:
        run(tmp_path / "nosuch")
    assert caught.value.remedy
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "cache").exists()
    assert observer.told == [f"Opening {tmp_path / 'nosuch'}"]


def test_a_package_that_cannot_be_run_is_on_record_and_nothing_is_prepared_for_it(
    run: Run, make_package: MakePackage, tmp_path: Path
) -> None:
    package = make_package(manifest='name = "wrong"\nentry = "elsewhere:Predictor"\n')
    done = run(package)
    assert not (tmp_path / "cache").exists()
    assert {one.verdict for one in done.result.sets.values()} == {Verdict.INVALID_PACKAGE}
    assert not done.result.valid
    assert "elsewhere" in done.result.sets[SetName.PUBLIC].detail
    assert read_result(done.folder.result) == done.result
    assert "INVALID_PACKAGE" in done.folder.contestant_report.read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["stream", "batch"])
def test_a_run_without_one_answer_is_not_ok_anywhere(run: Run, make_package: MakePackage, mode: str) -> None:
    package = (
        make_package("raise ValueError('no face')")
        if mode == "stream"
        else make_package(manifest=BATCH, files={"main.py": "raise SystemExit(3)\n"})
    )
    done = run(package)
    for one in done.result.sets.values():
        assert one.verdict is Verdict.RUNTIME_ERROR
        assert one.detail.startswith("0 of 12 answered, 12 failed: RUNTIME_ERROR")
        assert one.outcomes == {OutcomeKind.RUNTIME_ERROR: 12}
        assert not one.score.counts
    assert not done.result.valid
    assert not done.result.leaderboard.eligible
    page = done.folder.contestant_report.read_text(encoding="utf-8")
    assert "pill good" not in page
    assert "RUNTIME_ERROR" in page


@pytest.mark.parametrize("mode", ["stream", "batch"])
def test_a_run_without_one_outcome_can_be_read_and_finished(
    run: Run, make_package: MakePackage, tmp_path: Path, mode: str
) -> None:
    """A package that is never ready, and a command that is stopped before its first row."""
    if mode == "stream":
        package = make_package(module=NEVER_READY)
        verdict = Verdict.RUNTIME_ERROR
    else:
        toml = tmp_path / "challenge" / "challenge.toml"
        toml.write_text(toml.read_text().replace("mean_video_seconds = 60", "mean_video_seconds = 0.1"))
        package = make_package(manifest=BATCH, files={"main.py": "import time\ntime.sleep(600)\n"})
        verdict = Verdict.TIME_LIMIT
    done = run(package)
    for one in done.result.sets.values():
        assert one.verdict is verdict
        assert one.outcomes == {OutcomeKind.NOT_REACHED: 12}
        assert "0 of 12 answered, 12 not reached" in one.detail
    done.folder.result.unlink()
    again = run(package)  # reads its journals
    assert again.folder == done.folder
    for name, one in again.result.sets.items():
        assert one.verdict is verdict
        done.folder.set_run(name).unlink()
    done.folder.result.unlink()
    assert {one.verdict for one in run(package).result.sets.values()} == {verdict}


def test_the_same_answers_have_the_same_scores_in_every_run(run: Run, make_package: MakePackage) -> None:
    package = make_package("return 0.25 + int(video.read_text().split()[1]) / 20")
    first, second = run(package), run(package)
    assert first.folder != second.folder
    for name, one in first.result.sets.items():
        assert second.result.sets[name].score == one.score
    assert first.result.gaps == second.result.gaps
