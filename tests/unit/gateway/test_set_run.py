"""The verdict as a pure function of what happened: a table."""

from __future__ import annotations

import pytest

from harness.core.types import FailureRule, Outcome, OutcomeKind, ResourceSample, SandboxFacts, Terms, Verdict
from harness.core.usage import GpuLevel, Usage
from harness.gateway.bookkeeping import Tally
from harness.gateway.set_run import SetRun, kind_of_end, merged, verdict_of, verdict_of_kind, worst

K, V = OutcomeKind, Verdict
STRICT = Terms(failure_rule=FailureRule.STRICT)
LENIENT = Terms(failure_rule=FailureRule.LENIENT, max_failed_share=0.25)
ANSWERED = [K.PREDICTED] * 6


@pytest.mark.parametrize(
    ("kinds", "terms", "ending", "blemishes", "verdict"),
    [
        ([], STRICT, None, [], V.OK),
        ([K.PREDICTED, K.PREDICTED], STRICT, None, [], V.OK),
        ([K.PREDICTED, K.INVALID_PREDICTION], STRICT, None, [], V.INVALID_PREDICTION),
        ([K.INVALID_PREDICTION, K.RUNTIME_ERROR], STRICT, None, [], V.RUNTIME_ERROR),
        ([K.RUNTIME_ERROR, K.PROTOCOL_ERROR], STRICT, None, [], V.PROTOCOL_ERROR),
        ([K.PROTOCOL_ERROR, K.OUTPUT_LIMIT], STRICT, None, [], V.OUTPUT_LIMIT),
        ([K.OUTPUT_LIMIT, K.GPU_MEMORY_LIMIT], STRICT, None, [], V.GPU_MEMORY_LIMIT),
        ([K.GPU_MEMORY_LIMIT, K.MEMORY_LIMIT], STRICT, None, [], V.MEMORY_LIMIT),
        ([K.MEMORY_LIMIT, K.VIDEO_TIMEOUT], STRICT, None, [], V.TIME_LIMIT),
        ([K.VIDEO_TIMEOUT], STRICT, V.STARTUP_TIMEOUT, [], V.STARTUP_TIMEOUT),
        ([K.NOT_REACHED], STRICT, V.RUNTIME_ERROR, [], V.RUNTIME_ERROR),
        ([K.VIDEO_TIMEOUT], STRICT, V.RUNTIME_ERROR, [], V.TIME_LIMIT),
        ([K.PREDICTED], STRICT, None, [V.PROTOCOL_ERROR], V.PROTOCOL_ERROR),
        # lenient: up to a quarter may fail
        ([*ANSWERED, K.VIDEO_TIMEOUT, K.RUNTIME_ERROR], LENIENT, None, [], V.OK),
        ([*ANSWERED, *[K.RUNTIME_ERROR] * 2, K.VIDEO_TIMEOUT], LENIENT, None, [], V.RUNTIME_ERROR),
        ([*ANSWERED, K.RUNTIME_ERROR, K.VIDEO_TIMEOUT, K.MEMORY_LIMIT], LENIENT, None, [], V.TIME_LIMIT),
        ([*ANSWERED, K.VIDEO_TIMEOUT], LENIENT, V.RUNTIME_ERROR, [], V.RUNTIME_ERROR),
        # a set without an answer is never OK
        ([K.RUNTIME_ERROR] * 3, LENIENT, None, [], V.RUNTIME_ERROR),
        ([K.RUNTIME_ERROR, K.RUNTIME_ERROR, K.VIDEO_TIMEOUT], LENIENT, None, [], V.RUNTIME_ERROR),
        ([K.INVALID_PREDICTION], Terms(max_failed_share=1.0), None, [], V.INVALID_PREDICTION),
        ([K.NOT_REACHED], LENIENT, None, [], V.RUNTIME_ERROR),
        ([K.VIDEO_TIMEOUT], LENIENT, V.RUNTIME_ERROR, [], V.TIME_LIMIT),
        ([K.NOT_REACHED], LENIENT, V.TIME_LIMIT, [], V.TIME_LIMIT),
        ([K.PREDICTED], LENIENT, None, [V.PROTOCOL_ERROR], V.OK),
    ],
)
def test_the_first_fact_in_order_of_priority(
    kinds: list[OutcomeKind],
    terms: Terms,
    ending: Verdict | None,
    blemishes: list[Verdict],
    verdict: Verdict,
) -> None:
    assert verdict_of(kinds, terms=terms, ending=ending, blemishes=blemishes) is verdict
    assert verdict_of(kinds[::-1], terms=terms, ending=ending, blemishes=blemishes) is verdict


def test_every_failure_has_a_verdict_and_nothing_else_has() -> None:
    failures = set(K) - {K.PREDICTED, K.NOT_REACHED}
    assert {verdict_of_kind(kind) for kind in failures} <= set(V) - {V.OK, V.HARNESS_ERROR}
    for kind in (K.PREDICTED, K.NOT_REACHED):
        with pytest.raises(KeyError):
            verdict_of_kind(kind)


