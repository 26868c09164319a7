"""The whole way from a package to two scores, in real containers."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from silent import Silent
from tiny_challenge import FEW_SAMPLES, GENEROUS, write_challenge

from harness.core.challenge import Challenge, load_challenge
from harness.core.errors import SandboxError
from harness.core.types import ImageFacts, OutcomeKind, SandboxSpec, SetName, Verdict
from harness.gateway.journal import read_journal
from harness.results.columns import columns_path
from harness.results.outcomes_on_record import OutcomesOnRecord, compare_outcomes
from harness.results.result import read_result
from harness.results.run_folder import RunFolder
from harness.results.seal import Key, SealState, seal_path, verify
from harness.run.evaluate import Evaluation, evaluate
from harness.sandbox import Backend, SandboxProcess
from harness.sandbox.docker.sandbox import RUN_LABEL, DockerSandbox, reap
from harness.scoring.repeatability import Steadiness

MakePackage = Callable[..., Path]
JOURNALS = "runs/*/sets/public/outcomes.jsonl"


class FailingSandbox:
    """The real sandbox, whose first starts fail as when the engine is gone."""

    isolation = DockerSandbox.isolation

    def __init__(self, real: DockerSandbox, failures: int) -> None:
        self._real, self.failures = real, failures

    @contextmanager
    def start(self, spec: SandboxSpec) -> Iterator[SandboxProcess]:
        if self.failures:
            self.failures -= 1
            raise SandboxError("the engine went away")
        with self._real.start(spec) as process:
            yield process


@pytest.fixture
def challenge(tmp_path: Path) -> Challenge:
    return load_challenge(write_challenge(tmp_path / "challenge", rules=GENEROUS + FEW_SAMPLES))


def asked(package: Path, challenge: Challenge, tmp_path: Path, *, fresh: bool = False) -> Evaluation:
    return Evaluation(
        package=package,
        challenge=challenge,
        runs=tmp_path / "runs",
        cache=tmp_path / "cache",
        isolation="docker",
        order_seed=5,
        fresh=fresh,
        workers=1,
    )


def backend_of(client: docker.DockerClient, image: str, *, failures: int = 0) -> Callable[[], Backend]:
    real = DockerSandbox(client)
    sandbox = FailingSandbox(real, failures) if failures else real
    facts = ImageFacts(label="light", digest=image, variant="cpu")
    return lambda: Backend(sandbox=sandbox, image=facts, engine="Docker")


def test_a_constant_half_scores_the_logarithm_of_two_on_both_sets(
    docker_client: docker.DockerClient,
    light_image: str,
    make_package: MakePackage,
    challenge: Challenge,
    tmp_path: Path,
) -> None:
    package = make_package("print('MARKER', video); return 0.5")
    observer = Silent()
    done = evaluate(
        asked(package, challenge, tmp_path),
        backend=backend_of(docker_client, light_image),
        observer=observer,
    )
    for name in (SetName.PUBLIC, SetName.PRIVATE):
        one = done.result.sets[name]
        assert one.verdict is Verdict.OK
        assert one.score.log_loss == pytest.approx(math.log(2))
        assert one.outcomes == {OutcomeKind.PREDICTED: 4}
    assert done.result == read_result(done.folder.result)
    assert (SetName.PRIVATE, 4) in observer.ran
    assert done.folder.report.stat().st_size > 10_000
    assert done.folder.contestant_report.is_file()
    assert columns_path(done.folder, SetName.PRIVATE).is_file()
    private = done.folder.journal(SetName.PRIVATE).parent
    kept = b"".join(path.read_bytes() for path in private.iterdir())
    assert b"MARKER" in done.folder.log(SetName.PUBLIC).read_bytes()
    assert b"MARKER" not in kept, "nothing that a package says about a hidden set leaves the container"


def test_a_package_that_cannot_run_gets_a_verdict_and_no_container(
    make_package: MakePackage, challenge: Challenge, tmp_path: Path
) -> None:
    package = make_package(module="def broken(:\n")

    def never() -> Backend:
        pytest.fail("nothing may be started for a package that fails its check")

    done = evaluate(asked(package, challenge, tmp_path), backend=never, observer=Silent())
    assert {one.verdict for one in done.result.sets.values()} == {Verdict.INVALID_PACKAGE}
    assert "P301" in done.result.sets[SetName.PUBLIC].detail
    assert not done.result.valid
    assert done.folder.report.is_file()


def test_a_fault_of_ours_is_tried_once_more_and_then_kept_for_later(
    docker_client: docker.DockerClient,
    light_image: str,
    make_package: MakePackage,
    challenge: Challenge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("harness.run.passes.RETRY_AFTER_SECONDS", 0.0)
    package = make_package()
    with pytest.raises(SandboxError, match="went away"):
        evaluate(
            asked(package, challenge, tmp_path),
            backend=backend_of(docker_client, light_image, failures=2),
            observer=Silent(),
        )
    (cut_off,) = (tmp_path / "runs").iterdir()
    assert not RunFolder(path=cut_off).result.exists(), "a fault of ours never becomes a result"
    done = evaluate(
        asked(package, challenge, tmp_path),
        backend=backend_of(docker_client, light_image, failures=1),
        observer=Silent(),
    )
    assert done.folder.path == cut_off
    assert done.result.valid


def test_a_harness_killed_at_any_moment_loses_at_most_the_video_in_flight(
    docker_client: docker.DockerClient, light_image: str, make_package: MakePackage, tmp_path: Path
) -> None:
    path = write_challenge(tmp_path / "challenge", rules=GENEROUS + FEW_SAMPLES)
    package = make_package("time.sleep(0.4); return 0.5")
    journal = _kill_after(2, package, path, light_image, tmp_path)
    _, before = read_journal(journal)
    reap(docker_client)
    done = evaluate(
        asked(package, load_challenge(path), tmp_path),
        backend=backend_of(docker_client, light_image),
        observer=Silent(),
    )
    _, after = read_journal(journal)
    assert done.folder.journal(SetName.PUBLIC) == journal
    assert after[: len(before)] == before, "what was done is not done again"
    assert len(after) == 4
    assert done.result.valid
    label = f"{RUN_LABEL}={done.folder.run_id}"
    assert docker_client.api.containers(all=True, filters={"label": label}) == []


def _kill_after(outcomes: int, package: Path, challenge: Path, image: str, tmp_path: Path) -> Path:
    """Run the harness in a process of its own, and `kill -9` it once so many outcomes are on the disk.

    A thread of its own does it: whatever keeps the one waiting on a busy machine keeps the other.
    """
    code = (
        "import docker, os, signal, sys, threading, time\n"
        "from pathlib import Path\n"
        "sys.path[:0] = sys.argv[1].split(os.pathsep)\n"
        "from test_evaluate import Silent, asked, backend_of\n"
        "from harness.core.challenge import load_challenge\n"
        "from harness.run.evaluate import evaluate\n"
        "def end(root, wanted):\n"
        "    while not any(path.read_bytes().count(b'\\n') > wanted for path in root.glob(JOURNALS)):\n"
        "        time.sleep(0.01)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "if __name__ == '__main__':\n"
        f"    JOURNALS = {JOURNALS!r}\n"
        "    watch = (Path(sys.argv[4]), int(sys.argv[6]))\n"
        "    threading.Thread(target=end, args=watch, daemon=True).start()\n"
        "    evaluate(asked(Path(sys.argv[2]), load_challenge(Path(sys.argv[3])), Path(sys.argv[4])),\n"
        "        backend=backend_of(docker.from_env(), sys.argv[5]), observer=Silent())\n"
    )
    script = tmp_path / "killed.py"
    script.write_text(code)
    folders = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    arguments = [folders, str(package), str(challenge), str(tmp_path), image, outcomes]
    done = subprocess.run([sys.executable, str(script), *map(str, arguments)], check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL, "the harness ended by itself"
    (journal,) = tmp_path.glob(JOURNALS)
    return journal


def test_the_result_on_disk_holds_no_label_and_no_name(
    docker_client: docker.DockerClient,
    light_image: str,
    make_package: MakePackage,
    challenge: Challenge,
    tmp_path: Path,
) -> None:
    done = evaluate(
        asked(make_package(), challenge, tmp_path),
        backend=backend_of(docker_client, light_image),
        observer=Silent(),
    )
    text = done.folder.result.read_text() + done.folder.contestant_report.read_text()
    assert "clip0" not in text
    assert json.loads(done.folder.result.read_text())["isolation"] == "docker"


def test_a_source_that_cannot_be_read_is_left_out_counted_and_said(
    docker_client: docker.DockerClient, light_image: str, make_package: MakePackage, tmp_path: Path
) -> None:
    path = write_challenge(tmp_path / "challenge", rules=GENEROUS + FEW_SAMPLES)
    (path.parent / "public" / "clip1.mp4").write_bytes(b"no video at all")
    observer = Silent()
    done = evaluate(
        asked(make_package(), load_challenge(path), tmp_path),
        backend=backend_of(docker_client, light_image),
        observer=observer,
    )
    public = done.result.sets[SetName.PUBLIC]
    assert (public.videos, public.left_out) == (3, 1)
    assert any("clip1.mp4 is left out" in told for told in observer.told)
    assert "1 left out, unreadable" in done.folder.report.read_text()


@pytest.mark.parametrize(
    ("predict", "steadiness"),
    [
        ("return pathlib.Path(video).read_bytes()[200] / 255", Steadiness.DETERMINISTIC),
        ("return self.count / 100", Steadiness.ORDER_DEPENDENT),
        ("return int.from_bytes(os.urandom(4), 'big') / 2**32", Steadiness.NON_DETERMINISTIC),
    ],
    ids=lambda value: str(value) if isinstance(value, Steadiness) else "",
)
def test_a_package_that_is_asked_again_is_seen_to_be_what_it_is(
    docker_client: docker.DockerClient,
    light_image: str,
    make_package: MakePackage,
    challenge: Challenge,
    tmp_path: Path,
    predict: str,
    steadiness: Steadiness,
) -> None:
    observer = Silent()
    again = replace(asked(make_package(predict), challenge, tmp_path), passes=2)
    done = evaluate(again, backend=backend_of(docker_client, light_image), observer=observer)
    for name in (SetName.PUBLIC, SetName.PRIVATE):
        found = done.result.sets[name].repeat
        assert found is not None
        assert (found.steadiness, found.compared, found.duplicates) == (steadiness, 4, 1)
        assert found.passes == (2 if steadiness is Steadiness.DETERMINISTIC else 3)
        assert done.result.sets[name].videos == 4, "further passes are not scored"
        assert done.folder.repeat(2).journal(name).is_file()
    assert done.result == read_result(done.folder.result)
    warned = [text for text in observer.told if str(steadiness) in text]
    assert bool(warned) is (steadiness is not Steadiness.DETERMINISTIC)


def test_a_result_is_sealed_before_it_is_there(
    docker_client: docker.DockerClient,
    light_image: str,
    make_package: MakePackage,
    challenge: Challenge,
    tmp_path: Path,
) -> None:
    key = Key(secret=b"k" * 32)
    signed = replace(asked(make_package(), challenge, tmp_path), signing_key=key)
    done = evaluate(signed, backend=backend_of(docker_client, light_image), observer=Silent())
    path = done.folder.result
    assert verify(path, key) is SealState.OK
    assert compare_outcomes(path) == OutcomesOnRecord(checked=len(done.result.sets), wrong=())
    assert seal_path(path).stat().st_mtime_ns <= path.stat().st_mtime_ns
    path.write_text(path.read_text().replace('"eligible": true', '"eligible": false'))
    assert verify(path, key) is SealState.ALTERED
    for kept in done.folder.path.rglob("*"):
        assert not kept.is_file() or b"k" * 32 not in kept.read_bytes(), "the key stays where it was"
