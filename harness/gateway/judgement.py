"""What a reply, or the lack of one, comes to. A pure function of what was heard and of the facts."""

from __future__ import annotations

from dataclasses import dataclass

from harness.core.errors import ProtocolViolation, ReceiveTimeout, SandboxSignal
from harness.core.types import OutcomeKind, SandboxFacts
from harness.gateway.set_run import kind_of_end
from harness.sandbox.protocol import Answer, Failed, decode_reply, probability_of

MESSAGE_CHARACTERS_MAX = 300


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What happened to one video. A container that is `lost` is killed and replaced."""

    kind: OutcomeKind
    probability: float | None = None
    message: str = ""
    lost: bool = False


def judge(
    heard: bytes | SandboxSignal, facts: SandboxFacts, *, request_id: str, oom_seen: bool = False
) -> Judgement:
    """Judge one request.

    Args:
        heard: The payload of a frame, or why there is none.
        facts: Of the container, after it was heard.
        request_id: Of the request.
        oom_seen: Whether a process of this container had been killed for memory before.
    """
    found = (
        _judge_signal(heard, facts) if isinstance(heard, SandboxSignal) else _judge_reply(heard, request_id)
    )
    if found.lost:
        return found
    if facts.gpu_limit_exceeded:  # it answered in the moment between reading and kill
        return Judgement(kind=OutcomeKind.GPU_MEMORY_LIMIT, lost=True)
    if found.kind is OutcomeKind.RUNTIME_ERROR and facts.oom_killed and not oom_seen:
        # a child was killed for memory, and the package raised for want of it
        return Judgement(kind=OutcomeKind.MEMORY_LIMIT, message=found.message)
    return found


def _judge_signal(heard: SandboxSignal, facts: SandboxFacts) -> Judgement:
    if isinstance(heard, ReceiveTimeout):
        return Judgement(kind=OutcomeKind.VIDEO_TIMEOUT, lost=True)
    if isinstance(heard, ProtocolViolation):
        return Judgement(kind=OutcomeKind.PROTOCOL_ERROR, message=heard.message, lost=True)
    return Judgement(kind=kind_of_end(facts), message=f"ended with exit code {facts.exit_code}", lost=True)


def _judge_reply(payload: bytes, request_id: str) -> Judgement:
    try:
        reply = decode_reply(payload)
    except ProtocolViolation as violation:
        return Judgement(kind=OutcomeKind.PROTOCOL_ERROR, message=violation.message, lost=True)
    if isinstance(reply, Answer) and reply.request_id == request_id:
        probability = probability_of(reply.probability)
        if probability is not None:
            return Judgement(kind=OutcomeKind.PREDICTED, probability=probability)
        shown = f"no probability: {reply.probability!r}"[:MESSAGE_CHARACTERS_MAX]
        return Judgement(kind=OutcomeKind.INVALID_PREDICTION, message=shown)
    if isinstance(reply, Failed) and reply.request_id == request_id:
        return Judgement(kind=OutcomeKind.RUNTIME_ERROR, message=reply.message)
    return Judgement(kind=OutcomeKind.PROTOCOL_ERROR, message="a reply that nobody requested", lost=True)
