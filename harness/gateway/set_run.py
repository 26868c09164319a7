"""What the run of one video set comes to: its verdict, its outcomes, and what was measured from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from harness.core.types import (
    VERDICT_PRIORITY,
    FailureRule,
    GpuLevel,
    Outcome,
    OutcomeKind,
    ResourceSample,
    SandboxFacts,
    Verdict,
)

_VERDICT_OF_KIND: Mapping[OutcomeKind, Verdict] = {
    OutcomeKind.VIDEO_TIMEOUT: Verdict.TIME_LIMIT,
    OutcomeKind.MEMORY_LIMIT: Verdict.MEMORY_LIMIT,
    OutcomeKind.GPU_MEMORY_LIMIT: Verdict.GPU_MEMORY_LIMIT,
    OutcomeKind.OUTPUT_LIMIT: Verdict.OUTPUT_LIMIT,
    OutcomeKind.PROTOCOL_ERROR: Verdict.PROTOCOL_ERROR,
    OutcomeKind.RUNTIME_ERROR: Verdict.RUNTIME_ERROR,
    OutcomeKind.INVALID_PREDICTION: Verdict.INVALID_PREDICTION,
}


class Phase(StrEnum):
    """What the gateway is waiting for."""

    STARTING = "starting"
    PREDICTING = "predicting"
    FINISHED = "finished"


@dataclass(frozen=True, kw_only=True)
class SetProgress:
    """How far the run of a set is."""

    phase: Phase
    done: int
    total: int
    failures: int
    restarts: int
    elapsed_seconds: float  # of this harness, start-ups and staging included
    billed_seconds: float
    budget_seconds: float


@dataclass(frozen=True, kw_only=True)
class SetRun:
    """The run of one video set. Nothing in it knows a label."""

    verdict: Verdict
    detail: str  # in the harness's own words: may be shown wherever the verdict may
    outcomes: tuple[Outcome, ...]  # one for each video, in the order the videos were given
    isolation: str
    billed_seconds: float
    budget_seconds: float
    startup_seconds: float | None = None  # of the first container; None where none became ready
    restarts: int = 0  # containers lost to the package's own doing, by all harnesses that worked on the set
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    throttled_seconds: float | None = None
    steal_seconds: float | None = None
    gpu_seconds: float | None = None
    gpu_level: GpuLevel = GpuLevel.NONE
    peak_gpu_memory_bytes: int | None = None
    samples: tuple[ResourceSample, ...] = ()  # of all containers, one after the other
    log_bytes: int = 0
    log_tail: str = ""  # empty unless messages were kept
    message: str = ""  # why it never became ready or gave no table: the package's own words, likewise


def verdict_of(
    kinds: Iterable[OutcomeKind],
    *,
    rule: FailureRule,
    ending: Verdict | None = None,
    blemishes: Iterable[Verdict] = (),
) -> Verdict:
    """Give the first verdict in order of priority.

    Args:
        kinds: What happened to each video. They spoil a run under the strict rule only.
        rule: The challenge's failure rule.
        ending: What ended the run before its last video, if anything did: it counts under both rules.
        blemishes: What is wrong with the run but with no one video; under the strict rule only.
    """
    facts = [] if ending is None else [ending]
    if rule is FailureRule.STRICT:
        facts += blemishes
        facts += [_VERDICT_OF_KIND[kind] for kind in kinds if kind in _VERDICT_OF_KIND]
    return worst(facts)


def verdict_of_kind(kind: OutcomeKind) -> Verdict:
    """Return what a video's failure comes to where it ends or spoils the run.

    Raises:
        KeyError: it is no failure.
    """
    return _VERDICT_OF_KIND[kind]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the first of them in order of priority; OK where there are none."""
    return min(verdicts, key=VERDICT_PRIORITY.__getitem__, default=Verdict.OK)


def kind_of_end(facts: SandboxFacts) -> OutcomeKind:
    """Say why a sandbox ended by itself, from the facts and not from its exit code alone."""
    if facts.oom_killed:
        return OutcomeKind.MEMORY_LIMIT
    if facts.gpu_limit_exceeded:
        return OutcomeKind.GPU_MEMORY_LIMIT
    if facts.log_limit_exceeded:
        return OutcomeKind.OUTPUT_LIMIT
    return OutcomeKind.RUNTIME_ERROR
