"""Run the standard workload on this machine, as a run would run an entry."""

from __future__ import annotations

import json
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.core.errors import InfrastructureError, SandboxSignal
from harness.core.types import Limits, Terms
from harness.diagnose.calibrate.speeds import PARTS, Calibration, PartSeconds
from harness.gateway.run_package import opened_beside, spec_for
from harness.gateway.staging import Stage
from harness.sandbox import Backend, SandboxProcess
from harness.sandbox.protocol import Answer, Ready, decode_reply, encode_predict
from harness.videos.synthetic import ClipSpec, write_clip

ROUNDS = 15
ENOUGH_ROUNDS = 5  # if the machine is too busy for all of them within a minute
ENOUGH_SECONDS = 60.0
WARM_UP_ROUNDS = 2  # libraries choose their kernels in the first
MARK = "harness-calibration "
CLIP = ClipSpec(width=640, height=360, frames=60, frames_per_second=Fraction(30), audio_tracks=0, seed=1)
ROUND_SECONDS_MAX = 120.0


def calibrate(
    backend: Backend,
    *,
    limits: Limits,
    cpu: str,
    progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Measure this machine.

    Args:
        backend: Starts the container; its GPUs are used as in a run.
        limits: Those of a run: cores and memory decide how fast it is.
        cpu: This machine's processor, for people.
        progress: Told how many of how many rounds are done.

    Raises:
        InfrastructureError: the workload did not run.
    """
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    held = replace(limits, startup_seconds=max(limits.startup_seconds, 300.0))
    with _workload() as source, Stage() as stage, opened_beside(source, stage, limits=held) as package:
        write_clip(stage.videos / "clip.mp4", CLIP)
        (stage.videos / "clip.mp4").chmod(0o644)
        spec = spec_for(package, stage, backend=backend, terms=Terms(limits=held), run_id="calibration")
        with backend.sandbox.start(spec) as process:
            try:
                _ready(process, spec.limits.startup_seconds)
                _rounds(process, progress)
            except SandboxSignal as signal:
                raise InfrastructureError(
                    f"the standard workload did not run: {signal}",
                    remedy=f"Its last words: {process.facts().log_tail[-500:] or 'none'}",
                ) from signal
            process.kill()
            log = process.facts().log_tail
    device, rounds = rounds_of(log)
    rounds = rounds[WARM_UP_ROUNDS:]
    return Calibration(
        created=datetime.now(UTC),
        image=backend.image.digest,
        cpus=limits.cpus,
        cpu=cpu,
        device=device,
        load=load,
        busy=load > cores / 2,
        rounds=len(rounds),
        seconds=PartSeconds(**{part: min(one[part] for one in rounds) for part in PARTS}),
        spread=max(_spread([one[part] for one in rounds]) for part in PARTS),
    )


def rounds_of(log: str) -> tuple[Any, list[dict[str, float]]]:
    """Read what the workload said: its device, and the seconds of each part in each round.

    Raises:
        InfrastructureError: its output cannot be read.
    """
    said = [line.partition(MARK)[2] for line in log.splitlines() if line.startswith(MARK)]
    try:
        documents = [json.loads(line) for line in said]
        rounds = [{part: float(one["seconds"][part]) for part in PARTS} for one in documents]
        device = documents[-1]["device"]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InfrastructureError(
            f"the standard workload's output cannot be read: {log[-300:]!r}",
            remedy="Report this as a fault.",
        ) from error
    if len(rounds) <= WARM_UP_ROUNDS:
        raise InfrastructureError(
            f"the standard workload finished {len(rounds)} rounds", remedy="Try again on a quieter machine."
        )
    return device, rounds


@contextmanager
def _workload() -> Iterator[Path]:
    """Put the workload and the detector that it uses into one folder."""
    source = files("harness.diagnose.calibrate") / "packages" / "workload"
    model = files("harness.videos.perturb") / "models" / "face_detection_yunet_2023mar.onnx"
    with tempfile.TemporaryDirectory(prefix="harness-workload-") as name:
        folder = Path(name)
        for part in ("submission.toml", "predictor.py"):
            (folder / part).write_bytes((source / part).read_bytes())
        (folder / "detector.onnx").write_bytes(model.read_bytes())
        yield folder


def _ready(process: SandboxProcess, seconds: float) -> None:
    reply = decode_reply(process.receive(seconds))
    if not isinstance(reply, Ready):
        raise InfrastructureError(f"the standard workload did not load: {reply}", remedy="`harness doctor`")


def _rounds(process: SandboxProcess, progress: Callable[[int, int], None] | None) -> None:
    started, total = time.monotonic(), WARM_UP_ROUNDS + ROUNDS
    for number in range(1, total + 1):
        _round(process)
        if progress is not None:
            progress(number, total)
        if number >= WARM_UP_ROUNDS + ENOUGH_ROUNDS and time.monotonic() - started > ENOUGH_SECONDS:
            return


def _round(process: SandboxProcess) -> None:
    process.send(encode_predict(request_id=secrets.token_hex(8), video="clip.mp4"))
    reply = decode_reply(process.receive(ROUND_SECONDS_MAX))
    if not isinstance(reply, Answer):
        raise InfrastructureError(f"the standard workload failed: {reply}", remedy="`harness doctor`")


def _spread(values: Sequence[float]) -> float:
    low, middle, high = statistics.quantiles(values, n=4)
    return (high - low) / middle
