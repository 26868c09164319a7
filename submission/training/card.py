"""Writes MODEL_CARD.md out of recorded results: no figure in it was typed by hand.

    python -m training.card

results/ holds what the tools wrote: `sources.json` (the clips' table, counted), `training.json` (logs of the
runs), `unseen.json` (calibrate.py, one entry per ensemble), `sample.json` (baselines.py on the
sample challenge), `probe.json` and `motion.json` (linear probes), `audit.json`, `gpu.json`, `speed.json`.
Where one is missing the card says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import ablate
from .places import PACKAGE

RESULTS = Path(__file__).parent / "results"
CARD = PACKAGE / "MODEL_CARD.md"
TEXT = Path(__file__).parent / "card.md"  # the words; {name} stands where a table goes
SETS = {
    "control": "clean",
    "public": "public recipe",
    "private": "private recipe",
    "forged by hand": "public recipe, 90 pairs of runs",
}
KINDS = {
    "generated": "whole faces, generated",
    "swap": "swaps by a trained swapper",
    "forged": "forged by hand",
}


def read(name: str) -> Any:
    """A recorded result; None where there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def signed(figures: Sequence[float]) -> str:
    """A difference with its interval, and whether that leaves out nothing."""
    value, low, high = figures
    apart = "" if low > 0 or high < 0 else ", not distinguishable"
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f}){apart}"


def row(cells: Sequence[object]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    return "\n".join([row(header), "|---" * len(header) + "|", *(row(cells) for cells in rows)])


def sources(found: Mapping[str, Any]) -> str:
    """Every source, its licence, and what came from it."""
    rows = [
        (one["repository"], one["licence"], one["real"], one["generated"], one["people"],
         ", ".join(one["methods"]))
        for one in found["sources"]
    ]  # fmt: skip
    return table(("repository", "licence", "real", "generated", "people", "generators"), rows)


def between(figures: Sequence[float], decimals: int = 3) -> str:
    """A value with its interval."""
    value, low, high = figures
    return f"{value:.{decimals}f} ({low:.{decimals}f}-{high:.{decimals}f})"


def unseen(found: Mapping[str, Any]) -> str:
    """Ensembles by their mean log loss over the kinds of fakes, best first, with what sets them apart."""
    rows = [
        (
            name,
            between(sets["mean_log_loss"]),
            between(sets["mean_log_loss_kind_left_out"]),
            signed(sets["less_than"]["constant 0.5"]),
            signed(sets["less_than"]["generated"]) if "generated" in sets["less_than"] else "",
            f"{sets['mean_log_loss_as_shipped'][0]:.3f}" if "mean_log_loss_as_shipped" in sets else "",
        )
        for name, sets in sorted(found.items(), key=lambda item: item[1]["mean_log_loss"][0])
    ]
    header = (
        "members",
        "log loss, mean over kinds",
        "each kind left out of the fit",
        "less than a constant 0.5",
        "less than `generated`",
        "as shipped",
    )
    return table(header, rows)


def by_kind(found: Mapping[str, Any]) -> str:
    """Log loss and AUC of every ensemble on each kind of fake in each set."""
    cells = [(part, kind) for part in SETS for kind in KINDS]
    rows = []
    for name, sets in found.items():
        for part, kind in cells:
            if kind not in sets.get(part, {}):
                continue
            one = sets[part][kind]
            left_out = between(one["log_loss_kind_left_out"])
            rows.append(
                (name, KINDS[kind], SETS[part], between(one["auc"], 2), between(one["log_loss"]), left_out)
            )
    return table(("members", "fakes", "clips", "AUC", "log loss", "this kind left out of the fit"), rows)


def by_generator(found: Mapping[str, Any]) -> str:
    """AUC of each generator against the real clips of its fold, of each ensemble, clean."""
    areas = {
        name: {g: a for one in sets["control"].values() for g, a in one["auc_by_generator"].items()}
        for name, sets in found.items()
        if "calibration" in sets
    }
    names = sorted({generator for one in areas.values() for generator in one})
    rows = [(name, *(f"{one[name]:.2f}" for one in areas.values())) for name in names]
    return table(("generator", *areas), rows)


def sample(found: Mapping[str, Any]) -> str:
    """The table that baselines.py made, and which renderer perturbed the videos."""
    return (
        f"{ablate.markdown(found['rows'])}\nVideos perturbed by the harness's renderer {found['renderer']}."
    )


def probe(found: Mapping[str, Any]) -> str:
    """What linear probes of frozen features found."""
    rows = [
        (one["features"], one["trained on"], *(f"{v:.2f}" for v in one["auc by fold"]), f"{one['mean']:.2f}")
        for one in found["rows"]
    ]
    return table(("features", "trained on", *(f"fold {n}" for n in range(5)), "mean"), rows)


def motion(found: Mapping[str, Any]) -> str:
    """What changes from frame to frame, as evidence."""
    rows = [
        (one["features"], one["set"], *(f"{v:.2f}" for v in one["auc by fold"]), f"{one['mean']:.2f}")
        for one in found["rows"]
    ]
    return table(("features", "clips", *(f"fold {n}" for n in range(5)), "mean"), rows)


def listing(found: Any) -> str:
    """A recorded result as it is."""
    return "```json\n" + json.dumps(found, indent=1) + "\n```"


TABLES = {
    "sources": ("sources", sources),
    "unseen": ("unseen", unseen),
    "by_kind": ("unseen", by_kind),
    "by_generator": ("unseen", by_generator),
    "sample": ("sample", sample),
    "probe": ("probe", probe),
    "motion": ("motion", motion),
    "training": ("training", listing),
    "audit": ("audit", listing),
    "gpu": ("gpu", listing),
    "speed": ("speed", listing),
}


def card() -> str:
    """The whole card."""
    text = TEXT.read_text()
    for place, (name, draw) in TABLES.items():
        found = read(name)
        text = text.replace(
            f"{{{place}}}", draw(found) if found else f"*Not measured: no results/{name}.json.*"
        )
    return text


def main() -> None:
    """Writes the card."""
    CARD.write_text(card())
    print(f"{CARD} written")


if __name__ == "__main__":
    main()
