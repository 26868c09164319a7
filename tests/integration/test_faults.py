"""Faults of our own and of the host: whatever happens, the run resumes to the same result or says why not.

Every case ends in a clear error or a finished run with the outcomes of an undisturbed one. Nothing that was
done is lost, nothing is counted against the contestant, and the next harness removes what the dead one left.

Moments are drawn from a seed, spread evenly over what a run does: so many outcomes on the disk and a moment
more, or all of them and some of what comes after. `HARNESS_FAULT_KILLS` and `HARNESS_FAULT_ENGINE_KILLS` say
how many, `HARNESS_FAULT_SEED` which, and `HARNESS_FAULT_LOG` names a file for a line of JSON per case.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import docker
import pytest
from tiny_challenge import FEW_SAMPLES, GENEROUS, write_challenge

from harness.core.types import OutcomeKind, SetName
from harness.gateway.journal import read_journal
from harness.gateway.staging import reap_stages
from harness.results.result import read_result
from harness.results.run_folder import RunFolder
from harness.sandbox.docker.sandbox import RUN_LABEL, reap

pytestmark = [pytest.mark.docker, pytest.mark.timeout(3600)]
SEED = int(os.environ.get("HARNESS_FAULT_SEED", "21"))
KILLS = int(os.environ.get("HARNESS_FAULT_KILLS", "6"))
ENGINE_KILLS = int(os.environ.get("HARNESS_FAULT_ENGINE_KILLS", "1"))
LOG = os.environ.get("HARNESS_FAULT_LOG")
WORKER = Path(__file__).with_name("fault_worker.py")
MAIN_ENGINE = "unix:///var/run/docker.sock"
OUR_ERROR = 3
RULES = (
    GENEROUS + FEW_SAMPLES + "max_failed_share = 1.0  # its package fails on purpose, more often than not\n"
)
# Answers, raises and crashes, each by nothing but the video: what becomes of one is the same in every run.
PREDICTOR = """
import hashlib, os, time
class Predictor:
    def __init__(self, package):
        pass
    def predict(self, video):
        digest = hashlib.sha256(video.read_bytes()).digest()
        time.sleep(0.15)
        if digest[0] % 5 == 0: raise ValueError('by the video')
        if digest[0] % 5 == 1: os._exit(7)
        return digest[1] / 255
"""
VIDEOS = 5  # of each set
KILLS_OF_A_RUN = 6  # before it is left to come to its end

Outcomes = dict[tuple[str, str], tuple[OutcomeKind, float | None]]


class Bench:
    """A package, a challenge, and places for runs; harnesses are started on them and looked at afterwards."""

    def __init__(self, folder: Path, package: Path, image: str) -> None:
        self.folder = folder
        self.package = package
        self.image = image
        self.root = folder / "first"
        self.temporary = Path(tempfile.mkdtemp(prefix="faults-"))
        self.challenge = write_challenge(folder / "challenge", rules=RULES, videos=VIDEOS)
        self.process: subprocess.Popen[str] | None = None  # that was started last

    def asked(self, **changes: Any) -> dict[str, Any]:
        return {
            "package": str(self.package),
            "challenge": str(self.challenge),
            "root": str(self.root),
            "temporary": str(self.temporary),
            "engine": MAIN_ENGINE,
            "image": self.image,
        } | changes

    def start(self, **changes: Any) -> subprocess.Popen[str]:
        """Start a harness, and return once it begins to work."""
        process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps(self.asked(**changes))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},  # the tests' helpers
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n", process.stdout.read()
        self.process = process
        return process

    def run(self, **changes: Any) -> tuple[int, str]:
        """Run a harness to its end; returns its exit code and what it said."""
        process = self.start(**changes)
        said, _ = process.communicate(timeout=600)
        return process.returncode, said

    def fresh(self, name: str) -> None:
        """Take another folder for runs, with the sets that are already prepared."""
        prepared = self.root / "cache"
        self.root = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))
        (self.root / "cache").symlink_to(prepared.resolve())

    def run_folder(self, runs: Path | None = None) -> RunFolder:
        (path,) = (runs or self.root / "runs").iterdir()
        return RunFolder(path=path)

    def lines(self, runs: Path | None = None) -> dict[str, tuple[Any, ...]]:
        """What is in each set's journal; nothing where the harness has not come so far."""
        place = runs or self.root / "runs"
        if not place.is_dir() or not any(place.iterdir()):
            return {}
        folder = self.run_folder(runs)
        return {name: read_journal(folder.journal(name))[1] for name in (SetName.PUBLIC, SetName.PRIVATE)}

    def outcomes(self, runs: Path | None = None) -> Outcomes:
        return {
            (name, entry.outcome.video_id): (entry.outcome.kind, entry.outcome.probability)
            for name, entries in self.lines(runs).items()
            for entry in entries
        }

    def wait_for(self, outcomes: int, *, runs: Path | None = None) -> None:
        """Wait until the run that was started last has so many outcomes on the disk.

        Fails at once, with what the harness said, if it has ended with fewer.
        """
        assert self.process is not None
        deadline = time.monotonic() + 300
        while True:
            ended = self.process.poll()  # before the look, so that it is the last word
            done = sum(map(len, self.lines(runs).values()))
            if done >= outcomes:
                return
            if ended is not None:
                said, _ = self.process.communicate()
                pytest.fail(
                    f"{done} of {outcomes} outcomes, and the harness ended with code {ended}:\n{said}"
                )
            assert time.monotonic() < deadline, f"{done} of {outcomes} outcomes after 300 s"
            time.sleep(0.01)

    def reap(self, client: docker.DockerClient) -> None:
        """Do what the next harness does first."""
        reap(client)
        reap_stages(self.temporary)

    def left_on(self, client: docker.DockerClient, runs: Path | None = None) -> list[str]:
        """What is there that should not be: containers of the run, and folders of videos."""
        label = f"{RUN_LABEL}={self.run_folder(runs).run_id}"
        containers = client.containers.list(all=True, filters={"label": label})
        return [str(one.name) for one in containers] + [path.name for path in self.temporary.glob("stage-*")]


