"""The table of members, produced by the harness itself.

    python submission/training/ablate.py --members plain wsdan noise --output table.json

For each member alone, for the ensemble without each, and for the whole ensemble, a package is laid out in a
temporary folder and scored by `harness run` on a challenge: control, public and private, with the harness's
own intervals, in its real container. Nothing here computes a score.

Not covered: members that are not in `weights/` (no augmentation, other seeds): train them, put them there,
name them. One perturbation at a time: name a challenge whose recipe is a grid.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent
METRICS = ("log_loss", "roc_auc")


def variants(members: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(name, members) of every row: each alone, all but each where that is something else, and all."""
    for member in members:
        yield f"{member} alone", (member,)
    if len(members) > 2:
        for member in members:
            yield f"without {member}", tuple(m for m in members if m != member)
    if len(members) > 1:
        yield "ensemble", tuple(members)


def lay_out(members: Sequence[str], folder: Path) -> Path:
    """A copy of the package with some of its members."""
    package = folder / "package"
    ignore = shutil.ignore_patterns("training", "__pycache__", "*.safetensors")
    shutil.copytree(PACKAGE, package, ignore=ignore)
    for member in members:
        shutil.copy2(PACKAGE / "weights" / f"{member}.safetensors", package / "weights")
    return package


def score(package: Path, challenge: Path, runs: Path) -> dict[str, object]:
    """Runs the harness and reads the figures out of its result."""
    harness = Path(sys.executable).with_name("harness")
    command = [
        str(harness),
        "run",
        str(package),
        "--challenge",
        str(challenge),
        "--runs",
        str(runs),
        "--fresh",
    ]
    subprocess.run(command, check=True, cwd=ROOT, stdout=sys.stderr)  # noqa: S603  (our own program)
    result = json.loads(max(runs.glob("*/result.json"), key=lambda p: p.stat().st_mtime).read_text())
    return {
        name: {
            "verdict": one["verdict"],
            **{metric: one["score"]["metrics"][metric] for metric in METRICS},
        }
        for name, one in result["sets"].items()
    }


def main() -> None:
    """Scores every variant and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--members", nargs="+", required=True, help="names in weights/, without the ending")
    parser.add_argument("--challenge", type=Path, default=ROOT / "sample_videos" / "challenge.toml")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "ablation")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    table = {}
    for name, members in variants(arguments.members):
        with tempfile.TemporaryDirectory() as folder:
            table[name] = score(lay_out(members, Path(folder)), arguments.challenge, arguments.runs)
        arguments.output.write_text(json.dumps(table, indent=1) + "\n")
        print(name, json.dumps(table[name]))


if __name__ == "__main__":
    main()
