"""Batch packages over plain processes: one command, one table, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.types import FailureRule, Mode, OutcomeKind, PreparedVideo, SandboxSpec, Terms, Verdict
from harness.gateway.feed import run_set
from harness.gateway.journal import Journal, header_of, read_journal
from harness.gateway.set_run import SetRun
from harness.gateway.staging import Stage
from harness.sandbox.process import ProcessSandbox

pytestmark = pytest.mark.slow

K = OutcomeKind
Unhurried = Callable[[Callable[[float], object]], None]
MANIFEST = """name = "batch"
command = ["python", "main.py", "--videos", "{videos}", "--output", "{output}"]
"""
START = """import csv, os, pathlib, subprocess, sys, time
videos = pathlib.Path(sys.argv[2]); output = pathlib.Path(sys.argv[4])
names = sorted(os.listdir(videos))
rows = [(name, (videos / name).read_bytes()[0] / 10) for name in names]
def write(rows, path=output):
    with open(path, "w") as stream:
        stream.write("filename,label\\n")
        for name, label in rows:
            stream.write(f"{name},{label}\\n")
            stream.flush()
"""


class Bench:
    """Runs batch packages on a set of small files."""

    def __init__(
        self,
        make_package: Callable[..., Path],
        make_spec: Callable[..., SandboxSpec],
        stage: Stage,
        videos: tuple[PreparedVideo, ...],
        journal_path: Path,
    ) -> None:
        self.make_package = make_package
        self.make_spec = make_spec
        self.stage = stage
        self.videos = videos
        self.journal_path = journal_path

    def run(
        self,
        script: str,
        *,
        rule: FailureRule = FailureRule.LENIENT,
        manifest: str = MANIFEST,
        **limits: float,
    ) -> SetRun:
        package = self.make_package(manifest=manifest, files={"main.py": START + script})
        spec = self.make_spec(package, mode=Mode.BATCH, **limits)
        header = header_of(videos=self.videos, limits=spec.limits, order_seed=0)
        if read_journal(self.journal_path)[0] not in {None, header}:  # other limits, another run
            self.journal_path = self.journal_path.with_name(f"after-{self.journal_path.name}")
        with Journal(self.journal_path, header) as journal:
            return run_set(
                sandbox=ProcessSandbox(),
                spec=spec,
                stage=self.stage,
                videos=self.videos,
                order_seed=0,
                journal=journal,
                terms=Terms(limits=spec.limits, failure_rule=rule, max_failed_share=1.0),
                keep_messages=True,
            )


@pytest.fixture
def bench(
    make_package: Callable[..., Path],
    make_spec: Callable[..., SandboxSpec],
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    stage: Stage,
    tmp_path: Path,
) -> Bench:
    return Bench(make_package, make_spec, stage, make_videos(4), tmp_path / "outcomes.jsonl")


def kinds(run: SetRun) -> list[OutcomeKind]:
    return [outcome.kind for outcome in run.outcomes]


def test_a_whole_table_answers_every_video(bench: Bench) -> None:
    run = bench.run("print('hello'); write(rows)", rule=FailureRule.STRICT)
    assert [outcome.probability for outcome in run.outcomes] == [0.0, 0.1, 0.2, 0.3]
    assert run.verdict is Verdict.OK
    assert run.log_tail == "hello\n"
    assert run.billed_seconds == pytest.approx(sum(outcome.wall_seconds for outcome in run.outcomes))


def test_the_names_in_the_folder_say_nothing(bench: Bench) -> None:
    run = bench.run("print('NAMES', *names); write(rows)")
    assert not any(video.path.stem in run.log_tail for video in bench.videos)
    assert run.log_tail.count(".mp4") == 4


def test_time_runs_out_and_the_rows_so_far_count(bench: Bench, unhurried: Unhurried) -> None:
    def attempt(pace: float) -> None:
        run = bench.run("write(rows[:2]); time.sleep(3600)", mean_video_seconds=0.5 * pace)
        assert sorted(kinds(run)) == sorted([K.PREDICTED, K.PREDICTED, K.NOT_REACHED, K.NOT_REACHED])
        assert run.verdict is Verdict.TIME_LIMIT
        assert run.billed_seconds + 1e-6 >= 2 * pace
        assert run.billed_seconds < 600, "it would have taken an hour"

    unhurried(attempt)


def test_a_half_written_last_row_does_not_count(bench: Bench, unhurried: Unhurried) -> None:
    script = "output.write_text(f'filename,label\\n{names[0]},0.5\\n{names[1]},0.9'); time.sleep(3600)"

    def attempt(pace: float) -> None:
        run = bench.run(script, mean_video_seconds=0.5 * pace)
        assert sorted(kinds(run)) == sorted([K.PREDICTED, K.NOT_REACHED, K.NOT_REACHED, K.NOT_REACHED])

    unhurried(attempt)


def test_time_runs_out_without_a_table(bench: Bench) -> None:
    run = bench.run("time.sleep(600)", mean_video_seconds=0.3)
    assert set(kinds(run)) == {K.NOT_REACHED}
    assert run.verdict is Verdict.TIME_LIMIT


@pytest.mark.parametrize("rule", list(FailureRule))
def test_a_command_that_fails_keeps_its_rows_under_the_lenient_rule_only(
    bench: Bench, rule: FailureRule
) -> None:
    run = bench.run("write(rows[:3]); sys.exit(5)", rule=rule)
    assert sorted(kinds(run)) == sorted([K.PREDICTED] * 3 + [K.RUNTIME_ERROR])
    assert run.verdict is (Verdict.OK if rule is FailureRule.LENIENT else Verdict.RUNTIME_ERROR)
    assert "exit code 5" in run.message


def test_a_whole_table_of_a_command_that_fails_is_spoiled_under_the_strict_rule(bench: Bench) -> None:
    assert bench.run("write(rows); sys.exit(5)", rule=FailureRule.STRICT).verdict is Verdict.RUNTIME_ERROR


@pytest.mark.parametrize(
    "script",
    [
        "pass",
        "sys.exit(1)",
        "output.mkdir()",
        "os.mkfifo(output)",
        "output.symlink_to('/etc/passwd')",
        "output.symlink_to('/dev/zero')",
        "output.write_bytes(b'x' * 9_000_000)",
        "os.kill(os.getpid(), 9)",
    ],
)
def test_no_table_is_a_failure_of_every_video(bench: Bench, script: str) -> None:
    run = bench.run(script, file_bytes=20_000_000)
    assert set(kinds(run)) == {K.RUNTIME_ERROR}
    assert run.verdict is Verdict.RUNTIME_ERROR
    assert "no table" in run.message


def test_a_command_that_cannot_be_started_says_so(bench: Bench) -> None:
    manifest = 'name = "x"\ncommand = ["./no-such-program", "{videos}", "{output}"]\n'
    run = bench.run("", manifest=manifest)
    assert run.verdict is Verdict.RUNTIME_ERROR
    assert "cannot start ./no-such-program" in run.message


def test_rows_that_are_wrong_cost_their_own_video(bench: Bench) -> None:
    run = bench.run("write([(names[0], 'nan'), (names[1], 2), *rows[2:], rows[3], ('other.mp4', 0.5)])")
    assert sorted(kinds(run)) == sorted([K.INVALID_PREDICTION] * 3 + [K.PREDICTED])
    assert run.verdict is Verdict.OK


def test_a_row_for_an_unknown_video_spoils_a_strict_run(bench: Bench) -> None:
    run = bench.run("write([*rows, ('other.mp4', 0.5)])", rule=FailureRule.STRICT)
    assert set(kinds(run)) == {K.PREDICTED}
    assert run.verdict is Verdict.PROTOCOL_ERROR


def test_what_the_command_leaves_running_does_not_hold_the_answer_up(bench: Bench) -> None:
    run = bench.run("write(rows); subprocess.Popen(['sleep', '60'])")
    assert set(kinds(run)) == {K.PREDICTED}


def test_a_killed_harness_starts_the_command_again(bench: Bench) -> None:
    bench.run("write(rows)")
    lines = bench.journal_path.read_bytes().splitlines(keepends=True)
    bench.journal_path.write_bytes(b"".join(lines[:3]))
    run = bench.run("write(rows)")
    assert set(kinds(run)) == {K.PREDICTED}
    assert len(bench.journal_path.read_bytes().splitlines()) == 5