def note(**facts: Any) -> None:
    if LOG:
        with Path(LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"seed": SEED, **facts}) + "\n")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, light_image: str) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("faults")
    package = folder / "package"
    package.mkdir()
    (package / "submission.toml").write_text('name = "test"\nentry = "predictor:Predictor"\n')
    (package / "predictor.py").write_text(PREDICTOR)
    made = Bench(folder, package, light_image)
    yield made
    shutil.rmtree(made.temporary, ignore_errors=True)


@pytest.fixture(scope="module")
def undisturbed(bench: Bench) -> tuple[Outcomes, float]:
    """The outcomes of a run that nothing happens to, and for how long it goes on after the last of them."""
    process = bench.start()
    bench.wait_for(2 * VIDEOS)
    done = time.monotonic()
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    outcomes = bench.outcomes()
    assert {kind for kind, _ in outcomes.values()} >= {OutcomeKind.PREDICTED, OutcomeKind.RUNTIME_ERROR}
    assert len(outcomes) == 2 * VIDEOS
    return outcomes, time.monotonic() - done


class Moment(NamedTuple):
    """A moment of a run: with so many outcomes on the disk, and so long after."""

    outcomes: int
    seconds: float


def moments(rng: random.Random, count: int, ending_seconds: float) -> list[Moment]:
    """Draw moments of a run, in their order: each in its part of all that a run does, at its end too."""
    found = []
    for number in range(count):
        outcomes = int(rng.uniform(number, number + 1) / count * (2 * VIDEOS + 2))
        longest = ending_seconds if outcomes >= 2 * VIDEOS else 0.5
        found.append(Moment(min(outcomes, 2 * VIDEOS), rng.uniform(0, longest)))
    return found


def assert_resumed(
    bench: Bench,
    client: docker.DockerClient,
    expected: Outcomes,
    before: dict[str, tuple[Any, ...]],
    *,
    runs: Path | None = None,
) -> None:
    """Hold the promise: the same run, finished; what was done is still there, and nothing else is left."""
    after = bench.lines(runs)
    for name, entries in before.items():
        assert after[name][: len(entries)] == entries, "what was done is not done again"
    assert bench.outcomes(runs) == expected
    result = read_result(bench.run_folder(runs).result)
    assert result.valid
    assert bench.left_on(client, runs) == []


def test_a_harness_that_ends_early_is_not_waited_for(
    bench: Bench, undisturbed: tuple[Outcomes, float]
) -> None:
    bench.fresh("early")
    bench.start(image="sha256:" + "0" * 64)
    with pytest.raises(pytest.fail.Exception, match=r"0 of 1 outcomes, .*code 3:\nImageError"):
        bench.wait_for(1)


