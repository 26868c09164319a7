"""The gateway over plain processes: clocks, replacements, verdicts, the journal. No engine is needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.errors import InfrastructureError, SandboxError
from harness.core.types import FailureRule, Mode, OutcomeKind, PreparedVideo, SandboxSpec, Terms, Verdict
from harness.gateway.feed import run_set
from harness.gateway.journal import Journal, header_of, read_journal
from harness.gateway.set_run import Phase, SetProgress, SetRun
from harness.gateway.staging import Stage, shuffled
from harness.sandbox.process import ProcessSandbox

pytestmark = pytest.mark.slow

K = OutcomeKind
Unhurried = Callable[[Callable[[float], object]], None]
BY_NUMBER = "number = video.read_bytes()[0]\n"


class Bench:
    """Runs packages on a set of small files."""

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
        self.progress: list[SetProgress] = []
        self.order_seed = 2  # asks for the third video second

    def run(
        self,
        predict: str = "return 0.25",
        *,
        package: Path | None = None,
        rule: FailureRule = FailureRule.LENIENT,
        keep_messages: bool = True,
        mode: Mode = Mode.STREAM,
        **limits: float,
    ) -> SetRun:
        spec = self.make_spec(package or self.make_package(predict), mode=mode, **limits)
        header = header_of(videos=self.videos, limits=spec.limits, order_seed=self.order_seed)
        if read_journal(self.journal_path)[0] not in {None, header}:  # other limits, another run
            self.journal_path = self.journal_path.with_name(f"after-{self.journal_path.name}")
        with Journal(self.journal_path, header) as journal:
            return run_set(
                sandbox=ProcessSandbox(),
                spec=spec,
                stage=self.stage,
                videos=self.videos,
                order_seed=self.order_seed,
                journal=journal,
                terms=Terms(limits=spec.limits, failure_rule=rule, max_failed_share=1.0),
                progress=self.progress.append,
                keep_messages=keep_messages,
            )

    def kinds(self, run: SetRun) -> list[OutcomeKind]:
        """What happened to each video, in the order in which they were asked for."""
        by_id = {outcome.video_id: outcome.kind for outcome in run.outcomes}
        return [by_id[video.video_id] for video in shuffled(self.videos, self.order_seed)]


@pytest.fixture
def bench(
    make_package: Callable[..., Path],
    make_spec: Callable[..., SandboxSpec],
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    stage: Stage,
    tmp_path: Path,
) -> Bench:
    return Bench(make_package, make_spec, stage, make_videos(5), tmp_path / "journal" / "outcomes.jsonl")


def test_every_video_gets_its_own_answer_in_the_order_given(bench: Bench) -> None:
    run = bench.run(BY_NUMBER + "return number / 10")
    assert [outcome.probability for outcome in run.outcomes] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert [outcome.video_id for outcome in run.outcomes] == [video.video_id for video in bench.videos]
    assert (run.verdict, run.restarts, run.isolation) == (Verdict.OK, 0, "none")
    assert run.startup_seconds is not None


def test_the_order_is_the_seed_s(bench: Bench) -> None:
    run = bench.run("return self.count / 10")
    asked = sorted(run.outcomes, key=lambda outcome: outcome.probability or 0)
    assert [o.video_id for o in asked] == [v.video_id for v in shuffled(bench.videos, bench.order_seed)]
    assert [v.video_id for v in shuffled(bench.videos, bench.order_seed)] != [
        v.video_id for v in bench.videos
    ]


def test_only_the_video_whose_turn_it_is_can_be_seen(bench: Bench) -> None:
    run = bench.run("return 0.5 if os.listdir(video.parent) == [video.name] else 1.0")
    assert {outcome.probability for outcome in run.outcomes} == {0.5}
    assert list(bench.stage.videos.iterdir()) == []


def test_a_package_that_raises_goes_on_in_the_same_process(bench: Bench) -> None:
    run = bench.run("if self.count == 2: raise RuntimeError('no face')\nreturn self.count / 10")
    assert bench.kinds(run) == [K.PREDICTED, K.RUNTIME_ERROR, K.PREDICTED, K.PREDICTED, K.PREDICTED]
    assert run.restarts == 0
    assert {outcome.attempt for outcome in run.outcomes} == {1}
    assert any("no face" in outcome.message for outcome in run.outcomes)


@pytest.mark.parametrize(
    ("crash", "kind"),
    [
        ("os._exit(0)", K.RUNTIME_ERROR),
        ("os.kill(os.getpid(), 11)", K.RUNTIME_ERROR),
        ("[os.write(2, b'x' * 65536) for _ in iter(int, 1)]", K.OUTPUT_LIMIT),
        (
            "os.write(201, b'\\0\\0\\0\\0')",
            K.PROTOCOL_ERROR,
        ),
    ],
    ids=["exit", "segfault", "flood", "garbage"],
)
def test_what_costs_the_process_costs_one_video(bench: Bench, crash: str, kind: OutcomeKind) -> None:
    run = bench.run(f"{BY_NUMBER}if number == 2: {crash}\nreturn 0.5")
    assert_it_cost_one_video(bench, run, kind)


def test_a_hang_costs_the_process_and_one_video(bench: Bench, unhurried: Unhurried) -> None:
    def attempt(pace: float) -> None:
        run = bench.run(f"{BY_NUMBER}if number == 2: time.sleep(3600)\nreturn 0.5", video_seconds=pace)
        assert_it_cost_one_video(bench, run, K.VIDEO_TIMEOUT)

    unhurried(attempt)


def assert_it_cost_one_video(bench: Bench, run: SetRun, kind: OutcomeKind) -> None:
    assert sorted(bench.kinds(run)) == sorted([kind, *[K.PREDICTED] * 4])
    assert run.outcomes[2].kind is kind
    assert (run.verdict, run.restarts) == (Verdict.OK, 1)
    assert {outcome.attempt for outcome in run.outcomes} == {1, 2}


@pytest.mark.parametrize(
    "value",
    [
        "float('nan')",
        "float('inf')",
        "True",
        "'0.5'",
        "None",
        "1.0001",
        "-0.1",
        "[0.5]",
        "10**5000",
        "1e308 * 10",
    ],
)
def test_an_answer_that_is_not_a_probability_is_reported_and_the_package_goes_on(
    bench: Bench, value: str
) -> None:
    run = bench.run(f"return {value} if self.count == 3 else 0.5")
    assert sorted(bench.kinds(run)) == sorted([K.INVALID_PREDICTION, *[K.PREDICTED] * 4])
    assert run.restarts == 0


ANSWER_AHEAD = """
import json, struct
def say(**document):
    data = json.dumps(document).encode()
    for name in os.listdir('/proc/self/fd'):
        try:
            if int(name) > 99: os.write(int(name), struct.pack('>I', len(data)) + data)
        except OSError: pass
