"""Do the intervals hold what they say? Simulated contests whose truth is known by quadrature.

A video has evidence for its label, a person makes it harder or easier (or pulls it one way); an entry's
logit is a multiple of the evidence, so its expected log loss, AUC, gap and difference are integrals over one
normal law. Each cell of the table is the share of contests whose 95% interval holds the truth.

    python tests/benchmarks/board_truth.py --contests 1000          # every cell, about 20 minutes
    python tests/benchmarks/board_truth.py --cells n100_people      # one
    python tests/benchmarks/board_truth.py --quick                  # a minute, for a look

Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.contest.board.resample import joint_of
from harness.contest.board.statistics import differences
from harness.contest.board.tie_groups import tie_groups
from harness.scoring.clusters import Bootstrap, Sampling, sampling_of
from harness.scoring.intervals import (
    LEVEL,
    Interval,
    auc_interval,
    gap_of,
    mean_interval,
    proportion_interval,
)
from harness.scoring.metrics import log_losses

Floats = NDArray[np.float64]
EPSILON = 1e-15


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One kind of contest. `videos` are those of one set, half of them fake."""

    videos: int
    people: int = 0  # 0: every video is of another person
    difficulty: float = 0.0  # standard deviation over people of how clear their videos are
    bias: float = 0.0  # of how fake all their videos look
    cells: int = 1  # perturbed copies of each source video
    named: bool = True  # whether labels.csv says who is who
    slope: float = 2.0  # of the logit over the evidence: 2 is calibrated, more is too sure of itself


CELLS = {
    "n16_independent": Cell(videos=16),
    "n16_two_people": Cell(videos=16, people=2, difficulty=0.5),
    "n40_independent": Cell(videos=40),
    "n100_independent": Cell(videos=100),
    "n1000_independent": Cell(videos=1000),
    "n100_people": Cell(videos=100, people=50, difficulty=0.7),
    "n1000_people": Cell(videos=1000, people=50, difficulty=0.7),
    "n400_people_difficulty": Cell(videos=400, people=50, difficulty=0.7),
    "n400_people_bias": Cell(videos=400, people=50, bias=0.7),
    "n400_people_unnamed": Cell(videos=400, people=50, difficulty=0.7, named=False),
    "n80_ten_people": Cell(videos=80, people=10, difficulty=0.7),
    "n160_twenty_people": Cell(videos=160, people=20, difficulty=0.7),
    "one_at_a_time_40x20": Cell(videos=800, cells=20),
    "n100_too_sure": Cell(videos=100, slope=4.0),
    "n1000_too_sure": Cell(videos=1000, slope=4.0),
}
CLEARER, DULLER, WORSE = 1.0, 0.85, 0.7  # mean evidence: of the entry, of its rival, and in the private set
SHARED = 0.7  # correlation of what the two entries see beyond the label


