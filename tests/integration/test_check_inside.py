"""`harness check` with a container: the package is started, and its author sees what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from harness.core.types import ImageFacts, Limits, Terms
from harness.package.check import CheckReport, ContainerProbe, check_package, shipped_modules
from harness.run.trial import image_modules, smoke_runner
from harness.sandbox import Backend
from harness.sandbox.docker.sandbox import DockerSandbox

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
VIDEOS = sorted((ROOT / "sample_videos" / "public").glob("*.mp4"))[:2]
LIMITS = Limits(
    startup_seconds=120,
    video_seconds=60,
    mean_video_seconds=60,
    cpus=1,
    memory_bytes=300_000_000,
    restarts=2,
    gpus=0,
)
Check = Callable[..., CheckReport]


def backend_of(client: docker.DockerClient, image: str) -> Backend:
    facts = ImageFacts(label="", digest=image, variant="cpu")
    return Backend(sandbox=DockerSandbox(client), image=facts, engine="Docker")


@pytest.fixture
def check(docker_client: docker.DockerClient, light_image: str, tmp_path: Path) -> Check:
    """Check a package of one module, in a container, on two real videos."""

    def run(module: str, *, limits: Limits = LIMITS) -> CheckReport:
        (tmp_path / "package").mkdir()
        (tmp_path / "package" / "submission.toml").write_text('name = "p"\nentry = "predictor:Predictor"\n')
        (tmp_path / "package" / "predictor.py").write_text(module)
        smoke = smoke_runner(
            backend=backend_of(docker_client, light_image),
            terms=Terms(limits=limits),
            videos=VIDEOS,
        )
        inside = ContainerProbe(modules=image_modules(docker_client, light_image), smoke=smoke)
        return check_package(tmp_path / "package", limits=limits, inside=inside)

    return run


def predictor(predict: str, init: str = "pass", top: str = "") -> str:
    return f"""{top}
class Predictor:
    def __init__(self, package):
        {init}
    def predict(self, video):
        {predict}
"""


def messages(report: CheckReport, code: str) -> list[str]:
    return [finding.message for finding in report.findings if finding.code == code]


def test_a_good_package_is_told_its_pace(check: Check) -> None:
    report = check(predictor("return len(video.read_bytes()) / 1e9"))
    assert report.ok
    assert messages(report, "P620")[0].startswith("answered 0.00")
    assert not messages(report, "P621")


@pytest.mark.parametrize(
    ("module", "shown"),
    [
        (predictor("return 0.5", top="import module_that_is_nowhere"), "module_that_is_nowhere"),
        (predictor("return 0.5", init="open(package / 'weights.safetensors')"), "weights.safetensors"),
        (predictor("return 0.5", init="raise SystemExit(3)"), "SystemExit: 3"),
        (predictor("return 0.5", top="import os; print('about to die'); os._exit(9)"), "about to die"),
    ],
    ids=["import", "weights", "exit", "death"],
)
def test_a_package_that_does_not_start_shows_its_own_words(check: Check, module: str, shown: str) -> None:
    report = check(module)
    assert not report.ok
    assert shown in messages(report, "P601")[0]


@pytest.mark.parametrize(
    ("predict", "code", "shown"),
    [
        ("raise ValueError('bad \\x1b[31mframe')", "P602", "ValueError: bad \ufffd[31mframe"),
        ("import time; time.sleep(600)", "P602", "VIDEO_TIMEOUT"),
        ("return bytearray(10**9)", "P602", "MEMORY_LIMIT"),
        ("return float('nan')", "P603", "INVALID_PREDICTION"),
        ("return 1.5", "P603", "1.5"),
        ("pass", "P603", "None"),
        ("return True", "P603", "True"),
    ],
)
def test_a_failure_on_every_video_is_one_finding_with_videos_and_cause(
    check: Check, predict: str, code: str, shown: str
) -> None:
    hangs = replace(LIMITS, video_seconds=0.5)  # none is to answer in time
    report = check(predictor(predict), limits=hangs if shown == "VIDEO_TIMEOUT" else LIMITS)
    assert not report.ok
    (found,) = messages(report, code)
    assert "on 2 of 2 videos" in found  # that the first fails when asked again is no news
    assert "again" not in found
    assert all(video.name in found for video in VIDEOS)
    assert shown in found
    assert "\x1b" not in found


def test_a_slow_package_is_warned_and_not_stopped(check: Check) -> None:
    report = check(
        predictor("import time; time.sleep(1); return 0.5"), limits=replace(LIMITS, mean_video_seconds=0.5)
    )
    assert report.ok
    assert "0.5 s are allowed" in messages(report, "P611")[0]


def test_the_shipped_list_of_modules_is_that_of_the_image(
    docker_client: docker.DockerClient, runtime_image: str
) -> None:
    inside = image_modules(docker_client, runtime_image)
    assert sorted(shipped_modules() - inside) == []
    not_to_import = {"sitecustomize", "test", "isympy", "insightface_privateframe_bootstrap"}
    third_party = {
        name for name in inside - sys.stdlib_module_names if not name.startswith(("_", "xxlimited"))
    }
    assert sorted(third_party - not_to_import - shipped_modules()) == []
    for name in ("torch", "torchvision", "timm", "cv2", "av", "safetensors", "facenet_pytorch", "json"):
        assert name in inside


@pytest.mark.parametrize("name", ["valid_batch_dfdc", "valid_batch_kaggle"])
def test_batch_packages_are_checked_inside_too(
    docker_client: docker.DockerClient, runtime_image: str, name: str
) -> None:
    limits = Limits(startup_seconds=300, mean_video_seconds=200, cpus=1, memory_bytes=1_000_000_000, gpus=0)
    smoke = smoke_runner(
        backend=backend_of(docker_client, runtime_image),
        terms=Terms(limits=limits),
        videos=VIDEOS,
    )
    inside = ContainerProbe(modules=image_modules(docker_client, runtime_image), smoke=smoke)
    report = check_package(ROOT / "tests" / "packages" / name, limits=limits, inside=inside)
    assert report.ok, report.findings
    assert messages(report, "P620")
