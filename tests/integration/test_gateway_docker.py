"""The gateway over real containers: what a plain process cannot show."""

from __future__ import annotations

import json
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import docker
import pytest

from harness.core.types import (
    FailureRule,
    Limits,
    Mode,
    Mount,
    OutcomeKind,
    PreparedVideo,
    SandboxSpec,
    Terms,
    Verdict,
)
from harness.gateway.feed import run_set
from harness.gateway.journal import Journal, header_of, read_journal
from harness.gateway.set_run import SetRun
from harness.gateway.staging import Stage, reap_stages
from harness.sandbox.docker.sandbox import RUN_LABEL, DockerSandbox, reap

pytestmark = pytest.mark.docker
K = OutcomeKind
BY_NUMBER = "number = video.read_bytes()[0]\n"

Run = Callable[..., SetRun]
Eventually = Callable[[Callable[[], object]], bool]
Unhurried = Callable[[Callable[[float], object]], None]


@pytest.fixture
def run(
    docker_client: docker.DockerClient,
    make_spec: Callable[..., SandboxSpec],
    stage: Stage,
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    tmp_path: Path,
) -> Run:
    videos = make_videos(4)

    def go(package: Path, *, image: str, spec: SandboxSpec | None = None, **limits: float) -> SetRun:
        spec = spec or make_spec(package, image=image, **limits)
        journal_path = tmp_path / f"{time.monotonic_ns()}.jsonl"
        with Journal(journal_path, header_of(videos=videos, limits=spec.limits, order_seed=1)) as journal:
            return run_set(
                sandbox=DockerSandbox(docker_client),
                spec=spec,
                stage=stage,
                videos=videos,
                order_seed=1,
                journal=journal,
                terms=Terms(limits=spec.limits, failure_rule=FailureRule.LENIENT, max_failed_share=1.0),
                keep_messages=True,
            )

    return go


@pytest.mark.parametrize(
    ("crash", "kind"),
    [
        ("hog = [bytearray(4_000_000) for _ in iter(int, 1)]", K.MEMORY_LIMIT),
        ("os.kill(os.getpid(), 9)", K.RUNTIME_ERROR),
        ("[os.write(2, b'x' * 65536) for _ in iter(int, 1)]", K.OUTPUT_LIMIT),
        (
            "subprocess.run(['python3', '-c', 'x=[bytes(4_000_000) for _ in iter(int, 1)]'], check=True)",
            K.MEMORY_LIMIT,
        ),
    ],
    ids=["memory", "killed", "flood", "memory of a child"],
)
def test_a_crash_costs_one_video(
    run: Run, make_package: Callable[..., Path], light_image: str, crash: str, kind: OutcomeKind
) -> None:
    package = make_package(f"{BY_NUMBER}if number == 1: {crash}\nreturn 0.5")
    done = run(package, image=light_image)
    assert [outcome.kind for outcome in done.outcomes] == [K.PREDICTED, kind, K.PREDICTED, K.PREDICTED]
    assert done.isolation == "docker"
    if kind is K.MEMORY_LIMIT:
        assert done.usage.peak_memory_bytes == 128_000_000


def test_a_hang_costs_one_video(
    run: Run, make_package: Callable[..., Path], light_image: str, unhurried: Unhurried
) -> None:
    package = make_package(f"{BY_NUMBER}if number == 1: time.sleep(3600)\nreturn 0.5")

    def attempt(pace: float) -> None:
        done = run(package, image=light_image, video_seconds=2 * pace)
        kinds = [outcome.kind for outcome in done.outcomes]
        assert kinds == [K.PREDICTED, K.VIDEO_TIMEOUT, K.PREDICTED, K.PREDICTED]

    unhurried(attempt)


def test_a_package_out_of_memory_at_start_has_that_verdict(
    run: Run, make_package: Callable[..., Path], light_image: str
) -> None:
    module = "x = [bytearray(4_000_000) for _ in iter(int, 1)]"
    done = run(make_package(module=module), image=light_image)
    assert done.verdict is Verdict.MEMORY_LIMIT


def test_a_script_of_the_2020_contest_runs_as_it_is(
    run: Run,
    make_package: Callable[..., Path],
    make_spec: Callable[..., SandboxSpec],
    light_image: str,
    stage: Stage,
) -> None:
    script = (
        "import csv, os\n"
        "here = '/kaggle/input/deepfake-detection-challenge'\n"
        "rows = list(csv.DictReader(open(f'{here}/sample_submission.csv')))\n"
        "assert sorted(r['filename'] for r in rows) == sorted(os.listdir(f'{here}/test_videos'))\n"
        "assert os.getcwd() == '/kaggle/working', os.getcwd()\n"
        "weight = float(open('/kaggle/input/weights/w.txt').read())\n"
        "with open('submission.csv', 'w') as out:\n"
        "    print('filename,label', file=out)\n"
        "    for r in rows:\n"
        "        first = open(f'{here}/test_videos/' + r['filename'], 'rb').read(1)[0]\n"
        "        print(r['filename'], first * weight, sep=',', file=out)\n"
    )
    manifest = 'name = "k"\nlayout = "kaggle"\ncommand = ["python", "main.py"]\n'
    package = make_package(manifest=manifest, files={"main.py": script, "weights/w.txt": "0.125"})
    contest = "/kaggle/input/deepfake-detection-challenge"
    spec = replace(
        make_spec(package, image=light_image, mode=Mode.BATCH),
        videos=Mount(source=stage.videos, target=f"{contest}/test_videos"),
        extra_mounts=(
            Mount(source=stage.sample_submission, target=f"{contest}/sample_submission.csv"),
            Mount(source=package / "weights", target="/kaggle/input/weights"),
        ),
        writable=("/kaggle/working",),
        working_directory="/kaggle/working",
    )
    done = run(package, image=light_image, spec=spec)
    assert [outcome.probability for outcome in done.outcomes] == [0.0, 0.125, 0.25, 0.375], done.log_tail


