"""Run a batch package: all videos at once, one command, one table.

Answers have no individual time: each outcome carries an equal share of the command's. A run is all or
nothing for the journal, too: a killed harness starts the command again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.core.errors import ProcessEnded, ProtocolViolation, ReceiveTimeout
from harness.core.text import safe_text
from harness.core.types import Outcome, OutcomeKind, PreparedVideo, SandboxSpec, Verdict
from harness.gateway.batch_table import parse_table
from harness.gateway.bookkeeping import SetRecord
from harness.gateway.readiness import await_ready
from harness.gateway.set_run import Phase, kind_of_end, verdict_of_kind
from harness.gateway.staging import Stage
from harness.sandbox import Sandbox, SandboxProcess
from harness.sandbox.protocol import Failed, Table, decode_reply, encode_batch, encode_collect

COLLECT_SECONDS = 30.0
ERRORS_KEPT = 20


def run_batch(
    *, sandbox: Sandbox, spec: SandboxSpec, stage: Stage, videos: Sequence[PreparedVideo], record: SetRecord
) -> None:
    """Run the command once; `record` has an outcome for every video afterwards, or the verdict that ended it.

    Under a time limit the rows written until then count; the other videos were not reached.

    Raises:
        InfrastructureError: our fault or the host's.
    """
    record.start_over()
    if not videos:
        return
    staged = stage.put_all(videos)
    started_seconds = record.elapsed_seconds
    with sandbox.start(spec) as process:
        record.container_started()
        startup = await_ready(process, spec)
        if startup.verdict is Verdict.OK:
            record.startup_seconds = startup.seconds
            record.tell(Phase.PREDICTING)
            _serve(process, staged, record)
        else:
            record.message, record.ending = startup.message, startup.verdict
        process.kill()
        record.tally.add(process.facts(), started_seconds=started_seconds)


@dataclass(frozen=True, kw_only=True)
class _Failure:
    kind: OutcomeKind
    message: str


def _serve(process: SandboxProcess, staged: Mapping[str, PreparedVideo], record: SetRecord) -> None:
    request_ids = [secrets.token_hex(16)]
    started = time.monotonic()
    process.send(encode_batch(request_id=request_ids[0]))
    reply = _receive(process, request_ids, record.budget_left_seconds)
    wall_seconds = time.monotonic() - started
    out_of_time = reply is None
    if out_of_time:
        record.ending = Verdict.TIME_LIMIT
        request_ids.append(secrets.token_hex(16))  # the table may already be on its way under the first
        process.send(encode_collect(request_id=request_ids[1]))
        reply = _receive(process, request_ids, COLLECT_SECONDS)
    if isinstance(reply, Table) and process.facts().gpu_limit_exceeded:  # its table came just before the kill
        reply = _Failure(kind=OutcomeKind.GPU_MEMORY_LIMIT, message="")
    if isinstance(reply, Table):
        outcomes = _outcomes(reply, staged, process, record, out_of_time=out_of_time)
    elif isinstance(reply, _Failure) and not out_of_time:
        record.ending, record.message = verdict_of_kind(reply.kind), reply.message
        outcomes = [Outcome(video_id=video.video_id, kind=reply.kind) for video in staged.values()]
    else:
        outcomes = []
    share = wall_seconds / len(staged)
    record.add([replace(outcome, wall_seconds=share, attempt=record.attempt) for outcome in outcomes])
    record.billed_seconds = wall_seconds


def _receive(
    process: SandboxProcess, request_ids: Sequence[str], timeout_seconds: float
) -> Table | _Failure | None:
    """Wait for the table; None if the time is up first."""
    try:
        reply = decode_reply(process.receive(timeout_seconds))
    except ReceiveTimeout:
        return None
    except ProtocolViolation as violation:
        return _Failure(kind=OutcomeKind.PROTOCOL_ERROR, message=violation.message)
    except ProcessEnded:
        facts = process.facts()
        return _Failure(kind=kind_of_end(facts), message=f"ended with exit code {facts.exit_code}")
    if isinstance(reply, Table) and reply.request_id in request_ids:
        return reply
    if isinstance(reply, Failed) and reply.request_id in request_ids:
        return _Failure(kind=_kind_of_failed_command(process), message=reply.message)
    return _Failure(kind=OutcomeKind.PROTOCOL_ERROR, message="a reply that nobody requested")


def _outcomes(
    table: Table,
    staged: Mapping[str, PreparedVideo],
    process: SandboxProcess,
    record: SetRecord,
    *,
    out_of_time: bool,
) -> list[Outcome]:
    answers = parse_table(table.csv, tuple(staged), complete=not out_of_time)
    command_failed = bool(table.message) and not out_of_time
    missing = _kind_of_failed_command(process) if command_failed else OutcomeKind.INVALID_PREDICTION
    if command_failed:
        record.blemishes.append(verdict_of_kind(missing))
    if len(answers.errors) > len(answers.invalid) + len(answers.missing):
        record.blemishes.append(Verdict.PROTOCOL_ERROR)  # rows for unknown videos, or no CSV at all
    record.message = safe_text("\n".join(filter(None, [table.message, *answers.errors[:ERRORS_KEPT]])))
    outcomes = []
    for name, video in staged.items():
        if name in answers.probabilities:
            kind, probability, message = OutcomeKind.PREDICTED, answers.probabilities[name], ""
        elif name in answers.invalid:
            kind, probability, message = OutcomeKind.INVALID_PREDICTION, None, answers.invalid[name]
        elif out_of_time:
            continue
        else:
            kind, probability, message = missing, None, "no row"
        outcomes.append(Outcome(video_id=video.video_id, kind=kind, probability=probability, message=message))
    return outcomes


def _kind_of_failed_command(process: SandboxProcess) -> OutcomeKind:
    return OutcomeKind.MEMORY_LIMIT if process.facts().oom_killed else OutcomeKind.RUNTIME_ERROR
