"""How fast a board is computed, against a plain loop over entries.

    python tests/benchmarks/board_speed.py                        # 1,000 entries × 10,000 videos × 2,000
    python tests/benchmarks/board_speed.py --entries 4000

The loop draws the same clusters for one entry after the other and computes each replicate's mean with one
product; it is timed on a few entries and scaled up. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time

import numpy as np

from harness.contest.board.answers import BoardEntry, BoardInput
from harness.contest.board.statistics import board_of
from harness.core.types import SetName
from harness.scoring.clusters import Bootstrap, sampling_of

LOOPED = 5  # entries that the plain loop is timed on


def contest(entries: int, videos: int, people: int, samples: int) -> BoardInput:
    """Return answers with a close top and a long tail."""
    rng = np.random.default_rng(0)
    fake = np.arange(videos) % 2 == 1
    hard, sign = rng.normal(size=videos), np.where(fake, 1.0, -1.0)
    probability = np.empty((videos, entries))
    for entry in range(entries):
        skill = 1.6 - 0.6 * (entry / entries) ** 2
        probability[:, entry] = 1.0 / (1.0 + np.exp(-sign * (skill + hard + rng.normal(size=videos))))
    return BoardInput(
        challenge="speed",
        set_name=SetName.PUBLIC,
        entries=tuple(BoardEntry(team=f"team {one}", run_id=f"run {one}") for one in range(entries)),
        probability=probability,
        failed=np.zeros(entries, dtype=np.int64),
        fake=fake,
        sampling=sampling_of(
            fake=fake.tolist(),
            identities=[f"p{one // 2 % people}" if people else "" for one in range(videos)],
            sources=[""] * videos,
        ),
        epsilon=1e-15,
        bootstrap=Bootstrap(samples=samples, seed=1),
        private_clusters=videos,
    )


def loop_seconds(given: BoardInput) -> float:
    """Return what replicates of all entries would take, one entry after the other."""
    sizes = np.bincount(given.sampling.cluster, minlength=given.sampling.clusters).astype(np.float64)
    losses = given.losses[:, :LOOPED]
    begun = time.perf_counter()
    for entry in range(min(LOOPED, losses.shape[1])):
        sums = given.sampling.sums(losses[:, entry : entry + 1])[:, 0]
        for counts in given.sampling.counts(given.bootstrap):
            (counts @ sums) / (counts @ sizes)
    return float((time.perf_counter() - begun) / min(LOOPED, losses.shape[1]) * len(given.entries))


def main() -> None:
    """Time a board."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--entries", type=int, default=1000)
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--people", type=int, default=0, help="0: every video is of another person")
    parser.add_argument("--samples", type=int, default=2000)
    asked = parser.parse_args()
    given = contest(asked.entries, asked.videos, asked.people, asked.samples)
    load = os.getloadavg()[0]
    begun, processor = time.perf_counter(), time.process_time()
    found = board_of(given)
    seconds, processor = time.perf_counter() - begun, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    looped = loop_seconds(given)
    document = {
        "entries": asked.entries,
        "videos": asked.videos,
        "clusters": given.sampling.clusters,
        "samples": asked.samples,
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor, 2),
        "peak_memory_gb": round(peak, 2),
        "baseline": "a loop over entries that draws and averages; the replicates of scores alone",
        "baseline_seconds": round(looped, 1),
        "ratio": round(looped / seconds, 1),
        "first_group": len(found.first_group),
        "load_average": load,
        "cores": os.cpu_count(),
    }
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
