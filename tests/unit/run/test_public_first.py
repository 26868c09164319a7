"""The public set is run, told and kept before any other set is prepared; and what may be resumed after that.

Videos are a line of text each, fed as they are to a package that reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from silent import Silent

from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.core.challenge import load_challenge
from harness.core.errors import ConfigError
from harness.core.types import ImageFacts, Limits, SetName, Verdict
from harness.gateway.set_run import SetProgress, SetRun
from harness.results.result import SetResult
from harness.results.run_folder import RunFolder
from harness.run.evaluate import Evaluated, Evaluation, Observer, evaluate
from harness.sandbox import Backend
from harness.sandbox.process import ProcessSandbox

pytestmark = pytest.mark.slow  # each runs a package a few times

VIDEOS = 3
SET = """
[sets.{name}]
videos = "{name}"
labels = "{name}/labels.csv"
recipe = "original"
seed = {seed}
"""
ANSWERS = """
class Predictor:
    def __init__(self, package):
        pass

    def predict(self, video):
        return float(video.read_text())
"""
FAILS = ANSWERS.replace("return float", "raise RuntimeError")


@dataclass(frozen=True)
class Desk:
    """A challenge and a package in a folder of their own."""

    folder: Path

    def package(self, code: str = ANSWERS) -> Path:
        root = self.folder / "package"
        root.mkdir(exist_ok=True)
        (root / "submission.toml").write_text('name = "tiny"\nentry = "predictor:Predictor"\n')
        (root / "predictor.py").write_text(code)
        return root

    def video(self, name: SetName, number: int) -> Path:
        return self.folder / name / f"{number}.mp4"

    def run(self, observer: Observer, *, code: str = ANSWERS) -> Evaluated:
        asked = Evaluation(
            package=self.package(code),
            challenge=load_challenge(self.folder / "challenge.toml"),
            runs=self.folder / "runs",
            cache=self.folder / "cache",
            isolation="none",
            order_seed=1,
        )
        image = ImageFacts(label="", digest="none", variant="cpu")
        backend = Backend(sandbox=ProcessSandbox(), image=image)
        return evaluate(asked, backend=lambda: backend, observer=observer)

    @property
    def runs(self) -> list[RunFolder]:
        return [RunFolder(path=path) for path in sorted((self.folder / "runs").iterdir())]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    text = 'schema = 1\nname = "first"\n[scoring]\nbootstrap_samples = 100\n'
    for seed, name in enumerate(SetName):
        (tmp_path / name).mkdir()
        text += SET.format(name=name, seed=seed)
        rows = [f"{number}.mp4,{number % 2}" for number in range(VIDEOS)]
        (tmp_path / name / "labels.csv").write_text("\n".join(["filename,label", *rows, ""]))
        for number in range(VIDEOS):
            (tmp_path / name / f"{number}.mp4").write_text(f"0.{seed + 2}{number + 1}")
    (tmp_path / "challenge.toml").write_text(text)
    return Desk(tmp_path)


class Cut(Silent):
    """Ends the harness once so many videos of a set are done, as Ctrl-C does; with 0, before its first."""

    def __init__(self, name: SetName, done: int) -> None:
        super().__init__()
        self.name, self.done = name, done

    def running(self, name: SetName, progress: SetProgress) -> None:
        super().running(name, progress)
        if (name, progress.done) == (self.name, self.done):
            raise KeyboardInterrupt


class CutWhenJudged(Silent):
    def judged(self, one: SetResult, run: SetRun, limits: Limits) -> None:
        super().judged(one, run, limits)
        raise KeyboardInterrupt


def test_the_public_score_is_told_and_kept_before_another_set_is_prepared(desk: Desk) -> None:
    observer = Silent()
    done = desk.run(observer)
    steps = [one for one in observer.told if "set" in one or "judged" in one]
    assert steps == [
        *("Preparing the public set", "Running the public set", "judged public: OK"),
        *("Preparing the private set", "Running the private set"),
        *("Preparing the control set", "Running the control set"),
    ]
    kept = SetResult.model_validate_json(done.folder.score(SetName.PUBLIC).read_text())
    assert kept == done.result.sets[SetName.PUBLIC]
    assert not done.folder.score(SetName.PRIVATE).exists()
    assert list(done.result.sets) == list(SetName), "in the challenge's order, whatever ran first"


def test_a_harness_that_ends_between_two_sets_goes_on_with_the_next(desk: Desk) -> None:
    with pytest.raises(KeyboardInterrupt):
        desk.run(CutWhenJudged())
    (cut_off,) = desk.runs
    assert cut_off.score(SetName.PUBLIC).is_file()
    assert not cut_off.journal(SetName.PRIVATE).exists()
    observer = Silent()
    done = desk.run(observer)
    assert done.folder == cut_off
    assert SetName.PUBLIC not in {name for name, _ in observer.ran}
    assert "judged public: OK" in observer.told, "a score that is known is told again"
    assert done.result.valid


@pytest.mark.parametrize("videos", [1, VIDEOS])
def test_a_set_that_changed_after_it_had_begun_makes_it_another_run(desk: Desk, videos: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        desk.run(Cut(SetName.PRIVATE, videos) if videos < VIDEOS else Cut(SetName.CONTROL, 0))
    (cut_off,) = desk.runs
    desk.video(SetName.PRIVATE, 0).write_text("0.99")
    observer = Silent()
    done = desk.run(observer)
    assert done.folder != cut_off
    assert (
        f"the private set has changed since {cut_off.run_id} was cut off; this is a new run" in observer.told
    )
    assert (SetName.PRIVATE, VIDEOS) in observer.ran
    assert not cut_off.result.exists()


def test_a_public_set_that_changed_makes_it_another_run(desk: Desk) -> None:
    with pytest.raises(KeyboardInterrupt):
        desk.run(CutWhenJudged())
    (cut_off,) = desk.runs
    desk.video(SetName.PUBLIC, 0).write_text("0.99")
    assert desk.run(Silent()).folder != cut_off


def test_a_set_that_changed_before_it_began_is_run_as_it_is_now(desk: Desk) -> None:
    with pytest.raises(KeyboardInterrupt):
        desk.run(CutWhenJudged())
    (cut_off,) = desk.runs
    desk.video(SetName.PRIVATE, 0).write_text("0.99")
    assert desk.run(Silent()).folder == cut_off


@pytest.mark.parametrize("wrong", ["labels.csv", "recipe"])
def test_what_is_wrong_with_a_later_set_is_said_before_anything_is_run(desk: Desk, wrong: str) -> None:
    if wrong == "recipe":
        path = desk.folder / "challenge.toml"
        text = path.read_text()
        path.write_text(
            text.replace('labels.csv"\nrecipe = "original"\nseed = 2', 'labels.csv"\nrecipe = "no"\nseed = 2')
        )
        assert path.read_text() != text
    else:
        (desk.folder / SetName.PRIVATE / "labels.csv").write_text("filename,label\nnobody.mp4,1\n")
    observer = Silent()
    with pytest.raises(ConfigError):
        desk.run(observer)
    assert observer.ran == []
    assert not any("Preparing" in told for told in observer.told)


def test_a_package_that_always_fails_is_told_before_the_private_set(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    with ConsoleObserver(printer(errors=True)) as observer:
        done = desk.run(observer, code=FAILS)
    assert done.result.sets[SetName.PRIVATE].verdict is Verdict.RUNTIME_ERROR
    told = " ".join(capsys.readouterr().err.split())
    before, _, after = told.partition("Preparing the private set")
    assert "public: RUNTIME_ERROR, 0 of 3 answered" in before
    assert "What failed on the public set:" in before
    assert "predictor.py" in before
    assert "Ctrl-C ends it here" in before
    assert "What failed" not in after


def test_nothing_of_another_set_is_ever_told_as_a_score(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    with ConsoleObserver(printer(errors=True)) as observer:
        done = desk.run(observer)
    told = capsys.readouterr().err
    assert told.count("log loss 0.") == 1
    assert "public: OK, log loss" in told
    for name in (SetName.PRIVATE, SetName.CONTROL):
        loss = done.result.sets[name].score.log_loss
        assert loss is not None
        assert f"{loss:.4f}" not in told
