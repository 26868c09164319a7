"""The pool of processes: every job has one result, whatever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from harness.core.engines import WorkerDiedError
from harness.core.engines.local import LocalEngine
from harness.core.errors import ConfigError, VideoError

pytestmark = pytest.mark.slow


def square(number: int) -> int:
    return number * number


def picky(number: int) -> int:
    if number == 3:
        raise VideoError("three is damaged", place="3.mp4", remedy="leave it out")
    return number


def deadly(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


class OddError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one}{two}")


def odd(number: int) -> object:
    if number == 1:
        raise OddError(1, 2)  # pickles, and cannot be unpickled
    if number == 2:
        return lambda: None  # does not pickle
    return number


def process(_: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_every_job_has_one_result(workers: int) -> None:
    results = list(LocalEngine(workers).map(square, range(10)))
    assert sorted((result.job, result.unwrap()) for result in results) == [(n, n * n) for n in range(10)]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_exception_is_a_value_with_all_it_knew(workers: int) -> None:
    results = {result.job: result for result in LocalEngine(workers).map(picky, range(5))}
    assert [job for job, result in results.items() if not result.ok] == [3]
    error = results[3].error
    assert isinstance(error, VideoError)
    assert (error.place, error.remedy) == ("3.mp4", "leave it out")
    assert "picky" in results[3].traceback
    with pytest.raises(VideoError):
        results[3].unwrap()


def test_a_killed_worker_is_reported_and_replaced() -> None:
    results = {result.job: result for result in LocalEngine(1).map(deadly, range(6))}
    assert len(results) == 6
    assert results[2].worker_died
    assert isinstance(results[2].error, WorkerDiedError)
    assert "-9" in str(results[2].error)
    assert all(results[job].value == job for job in (0, 1, 3, 4, 5))


def test_a_worker_that_is_killed_between_two_jobs_costs_none() -> None:
    results = LocalEngine(1).map(process, range(4))
    first = next(results).unwrap()
    os.kill(first, signal.SIGKILL)
    rest = list(results)
    assert [result.ok for result in rest] == [True, True, True]
    assert first not in {result.value for result in rest}


def test_results_come_as_they_finish() -> None:
    first = next(LocalEngine(2).map(nap, [30.0, 0.0]))
    assert first.job == 0.0


def test_what_cannot_travel_back_is_an_error_not_a_hang() -> None:
    results = {result.job: result for result in LocalEngine(1).map(odd, range(4))}
    assert isinstance(results[1].error, TypeError)
    assert "OddError" in str(results[1].error)
    assert isinstance(results[2].error, TypeError)
    assert results[3].value == 3


def test_jobs_are_taken_only_as_places_are_free() -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    running = LocalEngine(2).map(square, jobs())
    list(islice(running, 3))
    running.close()  # type: ignore[attr-defined]  # a generator, which the seam does not promise
    assert len(taken) <= 6


def begun(folder: Path) -> None:
    """Do what a shard does: begin something that must not outlive it."""
    (folder / str(os.getpid())).touch()
    try:
        time.sleep(600)
    finally:
        (folder / str(os.getpid())).unlink()


def test_what_is_interrupted_clears_what_it_has_begun(tmp_path: Path) -> None:
    jobs = iter([tmp_path])

    def following() -> Iterator[Path]:
        yield from jobs
        while not list(tmp_path.iterdir()):
            time.sleep(0.01)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(LocalEngine(2).map(begun, following()))
    assert list(tmp_path.iterdir()) == []


def test_workers_are_reused_and_other_than_this_process() -> None:
    processes = {result.value for result in LocalEngine(2).map(process, range(12))}
    assert os.getpid() not in processes
    assert len(processes) <= 2


def test_no_jobs_no_results() -> None:
    assert list(LocalEngine(2).map(square, [])) == []


def test_negative_workers_are_refused() -> None:
    with pytest.raises(ConfigError, match="-1 workers"):
        LocalEngine(-1)


LOADED = """\
import os, sys
from harness.core.engines.local import LocalEngine

def look(name):
    return name in sys.modules, os.environ["ENGINE_TEST"]

if __name__ == "__main__":
    for value in ("one", "other"):
        os.environ["ENGINE_TEST"] = value
        engine = LocalEngine(2, loaded=("xml.dom.minidom",))
        print({result.unwrap() for result in engine.map(look, ["xml.dom.minidom"] * 4)})
"""


def test_workers_may_begin_with_modules_that_take_long_to_load(tmp_path: Path) -> None:
    """Loaded once for all of them, and for those of later engines; each sees its parent's environment."""
    script = tmp_path / "loaded.py"
    script.write_text(LOADED)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("{(True, 'one')}\n{(True, 'other')}\n", "")


def test_a_worker_of_those_that_is_killed_is_replaced() -> None:
    results = {result.job: result for result in LocalEngine(1, loaded=("json",)).map(deadly, range(4))}
    assert "-9" in str(results[2].error)
    assert all(results[job].value == job for job in (0, 1, 3))


KILLED = """\
import sys, time
from pathlib import Path
from harness.core.engines.local import LocalEngine

def begun(place):
    place.touch()
    print("at work", flush=True)
    try:
        time.sleep(600)
    finally:
        place.unlink()

if __name__ == "__main__":
    list(LocalEngine(1).map(begun, [Path(sys.argv[1])] * 3))
"""


@pytest.mark.parametrize("how", ["", ", loaded=('json',)"])
def test_a_worker_whose_parent_was_killed_ends_without_a_word(tmp_path: Path, how: str) -> None:
    """It leaves what it had begun: a container, of a shard that nobody waits for any more."""
    script, place = tmp_path / "killed.py", tmp_path / "begun"
    script.write_text(KILLED.replace("LocalEngine(1", f"LocalEngine(1{how}"))
    command = [sys.executable, str(script), str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        assert parent.stdout.readline() == "at work\n"
        parent.kill()
        # Both pipes end only when the worker, which holds them too, has ended.
        assert parent.stderr.read() == ""
        assert parent.stdout.read() == ""
    assert not place.exists()
