"""How a contest scales: efficiency on four nodes, growth with a set's size, and a large contest on paper.

    efficiency  2,000 videos of 0.2 s on 4 Ray nodes, against the ideal
    growth      one run of 500, 2,000 and 10,000 videos
    driver      a claim and an acceptance where 1,000, 10,000 and 100,000 shards are done
    simulate    4,000 entries x 14,000 videos on 10, 100, 1,000 nodes

Each prints one JSON object with the load average. Without a word, all run at a tenth of their size.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parents[2]))
from harness.contest.accepted_shard import AcceptedShard
from harness.contest.progress import progress_of
from harness.contest.shard_ledger import ShardLedger
from harness.results.store import Store, jobs
from harness.results.store.jobs import JobState
from harness.results.store.tables import JOBS
from tests.contest_kit import write_challenge, write_entry
from tests.contest_kit.servers import RayNodes

HARNESS = str(Path(sys.executable).with_name("harness"))
NODES, SLEEP_SECONDS = 4, 0.2
PLACES_OF_A_NODE = 4
SHARD_VIDEOS = 500
VIDEO_SECONDS = 8.1  # of a package at the whole budget
STARTUP_SECONDS = 20.0  # of a container whose package loads its weights
# Measured by `efficiency` and `driver`; docs/cluster.md says on what.
SHARD_OVERHEAD_SECONDS, VIDEO_OVERHEAD_SECONDS = 0.8, 0.0083
CLAIM_SECONDS = 0.010  # of the driver and its database, for each shard
ACCEPT_SECONDS = 0.035  # likewise: 0.006, and the rest for the shard's file (not measured)
CONCLUDE_SECONDS = 3.0  # of the driver's machine, for each entry; one process
PRICE_PER_NODE_HOUR = 1.5
OUTCOME = AcceptedShard(
    file="f", sha256="0" * 64, videos=500, seconds=1.0, billed_seconds=1.0, startup_seconds=1.0,
    fetch_seconds=0.0, node="n",
)  # fmt: skip


def efficiency(*, videos: int, image: str) -> dict[str, Any]:
    """Run a predictor that only sleeps on four nodes of one core, and compare with the sleep alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        challenge = write_challenge(folder / "challenge", public=videos // 2, private=videos // 2)
        write_entry(folder / "entries", team="sleeper", sleep=SLEEP_SECONDS)
        nodes = RayNodes(folder, nodes=NODES)
        started = time.monotonic()
        try:
            done = subprocess.run(
                [
                    *(HARNESS, "contest", "run", str(challenge), "--entries", str(folder / "entries")),
                    *("--runs", str(folder / "runs"), "--cache", str(folder / "cache")),
                    *("--store", f"sqlite:///{folder / 'index.db'}", "--blobs", str(folder / "blobs")),
                    *("--engine", "ray", "--address", nodes.address, "--no-reports"),
                    *("--shard-videos", str(max(1, videos // (4 * NODES))), "--image", image),
                ],
                check=False,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            whole = time.monotonic() - started
        finally:
            nodes.close()
        rows = _jobs(f"sqlite:///{folder / 'index.db'}")
    accepted = [json.loads(job["outcome"]) for job in rows]
    began = min(datetime.fromisoformat(job["claimed"]) for job in rows)
    ended = max(datetime.fromisoformat(job["finished"]) for job in rows)
    seconds, ideal = (ended - began).total_seconds(), videos * SLEEP_SECONDS / NODES
    billed = sum(one["billed_seconds"] for one in accepted)
    worked = sum(one["seconds"] for one in accepted)
    held = sum(_seconds(job["claimed"], job["finished"]) for job in rows)
    return {
        "videos": videos,
        "shards": len(rows),
        "ideal_seconds": ideal,
        "seconds": round(seconds, 2),
        "efficiency": round(ideal / seconds, 3),
        "answer_seconds_per_video": round(billed / videos, 4),
        "harness_seconds_per_shard": round((worked - billed) / len(rows), 3),
        "harness_seconds_per_video": round((worked - billed) / videos, 4),
        "on_its_way_seconds_per_shard": round((held - worked) / len(rows), 3),  # claim, worker, acceptance
        "whole_command_seconds": round(whole, 2),  # images, sets, files, results and all
        "startup_seconds_per_shard": round(sum(one["startup_seconds"] for one in accepted) / len(rows), 3),
    }


def _seconds(began: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


def growth(*, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Run one package on sets of several sizes; the harness is what is measured, not a container."""
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            challenge = write_challenge(folder / "challenge", public=size, private=10)
            package = write_entry(folder / "entries", team="fast")
            began = time.monotonic()
            done = subprocess.run(
                [
                    *(HARNESS, "run", str(package), "--challenge", str(challenge), "--sandbox", "process"),
                    *("--runs", str(folder / "runs"), "--cache", str(folder / "cache")),
                ],
                check=False,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            (run,) = (folder / "runs").glob("*/result.json")
            rows.append(
                {
                    "videos": size,
                    "seconds": round(time.monotonic() - began, 1),
                    "largest_memory_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
                    "report_kb": (run.parent / "report.html").stat().st_size // 1024,
                    "journal_kb": (run.parent / "sets/public/outcomes.jsonl").stat().st_size // 1024,
                    "result_kb": run.stat().st_size // 1024,
                }
            )
    return {"rows": rows}


def driver(*, sizes: tuple[int, ...], shards: int = 200) -> dict[str, Any]:
    """Claim and accept shards in an SQLite file that has so many finished ones."""
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            store = Store(f"sqlite:///{Path(name) / 'index.db'}")
            moment = jobs.moment_text(datetime.now(UTC))
            listed = [
                {
                    "run_id": f"run{number // 28}",
                    "set_name": "private",
                    "shard": number % 28,
                    "challenge": "made",
                    "turn": number,
                    "enqueued": moment,
                    "attempt": 1,
                    "token": 0,
                    "state": (JobState.DONE if number < size else JobState.WAITING).value,
                    "outcome": OUTCOME.to_json() if number < size else None,
                }
                for number in range(size + shards)
            ]
            store.write(partial(sa.Connection.execute, statement=sa.insert(JOBS), parameters=listed))
            ledger = ShardLedger(store, "made")
            ledger.drive()
            claims, accepts = [], []
            for _ in range(shards):
                began = time.monotonic()
                job = ledger.claim()
                claimed = time.monotonic()
                assert job is not None
                assert ledger.accept(job, OUTCOME)
                ledger.of_run(job.run_id)
                claims.append(claimed - began)
                accepts.append(time.monotonic() - claimed)
            began = time.monotonic()
            progress_of(ledger.listed(), places=1)
            rows.append(
                {
                    "shards_done": size,
                    "claim_milliseconds": round(median(claims) * 1000, 1),
                    "accept_milliseconds": round(median(accepts) * 1000, 1),
                    "count_all_milliseconds": round((time.monotonic() - began) * 1000, 1),  # once an entry
                }
            )
            store.close()
    return {"rows": rows}


def simulate(*, entries: int, videos: int) -> dict[str, Any]:
    """Play a large contest event by event: free places claim, the driver serves one after the other."""
    rows = []
    for nodes in (10, 100, 1000):
        places, busy_until, concluder = nodes * PLACES_OF_A_NODE, 0.0, 0.0
        shards = -(-videos // SHARD_VIDEOS)
        task = _shard_seconds()
        free = [0.0] * min(places, entries * shards)
        left = [shards] * entries
        for number in range(entries * shards):
            ready = heapq.heappop(free)
            busy_until = max(busy_until, ready) + CLAIM_SECONDS + ACCEPT_SECONDS
            ended = busy_until + task
            heapq.heappush(free, ended)
            entry = number // shards
            left[entry] -= 1
            if left[entry] == 0:
                concluder = max(concluder, ended) + CONCLUDE_SECONDS
        seconds = max(*free, concluder)
        ideal = entries * videos * VIDEO_SECONDS / places
        rows.append(
            {
                "nodes": nodes,
                "places": places,
                "days": round(seconds / 86_400, 2),
                "efficiency": round(ideal / seconds, 3),
                "driver_busy_share": round(entries * shards * (CLAIM_SECONDS + ACCEPT_SECONDS) / seconds, 4),
                "concluding_busy_share": round(entries * CONCLUDE_SECONDS / seconds, 4),
                "cost": round(seconds / 3600 * nodes * PRICE_PER_NODE_HOUR),
            }
        )
    shard_seconds = _shard_seconds()
    entry_seconds = -(-videos // SHARD_VIDEOS) * shard_seconds
    return {
        "entries": entries,
        "videos": videos,
        "rows": rows,
        "places_that_saturate_the_driver": int(shard_seconds / (CLAIM_SECONDS + ACCEPT_SECONDS)),
        "places_that_saturate_one_concluder": int(entry_seconds / CONCLUDE_SECONDS),
    }


def _shard_seconds() -> float:
    video = VIDEO_SECONDS + VIDEO_OVERHEAD_SECONDS
    return STARTUP_SECONDS + SHARD_OVERHEAD_SECONDS + SHARD_VIDEOS * video


def _jobs(url: str) -> list[dict[str, Any]]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.text("SELECT * FROM harness_jobs")).mappings()]


def _light_image() -> str:
    from harness.image.base_image import ensure_base
    from harness.image.container_engine import ensure_engine
    from harness.image.runtime_image import ensure_image

    client = ensure_engine(install=False, say=lambda _: None)
    del ensure_base
    return ensure_image(client, variant=None, say=lambda _: None).reference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("efficiency", "growth", "driver", "simulate"))
    parser.add_argument("--image", default="")
    parser.add_argument("--videos", type=int, default=2000)
    arguments = parser.parse_args()
    small = arguments.what is None
    found: dict[str, Any] = {}
    if small or arguments.what == "efficiency":
        image = arguments.image or _light_image()
        found["efficiency"] = efficiency(videos=200 if small else arguments.videos, image=image)
    if small or arguments.what == "growth":
        found["growth"] = growth(sizes=(50, 200, 1000) if small else (500, 2000, 10_000))
    if small or arguments.what == "driver":
        found["driver"] = driver(sizes=(100, 1000) if small else (1000, 10_000, 100_000))
    if small or arguments.what == "simulate":
        found["simulate"] = simulate(entries=400 if small else 4000, videos=14_000)
    found["load"] = os.getloadavg()[0]
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
