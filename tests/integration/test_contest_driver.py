"""The driver on one machine: fair order, every kind of entry, steering, resuming, stopping early.

Packages run as plain processes: it is the driver that is tried here, and the sandbox has suites of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.contest_backends import ProcessOnNode
from harness.contest.admission import AdmittedEntry, Prepared
from harness.contest.driver import Contest, Driver
from harness.contest.progress import progress_of
from harness.contest.shard_job import ShardDone, ShardPlaces
from harness.contest.shard_ledger import ShardLedger
from harness.contest.sources import FolderSource, Source
from harness.core.challenge import Challenge, load_challenge
from harness.core.contest import ContestRules, EarlyStopping, StopRule
from harness.core.engines.local import LocalEngine
from harness.core.errors import ConfigError, InfrastructureError
from harness.core.types import ImageFacts, SetName, Verdict
from harness.results.result import read_result
from harness.results.run_folder import RunFolder
from harness.results.store import Store
from harness.results.store.drivers import Wish
from harness.results.store.jobs import Job, JobState
from harness.run.evaluate import Evaluation, evaluate
from harness.sandbox import Backend
from harness.videos.ready_set import ready_set
from tests.contest_kit import RAISES, write_challenge, write_entry
from tests.contest_kit.chaos import outcomes

COUNTS = """
class Predictor:
    def __init__(self, package):
        self.seen = 0
    def predict(self, video):
        self.seen += 1
        return self.seen / 100
"""
IMAGE = ImageFacts(label="no image: the host's own Python", digest="none", variant="cpu")


class Watcher:
    def __init__(self) -> None:
        self.order: list[str] = []
        self.warnings: list[str] = []
        self.finished_runs: list[str] = []
        self.known_runs: list[str] = []
        self.then: Callable[[Job], None] = lambda _: None

    def say(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def accepted(self, job: Job, done: ShardDone) -> None:
        self.order.append(f"{job.team}/{job.entry}")
        self.then(job)

    def known(self, entry: AdmittedEntry) -> None:
        self.known_runs.append(entry.run_id)

    def finished(self, entry: AdmittedEntry) -> None:
        self.finished_runs.append(entry.run_id)


class Bench:
    """A challenge, its entries, and drivers over one store."""

    def __init__(self, folder: Path, challenge: Challenge, *, shard_videos: int | None = None) -> None:
        self.folder, self.challenge = folder, challenge
        self.store = Store(f"sqlite:///{folder / 'index.db'}")
        self.ledger = ShardLedger(self.store, challenge.name)
        self.common = Prepared(
            challenge=challenge,
            sets=tuple(ready_set(name, challenge, cache=folder / "cache") for name in challenge.sets),
            image=IMAGE,
            engine="none",
            isolation="none",
            runs=folder / "runs",
            scratch=folder / "scratch",
            store=None,
            shard_videos=shard_videos,
            reports=False,
        )

    def drive(
        self, watcher: Watcher, *, workers: int = 0, source: Source | None = None, watch: bool = False
    ) -> bool:
        contest = Contest(
            common=self.common,
            source=source or FolderSource(self.folder / "entries", self.ledger),
            watch=watch,
            backend=ProcessOnNode(),
            places=ShardPlaces(scratch=self.folder / "scratch"),
        )
        return Driver(contest, self.ledger, LocalEngine(workers), watcher).run()

    def runs(self) -> dict[str, RunFolder]:
        """Folders by team and entry."""
        return {
            f"{job.team}/{job.entry}": RunFolder(path=self.common.runs / job.run_id)
            for job in self.ledger.listed()
        }


@pytest.fixture
def challenge(tmp_path: Path) -> Challenge:
    return load_challenge(write_challenge(tmp_path / "challenge", public=6, private=8))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A disk of as many bytes as were asked for last."""
    path = tmp_path / "disk"

    def sized(size_bytes: int) -> Path:
        again = path.is_mount()
        path.mkdir(exist_ok=True)
        options = f"{'remount,' if again else ''}size={size_bytes},mode=755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(path)], check=True)
        return path

    yield sized
    if path.is_mount():
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_teams_take_turns_and_every_kind_of_entry_comes_to_its_result(
    tmp_path: Path, challenge: Challenge
) -> None:
    for name in ("one", "two", "three"):
        write_entry(tmp_path / "entries", team="many", name=name)
    write_entry(tmp_path / "entries", team="few")
    write_entry(tmp_path / "entries", team="raises", module=RAISES)
    (tmp_path / "entries" / "broken.zip").write_bytes(b"no zip")
    bench, watcher = Bench(tmp_path, challenge), Watcher()
    assert bench.drive(watcher)
    # Two sets each; one shard at a time, so they come in as they were given out.
    assert set(watcher.order[:6]) == {"few/entry", "raises/entry", "many/one"}
    assert len(watcher.finished_runs) == 6
    verdicts = {
        folder.name.split("-")[1]: read_result(folder / "result.json").sets[SetName.PUBLIC].verdict
        for folder in bench.common.runs.iterdir()
    }
    assert verdicts["broken"] is Verdict.INVALID_PACKAGE
    assert verdicts["raises"] is Verdict.RUNTIME_ERROR
    assert verdicts["few"] is verdicts["many"] is Verdict.OK
    again = Watcher()
    assert bench.drive(again)  # a second call finds everything done
    assert again.order == []
    assert len(again.known_runs) == 6


