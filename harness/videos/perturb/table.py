"""The catalogue as a Markdown table, generated so that it cannot disagree with the code."""

from __future__ import annotations

from harness.videos.perturb.registry import Family, Perturbation, catalogue

TITLES = {Family.AUGMENTER: "Augmenters", Family.DISTRACTOR: "Distractors"}


def markdown_table() -> str:
    """Every kind with its strengths; the kinds of the contest are marked."""
    parts = [
        f"{len(catalogue())} kinds, each with five severities; severity 0 is the re-encoded control. "
        "● marks the kinds of the DeepFake Detection Challenge.\n"
    ]
    for family, title in TITLES.items():
        kinds = [kind for kind in catalogue().values() if kind.family is family]
        parts.append(f"\n## {title} ({len(kinds)})\n")
        parts.append("| kind | what it does | severity 1 to 5 | unit | source of the strengths | sound |")
        parts.append("|---|---|---|---|---|---|")
        parts += [_row(kind) for kind in kinds]
    return "\n".join(parts) + "\n"


def strengths(kind: Perturbation) -> str:
    """Write the table of strengths on one line."""
    rows = [" · ".join(_number(value) for value in row) for row in kind.strengths.values()]
    return "; ".join(rows)


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _row(kind: Perturbation) -> str:
    mark = " ●" if kind.in_contest else ""
    cells = [f"`{kind.name}`{mark}", kind.imitates, strengths(kind), kind.unit, kind.source, str(kind.audio)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
