"""Robustness curves: what each kind of perturbation costs at each severity, out of a result of the harness.

    harness run submission --challenge GRID/challenge.toml
    python submission/training/curves.py runs/RUN/result.json --picture curves.png --table curves.md

The recipe of the set must be a grid (`law = "grid"`): every video under every kind at every
severity, and once re-encoded only. Nothing here computes a score: all figures are those of the result.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SEVERITIES = (1, 2, 3, 4, 5)
CONTROL = "none"  # the harness's name for what was re-encoded only
COLUMNS = 5
CONSTANT = float(np.log(2))  # log loss of answering 0.5


@dataclass(frozen=True, kw_only=True)
class Point:
    """One kind at one severity: log loss with its 95% interval, and AUC (none where it has none)."""

    log_loss: float
    low: float
    high: float
    auc: float | None
    videos: int


def read_points(result: Mapping[str, Any], set_name: str) -> tuple[Point, dict[str, dict[int, Point]]]:
    """(the control, kind to severity to point), kinds by how much they cost at their worst.

    Raises:
        ValueError: the set is not in the result, or its recipe was not a grid.
    """
    if set_name not in result["sets"]:
        raise ValueError(f"no set {set_name!r} in the result; it has {', '.join(result['sets'])}")
    points: dict[str, dict[int, Point]] = {}
    for cut in result["sets"][set_name]["score"]["slices"]:
        if cut["kind"] == "perturbation_severity" and cut["log_loss"] is not None:
            points.setdefault(cut["name"], {})[cut["severity"]] = _point(cut)
    control = points.pop(CONTROL, {}).get(0)
    if control is None or not points:
        raise ValueError(f"set {set_name!r} has no control and kinds one at a time: its recipe is not a grid")
    worst = {kind: max(p.log_loss for p in by.values()) for kind, by in points.items()}
    return control, dict(sorted(points.items(), key=lambda item: -worst[item[0]]))


def _point(cut: Mapping[str, Any]) -> Point:
    interval = cut["interval"] or {"low": cut["log_loss"], "high": cut["log_loss"]}
    return Point(
        log_loss=cut["log_loss"],
        low=interval["low"],
        high=interval["high"],
        auc=cut["roc_auc"],
        videos=cut["videos"],
    )


def markdown(control: Point, points: Mapping[str, Mapping[int, Point]]) -> str:
    """Log loss and AUC of each kind at each severity."""
    lines = [
        "| kind | " + " | ".join(f"severity {s}" for s in SEVERITIES) + " |",
        "|---" * (1 + len(SEVERITIES)) + "|",
        f"| *control, re-encoded only* | {_cell(control)} |" + " |" * (len(SEVERITIES) - 1),
    ]
    for kind, by in points.items():
        cells = [_cell(by[s]) if s in by else "" for s in SEVERITIES]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(point: Point) -> str:
    auc = "" if point.auc is None else f", {point.auc:.2f}"
    return f"{point.log_loss:.3f} ({point.low:.2f}-{point.high:.2f}){auc}"


def draw(control: Point, points: Mapping[str, Mapping[int, Point]], picture: Path) -> None:
    """A small plot for each kind: log loss and interval over severity, the control, a constant 0.5."""
    import matplotlib as mpl  # noqa: PLC0415  (slow to import, and only needed here)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  (plots alone need it)

    rows = -(-len(points) // COLUMNS)
    figure, grid = plt.subplots(
        rows, COLUMNS, figsize=(2.3 * COLUMNS, 1.9 * rows), sharex=True, sharey=True, squeeze=False
    )
    for axes in grid.flat[len(points) :]:
        axes.set_visible(False)
    for axes, (kind, by) in zip(grid.flat, points.items(), strict=False):
        severities = [0, *sorted(by)]
        curve = [control, *(by[s] for s in sorted(by))]
        axes.fill_between(severities, [p.low for p in curve], [p.high for p in curve], alpha=0.2, linewidth=0)
        axes.plot(severities, [p.log_loss for p in curve], marker=".")
        axes.axhline(CONSTANT, color="grey", linestyle=":", linewidth=1)
        axes.set_title(kind.replace("_", " "), fontsize=9)
        axes.set_xticks([0, *SEVERITIES])
        axes.tick_params(labelsize=7)
    figure.supxlabel("severity (0: re-encoded only)", fontsize=9)
    figure.supylabel("log loss, 95% interval (dotted: a constant 0.5)", fontsize=9)
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def main(command_line: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("result", type=Path, help="result.json of a run")
    parser.add_argument("--set", default="private", dest="set_name")
    parser.add_argument("--picture", type=Path, help="PNG to write")
    parser.add_argument("--table", type=Path, help="Markdown to write; printed where not given")
    arguments = parser.parse_args(command_line)
    try:
        control, points = read_points(json.loads(arguments.result.read_text()), arguments.set_name)
    except (OSError, ValueError, KeyError) as error:
        parser.error(f"{arguments.result}: {error}")
    text = markdown(control, points)
    if arguments.table:
        arguments.table.write_text(text)
    else:
        print(text)
    if arguments.picture:
        draw(control, points, arguments.picture)


if __name__ == "__main__":
    main()
