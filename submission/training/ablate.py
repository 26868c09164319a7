r"""The table of members, produced by the harness itself.

    python -m training.ablate --packages examples/constant --members generated swapped --output t.json

For each member alone, for the ensemble without each, and for the whole ensemble, a package is laid out in a
temporary folder and scored by `harness run` on every set of a challenge, with the harness's own intervals, in
its real container. Every one of them has a calibration of its own (results/unseen.json, by calibrate.py).
Nothing here computes a score. Rows that the output already has are not run again. Beside the JSON a table in
Markdown is written.

    python -m training.ablate --lay-out build/generated --members generated     # only the package

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

from . import calibrate
from .places import PACKAGE, ROOT

RECORDED = Path(__file__).parent / "results" / "unseen.json"  # by calibrate.py
WEIGHTS = (PACKAGE / "weights", ROOT / "examples" / "members")  # what ships, and what was judged and does not
METRICS = ("log_loss", "roc_auc", "accuracy")

Row = dict[str, dict[str, Any]]  # set to verdict and metrics, each metric as result.json has it


def variants(members: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(name, members) of every row: each alone, all but each where that is something else, all."""
    for member in members:
        yield f"{member} alone", (member,)
    if len(members) > 2:
        for member in members:
            yield f"without {member}", tuple(m for m in members if m != member)
    if len(members) > 1:
        yield "ensemble", tuple(members)


def lay_out(members: Sequence[str], package: Path) -> Path:
    """A copy of the package with other members, calibrated as these members are together.

    Raises:
        FileNotFoundError: a member's weights are not there.
        KeyError: these members were not calibrated together.
    """
    recorded = json.loads(RECORDED.read_text())
    name = "+".join(members)
    if name not in recorded:
        raise KeyError(f"{RECORDED.name} has no calibration of {name}: run training.calibrate on them")
    ignore = shutil.ignore_patterns("training", "__pycache__", "*.safetensors")
    shutil.copytree(PACKAGE, package, ignore=ignore, dirs_exist_ok=True)
    for other in (package / "weights").glob("*.safetensors"):  # of another layout of the same folder
        other.unlink()
    for member in members:
        name_of_file = f"{member}.safetensors"
        file = next((folder / name_of_file for folder in WEIGHTS if (folder / name_of_file).exists()), None)
        if file is None:
            raise FileNotFoundError(f"{name_of_file} is in none of {', '.join(map(str, WEIGHTS))}")
        shutil.copy2(file, package / "weights")
    calibrate.write(members, recorded[name]["calibration"], package / "weights")
    manifest = package / "submission.toml"
    _, _, rest = manifest.read_text().partition("\n")  # the name stands in the first line
    manifest.write_text(f'name = "{"-".join(members)}"\n{rest}')
    return package


def score(package: Path, challenge: Path, runs: Path) -> tuple[Row, Path]:
    """Runs the harness and reads the figures out of its result; with the folder of the run.

    Raises:
        subprocess.CalledProcessError: a set has no score, or the harness failed; it has said why.
    """
    harness = str(Path(sys.executable).with_name("harness"))
    command = [harness, "run", str(package), "--challenge", str(challenge), "--runs", str(runs), "--fresh"]
    done = subprocess.run(  # noqa: S603  (our own program)
        [*command, "--json"], check=True, cwd=ROOT, stdout=subprocess.PIPE
    )
    document = json.loads(done.stdout)
    row = {
        name: {
            "verdict": one["verdict"],
            "videos": one["score"]["videos"],
            **{metric: one["score"]["metrics"][metric] for metric in METRICS},
        }
        for name, one in document["result"]["sets"].items()
    }
    return row, Path(document["folder"])


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


def read(output: Path) -> dict[str, Row]:
    """The rows that a table has already."""
    return dict(json.loads(output.read_text())) if output.exists() else {}


def keep(table: Mapping[str, Row], output: Path) -> None:
    """The table as JSON, beside its place and renamed."""
    partial = output.with_name(f"{output.name}.part")
    partial.write_text(json.dumps(table, indent=1) + "\n")
    partial.rename(output)


def write(table: Mapping[str, Row], output: Path) -> None:
    """The table as JSON, and beside it as Markdown."""
    keep(table, output)
    output.with_suffix(".md").write_text(markdown(table))


def _cell(metric: Mapping[str, Any], decimals: int = 3) -> str:
    interval = metric["interval"]
    if interval is None:
        return f"{metric['value']:.{decimals}f}"
    return f"{metric['value']:.{decimals}f} ({interval['low']:.2f}-{interval['high']:.2f})"


def main() -> None:
    """Scores every variant and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--members", nargs="+", default=[], help="names in weights/, without the ending")
    parser.add_argument(
        "--packages", nargs="+", type=Path, default=[], help="further packages, by their folder"
    )
    parser.add_argument("--rows", nargs="+", help="names of the rows to run; all where not given")
    parser.add_argument("--challenge", type=Path, default=ROOT / "sample_videos" / "challenge.toml")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "ablation")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--output", type=Path, help="the table; rows that are there are not run again")
    where.add_argument("--lay-out", type=Path, help="a folder for the package of these members; runs nothing")
    arguments = parser.parse_args()
    if arguments.lay_out:
        print(lay_out(arguments.members, arguments.lay_out))
        return
    output: Path = arguments.output
    table = read(output)
    for package in arguments.packages:
        if package.name not in table:
            table[package.name], _ = score(package, arguments.challenge, arguments.runs)
            write(table, output)
    for name, members in variants(arguments.members):
        if name in table or (arguments.rows and name not in arguments.rows):
            continue
        with tempfile.TemporaryDirectory() as folder:
            package = lay_out(members, Path(folder) / "package")
            table[name], _ = score(package, arguments.challenge, arguments.runs)
        write(table, output)
    print(markdown(table))


if __name__ == "__main__":
    main()