"""


@pytest.mark.parametrize(
    "cheat",
    [
        "say(type='answer', id='guess', probability=0.9)",
        "say(type='ready')",
        "say(type='failed', id=None, message='x', package_missing=True)",
        "say(type='table', id='guess', csv='')",
        "say(type='nonsense')",
    ],
)
def test_a_reply_to_nothing_that_was_asked_is_a_protocol_error(bench: Bench, cheat: str) -> None:
    run = bench.run(f"{ANSWER_AHEAD}\nif self.count == 2 and video.read_bytes()[0] == 3: {cheat}\nreturn 0.5")
    assert set(bench.kinds(run)) <= {K.PREDICTED, K.PROTOCOL_ERROR}
    run = bench_again(bench).run(f"{ANSWER_AHEAD}\n{BY_NUMBER}if number == 3: {cheat}\nreturn 0.5")
    assert run.outcomes[3].kind is K.PROTOCOL_ERROR
    assert run.restarts == 1


def bench_again(bench: Bench) -> Bench:
    bench.journal_path = bench.journal_path.with_name(f"again-{time.monotonic_ns()}.jsonl")
    return bench


def test_an_answer_given_twice_spoils_the_next_video(bench: Bench) -> None:
    twice = (
        f"{ANSWER_AHEAD}\nrequest = sys._getframe(1).f_locals['request']\n"
        "if self.count == 2: say(type='answer', id=request['id'], probability=0.1)\nreturn 0.5"
    )
    run = bench.run(twice)
    assert bench.kinds(run)[:3] == [K.PREDICTED, K.PREDICTED, K.PROTOCOL_ERROR]


def test_more_crashes_than_replacements_end_the_run(bench: Bench) -> None:
    run = bench.run("os._exit(1)", restarts=2)
    assert bench.kinds(run) == [K.RUNTIME_ERROR] * 3 + [K.NOT_REACHED] * 2
    assert (run.verdict, run.restarts) == (Verdict.RUNTIME_ERROR, 3)
    assert "2 are replaced" in run.detail


def test_without_replacements_the_first_crash_ends_the_run(bench: Bench) -> None:
    run = bench.run("os._exit(1)", restarts=0)
    assert bench.kinds(run) == [K.RUNTIME_ERROR] + [K.NOT_REACHED] * 4


def test_a_replacement_that_never_becomes_ready_counts_as_one(bench: Bench, tmp_path: Path) -> None:
    flag = tmp_path / "started"
    module = (
        f"import os, pathlib\nflag = pathlib.Path({str(flag)!r})\n"
        "if flag.exists(): os._exit(4)\nflag.touch()\n"
        "class Predictor:\n    def __init__(self, package): pass\n    def predict(self, video): os._exit(3)\n"
    )
    run = bench.run(package=bench.make_package(module=module), restarts=3)
    assert bench.kinds(run) == [K.RUNTIME_ERROR] + [K.NOT_REACHED] * 4
    assert (run.verdict, run.restarts) == (Verdict.RUNTIME_ERROR, 4)


def test_the_budget_is_the_mean_times_the_number_of_videos(bench: Bench, unhurried: Unhurried) -> None:
    def attempt(pace: float) -> None:
        predict = f"time.sleep(3600 if self.count == 3 else {0.2 * pace})\nreturn 0.5"
        run = bench.run(predict, mean_video_seconds=0.4 * pace)
        assert run.budget_seconds == pytest.approx(2 * pace)
        assert run.verdict is Verdict.TIME_LIMIT
        assert bench.kinds(run) == [K.PREDICTED, K.PREDICTED, K.VIDEO_TIMEOUT, K.NOT_REACHED, K.NOT_REACHED]
        assert run.billed_seconds + 1e-6 >= 2 * pace
        assert run.billed_seconds < 600, "the third would have taken an hour"
        assert f"time budget of {2 * pace:.0f} s" in run.detail

    unhurried(attempt)


def test_a_slow_start_is_not_billed(bench: Bench, unhurried: Unhurried) -> None:
    def attempt(pace: float) -> None:
        module = (
            f"import time\nclass Predictor:\n    def __init__(self, package): time.sleep({1.2 * pace})\n"
            "    def predict(self, video): return 0.5\n"
        )
        run = bench.run(package=bench.make_package(module=module), mean_video_seconds=0.2 * pace)
        assert run.verdict is Verdict.OK
        assert run.startup_seconds is not None
        assert run.startup_seconds >= 1.2 * pace
        assert run.billed_seconds < pace

    unhurried(attempt)


@pytest.mark.parametrize(
    ("module", "verdict"),
    [
        ("import time; time.sleep(600)", Verdict.STARTUP_TIMEOUT),
        ("import no_such_module", Verdict.RUNTIME_ERROR),
        ("import os; os._exit(0)", Verdict.RUNTIME_ERROR),
        ("class Predictor: pass", Verdict.RUNTIME_ERROR),
        ("class Predictors: pass", Verdict.RUNTIME_ERROR),
        ("def Predictor(:", Verdict.RUNTIME_ERROR),
        ("raise SystemExit(0)", Verdict.RUNTIME_ERROR),
        ("import os\nwhile True: os.write(2, b'x' * 65536)", Verdict.OUTPUT_LIMIT),
        (
            "import os; os.write(201, b'abcdefgh')",
            Verdict.PROTOCOL_ERROR,
        ),
    ],
    ids=["hangs", "import", "exits", "signature", "no class", "syntax", "SystemExit", "flood", "garbage"],
)
def test_a_package_that_never_becomes_ready_is_tried_once(
    bench: Bench, module: str, verdict: Verdict
) -> None:
    seconds = 1.0 if verdict is Verdict.STARTUP_TIMEOUT else 120.0
    run = bench.run(package=bench.make_package(module=module), startup_seconds=seconds)
    assert run.verdict is verdict
    assert set(bench.kinds(run)) == {K.NOT_REACHED}
    assert run.startup_seconds is None
    assert [step.phase for step in bench.progress].count(Phase.STARTING) == 1


def test_a_package_that_pretends_to_be_missing_is_at_fault_itself(bench: Bench) -> None:
    module = ANSWER_AHEAD.replace("import json", "import os, json") + (
        "\nsay(type='failed', id=None, message='gone', package_missing=True)\nimport time; time.sleep(60)"
    )
    assert bench.run(package=bench.make_package(module=module)).verdict is Verdict.RUNTIME_ERROR


def test_a_package_that_is_really_missing_is_our_fault(bench: Bench, tmp_path: Path) -> None:
    empty = tmp_path / "nothing"
    empty.mkdir()
    with pytest.raises(SandboxError, match="has gone"):
        bench.run(package=empty)


def test_a_video_that_cannot_be_read_is_our_fault_and_what_was_done_is_kept(bench: Bench) -> None:
    third = shuffled(bench.videos, bench.order_seed)[2]
    third.path.unlink()
    with pytest.raises(InfrastructureError, match=third.path.name):
        bench.run()
    _, entries = read_journal(bench.journal_path)
    assert len(entries) == 2


def test_strict_gives_the_first_verdict_in_order_of_priority(bench: Bench, unhurried: Unhurried) -> None:
    predict = BY_NUMBER + (
        "if number == 1: return 2.0\nif number == 2: raise ValueError\n"
        "if number == 3: time.sleep(3600)\nreturn 0.5"
    )

    def attempt(pace: float) -> None:
        run = bench.run(predict, rule=FailureRule.STRICT, video_seconds=pace)
        assert run.verdict is Verdict.TIME_LIMIT
        assert sorted(bench.kinds(run)) == sorted(
            [K.PREDICTED, K.PREDICTED, K.INVALID_PREDICTION, K.RUNTIME_ERROR, K.VIDEO_TIMEOUT]
        )

    unhurried(attempt)


def test_a_private_set_s_run_repeats_nothing_that_the_package_said(bench: Bench) -> None:
    run = bench.run("print('LEAK')\nraise ValueError('LEAK')", keep_messages=False)
    assert "LEAK" not in repr(run)
    assert "LEAK" not in bench.journal_path.read_text()
    assert run.log_bytes > 0


def test_progress_counts_up_to_the_end(bench: Bench) -> None:
    bench.run("if self.count == 2: raise ValueError\nreturn 0.5")
    assert [step.phase for step in bench.progress][:2] == [Phase.STARTING, Phase.PREDICTING]
    assert bench.progress[-1].phase is Phase.FINISHED
    assert (bench.progress[-1].done, bench.progress[-1].total, bench.progress[-1].failures) == (5, 5, 1)
    assert [step.done for step in bench.progress] == sorted(step.done for step in bench.progress)


def test_each_outcome_is_on_the_disk_before_the_next_video_is_asked_for(bench: Bench) -> None:
    predict = f"return open({str(bench.journal_path)!r}).read().count('PREDICTED') / 10"
    run = bench.run(predict)
    assert sorted(outcome.probability or 0.0 for outcome in run.outcomes) == [0.0, 0.1, 0.2, 0.3, 0.4]


def test_a_resumed_run_does_only_what_is_left_and_pays_for_what_was_done(bench: Bench) -> None:
    whole = bench.run(BY_NUMBER + "time.sleep(0.1)\nreturn number / 10")
    lines = bench.journal_path.read_bytes().splitlines(keepends=True)
    bench.journal_path.write_bytes(b"".join(lines[:3]) + lines[3][:20])  # killed while it wrote the third
    again = bench.run(BY_NUMBER + "time.sleep(0.1)\nreturn number / 10")
    assert [o.probability for o in again.outcomes] == [o.probability for o in whole.outcomes]
    attempts = sorted(outcome.attempt for outcome in again.outcomes)
    assert attempts == [1, 1, 2, 2, 2]
    assert again.billed_seconds == pytest.approx(sum(o.wall_seconds for o in again.outcomes))
    assert again.restarts == 0  # the harness's own end is not the package's


def test_a_resumed_run_remembers_its_losses(bench: Bench) -> None:
    bench.run("os._exit(1)", restarts=2)
    bench.progress.clear()
    again = bench.run("os._exit(1)", restarts=2)
    assert bench.kinds(again) == [K.RUNTIME_ERROR] * 3 + [K.NOT_REACHED] * 2
    assert Phase.STARTING not in [step.phase for step in bench.progress]


def test_a_finished_run_starts_nothing_again(bench: Bench) -> None:
    first = bench.run()
    bench.progress.clear()
    again = bench.run()
    assert again.outcomes == first.outcomes
    assert Phase.STARTING not in [step.phase for step in bench.progress]


def test_a_spec_that_mounts_other_videos_is_refused(bench: Bench, tmp_path: Path) -> None:
    spec = bench.make_spec(bench.make_package())
    spec = replace(spec, videos=replace(spec.videos, source=tmp_path))
    header = header_of(videos=bench.videos, limits=spec.limits, order_seed=0)
    with Journal(bench.journal_path, header) as journal, pytest.raises(ValueError, match="must mount"):
        run_set(
            sandbox=ProcessSandbox(),
            spec=spec,
            stage=bench.stage,
            videos=bench.videos,
            order_seed=0,
            journal=journal,
            terms=Terms(limits=spec.limits, failure_rule=FailureRule.STRICT),
        )


def test_an_empty_set_is_a_run_without_a_container(bench: Bench) -> None:
    bench.videos = ()
    run = bench.run()
    assert (run.verdict, run.outcomes) == (Verdict.OK, ())
