"""The first word of a package: ready, or why not."""

from __future__ import annotations

import time
from dataclasses import dataclass

from harness.core.errors import ProcessEnded, ProtocolViolation, ReceiveTimeout, SandboxError
from harness.core.types import SandboxSpec, Verdict
from harness.gateway.set_run import kind_of_end, verdict_of_kind
from harness.sandbox import SandboxProcess
from harness.sandbox.protocol import Failed, Ready, decode_reply


@dataclass(frozen=True, kw_only=True)
class Startup:
    """How a start-up went. `verdict` is OK if the package is ready."""

    seconds: float
    verdict: Verdict = Verdict.OK
    message: str = ""  # the package's own words, or ours about its end


def await_ready(process: SandboxProcess, spec: SandboxSpec) -> Startup:
    """Wait until a package that was just started is ready. If it is not, it is killed.

    Raises:
        InfrastructureError: our fault or the host's.
    """
    started = time.monotonic()
    verdict, message = Verdict.OK, ""
    try:
        reply = decode_reply(process.receive(spec.limits.startup_seconds))
    except ReceiveTimeout:
        verdict = Verdict.STARTUP_TIMEOUT
    except ProtocolViolation as violation:
        verdict, message = Verdict.PROTOCOL_ERROR, violation.message
    except ProcessEnded:
        facts = process.facts()
        verdict = verdict_of_kind(kind_of_end(facts))
        message = f"ended with exit code {facts.exit_code} before it was ready"
    else:
        if isinstance(reply, Failed) and reply.request_id is None:
            _refuse_our_own_fault(reply, spec)
            verdict = Verdict.MEMORY_LIMIT if process.facts().oom_killed else Verdict.RUNTIME_ERROR
            message = reply.message
        elif not isinstance(reply, Ready):
            verdict, message = Verdict.PROTOCOL_ERROR, "answered before it was ready"
    seconds = time.monotonic() - started
    if verdict is not Verdict.OK:
        process.kill()
    return Startup(seconds=seconds, verdict=verdict, message=message)


def _refuse_our_own_fault(reply: Failed, spec: SandboxSpec) -> None:
    # A package could claim this, to be retried for ever: believed only if it is so on the host.
    if reply.package_missing and not (spec.package.source / "submission.toml").is_file():
        raise SandboxError(
            "the package has gone while it was being run",
            place=spec.package.source,
            remedy="Run again; the run resumes.",
        )