HARNESS = """
import json, sys
from pathlib import Path
import docker
from harness.gateway.feed import run_set
from harness.gateway.journal import Journal, header_of
from harness.sandbox.docker.sandbox import DockerSandbox
from harness.gateway.staging import Stage
from harness.core.types import FailureRule, Limits, Mount, PreparedVideo, SandboxSpec, Terms

image, package, folder, journal_path, run_id = sys.argv[1:]
videos = tuple(
    PreparedVideo(video_id=path.name, path=path, source_id="", sha256="0")
    for path in sorted(Path(folder).iterdir())
)
limits = Limits(cpus=1, memory_bytes=128_000_000, tmp_bytes=1_000_000, shm_bytes=1_000_000)
print("begin", flush=True)
with Stage() as stage, Journal(
    Path(journal_path), header_of(videos=videos, limits=limits, order_seed=5)
) as journal:
    spec = SandboxSpec(
        run_id=run_id, image=image, package=Mount(source=Path(package), target="/package"),
        videos=Mount(source=stage.videos, target="/videos"), limits=limits,
    )
    run = run_set(
        sandbox=DockerSandbox(docker.from_env()), spec=spec, stage=stage, videos=videos, order_seed=5,
        journal=journal, terms=Terms(limits=spec.limits, failure_rule=FailureRule.STRICT),
    )
print(json.dumps([run.verdict, run.restarts, [[o.video_id, o.probability] for o in run.outcomes]]))
"""


def test_a_harness_killed_at_any_moment_loses_at_most_the_video_in_flight(
    docker_client: docker.DockerClient,
    light_image: str,
    make_package: Callable[..., Path],
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    tmp_path: Path,
) -> None:
    package = make_package(BY_NUMBER + "time.sleep(0.15)\nreturn number / 100")
    videos = make_videos(20, size=100_000)
    journal_path = tmp_path / "outcomes.jsonl"
    run_id = f"kill-{secrets.token_hex(6)}"
    arguments = [light_image, str(package), str(videos[0].path.parent), str(journal_path), run_id]
    moments = random.Random(2026)
    done_before, kills, output = 0, 0, ""
    while not output:
        harness = subprocess.Popen(
            [sys.executable, "-c", HARNESS, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert harness.stdout is not None
        assert harness.stdout.readline() == "begin\n"
        try:
            # Two of these are less than the package sleeps for all videos: it is killed twice at least.
            output, errors = harness.communicate(timeout=moments.uniform(0.3, 1.4) if kills < 6 else 300)
            assert harness.returncode == 0, errors
        except subprocess.TimeoutExpired:
            harness.send_signal(signal.SIGKILL)
            harness.communicate()
            kills += 1
        _, entries = read_journal(journal_path)
        assert len(entries) >= done_before  # nothing that was on the disk is ever lost
        done_before = len(entries)
    assert kills >= 2
    verdict, restarts, answers = json.loads(output)
    assert (verdict, restarts) == ("OK", 0)
    assert answers == [[video.video_id, number / 100] for number, video in enumerate(videos)]
    reap(docker_client)
    reap_stages()
    assert docker_client.containers.list(all=True, filters={"label": f"{RUN_LABEL}={run_id}"}) == []


def test_a_harness_that_is_interrupted_keeps_what_was_done_and_leaves_nothing(
    docker_client: docker.DockerClient,
    light_image: str,
    make_package: Callable[..., Path],
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    tmp_path: Path,
    eventually: Eventually,
) -> None:
    package = make_package("if self.count == 3: time.sleep(600)\nreturn 0.5")
    videos = make_videos(4)
    journal_path = tmp_path / "outcomes.jsonl"
    run_id = f"interrupt-{secrets.token_hex(6)}"
    arguments = [light_image, str(package), str(videos[0].path.parent), str(journal_path), run_id]
    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert eventually(lambda: harness.poll() is not None or len(read_journal(journal_path)[1]) == 2)
    harness.send_signal(signal.SIGINT)
    _, errors = harness.communicate(timeout=120)
    assert "KeyboardInterrupt" in errors
    assert len(read_journal(journal_path)[1]) == 2
    assert docker_client.containers.list(all=True, filters={"label": f"{RUN_LABEL}={run_id}"}) == []


def test_limits_are_what_the_journal_is_bound_to(tmp_path: Path) -> None:
    one = header_of(videos=(), limits=Limits(), order_seed=1)
    other = header_of(videos=(), limits=Limits(**{**asdict(Limits()), "pids": 1}), order_seed=1)
    assert one != other
