"""The contestant's loop in real containers: a new package of every style, a watch, own wheels, a shell."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from harness.cli.watch import Saves
from harness.core.types import ImageFacts, Limits, Terms
from harness.package.check import CheckReport, ContainerProbe, check_package, shipped_modules
from harness.package.new import STYLES, new_package
from harness.run.standby import Desk
from harness.run.trial import sample_videos, smoke_runner
from harness.sandbox import Backend
from harness.sandbox.docker.sandbox import DockerSandbox

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
HARNESS = Path(sys.executable).with_name("harness")
VIDEOS = sorted((ROOT / "sample_videos" / "public").glob("*.mp4"))[:2]
LIMITS = Limits(startup_seconds=200, video_seconds=100, cpus=1, memory_bytes=2_000_000_000, gpus=0)
MakePackage = Callable[..., Path]


def backend_of(client: docker.DockerClient, image: str) -> Backend:
    facts = ImageFacts(label="", digest=image, variant="cpu")
    return Backend(sandbox=DockerSandbox(client), image=facts, engine="Docker")


def check(package: Path, backend: Backend) -> CheckReport:
    smoke = smoke_runner(backend=backend, terms=Terms(limits=LIMITS), videos=VIDEOS)
    return check_package(
        package, limits=LIMITS, inside=ContainerProbe(modules=shipped_modules(), smoke=smoke)
    )


def codes(report: CheckReport) -> set[str]:
    return {finding.code for finding in report.findings}


@pytest.mark.parametrize("style", STYLES)
def test_a_new_package_of_every_style_passes_and_answers(
    docker_client: docker.DockerClient, runtime_image: str, tmp_path: Path, style: str
) -> None:
    new_package(tmp_path / "mine", style=style)
    report = check(tmp_path / "mine", backend_of(docker_client, runtime_image))
    assert report.ok, report.findings
    assert "P620" in codes(report)
    assert not codes(report) & {"P311", "P315", "P316", "P317", "P612", "P613"}


@pytest.mark.parametrize(
    ("predict", "code"),
    [("return 0.5", "P612"), ("import random; return random.random()", "P613")],
)
def test_answers_that_score_nothing_or_change_are_told(
    docker_client: docker.DockerClient, light_image: str, make_package: MakePackage, predict: str, code: str
) -> None:
    report = check(make_package(predict), backend_of(docker_client, light_image))
    assert report.ok
    assert code in codes(report)


def test_wheels_of_a_package_come_before_the_images_own_modules(
    docker_client: docker.DockerClient, light_image: str, make_package: MakePackage
) -> None:
    package = make_package("import brought\nreturn brought.ANSWER + brought.__file__.count('.wheels') / 8")
    (package / "wheels").mkdir()
    with zipfile.ZipFile(package / "wheels" / "brought-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("brought-1.0.data/purelib/brought.py", "ANSWER = 0.25\n")
        archive.writestr("brought-1.0.dist-info/METADATA", "Name: brought\nVersion: 1.0\n")
    report = check(package, backend_of(docker_client, light_image))
    assert report.ok, report.findings
    assert "answered 0.375, 0.375" in next(one.message for one in report.findings if one.code == "P620")


def test_a_desk_checks_again_and_again_each_time_what_was_saved_in_a_container_of_its_own(
    docker_client: docker.DockerClient, light_image: str, make_package: MakePackage
) -> None:
    package = make_package("open('/tmp/left', 'x'); return 0.25")
    backend = backend_of(docker_client, light_image)
    videos = sample_videos(VIDEOS[:1], ask_again=False)
    with Desk(backend=backend, terms=Terms(limits=LIMITS), videos=videos, preload=["json"]) as desk:
        inside = ContainerProbe(modules=shipped_modules(), smoke=desk.smoke)
        for value in ("0.25", "0.75"):
            code = (package / "predictor.py").read_text()
            (package / "predictor.py").write_text(code.replace("return 0.25", f"return {value}"))
            desk.get_ready()
            report = check_package(package, limits=LIMITS, inside=inside)
            assert f"answered {value}" in next(one.message for one in report.findings if one.code == "P620")
        (package / "predictor.py").write_text("import nowhere\n")
        report = check_package(package, limits=LIMITS, inside=inside)  # nothing waits: a container is started
        assert "predictor.py:1" in next(one.place for one in report.findings if one.code == "P601")
    left = docker_client.containers.list(all=True, filters={"label": "black-box-video-harness.run=watch-3"})
    assert left == []


def test_a_shell_has_the_package_and_the_images_python_and_says_what_it_is_not(
    runtime_image: str, tmp_path: Path
) -> None:
    new_package(tmp_path / "mine", style="stream")
    script = "ls; touch x; python -c 'import cv2; print(cv2.__name__)'; hostname\n"
    done = subprocess.run(
        [str(HARNESS), "shell", "mine"], cwd=tmp_path, input=script, capture_output=True, text=True,
        check=False, timeout=300, env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip
    assert "predictor.py" in done.stdout
    assert "cv2" in done.stdout
    assert "not-the-sandbox" in done.stdout
    assert "This is not the sandbox" in done.stderr
    assert not (tmp_path / "mine" / "x").exists()


def test_predict_in_the_container_shows_answers_and_failures(
    runtime_image: str, make_package: MakePackage
) -> None:
    good = make_package("print('looking'); return 0.25")
    bad = make_package("raise ValueError('no face')")
    for package, code, shown in ((good, 0, ": 0.25 "), (bad, 1, "ValueError: no face at predictor.py:7")):
        done = subprocess.run(
            [str(HARNESS), "predict", str(package), str(VIDEOS[0]), "--container"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=300, stdin=subprocess.DEVNULL,
            env=os.environ | {"COLUMNS": "200"},
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert shown in done.stdout + done.stderr


def test_saves_are_seen_once_each(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    saves = iter(Saves(tmp_path))
    first = next(saves)
    (tmp_path / "a.py").write_text("22")
    (tmp_path / ".git").mkdir()
    assert next(saves) >= first
    assert time.monotonic() >= first
