"""Feeds one video set to one package, holds the clock, and judges what comes back.

The package sees one video at a time under a name that says nothing, and the next one only after it has
answered. Every clock is the host's monotonic one. Billed is the time from a request to its answer; staging,
start-ups and clean-up are not. All the same a run always ends: a start-up has its own limit, and there are at
most `limits.restarts_for(videos)` replacements.

A package that never becomes ready is not started a second time: no hidden video is involved in loading code
and weights, so what fails there can be seen by the contestant beforehand.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence

from harness.core.errors import SandboxSignal
from harness.core.types import Mode, Outcome, PreparedVideo, SandboxSpec, Terms, Verdict
from harness.gateway.batch import run_batch
from harness.gateway.bookkeeping import SetRecord
from harness.gateway.journal import Journal
from harness.gateway.judgement import judge
from harness.gateway.readiness import await_ready
from harness.gateway.set_run import Phase, SetProgress, SetRun
from harness.gateway.staging import Stage, shuffled
from harness.sandbox import Sandbox, SandboxProcess
from harness.sandbox.protocol import encode_predict


def run_set(
    *,
    sandbox: Sandbox,
    spec: SandboxSpec,
    stage: Stage,
    videos: Sequence[PreparedVideo],
    order_seed: int,
    journal: Journal,
    terms: Terms,
    progress: Callable[[SetProgress], None] | None = None,
    keep_messages: bool = False,
) -> SetRun:
    """Run a package on a video set, or on what an earlier harness has not done of it.

    Args:
        sandbox: Starts the containers.
        spec: What to start; it mounts `stage.videos`.
        stage: Where videos are put for their turn.
        videos: The prepared set.
        order_seed: Decides the order in which they are fed.
        journal: Takes each outcome before the next video is asked for.
        terms: The limits of `spec`, and how failures count: that decides the verdict, not what is run.
        progress: Told after every video and at every change of phase.
        keep_messages: Whether anything the package said is kept: for public sets only.

    Raises:
        InfrastructureError: our fault or the host's. What was done is journalled, no container is left.
        ValueError: `spec` mounts other videos than the stage's, or has other limits than `terms`.
    """
    if spec.videos.source != stage.videos or spec.limits != terms.limits:
        raise ValueError("spec must mount stage.videos, under terms.limits")
    record = SetRecord(
        journal=journal,
        terms=terms,
        total=len(videos),
        progress=progress,
        keep_messages=keep_messages,
    )
    ordered = shuffled(videos, order_seed)
    if spec.mode is Mode.BATCH:
        run_batch(sandbox=sandbox, spec=spec, stage=stage, videos=ordered, record=record)
    else:
        _run_stream(sandbox, spec, stage, deque(v for v in ordered if not record.is_done(v)), record)
    return record.result(videos, isolation=sandbox.isolation)


def _run_stream(
    sandbox: Sandbox, spec: SandboxSpec, stage: Stage, waiting: deque[PreparedVideo], record: SetRecord
) -> None:
    while waiting:
        record.end_if_exhausted()
        if record.ending is not None:
            return
        started_seconds = record.elapsed_seconds
        with sandbox.start(spec) as process:
            record.container_started()
            startup = await_ready(process, spec)
            if startup.verdict is Verdict.OK:
                if record.startup_seconds is None:
                    record.startup_seconds = startup.seconds
                _serve(process, spec, stage, waiting, record)
            else:
                record.message = startup.message
                if record.startup_seconds is None and not record.has_outcomes:
                    record.ending = startup.verdict
                else:
                    record.container_lost(startup.verdict)
            process.kill()
            record.tally.add(process.facts(), started_seconds=started_seconds)


def _serve(
    process: SandboxProcess,
    spec: SandboxSpec,
    stage: Stage,
    waiting: deque[PreparedVideo],
    record: SetRecord,
) -> None:
    """Ask one container for one video after the other, until it is lost or the run is over."""
    desk = _Desk(process, spec)
    record.tell(Phase.PREDICTING)
    while waiting and record.ending is None:
        name = stage.put(waiting[0])
        try:
            outcome, lost = desk.ask(name, waiting[0], record.budget_left_seconds, record.attempt)
        finally:
            stage.take_away(name)
        waiting.popleft()
        record.add([outcome], container_lost=lost)
        record.end_if_exhausted()
        if lost:
            return


class _Desk:
    """One container, asked for one video at a time."""

    def __init__(self, process: SandboxProcess, spec: SandboxSpec) -> None:
        self._process = process
        self._limits = spec.limits
        facts = process.facts()
        self._cpu_seconds = facts.usage.cpu_seconds
        self._oom_seen = facts.oom_killed

    def ask(
        self, name: str, video: PreparedVideo, budget_left_seconds: float, attempt: int
    ) -> tuple[Outcome, bool]:
        """Ask for one video. Returns what happened, and whether the container is lost; if so it is killed."""
        request_id = secrets.token_hex(16)
        allowed = min(self._limits.video_seconds, budget_left_seconds)
        started = time.monotonic()
        self._process.send(encode_predict(request_id=request_id, video=name))
        heard: bytes | SandboxSignal
        try:
            heard = self._process.receive(max(0.0, started + allowed - time.monotonic()))
        except SandboxSignal as signal:
            heard = signal
        wall_seconds = time.monotonic() - started
        facts = self._process.facts()
        found = judge(heard, facts, request_id=request_id, oom_seen=self._oom_seen)
        if found.lost:
            self._process.kill()
            facts = self._process.facts()
        outcome = Outcome(
            video_id=video.video_id,
            kind=found.kind,
            probability=found.probability,
            wall_seconds=wall_seconds,
            cpu_seconds=_difference(facts.usage.cpu_seconds, self._cpu_seconds),
            attempt=attempt,
            message=found.message,
        )
        self._cpu_seconds, self._oom_seen = facts.usage.cpu_seconds, facts.oom_killed
        return outcome, found.lost


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else max(0.0, now - before)