def test_shards_come_to_what_a_run_without_shards_comes_to(tmp_path: Path, challenge: Challenge) -> None:
    package = write_entry(tmp_path / "entries", team="few")
    bench = Bench(tmp_path, challenge, shard_videos=3)
    assert bench.drive(Watcher(), workers=2)
    asked = Evaluation(
        package=package,
        challenge=challenge,
        runs=tmp_path / "alone",
        cache=tmp_path / "cache",
        isolation="none",
    )
    alone = evaluate(asked, backend=_backend, observer=_Silent())
    (folder,) = bench.runs().values()
    for name in challenge.sets:
        assert outcomes(folder, name) == outcomes(alone.folder, name)
    one, other = read_result(folder.result), alone.result
    for name in challenge.sets:
        assert one.sets[name].score.log_loss == other.sets[name].score.log_loss
        assert one.sets[name].clocks.budget_seconds == pytest.approx(other.sets[name].clocks.budget_seconds)


def test_a_set_that_is_cut_is_run_whole_too_and_the_answers_are_compared(
    tmp_path: Path, challenge: Challenge
) -> None:
    write_entry(tmp_path / "entries", team="steady")
    write_entry(tmp_path / "entries", team="counts", module=COUNTS)
    bench = Bench(tmp_path, challenge, shard_videos=4)
    bench.common = replace(bench.common, repeat=True)
    assert bench.drive(Watcher())
    found = {
        key: [json.loads(folder.sharding(name).read_text()) for name in challenge.sets]
        for key, folder in bench.runs().items()
    }
    assert [one["differing"] for one in found["steady/entry"]] == [[], []]
    assert [one["compared"] for one in found["steady/entry"]] == [6, 8]
    assert all(one["differing"] for one in found["counts/entry"])
    for folder in bench.runs().values():  # the whole set is compared with, and counts for nothing else
        assert len(outcomes(folder, SetName.PUBLIC)) == 6
        assert read_result(folder.result).sets[SetName.PUBLIC].videos == 6


def test_drain_ends_after_what_runs_and_the_next_driver_goes_on(tmp_path: Path, challenge: Challenge) -> None:
    for number in range(3):
        write_entry(tmp_path / "entries", team=f"team{number}")
    bench, watcher = Bench(tmp_path, challenge), Watcher()
    bench.ledger.wish(Wish.DRAIN)
    assert not bench.drive(watcher)
    assert watcher.order == []
    bench.ledger.wish(Wish.RUN)
    assert bench.drive(watcher)
    assert len(watcher.order) == 6


