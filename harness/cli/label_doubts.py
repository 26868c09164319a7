"""`harness audit --labels`: which labels do all good entries contradict?"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rich.table import Table
from rich.text import Text

from harness.cli.documents import print_document
from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.contest.regrade.corrections import Correction, frame_of
from harness.contest.regrade.doubts import doubts_csv, doubts_of, good_answers
from harness.contest.regrade.doubts_page import DoubtedSet, doubts_page, witnesses
from harness.core.challenge import Challenge
from harness.core.files import write_text
from harness.videos.ready_set import ready_set

ROWS_SHOWN = 20
_out = printer()


def audit_labels(
    challenge: Challenge,
    *,
    runs: Path,
    cache: Path,
    output: Path,
    best: int,
    observer: ConsoleObserver,
) -> list[DoubtedSet]:
    """Look through every set, and write the page and a CSV beside it."""
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
    table = _beside(output)
    write_text(output, doubts_page(challenge.name, sets, csv_name=table.name))
    write_text(table, doubts_csv([doubt for one in sets for doubt in one.doubts]))
    return sets


def show_labels(sets: list[DoubtedSet], *, output: Path, as_json: bool) -> None:
    """Print the surest doubts, or all of them as JSON."""
    table = _beside(output)
    if as_json:
        from harness.cli.documents.videos import DoubtsRow, LabelsDocument

        rows = tuple(
            DoubtsRow(set_name=one.frame.name, witnesses=one.answers.entries, doubts=one.doubts)
            for one in sets
        )
        clean = not any(one.doubts for one in sets)
        print_document(LabelsDocument(clean=clean, page=str(output), table=str(table), sets=rows))
        return
    for one in sets:
        _out.print(_table(one) if one.doubts else Text(_title(one)), soft_wrap=not one.doubts)
    sure = not any(one.doubts for one in sets)
    tail = "" if sure else f" shows each with a frame; {table} has the labels turned round"
    _out.print(f"{output}{tail}", soft_wrap=True, highlight=False)


def _beside(page: Path) -> Path:
    return page.with_suffix(".csv")


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
