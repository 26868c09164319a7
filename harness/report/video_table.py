"""The table of all videos: compact rows for a page that sorts and filters them offline.

Ten thousand rows must stay usable, so the page holds them once as JSON and draws one sheet of them at a time.
What comes from a package or an organiser's file reaches the page as JSON and is only ever set as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from harness.report import words
from harness.scoring.scored import ScoredVideo

ROWS_MAX = 50_000
# A column of a row: its heading, and whether it is a number.
COLUMNS = (
    ("video", False),
    ("source", False),
    ("truth", False),
    ("perturbations", False),
    ("P(fake)", True),
    ("log loss", True),
    ("outcome", False),
    ("seconds", True),
)


@dataclass(frozen=True, kw_only=True)
class VideoTable:
    """All videos of one set, as a page's script reads them."""

    rows: int
    left_out: int  # over `ROWS_MAX`
    json: Markup  # {"columns": [[heading, is a number], …], "rows": [[…], …]}


def video_table(videos: Iterable[ScoredVideo]) -> VideoTable | None:
    """Return the table of these videos, the most expensive first; None if there is none.

    Numbers are rounded for display: probabilities and losses to four decimals, times to milliseconds.
    """
    ordered = sorted(videos, key=lambda video: (-video.log_loss, video.video_id))
    if not ordered:
        return None
    shown = ordered[:ROWS_MAX]
    document = {"columns": COLUMNS, "rows": [_row(video) for video in shown]}
    return VideoTable(rows=len(shown), left_out=len(ordered) - len(shown), json=_script_json(document))


def _row(video: ScoredVideo) -> list[str | float | None]:
    applied = ", ".join(f"{one.name.replace('_', ' ')} {one.severity}" for one in video.perturbations)
    return [
        words.one_line(video.video_id),
        words.one_line(video.source_id),
        words.one_line((video.label.method or "fake") if video.label.fake else "real"),
        applied or "unperturbed",
        None if video.failed else round(video.probability, 4),
        round(video.log_loss, 4),
        video.kind.value,
        round(video.wall_seconds, 3),
    ]


def _script_json(document: object) -> Markup:
    """Return JSON that cannot end the script element it stands in, whatever text is in it."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(escaped.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))  # noqa: S704 (escaped above)
