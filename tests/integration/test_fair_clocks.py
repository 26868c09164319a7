"""What is billed and what is not. How exact the clocks are, `tests/benchmarks/fair_clocks.py` says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from harness.core.types import FailureRule, OutcomeKind, PreparedVideo, SandboxSpec, Terms
from harness.gateway.feed import run_set
from harness.gateway.journal import Journal, header_of
from harness.gateway.set_run import SetRun
from harness.gateway.staging import Stage
from harness.sandbox.docker.sandbox import DockerSandbox

pytestmark = pytest.mark.docker
Unhurried = Callable[[Callable[[float], object]], None]


@pytest.fixture
def run_of(
    docker_client: docker.DockerClient,
    light_image: str,
    stage: Stage,
    make_spec: Callable[..., SandboxSpec],
    tmp_path: Path,
) -> Callable[..., SetRun]:
    def run(package: Path, videos: tuple[PreparedVideo, ...], **limits: float) -> SetRun:
        spec = make_spec(package, image=light_image, **limits)
        header = header_of(videos=videos, limits=spec.limits, order_seed=1)
        with Journal(tmp_path / f"{package.name}.jsonl", header) as journal:
            return run_set(
                sandbox=DockerSandbox(docker_client),
                spec=spec,
                stage=stage,
                videos=videos,
                order_seed=1,
                journal=journal,
                terms=Terms(limits=spec.limits, failure_rule=FailureRule.LENIENT, max_failed_share=1.0),
            )

    return run


def test_a_sleep_is_billed_as_long_as_it_is(
    run_of: Callable[..., SetRun],
    make_package: Callable[..., Path],
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    unhurried: Unhurried,
) -> None:
    videos = make_videos(3)

    def attempt(pace: float) -> None:
        asleep = 0.5 * pace
        run = run_of(make_package(f"time.sleep({asleep}); return 0.5"), videos)
        seconds = [outcome.wall_seconds for outcome in run.outcomes]
        assert min(seconds) >= asleep
        assert min(seconds) < 2 * asleep, "what is added to every bill is added to the smallest too"
        assert run.billed_seconds == pytest.approx(sum(outcome.wall_seconds for outcome in run.outcomes))

    unhurried(attempt)


def test_neither_starting_nor_starting_again_is_billed(
    run_of: Callable[..., SetRun],
    make_package: Callable[..., Path],
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    unhurried: Unhurried,
) -> None:
    videos = make_videos(2)

    def attempt(pace: float) -> None:
        module = (
            "import os, time\n"
            "class Predictor:\n"
            f"    def __init__(self, package): time.sleep({2 * pace})\n"
            "    def predict(self, video): os._exit(1)\n"
        )
        run = run_of(make_package(module=module), videos)
        assert run.restarts == 2
        assert run.startup_seconds is not None
        assert run.startup_seconds >= 2 * pace
        assert run.billed_seconds < 2 * pace

    unhurried(attempt)


def test_a_package_past_its_limit_is_billed_the_limit_and_no_more(
    run_of: Callable[..., SetRun],
    make_package: Callable[..., Path],
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    unhurried: Unhurried,
) -> None:
    videos = make_videos(3)

    def attempt(pace: float) -> None:
        run = run_of(make_package("time.sleep(3600)"), videos, video_seconds=pace)
        assert [outcome.kind for outcome in run.outcomes] == [OutcomeKind.VIDEO_TIMEOUT] * 3
        seconds = [outcome.wall_seconds for outcome in run.outcomes]
        assert min(seconds) >= pace
        assert min(seconds) < 2 * pace, "what is added to every bill is added to the smallest too"

    unhurried(attempt)


def test_cpu_time_and_what_kept_the_package_from_it_are_recorded(
    run_of: Callable[..., SetRun],
    make_package: Callable[..., Path],
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
) -> None:
    # So small a share that the busiest machine gives more: one that gave less would hold nothing back.
    spin = "end = time.process_time() + 0.15\nwhile time.process_time() < end: pass\nreturn 0.5"
    run = run_of(make_package(spin), make_videos(1), cpus=0.03)
    assert run.usage.cpu_seconds is not None
    assert run.usage.cpu_seconds > 0.15
    assert run.usage.throttled_seconds is not None
    assert run.usage.throttled_seconds > 0.1
    assert run.usage.steal_seconds is not None  # on a machine that is its own it is 0
    assert run.usage.steal_seconds >= 0
