"""Whether a contest takes what its plan said, and whether runs beside each other are as fast as alone.

    plan         a small public phase; a plan of the finals from it; the finals. Limit: within 10%
    disturbance  an entry alone and beside another. Limit: 3% in median seconds a video, or it says so

Each prints one JSON object with the load average; the exit code is 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
from harness.core.types import SetName
from harness.results.result import read_result
from harness.results.run_folder import RunFolder
from harness.results.store import Store, jobs
from harness.results.store.jobs import Job
from tests.contest_kit import write_challenge, write_entry

HARNESS = str(Path(sys.executable).with_name("harness"))
LIMITS = {"plan_off": 0.10, "slower_beside": 0.03}
SLEEPS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)  # of a video, one entry each
COMPUTES = """
import hashlib
class Predictor:
    def __init__(self, package):
        self.data = b"x" * 4_000_000
    def predict(self, video):
        for _ in range({rounds}):
            hashlib.sha256(self.data).digest()
        return 0.5
"""


def contest(folder: Path, challenge: Path, entries: Path, *more: str, image: str) -> tuple[Job, ...]:
    """Run a contest to its end; return its jobs."""
    url = f"sqlite:///{folder / 'index.db'}"
    command = [
        *(HARNESS, "contest", "run", str(challenge), "--entries", str(entries), "--store", url),
        *("--runs", str(folder / "runs"), "--cache", str(folder / "cache"), "--no-reports"),
        *("--image", image, *more),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    store = Store(url)
    try:
        with store.read() as connection:
            return jobs.listed(connection)
    finally:
        store.close()


def plan(*, image: str, public: int, final: int) -> dict[str, Any]:
    """Plan the finals from a public phase of the same entries, and run them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = write_challenge(folder / "open", name="open", public=public, private=public)
        large = write_challenge(folder / "finals", name="finals", public=final, private=final)
        for number, sleep in enumerate(SLEEPS):
            write_entry(folder / "entries", team=f"team{number}", sleep=sleep)
        shards = ("--shard-videos", str(max(1, final // 2)))
        (folder / "a").mkdir()
        contest(folder / "a", small, folder / "entries", image=image)
        asked = subprocess.run(
            [
                *(HARNESS, "contest", "plan", str(large), "--entries", str(folder / "entries"), "--json"),
                *("--store", f"sqlite:///{folder / 'a' / 'index.db'}", *shards),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        planned = json.loads(asked.stdout)["plan"]
        (folder / "b").mkdir()
        found = contest(folder / "b", large, folder / "entries", *shards, image=image)
    began = min(datetime.fromisoformat(job.claimed or "") for job in found)
    ended = max(datetime.fromisoformat(job.finished or "") for job in found)
    took, expected = (ended - began).total_seconds(), planned["hours"] * 3600
    return {
        "entries": planned["entries"],
        "shards": planned["shards"],
        "planned_seconds": round(expected, 1),
        "took_seconds": round(took, 1),
        "off": round(expected / took - 1, 3),
        "ok": abs(expected / took - 1) <= LIMITS["plan_off"],
    }


def disturbance(*, image: str, videos: int, rounds: int) -> dict[str, Any]:
    """Run an entry that computes alone, and again beside another one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        challenge = write_challenge(folder / "challenge", public=videos, private=4)
        module = COMPUTES.format(rounds=rounds)
        write_entry(folder / "alone", team="a", module=module)
        for team in ("a", "b"):
            write_entry(folder / "beside", team=team, module=module)
        found = {}
        for how, workers in (("alone", "1"), ("beside", "2")):
            (folder / how / ".work").mkdir()
            rows = contest(folder / how / ".work", challenge, folder / how, "--workers", workers, image=image)
            (run_id,) = {job.run_id for job in rows if job.team == "a"}
            run = RunFolder(path=folder / how / ".work" / "runs" / run_id)
            clocks = read_result(run.result).sets[SetName.PUBLIC].clocks
            found[how] = (
                clocks.video_median_seconds or 0.0,
                json.loads(run.disturbance(SetName.PUBLIC).read_text())["in_words"],
            )
    slower = found["beside"][0] / found["alone"][0] - 1
    return {
        "videos": videos,
        "alone_median_seconds": round(found["alone"][0], 4),
        "beside_median_seconds": round(found["beside"][0], 4),
        "slower": round(slower, 4),
        "alone_says": found["alone"][1],
        "beside_says": found["beside"][1],
        "ok": slower <= LIMITS["slower_beside"] or bool(found["beside"][1]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("plan", "disturbance"))
    parser.add_argument("--image", required=True)
    parser.add_argument("--videos", type=int, default=60)
    arguments = parser.parse_args()
    found = (
        plan(image=arguments.image, public=max(4, arguments.videos // 5), final=arguments.videos)
        if arguments.what == "plan"
        else disturbance(image=arguments.image, videos=arguments.videos, rounds=25)
    )
    found["load"] = os.getloadavg()[0]
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
