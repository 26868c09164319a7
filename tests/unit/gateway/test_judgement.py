"""What is heard, and what is known of the container, against what it comes to: a table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.core.errors import ProcessEnded, ProtocolViolation, ReceiveTimeout, SandboxSignal
from harness.core.types import OutcomeKind, SandboxFacts
from harness.gateway.judgement import judge

K = OutcomeKind
RUNS = SandboxFacts(running=True)
OOM = SandboxFacts(running=True, oom_killed=True)
GPU = SandboxFacts(running=False, gpu_limit_exceeded=True)


def ended(**facts: Any) -> SandboxFacts:
    return SandboxFacts(running=False, exit_code=137, **facts)


def said(kind: str, request_id: str = "7", **more: object) -> bytes:
    return json.dumps({"type": kind, "id": request_id, **more}).encode()


ANSWER = said("answer", probability=0.25)
RAISED = said("failed", message="ValueError: no face")


@pytest.mark.parametrize(
    ("heard", "facts", "oom_seen", "kind", "lost", "message"),
    [
        # a reply
        (ANSWER, RUNS, False, K.PREDICTED, False, ""),
        (said("answer", probability=2), RUNS, False, K.INVALID_PREDICTION, False, "no probability: 2"),
        (said("answer", probability=None), RUNS, False, K.INVALID_PREDICTION, False, "no probability: None"),
        (RAISED, RUNS, False, K.RUNTIME_ERROR, False, "ValueError: no face"),
        # a reply to another question, or none
        (said("answer", "8", probability=0.5), RUNS, False, K.PROTOCOL_ERROR, True, "nobody requested"),
        (said("failed", "8", message=""), RUNS, False, K.PROTOCOL_ERROR, True, "nobody requested"),
        (said("ready"), RUNS, False, K.PROTOCOL_ERROR, True, "nobody requested"),
        (b"no json", RUNS, False, K.PROTOCOL_ERROR, True, "not JSON"),
        # a child was killed for memory in this request, or in an earlier one
        (RAISED, OOM, False, K.MEMORY_LIMIT, False, "no face"),
        (RAISED, OOM, True, K.RUNTIME_ERROR, False, "no face"),
        (ANSWER, OOM, False, K.PREDICTED, False, ""),
        # over the GPU limit: whatever it said
        (ANSWER, GPU, False, K.GPU_MEMORY_LIMIT, True, ""),
        (RAISED, GPU, False, K.GPU_MEMORY_LIMIT, True, ""),
        # no reply
        (ReceiveTimeout(""), RUNS, False, K.VIDEO_TIMEOUT, True, ""),
        (ReceiveTimeout(""), OOM, False, K.VIDEO_TIMEOUT, True, ""),
        (ProtocolViolation("garbage"), RUNS, False, K.PROTOCOL_ERROR, True, "garbage"),
        (ProcessEnded(""), ended(), False, K.RUNTIME_ERROR, True, "exit code 137"),
        (ProcessEnded(""), ended(oom_killed=True), False, K.MEMORY_LIMIT, True, "exit code 137"),
        (ProcessEnded(""), ended(log_limit_exceeded=True), False, K.OUTPUT_LIMIT, True, "exit code 137"),
        (ProcessEnded(""), ended(gpu_limit_exceeded=True), False, K.GPU_MEMORY_LIMIT, True, "exit code 137"),
    ],
)
def test_what_was_heard_comes_to(
    heard: bytes | SandboxSignal,
    facts: SandboxFacts,
    oom_seen: bool,
    kind: OutcomeKind,
    lost: bool,
    message: str,
) -> None:
    found = judge(heard, facts, request_id="7", oom_seen=oom_seen)
    assert (found.kind, found.lost) == (kind, lost)
    assert message in found.message
    assert (found.probability is None) is (kind is not K.PREDICTED)
