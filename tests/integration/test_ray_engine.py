"""The Ray engine on a real cluster of two nodes: the seam's promises, and what becomes of a node's death."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from harness.core.engines import WorkerDiedError
from harness.core.engines.ray import Need, RayEngine
from harness.core.errors import ConfigError, EngineUnavailableError, VideoError
from harness.videos.perturb.recipes import load_recipe
from harness.videos.prepare import SourceVideo, prepare_set
from harness.videos.synthetic import ClipSpec, write_clip
from tests.contest_kit.servers import RayNodes


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


def test_work_that_fits_no_node_is_given_up_with_what_there_is(
    nodes: RayNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.core.engines.ray.NO_NODE_SECONDS", 2.0)
    with (
        RayEngine(nodes.address, need=Need(cores=64)) as engine,
        pytest.raises(EngineUnavailableError, match="CPU 1"),
    ):
        list(engine.map(_square, [1]))


def test_a_set_prepared_on_the_cluster_is_the_one_prepared_here(engine: RayEngine, tmp_path: Path) -> None:
    sources = []
    for number in range(2):
        path = write_clip(tmp_path / f"{number}.mp4", ClipSpec(width=64, height=48, frames=5, seed=number))
        sources.append(SourceVideo(source_id=path.name, path=path))
    recipe = load_recipe("private")
    here, there = (
        prepare_set(
            sources=sources, recipe=recipe, set_seed=1, destination=tmp_path / name, engine=one, workers=0
        )
        for name, one in (("here", None), ("there", engine))
    )
    assert [video.sha256 for video in here.videos] == [video.sha256 for video in there.videos]


def test_no_cluster_is_named_with_its_remedy() -> None:
    with pytest.raises((EngineUnavailableError, ConfigError), match=r"127\.0\.0\.1:1"):
        RayEngine("127.0.0.1:1")
