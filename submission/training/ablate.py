r"""The table of members, produced by the harness itself.

    python -m training.ablate --packages examples/constant examples/metadata --members plain --output t.json
    python -m training.ablate --members plain --also "longer=RUN/plain.safetensors" --output t.json

For each member alone, for the ensemble without each, and for the whole ensemble, a package is laid out in a
temporary folder and scored by `harness run` on every set of a challenge, with the harness's own intervals, in
its real container. Nothing here computes a score. Rows that the output already has are not run again. Beside
the JSON a table in Markdown is written.

Not covered: one perturbation at a time: see curves.py.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent
METRICS = ("log_loss", "roc_auc", "accuracy")

Row = dict[str, dict[str, Any]]  # set to verdict and metrics, each metric as result.json has it


def variants(members: Sequence[str], also: Mapping[str, Path]) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """(name, weights) of every row: each alone, all but each where that is something else, all; `also`."""
    files = {member: PACKAGE / "weights" / f"{member}.safetensors" for member in members}
    for member in members:
        yield f"{member} alone", (files[member],)
    if len(members) > 2:
        for member in members:
            yield f"without {member}", tuple(files[m] for m in members if m != member)
    if len(members) > 1:
        yield "ensemble", tuple(files.values())
    for name, path in also.items():
        yield name, (path,)


def lay_out(weights: Sequence[Path], folder: Path) -> Path:
    """A copy of the package with other weights.

    Raises:
        FileNotFoundError: a file of weights is not there.
    """
    package = folder / "package"
    ignore = shutil.ignore_patterns("training", "__pycache__", "*.safetensors")
    shutil.copytree(PACKAGE, package, ignore=ignore)
    for file in weights:
        shutil.copy2(file, package / "weights")
    return package


def score(package: Path, challenge: Path, runs: Path) -> Row:
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
            "videos": one["score"]["videos"],
            **{metric: one["score"]["metrics"][metric] for metric in METRICS},
        }
        for name, one in result["sets"].items()
    }


def markdown(table: Mapping[str, Row]) -> str:
    """The table as people read it: a row for each variant, log loss and AUC of each set with its interval."""
    sets = list(next(iter(table.values())))
    lines = [
        "| members | " + " | ".join(f"{name}: log loss | AUC" for name in sets) + " |",
        "|---" * (1 + 2 * len(sets)) + "|",
    ]
    for name, row in table.items():
        cells = [f"{_cell(row[s]['log_loss'])} | {_cell(row[s]['roc_auc'], 2)}" for s in sets]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write(table: Mapping[str, Row], output: Path) -> None:
    """The table as JSON, and beside it as Markdown."""
    output.write_text(json.dumps(table, indent=1) + "\n")
    output.with_suffix(".md").write_text(markdown(table))


def _cell(metric: Mapping[str, Any], decimals: int = 3) -> str:
    interval = metric["interval"]
    if interval is None:
        return f"{metric['value']:.{decimals}f}"
    return f"{metric['value']:.{decimals}f} ({interval['low']:.2f}-{interval['high']:.2f})"


def named(text: str) -> tuple[str, Path]:
    """`NAME=PATH` as a row of its own.

    Raises:
        ValueError: there is no `=` in it, or no such file.
    """
    name, separator, path = text.rpartition("=")
    if not separator or not Path(path).is_file():
        raise ValueError(f"{text}: write NAME=PATH of a .safetensors file")
    return name, Path(path)


def main() -> None:
    """Scores every variant and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--members", nargs="+", default=[], help="names in weights/, without the ending")
    parser.add_argument("--also", nargs="+", type=named, default=[], help="NAME=PATH of further weights")
    parser.add_argument(
        "--packages", nargs="+", type=Path, default=[], help="further packages, by their folder"
    )
    parser.add_argument("--rows", nargs="+", help="names of the rows to run; all where not given")
    parser.add_argument("--challenge", type=Path, default=ROOT / "sample_videos" / "challenge.toml")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "ablation")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    output: Path = arguments.output
    table: dict[str, Row] = json.loads(output.read_text()) if output.exists() else {}
    for package in arguments.packages:
        if package.name not in table:
            table[package.name] = score(package, arguments.challenge, arguments.runs)
            write(table, output)
    for name, weights in variants(arguments.members, dict(arguments.also)):
        if name in table or (arguments.rows and name not in arguments.rows):
            continue
        with tempfile.TemporaryDirectory() as folder:
            table[name] = score(lay_out(weights, Path(folder)), arguments.challenge, arguments.runs)
        write(table, output)
    print(markdown(table))


if __name__ == "__main__":
    main()
