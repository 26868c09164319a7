"""What the harness itself costs: `python tests/benchmarks/harness_overhead.py [--image IMAGE]` prints JSON.

Three claims, each against a baseline measured in the same run, the two taken in turns so that a busy machine
slows both:

* `per_video`: everything between an answer and the next request's answer, with a predictor that returns at
  once, for 4 MB videos. Limit: 10 ms.
* `start_to_ready`: from the request to start until the package is ready, against a bare `docker run` of the
  same image with the same imports until it prints. Limit: 1.5 times.
* `whole_run`: a set's run from start to removal, against the same predictor in a plain loop inside one
  container, its start and removal included. Limit: 1.03 times.

The exit code is 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import docker

from harness.core.types import FailureRule, Limits, Mount, PreparedVideo, SandboxSpec, Terms, Verdict
from harness.gateway.feed import run_set
from harness.gateway.journal import Journal, header_of
from harness.gateway.set_run import Phase, SetProgress, SetRun
from harness.gateway.staging import Stage
from harness.image.runtime_image import ensure_image
from harness.sandbox.docker.sandbox import DockerSandbox
from harness.sandbox.protocol import Ready, decode_reply

VIDEO_BYTES = 4_000_000
LIMITS = {"per_video_milliseconds": 10.0, "start_to_ready_ratio": 1.5, "whole_run_ratio": 1.03}
PREDICTOR = """{imports}
import hashlib
class Predictor:
    def __init__(self, package):
        pass
    def predict(self, video):
        data = video.read_bytes() if {rounds} else b""
        for _ in range({rounds}):
            hashlib.sha256(data).digest()
        return 0.5