def test_the_worst_of_nothing_is_ok() -> None:
    assert worst([]) is V.OK


@pytest.mark.parametrize("exit_code", [None, 0, 1, 137, 139])
def test_an_end_is_judged_by_facts_and_not_by_its_exit_code(exit_code: int | None) -> None:
    def kind(*, oom: bool = False, gpu: bool = False, log: bool = False) -> OutcomeKind:
        facts = SandboxFacts(
            running=False,
            exit_code=exit_code,
            oom_killed=oom,
            gpu_limit_exceeded=gpu,
            log_limit_exceeded=log,
        )
        return kind_of_end(facts)

    assert kind() is K.RUNTIME_ERROR
    assert kind(log=True) is K.OUTPUT_LIMIT
    assert kind(gpu=True, log=True) is K.GPU_MEMORY_LIMIT
    assert kind(oom=True, gpu=True, log=True) is K.MEMORY_LIMIT


def test_facts_of_several_containers_add_up() -> None:
    tally = Tally()
    tally.add(
        SandboxFacts(
            running=False,
            usage=Usage(peak_memory_bytes=10, cpu_seconds=1.5),
            log_bytes=3,
            log_tail="one",
            samples=(ResourceSample(seconds=1.0, memory_bytes=10),),
        ),
        started_seconds=0.0,
    )
    tally.add(
        SandboxFacts(
            running=False,
            usage=Usage(cpu_seconds=0.5),
            log_bytes=4,
            log_tail="two",
            samples=(ResourceSample(seconds=1.0, memory_bytes=5),),
        ),
        started_seconds=7.0,
    )
    assert (tally.usage.peak_memory_bytes, tally.usage.cpu_seconds, tally.log_bytes) == (10, 2.0, 7)
    assert tally.log_tail == "onetwo"
    assert [sample.seconds for sample in tally.samples] == [1.0, 8.0]


def test_what_is_kept_of_many_containers_is_bounded() -> None:
    tally = Tally()
    samples = tuple(ResourceSample(seconds=float(number)) for number in range(600))
    for number in range(20):
        facts = SandboxFacts(running=False, log_tail="x" * 60_000, samples=samples)
        tally.add(facts, started_seconds=600.0 * number)
    assert len(tally.log_tail) <= 64 * 1024
    assert 1000 <= len(tally.samples) <= 2000
    assert tally.samples[-1].seconds > 11_900


def part(*kinds: OutcomeKind, name: str = "a", ending: Verdict | None = None, **used: float) -> SetRun:
    outcomes = tuple(
        Outcome(
            video_id=f"{name}{number}",
            kind=kind,
            probability=0.5 if kind is K.PREDICTED else None,
        )
        for number, kind in enumerate(kinds)
    )
    return SetRun(
        verdict=verdict_of(kinds, terms=LENIENT, ending=ending),
        detail="",
        outcomes=outcomes,
        isolation="docker",
        billed_seconds=2.0,
        budget_seconds=8.0,
        ending=ending,
        restarts=1,
        usage=Usage(**used),  # type: ignore[arg-type]  # its values are of many types
    )


def test_parts_of_a_set_are_judged_as_one_set() -> None:
    bad, good = part(K.RUNTIME_ERROR, K.PREDICTED, cpu_seconds=1.0), part(*[K.PREDICTED] * 6, name="b")
    assert bad.verdict is V.RUNTIME_ERROR
    whole = merged([bad, good], terms=LENIENT)
    assert (whole.verdict, whole.restarts, whole.billed_seconds) == (V.OK, 2, 4.0)
    assert [one.video_id for one in whole.outcomes] == ["a0", "a1", *(f"b{n}" for n in range(6))]
    assert whole.detail == "7 of 8 answered, 1 failed: RUNTIME_ERROR"
    assert whole.usage.cpu_seconds == 1.0
    assert merged([bad, good], terms=STRICT).verdict is V.RUNTIME_ERROR


def test_what_ends_a_part_ends_the_whole() -> None:
    ended = part(K.PREDICTED, K.PREDICTED, ending=V.STARTUP_TIMEOUT)
    assert merged([part(K.PREDICTED, name="b"), ended], terms=LENIENT).verdict is V.STARTUP_TIMEOUT


def test_parts_that_are_not_of_one_set_are_refused() -> None:
    with pytest.raises(ValueError, match="in two parts"):
        merged([part(K.PREDICTED), part(K.PREDICTED)], terms=LENIENT)
    with pytest.raises(ValueError, match="isolation"):
        merged([], terms=LENIENT)


def test_usage_merges_by_the_law_of_each_resource() -> None:
    one = Usage(peak_memory_bytes=5, cpu_seconds=1.0, gpu_level=GpuLevel.HARD)
    other = Usage(peak_memory_bytes=3, cpu_seconds=2.0, steal_seconds=0.5, gpu_level=GpuLevel.SAMPLED)
    both = Usage(peak_memory_bytes=5, cpu_seconds=3.0, steal_seconds=0.5, gpu_level=GpuLevel.SAMPLED)
    assert one.merged(other) == other.merged(one) == both
