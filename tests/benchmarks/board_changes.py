"""What a change of a contest costs the keeper of its public board; prints JSON.

    python tests/benchmarks/board_changes.py --entries 1000 --videos 4000

Made-up runs, one a team: columns of their own, and a few journals linked into all folders. Measured: the
first board after a start; the next one, when one more run has ended; and the one after a hand-in, which
changes no score. The baseline reads every journal again at each change, and works everything out again;
reading is measured on a few and multiplied.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from written_runs import made_challenge, ready_of, row_of, write_journal

from harness.contest.board.memory import Memory
from harness.contest.board.published import PublishedBoard, publish
from harness.contest.events import ContestPhase, Purse
from harness.contest.state import Entry, EntryStatus, State, Team
from harness.core.contest import ContestRules
from harness.core.types import SetName
from harness.gateway.journal import read_journal
from harness.results import columns
from harness.results.columns import PREDICTED, Columns, columns_path, read_columns
from harness.results.run_folder import RunFolder
from harness.videos.ready_set import ReadySet

JOURNALS = 8
READ_FOR_BASELINE = 6
MOMENT = datetime(2026, 11, 27, tzinfo=UTC)
RULES = ContestRules(timezone="UTC", opens=MOMENT, closes=MOMENT + timedelta(days=30))


def main() -> None:
    """Make the runs, work the boards out, and print what it took."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--entries", type=int, default=200)
    options.add_argument("--videos", type=int, default=1000)
    given = options.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="boards-") as folder:
        report = measure(Path(folder), entries=given.entries, videos=given.videos)
    sys.stdout.write(json.dumps(report | {"load_average": load, "cores": os.cpu_count()}, indent=2) + "\n")


def measure(root: Path, *, entries: int, videos: int) -> dict[str, Any]:
    """Measure each kind of change."""
    ids = tuple(f"{number:016x}.mp4" for number in range(videos))
    fake = np.arange(videos) % 2 == 0
    folders = make_runs(root, entries + 1, ids, fake)
    began = time.monotonic()
    for one in folders[:READ_FOR_BASELINE]:
        read_journal(one.journal(SetName.PUBLIC))
    journals = (time.monotonic() - began) / READ_FOR_BASELINE * entries
    ready = ready_of(ids, fake)
    memory = Memory()
    first, started = timed(state_of(folders[:entries]), ready, root, memory)
    second, changed = timed(state_of(folders), ready, root, memory)
    third, handed_in = timed(replace(state_of(folders), events=9), ready, root, memory)
    assert (len(first.rows), len(second.rows)) == (entries, entries + 1)
    assert memory.read == entries + 1
    assert memory.worked_out == 2
    assert third.version == second.version
    fresh, again = timed(state_of(folders), ready, root, Memory())
    assert fresh.rows == second.rows  # what was remembered says nothing else
    baseline = again + journals
    return {
        "entries": entries,
        "videos": videos,
        "seconds_first_board": round(started, 2),
        "seconds_after_one_more_run": round(changed, 2),
        "seconds_after_a_hand_in": round(handed_in, 3),
        "baseline": "every journal read, and all statistics, at each change",
        "baseline_seconds": round(baseline, 1),
        "ratio_after_one_more_run": round(baseline / changed, 1),
        "ratio_after_a_hand_in": round(baseline / handed_in, 1),
    }


def timed(state: State, ready: ReadySet, root: Path, memory: Memory) -> tuple[PublishedBoard, float]:
    """Publish a board, and say how long it took."""
    rows = {one.run_id or "": row_of(one) for one in state.entries.values()}
    began = time.monotonic()
    found = publish(state, made_challenge(), ready, rows, root, memory=memory)
    return found, time.monotonic() - began


def make_runs(root: Path, runs: int, ids: tuple[str, ...], fake: np.ndarray) -> list[RunFolder]:
    """Make the folders of runs, with columns, as a worker leaves them."""
    rng = np.random.default_rng(0)
    hard = rng.normal(size=len(ids))
    folders: list[RunFolder] = []
    for number in range(runs):
        folder = RunFolder(path=root / f"run{number:05}")
        journal = folder.journal(SetName.PUBLIC)
        journal.parent.mkdir(parents=True)
        if number < JOURNALS:
            skill = (1.5 + hard + rng.normal(size=len(ids))) * np.where(fake, 1.0, -1.0)
            write_journal(journal, ids, 1.0 / (1.0 + np.exp(-skill)))
            read_columns(folder, SetName.PUBLIC, ids)
        else:
            like = folders[number % JOURNALS]
            journal.hardlink_to(like.journal(SetName.PUBLIC))
            keep_made_columns(folder, ids, 1.5 - 0.6 * (number / runs) ** 2 + hard, rng, fake)
        folders.append(folder)
    return folders


def keep_made_columns(
    folder: RunFolder, ids: tuple[str, ...], skill: np.ndarray, rng: np.random.Generator, fake: np.ndarray
) -> None:
    """Keep columns of their own beside a journal that is another's: answers of no two runs are the same."""
    noisy = (skill + rng.normal(size=len(ids))) * np.where(fake, 1.0, -1.0)
    made = Columns(
        probability=1.0 / (1.0 + np.exp(-noisy)), kind=np.full(len(ids), PREDICTED, dtype=np.uint8)
    )
    place = columns_path(folder, SetName.PUBLIC)
    columns._save(place, made, columns._stamp(folder.journal(SetName.PUBLIC), ids))


def state_of(folders: list[RunFolder]) -> State:
    """Return a contest in which every team has one entry with a score."""
    entries = {
        f"e{number}": Entry(
            entry=f"e{number}",
            team=f"t{number}",
            package_sha256="0" * 64,
            submitted=MOMENT + timedelta(seconds=number),
            day=date(2026, 11, 27),
            phase=ContestPhase.OPEN,
            paid_by=Purse.QUOTA,
            number=number,
            status=EntryStatus.SCORED,
            run_id=folder.run_id,
            shown=0.5,
            public_loss=0.5,
        )
        for number, folder in enumerate(folders)
    }
    teams = {
        one.team: Team(team=one.team, name=one.team, registered=MOMENT, entries=(one.entry,))
        for one in entries.values()
    }
    return State(challenge="speed", rules=RULES, phase=ContestPhase.OPEN, entries=entries, teams=teams)


if __name__ == "__main__":
    main()
