"""`harness audit --labels`: which labels do all good entries contradict?"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.progress import ConsoleObserver
from harness.contest.regrade.corrections import Correction, frame_of
from harness.contest.regrade.doubts import doubts_csv, doubts_of, good_answers
from harness.contest.regrade.doubts_page import DoubtedSet, doubts_page, witnesses
from harness.core.challenge import Challenge
from harness.core.files import write_text
from harness.videos.ready_set import ready_set

ROWS_SHOWN = 20
_out = Console()


def audit_labels(
    challenge: Challenge,
    *,
    runs: Path,
    cache: Path,
    output: Path,
    best: int,
    observer: ConsoleObserver,
) -> bool:
    """Look through every set, print the surest doubts, and write the page and a CSV beside it.

    Returns:
        Whether there is no doubt.
    """
    sets = []
    for name in challenge.sets:
        observer.step(f"Finding the {name} set")
        ready = ready_set(
            name,
            challenge,
            cache=cache,
            progress=partial(observer.preparing, name),
            waiting=observer.say,
        )
        frame = frame_of(ready, Correction())
        answers = good_answers(runs, frame, challenge=challenge.name, best=best)
        sets.append(
            DoubtedSet(
                frame=frame,
                answers=answers,
                doubts=doubts_of(frame, answers),
                videos={video.video_id: video.path for video in ready.videos},
            )
        )
    table = output.with_suffix(".csv")
    write_text(output, doubts_page(challenge.name, sets, csv_name=table.name))
    write_text(table, doubts_csv([doubt for one in sets for doubt in one.doubts]))
    for one in sets:
        _out.print(_table(one) if one.doubts else Text(_title(one)), soft_wrap=not one.doubts)
    sure = not any(one.doubts for one in sets)
    tail = "" if sure else f" shows each with a frame; {table} has the labels turned round"
    _out.print(f"{output}{tail}", soft_wrap=True, highlight=False)
    return sure


def _title(found: DoubtedSet) -> str:
    labels = "1 label" if len(found.doubts) == 1 else f"{len(found.doubts)} labels"
    return f"{found.frame.name} set: {labels} in doubt. {witnesses(found)}"


def _table(found: DoubtedSet) -> Table:
    table = Table(title=Text(_title(found)), title_justify="left")
    for heading in ("video", "label", "entries against it", "least sure", "on average"):
        table.add_column(heading, overflow="fold")
    for one in found.doubts[:ROWS_SHOWN]:
        table.add_row(
            Text(one.source_id),
            "fake" if one.fake else "real",
            str(one.entries),
            f"{one.least:.2f}",
            f"{one.mean:.2f}",
        )
    return table
