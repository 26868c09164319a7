"""Whether the clocks are fair: `python tests/benchmarks/fair_clocks.py [--image IMAGE]` prints JSON.

Two claims, each against a baseline taken in turns with it, so that a busy machine disturbs both:

* `measured`: a predictor that sleeps s seconds is measured within 20 ms of s at the median. The baseline is a
  plain child process that sleeps as long and answers over a pipe.
* `killed`: a predictor that never answers is gone within 250 ms of its limit, in the worst of all rounds. The
  baseline is the engine's own kill of such a container.

The exit code is 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import docker

from harness.core.errors import ReceiveTimeout
from harness.core.types import Limits, Mount, SandboxSpec
from harness.image.runtime_image import ensure_image
from harness.sandbox import SandboxProcess
from harness.sandbox.docker.sandbox import DockerSandbox
from harness.sandbox.protocol import Ready, decode_reply, encode_predict

SLEEPS = (0.02, 0.2, 1.0)  # seconds
LIMIT_SECONDS = 0.5
LIMITS = {"measured_off_by_milliseconds": 20.0, "killed_late_milliseconds": 250.0}
PREDICTOR = """
import time
class Predictor:
    def __init__(self, package):
        pass
    def predict(self, video):
        time.sleep(float(video.name))
        return 0.5
"""
CHILD = "import sys, time\nfor line in sys.stdin: time.sleep(float(line)); print(0.5, flush=True)"


def main() -> int:
    """Measure, print, and tell whether the limits hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--image", help="the runtime image; found or built where it is not given")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    client = docker.from_env()
    image = asked.image or ensure_image(client, say=lambda text: print(text, file=sys.stderr)).reference
    with tempfile.TemporaryDirectory() as folder:
        spec = spec_of(Path(folder), image)
        report = {
            "rounds": asked.rounds,
            "load_average": os.getloadavg()[0],
            "limits": LIMITS,
            "measured": [measured(client, spec, seconds, asked.rounds) for seconds in SLEEPS],
            "killed": killed(client, spec, max(3, asked.rounds // 3)),
        }
    client.close()
    off = max(one["off_by_milliseconds"] for one in report["measured"])
    late = report["killed"]["late_milliseconds_worst"]
    report["holds"] = (
        off <= LIMITS["measured_off_by_milliseconds"] and late <= LIMITS["killed_late_milliseconds"]
    )
    print(json.dumps(report, indent=2))
    return 0 if report["holds"] else 1


def spec_of(folder: Path, image: str) -> SandboxSpec:
    """Write the package, and describe its run."""
    package, videos = folder / "package", folder / "videos"
    package.mkdir()
    videos.mkdir()
    (package / "submission.toml").write_text('name = "sleeper"\nentry = "predictor:Predictor"\n')
    (package / "predictor.py").write_text(PREDICTOR)
    return SandboxSpec(
        run_id="fair-clocks",
        image=image,
        package=Mount(source=package, target="/package"),
        videos=Mount(source=videos, target="/videos"),
        limits=Limits(cpus=1.0, memory_bytes=512_000_000, gpus=0),
    )


def measured(client: docker.DockerClient, spec: SandboxSpec, seconds: float, rounds: int) -> dict[str, float]:
    """Time sleeps as the gateway times answers, and those of a plain child in turns with them."""
    ours, plain = [], []
    with (
        DockerSandbox(client).start(spec) as process,
        subprocess.Popen(
            [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child,
    ):
        ready(process)
        ask(process, 0.0)
        ask_child(child, 0.0)
        for _ in range(rounds):
            ours.append(ask(process, seconds))
            plain.append(ask_child(child, seconds))
    median, baseline = statistics.median(ours), statistics.median(plain)
    return {
        "sleep_seconds": seconds,
        "off_by_milliseconds": 1000 * abs(median - seconds),
        "worst_off_by_milliseconds": 1000 * max(abs(one - seconds) for one in ours),
        "plain_child_off_by_milliseconds": 1000 * abs(baseline - seconds),
        "ratio": median / baseline,
    }


def ask(process: SandboxProcess, seconds: float) -> float:
    """Ask for one answer as the gateway does; returns the seconds it took."""
    started = time.monotonic()
    process.send(encode_predict(request_id="1", video=str(seconds)))
    process.receive(30)
    return time.monotonic() - started


def ask_child(child: subprocess.Popen[bytes], seconds: float) -> float:
    """Ask the plain child."""
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("the child has no pipes")
    started = time.monotonic()
    child.stdin.write(f"{seconds}\n".encode())
    child.stdin.flush()
    child.stdout.readline()
    return time.monotonic() - started


def killed(client: docker.DockerClient, spec: SandboxSpec, rounds: int) -> dict[str, float]:
    """Let packages run into their limit, and see how long after it they are gone."""
    late, plain = [], []
    for _ in range(rounds):
        with DockerSandbox(client).start(spec) as process:
            ready(process)
            started = time.monotonic()
            process.send(encode_predict(request_id="1", video="3600"))
            try:
                process.receive(LIMIT_SECONDS)
            except ReceiveTimeout:
                process.kill()
            late.append(time.monotonic() - started - LIMIT_SECONDS)
        container = client.containers.run(
            spec.image, entrypoint=["sleep", "3600"], detach=True, network_disabled=True, init=True
        )
        started = time.monotonic()
        container.kill()
        container.wait()
        plain.append(time.monotonic() - started)
        container.remove(force=True)
    return {
        "limit_seconds": LIMIT_SECONDS,
        "late_milliseconds_median": 1000 * statistics.median(late),
        "late_milliseconds_worst": 1000 * max(late),
        "engines_own_kill_milliseconds_median": 1000 * statistics.median(plain),
        "ratio": statistics.median(late) / statistics.median(plain),
    }


def ready(process: SandboxProcess) -> None:
    """Wait for the first word."""
    reply = decode_reply(process.receive(60))
    if not isinstance(reply, Ready):
        raise RuntimeError(f"the sleeper is not ready: {reply}")


if __name__ == "__main__":
    sys.exit(main())
