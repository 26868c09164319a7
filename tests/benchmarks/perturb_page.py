"""What `perturb_speed.py` found, as the Markdown that stands in docs/perturbations.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BEGIN, END = "<!-- begin of what perturb_speed.py writes -->", "<!-- end of what perturb_speed.py writes -->"


def write(page: Path, report: dict[str, Any]) -> None:
    """Replace what stands between the two marks of a page.

    Raises:
        ValueError: A mark is missing.
    """
    text = page.read_text("utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n{markdown(report)}{END}{after}", "utf-8")


def markdown(report: dict[str, Any]) -> str:
    """Conditions, goals, and a row for each kind, the slowest first."""
    clip, others = report["clip"], report["cores_used_by_others"]
    bare, control = (report["anchors"][who] for who in ("bare", "control"))
    lines = [
        "",
        f"{clip['width']}x{clip['height']}, {clip['frames']} frames, severity {report['severity']}, medians "
        f"of {report['rounds']} rounds of {clip['frames_of_a_round']} frames each on {report['cores']} "
        f"cores; load average before each piece "
        f"{', '.join(str(load) for load in report['load_average_before_each_piece'])}; meanwhile others used "
        f"{others['median']:.2f} cores (median; at most {others['most']:.2f}). The bare transcode took "
        f"{bare['median']} ms of CPU for a frame ({bare['least']} to {bare['most']}), our control "
        f"{control['median']} ({control['least']} to {control['most']}).",
        "",
        "| goal | at least | met by | missed by |",
        "|---|---|---|---|",
    ]
    for goal, found in report["goals"].items():
        if isinstance(found, dict) and (found["met_by"] or found["missed_by"]):
            missed = ", ".join(f"`{name}` {ratio:.2f}" for name, ratio in sorted(found["missed_by"].items()))
            lines.append(f"| {goal} | {found['at_least']} | {found['met_by']} | {missed or '–'} |")
    lines += [
        "",
        "| kind | CPU / bare | wall / bare | decode | sound | filter | encode | same picture | both codings "
        "| and decoded | ffmpeg's filter | AugLy | NumPy on RGB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    kinds = sorted(report["kinds"].items(), key=lambda item: float(item[1]["ours_over"]["bare"]))
    return "\n".join([*lines, *(_row(name, row) for name, row in kinds)]) + "\n\n"


def _row(name: str, row: dict[str, Any]) -> str:
    over, stages = row["ours_over"], row["milliseconds_of_a_frame"]
    cells = [f"`{name}`", over["bare"], row["ours_over_by_wall"]["bare"]]
    cells += [stages[stage] for stage in ("decode", "sound", "filter", "encode")]
    cells += ["" if "codings" in over else row["same_picture"]]
    cells += [over.get("codings", ""), over.get("recodings", "")]
    cells += [over.get(rival, "") for rival in ("filter", "augly", "numpy_rgb")]
    return "| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |"
