"""The commands a contestant begins with, as a person types them: no container is needed for these."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.documents.package import PredictDocument
from harness.core.challenge import load_challenge
from harness.core.errors import ConfigError
from harness.core.types import SetName
from harness.package.check import check_package
from harness.package.new import STYLES, new_package
from harness.videos.labels import read_labels
from harness.videos.new_challenge import new_challenge
from harness.videos.synthetic import ClipSpec, write_clip

pytestmark = pytest.mark.slow

MakePackage = Callable[..., Path]
HARNESS = Path(sys.executable).with_name("harness")
ROOT = Path(__file__).parents[3]


def harness(*arguments: object, cwd: Path, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(HARNESS), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False,
        timeout=300, input=typed if typed is not None else "",
        env=os.environ | {"HARNESS_CACHE": str(cwd / "cache"), "XDG_CACHE_HOME": str(cwd), "COLUMNS": "200"},
    )  # fmt: skip


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for label in ("real", "fake"):
        for number in range(2):
            path = tmp_path / "clips" / label / f"take {number}" / "clip.mp4"
            path.parent.mkdir(parents=True)
            write_clip(path, ClipSpec(frames=5, seed=number))
    return tmp_path / "clips"


@pytest.mark.parametrize("style", STYLES)
def test_a_new_package_has_no_error_and_no_warning(tmp_path: Path, style: str) -> None:
    new_package(tmp_path / "mine", style=style)
    report = check_package(
        tmp_path / "mine", limits=load_challenge(ROOT / "sample_videos/challenge.toml").limits
    )
    assert report.ok
    assert report.name == "mine"
    assert {one.severity.value for one in report.findings} <= {"note"}


def test_new_never_writes_over_anything_and_knows_its_styles(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    done = harness("new", "mine", cwd=tmp_path)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
    done = harness("new", "other", "--style", "tensorflow", cwd=tmp_path)
    assert done.returncode == 2
    assert "ensemble" in done.stderr
    assert not (tmp_path / "other").exists()


def test_pack_refuses_what_run_would_refuse_and_never_overwrites_by_itself(
    make_package: MakePackage, tmp_path: Path
) -> None:
    package = make_package("return 0.5")
    (package / "weights.pt").write_bytes(b"0" * 10)
    done = harness("pack", package, cwd=tmp_path)
    assert done.returncode == 1
    assert "P401" in done.stdout
    assert not (tmp_path / f"{package.name}.zip").exists()
    (package / "weights.pt").unlink()
    assert harness("pack", package, cwd=tmp_path).returncode == 0
    before = (tmp_path / f"{package.name}.zip").read_bytes()
    (package / "predictor.py").write_text((package / "predictor.py").read_text() + "\n")
    done = harness("pack", package, cwd=tmp_path)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert (tmp_path / f"{package.name}.zip").read_bytes() == before
    assert harness("pack", package, "--force", cwd=tmp_path).returncode == 0
    assert (tmp_path / f"{package.name}.zip").read_bytes() != before


def test_packing_a_zip_does_not_make_a_zip_zip(make_package: MakePackage, tmp_path: Path) -> None:
    package = make_package("return 0.5")
    (tmp_path / "there").mkdir()
    assert harness("pack", package, "-o", "x.zip", cwd=tmp_path).returncode == 0
    assert harness("pack", tmp_path / "x.zip", cwd=tmp_path / "there").returncode == 0
    assert [path.name for path in (tmp_path / "there").glob("*.zip*")] == ["x.zip"]


def test_predict_shows_answers_prints_and_the_traceback(make_package: MakePackage, tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"x")
    good = harness("predict", make_package("print('looking'); return 0.25"), video, cwd=tmp_path)
    assert good.returncode == 0
    assert "a.mp4: 0.25" in good.stdout
    assert "looking" in good.stdout + good.stderr
    assert "No sandbox" in good.stderr
    bad = harness("predict", make_package("raise ValueError('no face')"), video, cwd=tmp_path)
    assert bad.returncode == 1
    assert "ValueError: no face" in bad.stderr
    wrong = harness("predict", make_package("return 3.2"), video, cwd=tmp_path)
    assert wrong.returncode == 1
    assert "no probability: 3.2" in wrong.stdout


def test_the_debugger_opens_where_the_package_failed(make_package: MakePackage, tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"x")
    package = make_package("secret = 6 * 7\nraise ValueError('no face')")
    done = harness("predict", package, video, "--pdb", cwd=tmp_path, typed="p 'value', secret\nq\n")
    assert "('value', 42)" in done.stdout


def test_answers_as_json_hold_nothing_that_the_package_printed(
    make_package: MakePackage, tmp_path: Path
) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"x")
    for body, ok, failure in (
        ("print('looking'); return 0.25", True, ""),
        ("raise ValueError('no face')", False, "ValueError: no face"),
        ("return 3.2", False, "no probability: 3.2"),
        ("import os; os._exit(3)", False, "no answer: Python ended"),
    ):
        done = harness("predict", make_package(body), video, "--json", cwd=tmp_path)
        document = PredictDocument.model_validate_json(done.stdout)
        assert (document.ok, done.returncode) == (ok, 0 if ok else 1)
        assert [(one.video, one.failure) for one in document.answers] == [("a.mp4", failure)]
        assert document.answers[0].probability == (0.25 if ok else None)


def test_the_debugger_says_where_it_cannot_be_opened(make_package: MakePackage, tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"x")
    both = harness("predict", make_package(), video, "--pdb", "--json", cwd=tmp_path)
    assert both.returncode == 2
    new_package(tmp_path / "table", style="batch")
    batch = harness("predict", tmp_path / "table", video, "--pdb", cwd=tmp_path)
    assert batch.returncode == 2
    assert "breakpoint()" in batch.stderr


def test_a_challenge_from_real_and_fake_keeps_clips_of_one_name_apart(clips: Path, tmp_path: Path) -> None:
    done = harness("new-challenge", clips, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    challenge = load_challenge(tmp_path / "clips-challenge" / "challenge.toml")
    assert list(challenge.sets) == [SetName.PUBLIC]  # no private set is needed for practice
    labels = read_labels(challenge.sets[SetName.PUBLIC].labels)
    assert sorted(labels.of(name).fake for name in labels) == [False, False, True, True]
    assert len(list(challenge.sets[SetName.PUBLIC].videos.iterdir())) == 4


def test_a_folder_without_a_class_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "clips" / "real").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"real/ and fake/|contains no videos"):
        new_challenge(tmp_path / "clips", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_is_scored_in_one_command(clips: Path, make_package: MakePackage, tmp_path: Path) -> None:
    package = make_package("return 0.9")
    done = harness("score-folder", package, clips, "--sandbox", "process", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "log loss: 1.2040" in done.stdout  # the mean of -ln 0.9 and -ln 0.1
    assert "ROC AUC: 0.5000" in done.stdout
    assert done.stdout.index("real-take 0-clip.mp4") < done.stdout.index("fake-take 0-clip.mp4")


def test_a_challenge_is_found_upwards_and_the_sample_comes_with_the_harness(
    make_package: MakePackage, clips: Path, tmp_path: Path
) -> None:
    package = make_package("return 0.5")
    below = tmp_path / "clips-challenge" / "deep" / "er"
    new_challenge(clips, tmp_path / "clips-challenge")
    text = (tmp_path / "clips-challenge" / "challenge.toml").read_text()
    (tmp_path / "clips-challenge" / "challenge.toml").write_text(text + '[contract]\nmodes = ["batch"]\n')
    below.mkdir(parents=True)
    assert (
        "P204" in harness("check", package, "--static", cwd=below).stdout
    )  # this challenge wants batch mode
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = harness("check", package, "--static", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert "P204" not in done.stdout


def test_an_installation_brings_the_sample_challenge_and_the_templates(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", str(tmp_path), str(ROOT)],
        capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    samples = [name.partition("sample_videos/")[2] for name in names if "/sample_videos/" in name]
    assert {"challenge.toml", "public/labels.csv", "private/labels.csv", "recipes/public.toml"} <= set(
        samples
    )
    assert sum(name.endswith(".mp4") for name in samples) == 32
    for style in STYLES:
        assert f"harness/package/packages/{style}/submission.toml" in names


def test_shell_completion_can_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Typer looks for a shell among its parents, and a suite may run without one: name it instead.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    done = harness("--show-completion", "bash", cwd=tmp_path)
    assert "_HARNESS_COMPLETE" in done.stdout + done.stderr