"""
PLAIN_LOOP = (
    "import sys, pathlib; sys.path.insert(0, '/package'); import predictor; "
    "p = predictor.Predictor(pathlib.Path('/package')); "
    "[p.predict(v) for v in sorted(pathlib.Path('/videos').iterdir())]"
)


class Bench:
    """One machine, one image, one set of videos."""

    def __init__(self, folder: Path, image: str, imports: str) -> None:
        self.folder = folder
        self.image = image
        self.imports = imports
        self.client = docker.from_env()
        self.limits = Limits(cpus=min(2.0, float(os.cpu_count() or 1)), memory_bytes=4_000_000_000)

    def package(self, rounds: int) -> Path:
        """Make a package whose predict hashes its video this many times."""
        folder = self.folder / f"package-{rounds}"
        if not folder.exists():
            folder.mkdir()
            (folder / "submission.toml").write_text('name = "bench"\nentry = "predictor:Predictor"\n')
            (folder / "predictor.py").write_text(PREDICTOR.format(imports=self.imports, rounds=rounds))
        return folder

    def videos(self, count: int) -> tuple[PreparedVideo, ...]:
        """Make files of 4 MB."""
        folder = self.folder / f"videos-{count}"
        folder.mkdir(exist_ok=True)
        videos = []
        for number in range(count):
            path = folder / f"{number:04d}.mp4"
            if not path.exists():
                path.write_bytes(os.urandom(VIDEO_BYTES))
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            videos.append(PreparedVideo(video_id=path.name, path=path, source_id=path.name, sha256=digest))
        return tuple(videos)

    def spec(self, stage: Stage, package: Path) -> SandboxSpec:
        """Describe a run as an organiser would."""
        return SandboxSpec(
            run_id=f"bench-{secrets.token_hex(4)}",
            image=self.image,
            package=Mount(source=package, target="/package"),
            videos=Mount(source=stage.videos, target="/videos"),
            limits=self.limits,
        )

    def harness_run(self, rounds: int, count: int) -> tuple[float, SetRun, list[float]]:
        """Run a set; returns its seconds, the run, and when each video was done."""
        videos, moments = self.videos(count), []

        def note(progress: SetProgress) -> None:
            if progress.phase is Phase.PREDICTING:
                moments.append(time.perf_counter())

        started = time.perf_counter()
        with Stage() as stage:
            spec = self.spec(stage, self.package(rounds))
            header = header_of(videos=videos, limits=spec.limits, order_seed=1)
            with Journal(self.folder / f"{secrets.token_hex(8)}.jsonl", header) as journal:
                run = run_set(
                    sandbox=DockerSandbox(self.client),
                    spec=spec,
                    stage=stage,
                    videos=videos,
                    order_seed=1,
                    journal=journal,
                    terms=Terms(limits=spec.limits, failure_rule=FailureRule.STRICT),
                    progress=note,
                )
        seconds = time.perf_counter() - started
        if run.verdict is not Verdict.OK:
            raise SystemExit(f"the benchmark's own package failed: {run.verdict}: {run.detail}")
        return seconds, run, moments

    def plain_loop(self, rounds: int, count: int) -> float:
        """Run the same predictor on the same files in a plain loop in one container; returns its seconds."""
        folder = self.videos(count)[0].path.parent
        started = time.perf_counter()
        self._bare(["-v", f"{self.package(rounds)}:/package:ro", "-v", f"{folder}:/videos:ro"], PLAIN_LOOP)
        return time.perf_counter() - started

    def harness_start(self) -> float:
        """Seconds until a package is ready."""
        with Stage() as stage:
            spec = self.spec(stage, self.package(0))
            started = time.perf_counter()
            with DockerSandbox(self.client).start(spec) as process:
                reply = decode_reply(process.receive(120))
                seconds = time.perf_counter() - started
        if not isinstance(reply, Ready):
            raise SystemExit(f"the benchmark's own package failed: {reply}")
        return seconds

    def bare_start(self) -> float:
        """Seconds until a bare container with the same imports prints."""
        command = self._command([], f"{self.imports}\nprint('ready', flush=True)")
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise SystemExit(f"failed: {command}")
            return time.perf_counter() - started

    def _bare(self, options: list[str], code: str) -> None:
        subprocess.run(self._command(options, code), check=True)

    def _command(self, options: list[str], code: str) -> list[str]:
        cpus = f"--cpus={self.limits.cpus}"
        threads = f"OMP_NUM_THREADS={int(self.limits.cpus)}"
        fixed = ["docker", "run", "--rm", "--network=none", cpus, "-e", threads, "--entrypoint=python3"]
        return [*fixed, *options, self.image, "-c", code]


def per_video(bench: Bench, count: int) -> dict[str, object]:
    """Measure the time between answers of a predictor that does nothing."""
    _, run, moments = bench.harness_run(0, count)
    steps = [1000 * (late - early) for early, late in itertools.pairwise(moments)]
    billed = [1000 * outcome.wall_seconds for outcome in run.outcomes]
    return {
        "baseline": "predict returns at once, so all of it is the harness",
        "videos": count,
        "video_bytes": VIDEO_BYTES,
        "median_milliseconds": round(statistics.median(steps), 2),
        "mean_milliseconds": round(statistics.mean(steps), 2),
        "billed_median_milliseconds": round(statistics.median(billed), 2),
        "limit_milliseconds": LIMITS["per_video_milliseconds"],
        "ok": statistics.mean(steps) <= LIMITS["per_video_milliseconds"],
    }


def in_turns(baseline: str, key: str, pairs: list[tuple[float, float]]) -> dict[str, object]:
    """Compare pairs of (harness, baseline) seconds."""
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    return {
        "baseline": baseline,
        "harness_seconds": [round(ours, 3) for ours, _ in pairs],
        "baseline_seconds": [round(theirs, 3) for _, theirs in pairs],
        "ratio": round(ratio, 4),
        "limit_ratio": LIMITS[key],
        "ok": ratio <= LIMITS[key],
    }


def main() -> int:
    """Measure, print JSON, and say by the exit code whether every limit is kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--image", help="an image with the runner; default: the runtime image")
    parser.add_argument("--imports", default="import torch, numpy", help="what the package imports")
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=150, help="hashes of 4 MB per video in the whole run")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        image = (
            options.image
            or ensure_image(docker.from_env(), say=lambda text: print(text, file=sys.stderr)).reference
        )
        bench = Bench(folder, image, options.imports)
        bench.harness_start(), bench.bare_start()  # warm the page cache for both
        report = {
            "per_video": per_video(bench, options.videos),
            "start_to_ready": in_turns(
                "bare `docker run` of the same image and imports, until it prints",
                "start_to_ready_ratio",
                [(bench.harness_start(), bench.bare_start()) for _ in range(options.turns)],
            ),
            "whole_run": in_turns(
                "the same predictor in a plain loop inside one container",
                "whole_run_ratio",
                [
                    (
                        bench.harness_run(options.rounds, options.videos)[0],
                        bench.plain_loop(options.rounds, options.videos),
                    )
                    for _ in range(options.turns)
                ],
            ),
        }
        bench.client.close()
    print(json.dumps(report, indent=2))
    return 0 if all(part["ok"] for part in report.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