def test_a_run_that_began_keeps_its_cut_and_its_folder(tmp_path: Path, challenge: Challenge) -> None:
    """Its accepted shards count: another `--shard-videos` is for later runs, another `--runs` is refused."""
    for number in range(2):
        write_entry(tmp_path / "entries", team=f"team{number}")
    bench, watcher = Bench(tmp_path, challenge, shard_videos=3), Watcher()

    def one_and_no_more(job: Job) -> None:
        raise RuntimeError("the driver's end")

    watcher.then = one_and_no_more
    with pytest.raises(RuntimeError, match="the driver's end"):
        bench.drive(watcher)
    before = progress_of(bench.ledger.listed(), places=1)
    assert sum(run.shards_done for run in before.runs) == 1
    elsewhere = Bench(tmp_path, challenge, shard_videos=3)
    elsewhere.common = replace(elsewhere.common, runs=tmp_path / "other")
    with pytest.raises(ConfigError, match="--runs"):
        elsewhere.drive(Watcher())
    assert Bench(tmp_path, challenge, shard_videos=4).drive(Watcher())
    for run_id, folder in bench.runs().items():
        assert len(outcomes(folder, SetName.PUBLIC)) == 6, run_id
        assert read_result(folder.result).sets[SetName.PRIVATE].videos == 8
    assert {run.shards for run in progress_of(bench.ledger.listed(), places=1).runs} == {5}


def test_what_a_removed_run_left_on_its_node_is_not_gone_on_with(
    tmp_path: Path, challenge: Challenge
) -> None:
    write_entry(tmp_path / "entries", team="few")
    bench = Bench(tmp_path, challenge)
    assert bench.drive(Watcher())
    bench.store.close()
    shutil.rmtree(bench.common.runs)  # with its seed; the name of the run is the same again
    (tmp_path / "index.db").unlink()
    journals = list((tmp_path / "scratch").glob("shards/*/*/*/outcomes.jsonl"))
    journals[0].write_bytes(b"\0" * 50 + b"\n")  # as a file system may leave it after a power cut
    again, watcher = Bench(tmp_path, challenge), Watcher()
    assert again.drive(watcher)
    assert (watcher.warnings, {job.attempt for job in again.ledger.listed()}) == ([], {1})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_ends_the_driver_loses_nothing_and_is_no_success(
    tmp_path: Path, challenge: Challenge, small_disk: Callable[[int], Path]
) -> None:
    for number in range(2):
        write_entry(tmp_path / "entries", team=f"team{number}")
    bench = Bench(tmp_path, challenge)
    for size_bytes in (8_192, 32_768, 49_152):  # a folder, a shard, a result that does not fit
        bench.common = replace(bench.common, runs=small_disk(size_bytes) / "runs")
        with pytest.raises(InfrastructureError, match="No space left on device") as error:
            bench.drive(Watcher())
        assert "Make room on the disk" in str(error.value)
        assert bench.ledger.listed(JobState.CLAIMED) == ()
    small_disk(10_000_000)
    watcher = Watcher()
    assert bench.drive(watcher)
    assert len(watcher.finished_runs) == 2
    assert {run.state for run in progress_of(bench.ledger.listed(), places=1).runs} == {"done"}


