"""How long a person waits from a fresh clone to the first score, and to both reports, by stages.

A clone of this repository is made in a temporary folder, with empty caches, and the README's command is
given there. `--without-image` gives it an engine of its own that has nothing (as root, with dockerd). Every
line that the command prints has its time, and the stages are read off them. The baseline is the same run's
end: until the public set was judged by itself, the first score came with the last one.

    python tests/benchmarks/clone_to_score.py [--without-image]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What a stage's first line begins with; the stage lasts until the next one's.
STAGES = (
    ("install", "Setting up"),
    ("start", "Opening"),
    ("image", "Finding the runtime image"),
    ("prepare public", "Preparing the public set"),
    ("run public", "Running the public set"),
    ("score public", "public: "),
    ("prepare private", "Preparing the private set"),
    ("run private", "Running the private set"),
    ("prepare control", "Preparing the control set"),
    ("run control", "Running the control set"),
    ("score and report", "Scoring"),
)


def timed(
    command: Sequence[str], folder: Path, environment: dict[str, str]
) -> tuple[list[tuple[float, str]], float]:
    """Run a command; return its lines, each with the second it came at, and how long all of it took."""
    began = time.monotonic()
    lines: list[tuple[float, str]] = []
    process = subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    for line in process.stdout:
        lines.append((time.monotonic() - began, line.rstrip()))
        print(f"{lines[-1][0]:7.1f} {lines[-1][1]}", file=sys.stderr, flush=True)
    if process.wait() not in {0, 1}:  # 1: a verdict other than OK
        raise SystemExit(f"the command ended with {process.returncode}")
    return lines, time.monotonic() - began


def stages_of(lines: Sequence[tuple[float, str]], seconds: float) -> dict[str, float]:
    """Return how long each stage took."""
    begins = []
    for name, beginning in STAGES:
        found = [at for at, line in lines if line.startswith(beginning)]
        if found:
            begins.append((found[0], name))
    ends = [at for at, _ in begins[1:]] + [seconds]
    return {name: round(end - at, 1) for (at, name), end in zip(begins, ends, strict=True)}


@contextmanager
def engine_of_its_own(folder: Path) -> Iterator[str]:
    """Start a container engine that has no image; ended with all that it has."""
    address = f"unix://{folder}/s"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *("unshare", "--net", "dockerd", "--host", address, "--data-root", f"{folder}/data"),
                *("--exec-root", f"{folder}/x", "--pidfile", f"{folder}/pid", "--bridge=none"),
                *("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 60
        while subprocess.run(["docker", "-H", address, "info"], capture_output=True, check=False).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"no engine of its own: see {folder}/log")
            time.sleep(0.2)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)


def main() -> int:
    """Clone, run, and print the stages as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without-image", action="store_true", help="on an engine that has nothing")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clone-to-score-") as name:
        folder = Path(name)
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "VIRTUAL_"))
        }
        environment |= {
            "XDG_CACHE_HOME": f"{folder}/cache",
            "UV_CACHE_DIR": f"{folder}/uv",
            "PYTHONUNBUFFERED": "1",
        }
        subprocess.run(["git", "clone", "--quiet", str(ROOT), f"{folder}/clone"], check=True)
        load = os.getloadavg()[0]
        command = ["make", "run-submission"]
        if asked.without_image:
            (folder / "engine").mkdir()
            with engine_of_its_own(folder / "engine") as address:
                lines, seconds = timed(command, folder / "clone", environment | {"DOCKER_HOST": address})
        else:
            lines, seconds = timed(command, folder / "clone", environment)
    stages = stages_of(lines, seconds)
    first = next(at for at, line in lines if line.startswith("public: "))
    document = {
        "what": "from a fresh clone to the first score",
        "image": "built" if asked.without_image else "present",
        "first_score_seconds": round(first, 1),
        "all_seconds": round(seconds, 1),
        "stages_seconds": stages,
        "baseline": "the end of the same run, with which the first score came before",
        "ratio": round(first / seconds, 3),
        "cores": os.cpu_count(),
        "load_average_before": round(load, 2),
    }
    print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
