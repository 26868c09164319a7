"""How fast every run of a contest is scored again; prints JSON.

Made-up runs of one set: journals as the harness writes them (a few different ones, linked into the
others' folders), their columns, and a result each. The baseline of the ratio is reading the JSON lines of the
journals with `json` and taking the mean log loss, nothing else, in one process. It is measured on a few runs
and multiplied, and so is the making of columns, which happens once per run.

    python tests/benchmarks/regrade_speed.py --runs 4200 --videos 10000
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from example_run import example_run
from written_runs import write_journal

from harness.contest.regrade.corrections import Correction, SetFrame
from harness.contest.regrade.regrade import RegradePlan, regrade_runs
from harness.core.types import OutcomeKind, SetName, Verdict
from harness.results.columns import columns_path, read_columns
from harness.results.result import Result, write_result
from harness.results.run_folder import RunFolder
from harness.results.seal import Key
from harness.scoring.metrics import log_losses

JOURNALS = 8
BASELINE_RUNS = 4
PREPARED = "ab" * 32


def main() -> None:
    """Make the runs, score them again, and print what it took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=200)
    options.add_argument("--videos", type=int, default=2000)
    options.add_argument("--workers", type=int, default=2)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="regrade-") as folder:
        report = measure(Path(folder), runs=given.runs, videos=given.videos, workers=given.workers)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


def measure(root: Path, *, runs: int, videos: int, workers: int) -> dict[str, object]:
    """Measure each way of reading the same outcomes."""
    ids = tuple(f"{hashlib.sha256(str(number).encode()).hexdigest()[:16]}.mp4" for number in range(videos))
    fake = np.arange(videos) % 2 == 0
    folders = make_runs(root, runs, ids, fake)
    began = time.monotonic()
    for one in folders[:BASELINE_RUNS]:
        plain_json(one.journal(SetName.PRIVATE), ids, fake)
    baseline = (time.monotonic() - began) / BASELINE_RUNS * runs
    began = time.monotonic()
    for one in folders[:JOURNALS]:
        read_columns(one, SetName.PRIVATE, ids)
    making = (time.monotonic() - began) / min(JOURNALS, runs) * runs
    for number, one in enumerate(folders[JOURNALS:], JOURNALS):
        columns_path(one, SetName.PRIVATE).hardlink_to(
            columns_path(folders[number % JOURNALS], SetName.PRIVATE)
        )
    fake_now = fake.copy()
    fake_now[:5] ^= True
    frame = SetFrame(
        name=SetName.PRIVATE,
        prepared_sha256=PREPARED,
        video_ids=ids,
        source_ids=ids,
        fake=fake,
        fake_now=fake_now,
        kept=np.arange(videos) % 1000 != 7,
        labels_sha256="cd" * 32,
    )
    plan = RegradePlan(
        regrade="20300101-000000-abcdef",
        reason="benchmark",
        challenge="example",
        frames={SetName.PRIVATE: frame},
        correction=Correction(epsilon=1e-6),
        key=Key(secret=b"k" * 32),
    )
    began = time.monotonic()
    found = regrade_runs(root, plan, workers=workers)
    seconds = time.monotonic() - began
    assert len(found.runs) == runs, found.left_out[:3]
    return {
        "runs": runs,
        "videos": videos,
        "workers": workers,
        "regrade_seconds": round(seconds, 2),
        "milliseconds_per_run": round(1000 * seconds / runs, 2),
        "plain_json_seconds_one_process": round(baseline, 1),
        "ratio_to_plain_json": round(baseline / seconds, 1),
        "making_all_columns_seconds_one_process": round(making, 1),
        "columns_bytes": sum(one.stat().st_size for one in root.glob("*/sets/*/outcomes.npz")),
        "journal_bytes": sum(one.stat().st_size for one in root.glob("*/sets/*/outcomes.jsonl")),
        "peak_memory_bytes_of_one_worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
        "load_average": os.getloadavg(),
    }


def make_runs(root: Path, runs: int, ids: tuple[str, ...], fake: np.ndarray) -> list[RunFolder]:
    """Make the folders; journals are linked, not copied: 4,200 of them would be 8 GB."""
    rng = np.random.default_rng(0)
    template = one_set_result(root / "template", len(ids))
    folders: list[RunFolder] = []
    for number in range(runs):
        folder = RunFolder(path=root / f"20300101-000000-{number:06x}")
        journal = folder.journal(SetName.PRIVATE)
        journal.parent.mkdir(parents=True)
        if number < JOURNALS:
            skill = rng.normal(1.0, 1.0, len(ids)) * np.where(fake, 1.0, -1.0)
            write_journal(journal, ids, 1.0 / (1.0 + np.exp(-skill)))
        else:
            journal.hardlink_to(folders[number % JOURNALS].journal(SetName.PRIVATE))
        write_result(template.model_copy(update={"run_id": folder.run_id}), folder.result)
        folders.append(folder)
    return folders


def one_set_result(folder: Path, videos: int) -> Result:
    """Return a result of the private set alone, as large as real ones are."""
    whole = example_run(folder)
    (folder / "result.json").unlink()
    private = whole.sets[SetName.PRIVATE].model_copy(
        update={"prepared_sha256": PREPARED, "outcomes": {OutcomeKind.PREDICTED: videos}}
    )
    private = private.model_copy(update={"verdict": Verdict.OK, "score": replace(private.score, scored=True)})
    challenge = whole.challenge.model_copy(update={"name": "example"})
    return whole.model_copy(update={"sets": {SetName.PRIVATE: private}, "gaps": (), "challenge": challenge})


def plain_json(path: Path, ids: tuple[str, ...], fake: np.ndarray) -> float:
    """Take the mean log loss of a journal, line by line."""
    place = {video: index for index, video in enumerate(ids)}
    answers = np.full(len(ids), 0.5)
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        outcome = json.loads(line)
        if outcome["probability"] is not None:
            answers[place[outcome["video_id"]]] = outcome["probability"]
    return float(np.mean(log_losses(fake, answers, 1e-15)))


if __name__ == "__main__":
    main()