def test_a_cancelled_run_has_no_result_and_comes_back_by_requeue(
    tmp_path: Path, challenge: Challenge
) -> None:
    for number in range(2):
        write_entry(tmp_path / "entries", team=f"team{number}")
    bench, watcher = Bench(tmp_path, challenge), Watcher()
    cancelled: list[str] = []

    def cancel_the_other(job: Job) -> None:
        if not cancelled:
            cancelled.extend({one.run_id for one in bench.ledger.listed()} - {job.run_id})
            assert bench.ledger.cancel(cancelled[0], "cancelled by the organiser") == 2

    watcher.then = cancel_the_other
    bench.drive(watcher)
    assert not RunFolder(path=bench.common.runs / cancelled[0]).result.exists()
    progress = progress_of(bench.ledger.listed(), places=1)
    assert {run.state for run in progress.runs} == {"done", "cancelled"}
    assert bench.ledger.requeue(cancelled[0], "requeued") == 2
    assert bench.drive(Watcher())
    assert RunFolder(path=bench.common.runs / cancelled[0]).result.exists()


def test_a_second_driver_is_refused_while_one_is_at_work(tmp_path: Path, challenge: Challenge) -> None:
    write_entry(tmp_path / "entries", team="few")
    bench, watcher = Bench(tmp_path, challenge), Watcher()
    refused: list[str] = []

    def another(job: Job) -> None:
        with pytest.raises(ConfigError, match="another driver is at work") as error:
            ShardLedger(bench.store, challenge.name).drive()
        refused.append(str(error.value))

    watcher.then = another
    bench.drive(watcher)
    assert len(refused) == 2


def test_a_package_that_was_changed_after_its_check_is_not_run(tmp_path: Path, challenge: Challenge) -> None:
    package = write_entry(tmp_path / "entries", team="few")
    bench, watcher = Bench(tmp_path, challenge), Watcher()
    bench.ledger.faults_max = 2

    def change(job: Job) -> None:
        (package / "predictor.py").write_text("raise SystemExit\n")

    watcher.then = change
    bench.drive(watcher)
    states = {job.set_name: job.state for job in bench.ledger.listed()}
    assert sorted(states.values()) == [JobState.DONE, JobState.FAILED]
    assert any("when it was checked" in text for text in watcher.warnings)


def test_an_entry_without_a_chance_is_stopped_and_told_so(tmp_path: Path, challenge: Challenge) -> None:
    rules = ContestRules.model_validate(
        {
            "timezone": "UTC",
            "opens": "2030-01-01T00:00:00",
            "closes": "2030-02-01T00:00:00",
            "early_stopping": EarlyStopping(rule=StopRule.CERTAIN, prizes=1),
        }
    )
    challenge = challenge.model_copy(update={"contest": rules})
    # The first answers 0.5 everywhere; the second is sure and always wrong: a clip's last byte is the last of
    # its number, and odd ones are fake. So its floor rises at once, whichever shards come first.
    write_entry(tmp_path / "entries", team="a", formula="0.5")
    bench, watcher = Bench(tmp_path, challenge, shard_videos=2), Watcher()
    bench.drive(watcher)
    write_entry(tmp_path / "entries", team="b", formula="0.000001 if data[-1] % 2 else 0.999999")
    bench.drive(watcher)
    stopped = [text for text in watcher.warnings if "stopped early by the certain rule" in text]
    assert len(stopped) == 1
    assert "made-b-" in stopped[0]
    (b,) = [folder for key, folder in bench.runs().items() if key.startswith("b/")]
    result = read_result(b.result)
    assert set(result.sets) == {SetName.PUBLIC}
    assert result.sets[SetName.PUBLIC].score.log_loss is not None
    # After which answers the driver looks may hang on how fast they come; not that it is before the last.
    assert re.fullmatch(r"after [246] of 8 private videos, by the certain rule", result.stopped_early or "")
    assert result.leaderboard.reasons == ("it ran without isolation",)
    progress = progress_of(bench.ledger.listed(), places=1)
    assert {run.team: run.state for run in progress.runs} == {"a": "done", "b": "stopped"}
    assert progress.saved_seconds > 0
    assert bench.drive(Watcher())  # what was stopped stays so


def _backend() -> Backend:
    from contextlib import ExitStack

    return ProcessOnNode()(ExitStack(), 1.0).backend


class _Silent:
    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None
