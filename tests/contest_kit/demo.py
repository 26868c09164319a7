"""`make contest-demo`: from nothing to a finished small contest on two Ray nodes, one of which is killed.

    python -m tests.contest_kit.demo [FOLDER]

Six entries of different kinds: a good one, a slow one, one that guesses, one that crashes now and then, one
that cannot start and one that is no package. All in real containers. Ends with the costs, the board
(a page, too) and a forecast.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.contest_kit import CRASHES, RAISES, write_challenge, write_entry
from tests.contest_kit.servers import RayNodes

HARNESS = str(Path(sys.executable).with_name("harness"))
VIDEOS, SHARD_VIDEOS = 12, 6
PRICE_PER_HOUR = "1.20"
PRICES = f"""
currency = "EUR"
[[nodes]]
name = "another machine of this kind"
count = 1
places = 2
price_per_hour = {PRICE_PER_HOUR}
"""


def write_contest(folder: Path) -> Path:
    """Make the challenge and its six entries; returns challenge.toml."""
    challenge = write_challenge(folder / "challenge", name="demo", public=VIDEOS, private=VIDEOS)
    entries = folder / "entries"
    write_entry(entries, team="steady", formula="0.3 + 0.4 * drawn")
    write_entry(entries, team="slow", sleep=0.5)
    write_entry(entries, team="guess", formula="0.5")
    write_entry(entries, team="crashes", module=CRASHES)
    write_entry(entries, team="raises", module=RAISES)
    (entries / "torn.zip").write_bytes(b"PK\3\4 and then nothing")
    return challenge


def run_and_kill(command: list[str], nodes: RayNodes, runs: Path) -> int:
    """Run the contest; once the slow entry is at work, end a node without a word. A fresh one joins."""
    with subprocess.Popen(command) as driver:
        killed = False
        while driver.poll() is None:
            if not killed and list(runs.glob("demo-slow-*/sets/public/shards/*.videos")):
                killed = True
                nodes.kill(0)
                sys.stderr.write("-- a node was killed, and a fresh one has joined\n")
            time.sleep(0.2)
        return driver.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="where everything is kept; a new one by default")
    given: Path | None = parser.parse_args().folder
    folder = (given or Path(tempfile.mkdtemp(prefix="contest-demo-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    challenge = write_contest(folder)
    prices = folder / "prices.toml"
    prices.write_text(PRICES)
    store = ["--store", f"sqlite:///{folder / 'index.db'}"]
    began = time.monotonic()
    nodes = RayNodes(folder, nodes=2)
    try:
        command = [
            *(HARNESS, "contest", "run", str(challenge), "--entries", str(folder / "entries"), *store),
            *("--runs", str(folder / "runs"), "--cache", str(folder / "cache")),
            *("--engine", "ray", "--address", nodes.address, "--blobs", str(folder / "blobs")),
            *("--shard-videos", str(SHARD_VIDEOS), "--price-per-hour", PRICE_PER_HOUR, "--no-reports"),
        ]
        code = run_and_kill(command, nodes, folder / "runs")
    finally:
        nodes.close()
    for after in (
        ["contest", "status", str(challenge), *store, "--price-per-hour", PRICE_PER_HOUR],
        [
            *("board", str(challenge), "--runs", str(folder / "runs"), "--cache", str(folder / "cache")),
            *("--by", "private", "--output", str(folder / "board.html")),
        ],
        [
            *("contest", "plan", str(challenge), "--entries", str(folder / "entries"), *store),
            *("--shard-videos", str(SHARD_VIDEOS), "--prices", str(prices)),
        ],
    ):
        sys.stdout.write(f"\n$ harness {' '.join(after[: 1 + (after[0] == 'contest')])} …\n")
        sys.stdout.flush()
        code = subprocess.run([HARNESS, *after], check=False).returncode or code
    sys.stdout.write(f"\n{time.monotonic() - began:.0f} s; everything is in {folder}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
