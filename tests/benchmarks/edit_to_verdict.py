"""From a save to a verdict: `python tests/benchmarks/edit_to_verdict.py [--rounds N]` prints JSON.

A small package (one class, that of `harness new`) is edited, and each way of checking it is timed from the
save to the line that says whether it will be run. The baseline is `harness check`, which shows two videos
three times in a fresh container:

* `static`: `harness check --static`, a new process. Goal: 1 s.
* `quick`: `harness check --quick`, a new process and a container. Goal: 4 s.
* `watch`: `harness check --watch`, by its own process, its container ready beforehand. Goal: 2 s.

Needs a container engine and the runtime image. The exit code is 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness.package.new import new_package

HARNESS = Path(sys.executable).with_name("harness")
ROOT = Path(__file__).parents[2]
GOALS = {"static": 1.0, "quick": 4.0, "watch": 2.0}  # seconds
VERDICT = re.compile(rb"This package will (not )?be run")


def main() -> int:
    """Time every way in turn, and print one JSON object."""
    parser = argparse.ArgumentParser(description="From a save to a verdict.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="edit-") as folder:
        package = Path(folder) / "mine"
        new_package(package, style="stream")
        seconds: dict[str, list[float]] = {"check": [], "static": [], "quick": []}
        commands: dict[str, list[str]] = {"check": [], "static": ["--static"], "quick": ["--quick"]}
        for number in range(rounds):
            for name, options in commands.items():
                seconds[name].append(timed(partial(once, package, options), package, number))
        seconds["watch"] = watched(package, rounds)
    baseline = statistics.median(seconds["check"])
    report = {
        "baseline": "harness check: two videos, one of them twice, in a fresh container",
        "baseline_seconds": round(baseline, 3),
        "rounds": rounds,
        "load_average": os.getloadavg()[0],
        "ways": {
            name: {
                "median_seconds": round(statistics.median(seconds[name]), 3),
                "longest_seconds": round(max(seconds[name]), 3),
                "ratio_to_baseline": round(statistics.median(seconds[name]) / baseline, 3),
                "goal_seconds": goal,
                "met": statistics.median(seconds[name]) <= goal,
            }
            for name, goal in GOALS.items()
        },
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0 if all(way["met"] for way in report["ways"].values()) else 1


def timed(check: Callable[[], None], package: Path, number: int) -> float:
    """Save, check, and return the seconds from one to the other."""
    save(package, number)
    started = time.monotonic()
    check()
    return time.monotonic() - started


def save(package: Path, number: int) -> None:
    """Edit the package as a person would: one line more."""
    with (package / "predictor.py").open("a", encoding="utf-8") as code:
        code.write(f"# edit {number}\n")


def once(package: Path, options: list[str]) -> None:
    """Check once, as a command."""
    done = subprocess.run(
        [str(HARNESS), "check", str(package), *options], cwd=ROOT, capture_output=True, check=False
    )
    if not VERDICT.search(done.stdout):
        raise SystemExit(f"no verdict: {done.stderr.decode()}")


def watched(package: Path, rounds: int) -> list[float]:
    """Watch the package, save after each verdict and a pause, and return the seconds until the next."""
    seconds = []
    command = [str(HARNESS), "check", str(package), "--watch"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        lines = process.stdout
        assert lines is not None
        _until_verdict(lines.readline)
        for number in range(rounds):
            time.sleep(3.0)  # a person reads, and the next container gets ready
            started = time.monotonic()
            save(package, 1000 + number)
            _until_verdict(lines.readline)
            seconds.append(time.monotonic() - started)
        process.terminate()
    return seconds


def _until_verdict(next_line: Callable[[], bytes]) -> None:
    while True:
        line = next_line()
        if not line:
            raise SystemExit("the watch ended by itself")
        if VERDICT.search(line):
            return


if __name__ == "__main__":
    sys.exit(main())
