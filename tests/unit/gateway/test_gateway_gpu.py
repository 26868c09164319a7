"""A package over its GPU memory limit, as the gateway judges it. No GPU is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.types import (
    FailureRule,
    Mode,
    OutcomeKind,
    PreparedVideo,
    SandboxFacts,
    SandboxSpec,
    Terms,
    Verdict,
)
from harness.core.usage import GpuLevel, Usage
from harness.gateway.bookkeeping import Tally
from harness.gateway.feed import run_set
from harness.gateway.journal import Journal, header_of
from harness.gateway.set_run import SetRun
from harness.gateway.staging import Stage
from harness.sandbox import SandboxProcess
from harness.sandbox.process import ProcessSandbox

BATCH = 'name = "batch"\ncommand = ["python", "main.py", "{videos}", "{output}"]\n'
TABLE = (
    "import os, sys\n"
    "rows = [name + ',0.5' for name in os.listdir(sys.argv[1])]\n"
    "open(sys.argv[2], 'w').write('\\n'.join(['filename,label', *rows]) + '\\n')\n"
)


class Exceeding:
    """Plain processes, the first of which is over its limit when it has answered."""

    isolation = "none"

    def __init__(self) -> None:
        self.started = 0

    @contextmanager
    def start(self, spec: SandboxSpec) -> Iterator[SandboxProcess]:
        self.started += 1
        with ProcessSandbox().start(spec) as process:
            yield _Exceeding(process) if self.started == 1 else process


class _Exceeding:
    def __init__(self, process: SandboxProcess) -> None:
        self._process = process
        self._received = 0

    def send(self, payload: bytes) -> None:
        self._process.send(payload)

    def receive(self, timeout_seconds: float) -> bytes:
        payload = self._process.receive(timeout_seconds)
        self._received += 1
        return payload

    def facts(self) -> SandboxFacts:
        return replace(self._process.facts(), gpu_limit_exceeded=self._received > 1)

    def kill(self) -> None:
        self._process.kill()


@pytest.fixture
def run_of(
    make_spec: Callable[..., SandboxSpec],
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    stage: Stage,
    tmp_path: Path,
) -> Callable[..., SetRun]:
    def run(package: Path, mode: Mode) -> SetRun:
        spec, videos = make_spec(package, mode=mode), make_videos(3)
        header = header_of(videos=videos, limits=spec.limits, order_seed=1)
        with Journal(tmp_path / "outcomes.jsonl", header) as journal:
            return run_set(
                sandbox=Exceeding(),
                spec=spec,
                stage=stage,
                videos=videos,
                order_seed=1,
                journal=journal,
                terms=Terms(limits=spec.limits, failure_rule=FailureRule.STRICT),
            )

    return run


def test_an_answer_that_was_given_over_the_limit_does_not_count(
    run_of: Callable[..., SetRun], make_package: Callable[..., Path]
) -> None:
    run = run_of(make_package(), Mode.STREAM)
    kinds = sorted(outcome.kind for outcome in run.outcomes)
    assert kinds == [OutcomeKind.GPU_MEMORY_LIMIT, OutcomeKind.PREDICTED, OutcomeKind.PREDICTED]
    assert all((one.probability is None) is (one.kind is not OutcomeKind.PREDICTED) for one in run.outcomes)
    assert (run.verdict, run.restarts) == (Verdict.GPU_MEMORY_LIMIT, 1)


def test_a_table_that_was_made_over_the_limit_does_not_count(
    run_of: Callable[..., SetRun], make_package: Callable[..., Path]
) -> None:
    run = run_of(make_package(manifest=BATCH, files={"main.py": TABLE}), Mode.BATCH)
    assert {outcome.kind for outcome in run.outcomes} == {OutcomeKind.GPU_MEMORY_LIMIT}
    assert run.verdict is Verdict.GPU_MEMORY_LIMIT


def test_of_several_containers_the_weakest_level_is_claimed() -> None:
    tally = Tally()
    assert tally.usage.gpu_level is GpuLevel.NONE
    for level, claimed in (
        (GpuLevel.HARD, GpuLevel.HARD),
        (GpuLevel.SAMPLED, GpuLevel.SAMPLED),
        (GpuLevel.HARD, GpuLevel.SAMPLED),
        (GpuLevel.NONE, GpuLevel.NONE),
        (GpuLevel.HARD, GpuLevel.NONE),
    ):
        facts = SandboxFacts(running=False, usage=Usage(gpu_level=level, gpu_seconds=1.5, steal_seconds=0.25))
        tally.add(facts, started_seconds=0.0)
        assert tally.usage.gpu_level is claimed
    assert (tally.usage.gpu_seconds, tally.usage.steal_seconds) == (7.5, 1.25)