def test_a_harness_that_is_killed_at_any_moment_is_resumed_to_the_same_result(
    bench: Bench, undisturbed: tuple[Outcomes, float], docker_client: docker.DockerClient
) -> None:
    expected, ending_seconds = undisturbed
    rng = random.Random(SEED)
    for first in range(0, KILLS, KILLS_OF_A_RUN):
        bench.fresh("killed")
        before: dict[str, tuple[Any, ...]] = {}
        # The run that resumes is killed too, a little further on.
        for moment in moments(rng, min(KILLS_OF_A_RUN, KILLS - first), ending_seconds):
            process = bench.start()
            bench.wait_for(moment.outcomes)
            with suppress(subprocess.TimeoutExpired):
                process.wait(moment.seconds)
            finished = process.poll() is not None
            process.kill()
            said, _ = process.communicate()
            assert not finished or process.returncode == 0, said
            after = bench.lines()
            for name, entries in before.items():
                assert after[name][: len(entries)] == entries, "a kill loses nothing that was done"
            before = after
            if finished or (after and bench.run_folder().result.exists()):
                break
            note(
                case="harness killed",
                moment=[moment.outcomes, round(moment.seconds, 2)],
                done=sum(map(len, after.values())),
                left=len(bench.left_on(docker_client)) if after else 0,
            )
        if not before or not bench.run_folder().result.exists():
            code, said = bench.run()
            assert code == 0, said
        bench.reap(docker_client)
        assert_resumed(bench, docker_client, expected, before)
        note(case="harness killed: resumed run", runs=len(list((bench.root / "runs").iterdir())))


def test_a_wall_clock_that_jumps_changes_nothing(
    bench: Bench, undisturbed: tuple[Outcomes, float], docker_client: docker.DockerClient
) -> None:
    bench.fresh("jumps")
    code, said = bench.run(clock_jumps=True)
    assert code == 0, said
    assert_resumed(bench, docker_client, undisturbed[0], {})
    for one in read_result(bench.run_folder().result).sets.values():
        assert one.clocks.video_longest_seconds is not None
        assert 0.15 <= one.clocks.video_longest_seconds < 120
    note(case="wall clock jumps")


