"""Code written for the contest of 2020 runs unchanged, in the real image, on real videos."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from harness.core.types import FailureRule, Limits, OutcomeKind, PreparedVideo, SandboxSpec, Terms, Verdict
from harness.gateway.feed import run_set
from harness.gateway.journal import Journal, header_of
from harness.gateway.set_run import SetRun
from harness.gateway.staging import Stage
from harness.package.layout import layout_mounts
from harness.package.manifest import Layout
from harness.package.opened import open_package, remove_package
from harness.sandbox.docker.sandbox import DockerSandbox

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "tests" / "packages"
SLUG = "deepfake-detection-challenge"
LIMITS = Limits(startup_seconds=300, mean_video_seconds=200, cpus=1, memory_bytes=1_000_000_000, gpus=0)


def real_videos(count: int = 3) -> tuple[PreparedVideo, ...]:
    paths = sorted((ROOT / "sample_videos" / "public").glob("*.mp4"))[:count]
    return tuple(PreparedVideo(video_id=p.name, path=p, source_id=p.name, sha256="0" * 64) for p in paths)


def run(
    client: docker.DockerClient,
    image: str,
    source: Path,
    folder: Path,
    videos: tuple[PreparedVideo, ...],
    *,
    limits: Limits = LIMITS,
    rule: FailureRule = FailureRule.STRICT,
) -> SetRun:
    """Run a package just as a real run does: opened, placed by its layout, in a hardened container."""
    package = open_package(source, folder / "opened", limits=limits)
    folder.chmod(0o755)
    try:
        with Stage() as stage:
            placed = layout_mounts(package, stage.videos, SLUG, sample_submission=stage.sample_submission)
            spec = SandboxSpec(
                run_id="batch-contract",
                image=image,
                package=placed.package,
                videos=placed.videos,
                limits=limits,
                mode=package.manifest.mode,
                extra_mounts=placed.extra_mounts,
                writable=placed.writable,
                working_directory=placed.working_directory,
            )
            header = header_of(videos=videos, limits=limits, order_seed=1)
            with Journal(folder / "outcomes.jsonl", header) as journal:
                return run_set(
                    sandbox=DockerSandbox(client),
                    spec=spec,
                    stage=stage,
                    videos=videos,
                    order_seed=1,
                    journal=journal,
                    terms=Terms(limits=limits, failure_rule=rule, max_failed_share=1.0),
                    keep_messages=True,
                )
    finally:
        remove_package(package.root)


@pytest.mark.parametrize("name", ["valid_batch_dfdc", "valid_batch_kaggle"])
def test_packages_of_2020_answer_every_video(
    docker_client: docker.DockerClient, runtime_image: str, tmp_path: Path, name: str
) -> None:
    videos = real_videos()
    result = run(docker_client, runtime_image, PACKAGES / name, tmp_path, videos)
    assert result.verdict is Verdict.OK, f"{result.message}\n{result.log_tail}"
    assert [outcome.video_id for outcome in result.outcomes] == [video.video_id for video in videos]
    answers = [outcome.probability for outcome in result.outcomes]
    assert all(answer is not None and 0.01 <= answer <= 0.99 for answer in answers)
    assert len(set(answers)) == len(answers), "answers that do not depend on the video"


@pytest.mark.parametrize("name", ["valid_batch_dfdc", "valid_batch_kaggle"])
def test_nothing_but_a_submission_toml_was_added(name: str) -> None:
    words = ("harness", "{videos}", "{output}", "{package}", "HARNESS_")
    for path in (PACKAGES / name).rglob("*.py"):
        code = path.read_text(encoding="utf-8").split('"""', 2)[2]  # its docstring may talk about us
        assert not [word for word in words if word in code]


KERNEL = """
import csv, glob, os, sys, time
assert os.getcwd() == "/kaggle/working"
base = "/kaggle/input/deepfake-detection-challenge/"
names = [row["filename"] for row in csv.DictReader(open(base + "sample_submission.csv"))]
assert names == sorted(os.listdir(base + "test_videos")), names
assert sorted(os.listdir(base)) == ["sample_submission.csv", "test_videos"]
open("scratch", "w").write("x" * 100000)
"""


def kernel(folder: Path, code: str, layout: Layout = Layout.KAGGLE) -> Path:
    folder.mkdir()
    (folder / "kernel.py").write_text(KERNEL + code)
    (folder / "submission.toml").write_text(
        f'name = "k"\nlayout = "{layout}"\ncommand = ["python", "kernel.py", "{{videos}}", "{{output}}"]\n'
    )
    return folder


def test_what_the_kaggle_layout_mounts_cannot_be_changed(
    docker_client: docker.DockerClient, light_image: str, tmp_path: Path
) -> None:
    code = """
refused = 0
for path in [base + "sample_submission.csv", base + "test_videos/" + names[0], base + "new", "/package/new"]:
    try:
        open(path, "a").write("x")
    except OSError:
        refused += 1
with open("submission.csv", "w") as table:
    table.write("filename,label\\n")
    table.writelines(f"{name},{refused / 4}\\n" for name in names)
"""
    source = kernel(tmp_path / "package", code)
    result = run(docker_client, light_image, source, tmp_path, real_videos(2))
    assert result.verdict is Verdict.OK, f"{result.message}\n{result.log_tail}"
    assert [outcome.probability for outcome in result.outcomes] == [1.0, 1.0]


SLOW = """
with open("submission.csv", "w") as table:
    table.write("filename,label\\n")
    table.write(f"{names[0]},0.25\\n{names[1]},0.5")
    table.flush()
    time.sleep(600)
"""


def test_a_partial_table_is_used_when_time_runs_out(
    docker_client: docker.DockerClient,
    light_image: str,
    tmp_path: Path,
    unhurried: Callable[[Callable[[float], object]], None],
) -> None:
    source = kernel(tmp_path / "package", SLOW)

    def attempt(pace: float) -> None:
        folder = tmp_path / f"pace-{pace}"
        folder.mkdir()
        limits = replace(LIMITS, mean_video_seconds=pace, memory_bytes=500_000_000)
        result = run(
            *(docker_client, light_image, source, folder, real_videos(3)),
            limits=limits,
            rule=FailureRule.LENIENT,
        )
        assert result.verdict is Verdict.TIME_LIMIT
        predicted = [o.probability for o in result.outcomes if o.kind is OutcomeKind.PREDICTED]
        assert predicted == [0.25], "the half-written second row must not count"
        assert {o.kind for o in result.outcomes} == {OutcomeKind.PREDICTED, OutcomeKind.NOT_REACHED}

    unhurried(attempt)


def test_a_command_that_fails_says_why(
    docker_client: docker.DockerClient, light_image: str, tmp_path: Path
) -> None:
    source = kernel(tmp_path / "package", 'sys.exit("no model found")')
    result = run(docker_client, light_image, source, tmp_path, real_videos(2))
    assert result.verdict is Verdict.RUNTIME_ERROR
    assert "exit code 1" in result.message
    assert "no model found" in result.log_tail


def test_a_zip_runs_as_its_folder_does(
    docker_client: docker.DockerClient, runtime_image: str, tmp_path: Path
) -> None:
    videos = real_videos(2)
    shutil.make_archive(str(tmp_path / "entry"), "zip", PACKAGES / "valid_batch_dfdc")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    folder = run(docker_client, runtime_image, PACKAGES / "valid_batch_dfdc", tmp_path / "a", videos)
    zipped = run(docker_client, runtime_image, tmp_path / "entry.zip", tmp_path / "b", videos)
    assert [o.probability for o in zipped.outcomes] == [o.probability for o in folder.outcomes]