def normal_loss(mean: float, deviation: float, slope: float) -> float:
    """Return E log(1 + exp(-slope x)) over x ~ N(mean, deviation²), by Gauss and Hermite."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(160)
    losses = np.logaddexp(0.0, -slope * (mean + deviation * nodes))
    return float(weights @ losses / math.sqrt(2.0 * math.pi))


def truths(cell: Cell) -> dict[str, float]:
    """Return what each score is in expectation."""
    deviation = math.sqrt(1.0 + cell.difficulty**2 + cell.bias**2)
    loss = {
        name: normal_loss(mean, deviation, cell.slope)
        for name, mean in (("own", CLEARER), ("rival", DULLER), ("private", WORSE))
    }
    right = 0.5 * math.erfc(-CLEARER / deviation / math.sqrt(2.0))
    return {
        "log_loss": loss["own"],
        "difference": loss["rival"] - loss["own"],
        "gap": loss["private"] - loss["own"],
        "auc": 0.5 * math.erfc(-CLEARER / deviation),
        "accuracy": right,
    }


def draw(cell: Cell, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.int64], Floats, Floats]:
    """Draw one set: labels, who is on each video, and the evidence that two entries see."""
    sources = cell.videos // cell.cells
    fake = np.arange(sources) % 2 == 1
    people = (np.arange(sources) // 2) % cell.people if cell.people else np.arange(sources)
    own = rng.normal(0.0, 1.0, int(people.max()) + 1)
    pull = rng.normal(0.0, 1.0, own.size)
    source_part = math.sqrt(0.8) if cell.cells > 1 else 0.0  # most of a copy is its source
    fake, people = np.repeat(fake, cell.cells), np.repeat(people, cell.cells)
    sign = np.where(fake, 1.0, -1.0)
    fixed = np.repeat(rng.normal(0.0, 1.0, sources), cell.cells) * source_part
    common, one, other = (rng.normal(0.0, 1.0, fake.size) for _ in range(3))
    rest = math.sqrt(1.0 - source_part**2)
    shift = sign * cell.difficulty * own[people] + cell.bias * pull[people]
    seen = [
        shift + fixed + rest * (math.sqrt(SHARED) * common + math.sqrt(1.0 - SHARED) * noise)
        for noise in (one, other)
    ]
    return fake, people, sign * CLEARER + seen[0], sign * DULLER + seen[1]


def sampling(cell: Cell, fake: NDArray[np.bool_], people: NDArray[np.int64], sets: int = 1) -> Sampling:
    """Draw as the harness does, told who is who or not."""
    count = fake.size // sets
    names = [f"{row // count}-{one}" for row, one in enumerate(people)]
    blank = [""] * fake.size
    return sampling_of(
        fake=fake.tolist(),
        identities=names if cell.people and cell.named else blank,
        sources=blank,
        videos=[f"{row // count}-{row % count // cell.cells}" for row in range(fake.size)],
        parts=[row // count for row in range(fake.size)],
    )


def percentile(values: Floats, drawn: Sampling, bootstrap: Bootstrap) -> Interval:
    """Return what was used before: the percentiles of the replicates, over the same clusters."""
    both = drawn.sums(np.column_stack([values, np.ones_like(values)]))
    found = np.concatenate([counts @ both for counts in drawn.counts(bootstrap)])
    means = found[:, 0] / found[:, 1]
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(low=float(low), high=float(high))


def difference(one: Floats, other: Floats, drawn: Sampling) -> Interval | None:
    """Return the board's own interval of how much higher the losses of one entry are than another's."""
    if not drawn.enough:
        return None
    joint = joint_of(np.column_stack([other, one]), drawn, Bootstrap(samples=1))
    (found,) = differences(joint, np.array([1]), np.array([0]))
    return found.interval


def one_contest(cell: Cell, rng: np.random.Generator, samples: int) -> dict[str, Interval | None]:
    """Return every interval of one contest."""
    bootstrap = Bootstrap(samples=samples, seed=int(rng.integers(2**32)))
    fake, people, own, rival = draw(cell, rng)
    drawn = sampling(cell, fake, people)
    chance, chance_rival = (1.0 / (1.0 + np.exp(-cell.slope * x)) for x in (own, rival))
    losses = log_losses(fake, chance, EPSILON)
    worse, other_people, evidence, _ = draw(cell, rng)
    evidence = evidence + np.where(worse, 1.0, -1.0) * (WORSE - CLEARER)
    private = log_losses(worse, 1.0 / (1.0 + np.exp(-cell.slope * evidence)), EPSILON)
    both = sampling(cell, np.concatenate([fake, worse]), np.concatenate([people, other_people]), 2)
    gap = gap_of(
        names=("public", "private"),
        values=(losses, private),
        sources=(["a"], ["b"]),
        sampling=both,
    )
    return {
        "log_loss": mean_interval(losses, drawn, lowest=0.0),
        "difference": difference(log_losses(fake, chance_rival, EPSILON), losses, drawn),
        "gap": gap.interval,
        "auc": auc_interval(fake, chance, drawn),
        "accuracy": proportion_interval((chance >= 0.5) == fake, drawn),
        "log_loss, percentile": percentile(losses, drawn, bootstrap),
    }


def coverage(cell: Cell, *, contests: int, samples: int, seed: int) -> dict[str, dict[str, float]]:
    """Return, for each score, how often its interval held the truth, and the share below and above."""
    truth, rng = truths(cell), np.random.default_rng(seed)
    held: dict[str, list[tuple[bool, bool, bool, float]]] = {}
    for _ in range(contests):
        for name, interval in one_contest(cell, rng, samples).items():
            value = truth[name.split(",")[0]]
            low, high = (interval.low, interval.high) if interval else (-math.inf, math.inf)
            held.setdefault(name, []).append((interval is None, value < low, value > high, high - low))
    table = {}
    for name, rows in held.items():
        given = [row for row in rows if not row[0]]
        missed = sum(row[1] or row[2] for row in given)
        table[name] = {
            "truth": round(truth[name.split(",")[0]], 4),
            "given": len(given) / len(rows),
            "covered": round(1.0 - missed / len(given), 4) if given else math.nan,
            "truth_below": round(sum(row[1] for row in given) / max(len(given), 1), 4),
            "truth_above": round(sum(row[2] for row in given) / max(len(given), 1), 4),
            "median_width": round(float(np.median([row[3] for row in given])), 4) if given else math.nan,
        }
    return table


GROUPS = {
    "20 equal, 100 videos": (20, 100, 0, 0.0),
    "20 equal, 1000 videos": (20, 1000, 0, 0.0),
    "20 equal, 100 videos of 50 people": (20, 100, 50, 0.0),
    "50 close together, 400 videos": (50, 400, 0, 0.2),
}


def best_in_first_group(
    entries: int, videos: int, people: int, spread: float, *, contests: int, seed: int
) -> dict[str, float]:
    """Return how often the truly best entry is in the first group, and how large that group is."""
    cell = Cell(videos=videos, people=people, difficulty=0.7 if people else 0.0)
    rng, held, size = np.random.default_rng(seed), 0, 0
    for _ in range(contests):
        fake, people_of, evidence, _ = draw(cell, rng)
        sign = np.where(fake, 1.0, -1.0)
        skills = -spread * np.arange(entries) / entries  # entry 0 is the best, or as good as any
        own = 0.5 * rng.normal(size=(videos, entries))
        losses = np.logaddexp(0.0, -cell.slope * (sign[:, None] * (evidence[:, None] + own) + skills))
        joint = joint_of(losses, sampling(cell, fake, people_of), Bootstrap(samples=500, seed=1))
        groups = tie_groups(joint, workers=1)
        held += int(groups[0] == 1)
        size += int((groups == 1).sum())
    return {"best_in_first_group": held / contests, "mean_size": size / contests}


def main() -> None:
    """Measure the cells that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cells", nargs="*", default=list(CELLS), choices=list(CELLS), metavar="CELL")
    parser.add_argument("--contests", type=int, default=1000)
    parser.add_argument(
        "--samples", type=int, default=1000, help="replicates of the percentile bootstrap it is compared with"
    )
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--quick", action="store_true", help="60 contests, 400 replicates, the small cells")
    parser.add_argument("--groups", action="store_true", help="tie groups instead of intervals")
    asked = parser.parse_args()
    if asked.groups:
        table = {
            name: best_in_first_group(*shape, contests=asked.contests, seed=asked.seed)
            for name, shape in GROUPS.items()
        }
        print(json.dumps({"contests": asked.contests, "groups": table}, indent=1))
        return
    contests, samples, names = asked.contests, asked.samples, asked.cells
    if asked.quick:
        contests, samples = 60, 400
        names = [name for name in names if CELLS[name].videos <= 100]
    begun = time.monotonic()
    found = {
        name: coverage(CELLS[name], contests=contests, samples=samples, seed=asked.seed) for name in names
    }
    document = {
        "what": f"share of contests whose {LEVEL:.0%} interval holds the truth",
        "contests": contests,
        "samples": samples,
        "standard_error_of_a_share_of_95_percent": round(math.sqrt(0.95 * 0.05 / contests), 4),
        "seconds": round(time.monotonic() - begun, 1),
        "load_average": os.getloadavg()[0],
        "cells": found,
    }
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