class Line:
    """A socket in front of the engine's, whose lines can be cut."""

    def __init__(self, path: Path, engine: str) -> None:
        self._engine = engine.removeprefix("unix://")
        self._lines: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with self._listener, suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._engine)
                with self._lock:
                    self._lines += [near, far]
                self._threads.append(threading.Thread(target=self._carry, args=(near, far)))
                self._threads[-1].start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, suppress(OSError):
            others = {near: far, far: near}
            while others:
                for source in select.select(list(others), [], [])[0]:
                    if data := source.recv(65536):
                        others[source].sendall(data)
                    else:
                        others.pop(source).shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Cut every line there is; new ones may be made."""
        with self._lock:
            lines, self._lines = self._lines, []
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut every line, and make no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join(timeout=10)


def test_a_line_to_the_engine_that_drops_is_tried_once_more_and_costs_nobody_anything(
    bench: Bench, undisturbed: tuple[Outcomes, float], docker_client: docker.DockerClient
) -> None:
    bench.fresh("dropped")
    line = Line(bench.temporary / "drops.sock", MAIN_ENGINE)
    process = bench.start(engine=f"unix://{bench.temporary}/drops.sock")
    bench.wait_for(3)
    before = bench.lines()
    line.cut()
    said, _ = process.communicate(timeout=600)
    line.close()
    assert process.returncode == 0, said
    assert_resumed(bench, docker_client, undisturbed[0], before)
    note(case="socket dropped", done=sum(map(len, before.values())))


def test_a_socket_that_is_gone_for_good_is_our_error_and_the_next_run_resumes(
    bench: Bench, undisturbed: tuple[Outcomes, float], docker_client: docker.DockerClient
) -> None:
    bench.fresh("gone")
    line = Line(bench.temporary / "gone.sock", MAIN_ENGINE)
    process = bench.start(engine=f"unix://{bench.temporary}/gone.sock")
    bench.wait_for(3)
    line.close()
    said, _ = process.communicate(timeout=600)
    assert process.returncode == OUR_ERROR, said
    assert "Remedy:" in said
    before = bench.lines()
    code, said = bench.run()
    assert code == 0, said
    assert_resumed(bench, docker_client, undisturbed[0], before)
    note(case="socket gone", done=sum(map(len, before.values())))


def test_an_image_that_disappears_is_our_error_and_the_next_run_resumes(
    bench: Bench, undisturbed: tuple[Outcomes, float], docker_client: docker.DockerClient
) -> None:
    expected, _ = undisturbed
    dockerfile = f"FROM {bench.image}\nLABEL made-for=test-faults-{os.getpid()}\n"
    context = bench.folder / "image"
    context.mkdir()
    (context / "Dockerfile").write_text(dockerfile)
    image, _ = docker_client.images.build(path=str(context), rm=True, forcerm=True, pull=False)
    own = str(image.id)
    saved = b"".join(docker_client.images.get(own).save())
    try:
        for _ in range(5):  # a run that was done before the image could be had away needed it no more
            bench.fresh("image")
            process = bench.start(image=own)
            bench.wait_for(1)
            removed = False
            # Refused while a container runs: it goes between two of them.
            while not removed and process.poll() is None:
                with suppress(docker.errors.APIError):
                    # Without its parents: one is the image that the other tests run.
                    docker_client.images.remove(own, force=True, noprune=True)
                    removed = True
            said, _ = process.communicate(timeout=600)
            before = bench.lines()
            docker_client.images.load(saved)
            if process.returncode != 0:
                break
        assert process.returncode == OUR_ERROR, said
        assert "ImageError" in said
        assert "Remedy:" in said
        code, said = bench.run(image=own)
        assert code == 0, said
        assert_resumed(bench, docker_client, expected, before)
    finally:
        docker_client.images.remove(own, force=True, noprune=True)
    note(case="image removed", done=sum(map(len, before.values())))


needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="mounting a small disk, or starting an engine of its own, takes root"
)


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "none", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill_until(process: subprocess.Popen[str], disk: Path) -> Path:
    """Leave no room at all on a disk, what is freed on it included, until the process has ended."""
    ballast = disk / "ballast"
    deadline = time.monotonic() + 300
    with ballast.open("ab", buffering=0) as stream:
        while process.poll() is None:
            assert time.monotonic() < deadline
            with suppress(OSError):
                while stream.write(bytes(4096)):
                    pass
            time.sleep(0.005)
    return ballast


@needs_root
def test_a_full_disk_for_runs_is_our_error_and_the_next_run_resumes(
    bench: Bench, undisturbed: tuple[Outcomes, float], docker_client: docker.DockerClient
) -> None:
    bench.fresh("full")
    with small_disk(bench.folder / "disk", "24m") as disk:
        process = bench.start(runs=str(disk / "runs"))
        bench.wait_for(3, runs=disk / "runs")
        ballast = fill_until(process, disk)
        said, _ = process.communicate(timeout=600)
        assert process.returncode == OUR_ERROR, said
        assert "No space left" in said
        assert "Make room on the disk" in said
        before = bench.lines(disk / "runs")
        ballast.unlink()
        code, said = bench.run(runs=str(disk / "runs"))
        assert code == 0, said
        assert_resumed(bench, docker_client, undisturbed[0], before, runs=disk / "runs")
    note(case="disk full, runs", done=sum(map(len, before.values())))


@needs_root
def test_a_full_disk_for_staging_is_our_error_and_the_next_run_resumes(
    bench: Bench, undisturbed: tuple[Outcomes, float], docker_client: docker.DockerClient
) -> None:
    bench.fresh("staging")
    with small_disk(bench.folder / "staging-disk", "4m") as disk:
        process = bench.start(temporary=str(disk))
        bench.wait_for(3)
        ballast = fill_until(process, disk)
        said, _ = process.communicate(timeout=600)
        assert process.returncode == OUR_ERROR, said
        assert "No space left" in said
        assert "Make room on the disk" in said
        before = bench.lines()
        ballast.unlink()
        code, said = bench.run(temporary=str(disk))
        assert code == 0, said
        assert_resumed(bench, docker_client, undisturbed[0], before)
        assert list(disk.glob("stage-*")) == []
    note(case="disk full, staging", done=sum(map(len, before.values())))


@pytest.fixture
def own_engine(docker_client: docker.DockerClient, light_image: str, fresh_engine: Any) -> Any:
    """A second engine, whose death harms nobody else, with the image of these tests."""
    with fresh_engine.client() as client:
        client.images.load(b"".join(docker_client.images.get(light_image).save()))
    return fresh_engine


@needs_root
def test_an_engine_that_is_killed_at_any_moment_is_our_error_and_the_next_run_resumes(
    bench: Bench, undisturbed: tuple[Outcomes, float], own_engine: Any
) -> None:
    expected, ending_seconds = undisturbed
    rng = random.Random(SEED + 1)
    for first in range(0, ENGINE_KILLS, KILLS_OF_A_RUN):
        bench.fresh("engine")
        before: dict[str, tuple[Any, ...]] = {}
        for moment in moments(rng, min(KILLS_OF_A_RUN, ENGINE_KILLS - first), ending_seconds):
            process = bench.start(engine=own_engine.address)
            bench.wait_for(moment.outcomes)
            with suppress(subprocess.TimeoutExpired):
                process.wait(moment.seconds)
            own_engine.end(signal.SIGKILL)
            said, _ = process.communicate(timeout=600)
            after = bench.lines()
            for name, entries in before.items():
                assert after[name][: len(entries)] == entries, "the engine's end loses nothing that was done"
            before = after
            own_engine.start()
            if process.returncode == 0:  # it had no more need of an engine
                break
            assert process.returncode == OUR_ERROR, said
            assert "Remedy:" in said
            note(
                case="engine killed",
                moment=[moment.outcomes, round(moment.seconds, 2)],
                done=sum(map(len, after.values())),
                said=said.strip().splitlines()[0][:160],
            )
        if process.returncode != 0:
            code, said = bench.run(engine=own_engine.address)
            assert code == 0, said
        with own_engine.client() as client:
            bench.reap(client)
            assert_resumed(bench, client, expected, before)
