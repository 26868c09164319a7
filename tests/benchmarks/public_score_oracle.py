"""How many labels an attacker without a model reads per submission from public scores; prints JSON.

The baseline of the ratio is what the contests of 2020 published: five decimals at ε = 1e-15.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict

import numpy as np

from harness.contest.oracle import FULL, Oracle, attack_ladder, attack_rounded, labels_at_once

VIDEOS = (16, 4000)
EPSILONS = (1e-15, 1e-6, 0.01)
DECIMALS = (2, 3, 4, 5, FULL)
STEPS = (0.001, 0.005)
SUBMISSIONS = 100
SEED = 20150219


def main() -> None:
    """Attack every combination and print what was read."""
    began = time.monotonic()
    rows = []
    for videos in VIDEOS:
        labels = np.random.default_rng(SEED).permutation(np.arange(videos) % 2 == 0)
        base = labels_at_once(Oracle(videos=videos, epsilon=1e-15, decimals=5))
        for epsilon in EPSILONS:
            oracles = [Oracle(videos=videos, epsilon=epsilon, decimals=one) for one in DECIMALS]
            oracles += [
                Oracle(videos=videos, epsilon=epsilon, step=step, from_infinity=first)
                for step in STEPS
                for first in (True, False)
            ]
            for oracle in oracles:
                attack = attack_rounded if oracle.step is None else attack_ladder
                found = attack(oracle, labels, submissions=SUBMISSIONS)
                rows.append(
                    {
                        **asdict(oracle),
                        **asdict(found),
                        "labels_per_submission": round(found.per_submission, 3),
                        "ratio_to_five_decimals": round(found.per_submission / base, 3),
                    }
                )
    report = {
        "rows": rows,
        "seconds": round(time.monotonic() - began, 2),
        "load_average": os.getloadavg(),
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
