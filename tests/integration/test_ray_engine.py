"""The Ray engine on a real cluster of two nodes: the seam's promises, and what becomes of a node's death."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import docker
import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.core.engines import WorkerDiedError
from harness.core.engines.node_faults import IN_A_ROW
from harness.core.engines.ray import Need, RayEngine
from harness.core.errors import ConfigError, EngineUnavailableError, VideoError
from harness.core.types import PreparedVideo, SandboxSpec
from harness.gateway.staging import Stage
from harness.sandbox import Sandbox
from harness.sandbox.docker.sandbox import DockerSandbox
from harness.sandbox.process import ProcessSandbox
from harness.sandbox.protocol import Answer, Ready, decode_reply, encode_predict
from harness.videos.synthetic import ClipSpec, write_clip
from tests.contest_kit.servers import RayNodes

REACH_RAY = Path(__file__).parents[1] / "packages" / "reach_ray"
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    found = RayNodes(tmp_path_factory.mktemp("ray"), nodes=2)
    yield found
    found.close()


@pytest.fixture
def engine(nodes: RayNodes) -> Iterator[RayEngine]:
    with RayEngine(nodes.address) as found:
        yield found


def _square(number: int) -> int:
    return number * number


def _picky(number: int) -> object:
    if number == 1:
        raise VideoError("one is damaged", place="1.mp4", remedy="leave it out")
    if number == 2:
        return lambda: None
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def _held(place: str) -> str:
    """Say that it has begun, and go on once it may."""
    with Path(place).open("a") as begun:
        begun.write("begun\n")
    while not Path(place).with_name("go on").exists():
        time.sleep(0.02)
    return place


def _well_on_one_node(place: str) -> None:
    """Fail at once on the node that comes first, and take a little longer on every other."""
    here = os.environ["HARNESS_SCRATCH"]
    bad, mine = Path(place).with_name("bad"), Path(f"{place}.mine")
    mine.write_text(here)
    with contextlib.suppress(FileExistsError):
        bad.hardlink_to(mine)
    if bad.read_text() == here:
        raise OSError("the disk is full")
    time.sleep(0.1)


def test_every_job_has_one_result_and_what_goes_wrong_is_a_value(engine: RayEngine) -> None:
    assert sorted(result.unwrap() for result in engine.map(_square, range(10))) == [n * n for n in range(10)]
    results = {result.job: result for result in engine.map(_picky, range(5))}
    assert isinstance(results[1].error, VideoError)
    assert (results[1].error.place, results[1].error.remedy) == ("1.mp4", "leave it out")
    assert isinstance(results[2].error, TypeError)
    assert results[3].worker_died
    assert isinstance(results[3].error, WorkerDiedError)
    assert (results[0].value, results[4].value) == (0, 4)


def test_jobs_are_taken_only_as_places_are_free(engine: RayEngine) -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    running = engine.map(_square, jobs())
    list(islice(running, 3))
    running.close()  # type: ignore[attr-defined]  # a generator, which the seam does not promise
    assert engine.places() == 2
    assert len(taken) <= 6


def test_a_node_that_dies_costs_its_job_and_a_repetition_brings_it(nodes: RayNodes, tmp_path: Path) -> None:
    places = [str(tmp_path / str(number)) for number in range(3)]
    found: list[str] = []

    def work() -> None:
        with RayEngine(nodes.address, retries=5) as engine:
            found.extend(result.unwrap() for result in engine.map(_held, places))

    worker = threading.Thread(target=work)
    worker.start()
    while not all(Path(place).exists() for place in places[:2]):  # one on each node
        time.sleep(0.02)
    nodes.kill(0)  # in the main thread: Ray sets up signals for a node that starts
    (tmp_path / "go on").touch()
    worker.join()
    assert sorted(found) == places
    assert sum(len(Path(place).read_text().splitlines()) for place in places) == len(places) + 1


def test_a_node_that_fails_whatever_it_gets_does_not_get_all(nodes: RayNodes, tmp_path: Path) -> None:
    jobs = [str(tmp_path / str(number)) for number in range(20)]
    with RayEngine(nodes.address, node_fault=lambda error: "full" in str(error)) as engine:
        results = list(engine.map(_well_on_one_node, jobs))
    failed = [result for result in results if result.error is not None]
    assert IN_A_ROW <= len(failed) <= IN_A_ROW + 1  # one more may have been given out already
    assert len({result.node for result in failed}) == 1
    assert {result.node for result in results if result.ok} & {result.node for result in failed} == set()


def test_work_that_fits_no_node_is_given_up_with_what_there_is(
    nodes: RayNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.core.engines.ray.NO_NODE_SECONDS", 2.0)
    with (
        RayEngine(nodes.address, need=Need(cores=64)) as engine,
        pytest.raises(EngineUnavailableError, match="CPU 1"),
    ):
        list(engine.map(_square, [1]))


def test_a_set_rendered_on_the_cluster_is_the_one_rendered_here(nodes: RayNodes, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for number in range(2):
        write_clip(tmp_path / "clips" / f"{number}.mp4", ClipSpec(width=64, height=48, frames=5, seed=number))

    def rendered(name: str, *engine: str) -> list[tuple[str, bytes]]:
        command = ["perturb", "render", str(tmp_path / "clips"), str(tmp_path / name), "--seed", "1", *engine]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        return [(path.name, path.read_bytes()) for path in sorted((tmp_path / name).rglob("*.mp4"))]

    here = rendered("here", "--workers", "1")
    assert len(here) == 2
    assert rendered("there", "--engine", "ray", "--address", nodes.address) == here


def test_no_cluster_is_named_with_its_remedy() -> None:
    with pytest.raises((EngineUnavailableError, ConfigError), match=r"127\.0\.0\.1:1"):
        RayEngine("127.0.0.1:1")


@pytest.mark.docker
def test_a_hostile_package_finds_a_cluster_at_work_only_where_nothing_stands_between(
    nodes: RayNodes,
    docker_client: docker.DockerClient,
    light_image: str,
    make_spec: Callable[..., SandboxSpec],
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    stage: Stage,
    tmp_path: Path,
) -> None:
    package = shutil.copytree(REACH_RAY, tmp_path / "reach_ray")
    (package / "cluster.txt").write_text(nodes.address, encoding="utf-8")  # it is even told where
    video = stage.put(make_videos(1)[0])

    def traces(sandbox: Sandbox, image: str) -> object:
        with sandbox.start(make_spec(package, image=image)) as process:
            assert isinstance(decode_reply(process.receive(PATIENCE_SECONDS)), Ready)
            process.send(encode_predict(request_id=secrets.token_hex(8), video=video))
            reply = decode_reply(process.receive(PATIENCE_SECONDS))
        assert isinstance(reply, Answer)
        return reply.probability

    assert traces(DockerSandbox(docker_client), light_image) == 0.0
    assert traces(ProcessSandbox(), "none") == 1.0  # so the attack can succeed
