r"""What stands beside the entry, scored by the harness in one call, and the board of all of them.

    make baselines                                     # every package on the sample challenge, and the board
    make baselines ARGS=--record                       # and the card's table is made anew from it

Scored are the constant 0.5, the classifier of containers, every member that was judged and has weights alone,
all of them together, and the entry. Members' packages are laid out from the entry's: there is one copy of the
code and of the weights. A call that was stopped goes on with the next package; one after a call that went
through scores all anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import ablate, card
from .places import PACKAGE, ROOT

EXAMPLES = ("constant", "metadata")
MEMBERS = ("generated", "generated_frozen", "swapped")
ENTRY = "submission"
PARTIAL = "table.unfinished.json"  # of a call that was stopped


def packages(folder: Path) -> dict[str, Path]:
    """Every package by the name of its row, in the order of the table; those of members are laid out anew."""
    made = {f"{name} alone": (name,) for name in MEMBERS} | {"all members": MEMBERS}
    return {
        **{name: ROOT / "examples" / name for name in EXAMPLES},
        **{name: ablate.lay_out(some, folder / name.replace(" ", "_")) for name, some in made.items()},
        ENTRY: PACKAGE,
    }


def harness(*words: str) -> None:
    """Runs a command of the harness beside this Python.

    Raises:
        subprocess.CalledProcessError: it failed; it has said why.
    """
    subprocess.run([str(Path(sys.executable).with_name("harness")), *words], check=True, cwd=ROOT)  # noqa: S603  (our own program)


def score_all(rows: dict[str, Path], challenge: Path, runs: Path) -> dict[str, ablate.Row]:
    """Scores and enters every package, each under the name of its row; goes on where a call was stopped."""
    partial = runs / PARTIAL
    table = ablate.read(partial)
    for number, (name, package) in enumerate(rows.items(), 1):
        if name in table:
            print(f"package {number} of {len(rows)}: {name}, from the call that was stopped", flush=True)
            continue
        print(f"package {number} of {len(rows)}: {name}", flush=True)
        begin = time.perf_counter()
        try:
            table[name], run = ablate.score(package, challenge, runs)
            harness("submit", str(run), "--team", name)
        except subprocess.CalledProcessError as error:
            sys.exit(f"{name}: the harness ended with {error.returncode}; the next call goes on with it")
        ablate.keep(table, partial)
        print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)
    return {name: table[name] for name in rows}


def record(table: dict[str, ablate.Row], output: Path) -> None:
    """Keeps a table for the card, with the number of the renderer that the videos were perturbed by."""
    from harness.videos.prepare_one import RENDERER  # noqa: PLC0415  (the harness is needed here alone)

    output.write_text(json.dumps({"renderer": RENDERER, "rows": table}, indent=1) + "\n")


def main(command_line: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--challenge", type=Path, default=ROOT / "sample_videos" / "challenge.toml")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "baselines")
    parser.add_argument("--packages", type=Path, default=ROOT / "build" / "baselines", help="of members")
    parser.add_argument("--record", action="store_true", help="make the card's table anew from what is found")
    arguments = parser.parse_args(command_line)
    runs: Path = arguments.runs.resolve()
    runs.mkdir(parents=True, exist_ok=True)
    challenge = arguments.challenge.resolve()
    table = score_all(packages(arguments.packages), challenge, runs)
    ablate.write(table, runs / "table.json")
    (runs / PARTIAL).unlink()
    # Whoever was scored before stands by the last run: the same videos may have been perturbed anew since.
    page = str(runs / "board.html")
    harness("board", str(challenge), "--runs", str(runs), "--choice", "last", "--out", page)
    print(ablate.markdown(table))
    if arguments.record:
        record(table, card.RESULTS / "sample.json")
        card.main()


if __name__ == "__main__":
    main()
