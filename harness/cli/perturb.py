"""`harness perturb …`: list the kinds, look at them, render a set, print the table."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Annotated

import cv2
import typer
from rich.table import Table
from rich.text import Text

from harness.cli.documents import print_document
from harness.cli.engines import AddressOption, EngineKind, EngineOption, opened_engine
from harness.cli.options import JsonOption
from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.core.errors import LabelsError, VideoError
from harness.videos.perturb.preview import contact_sheet
from harness.videos.perturb.recipes import actual_shares, expected_shares, load_recipe
from harness.videos.perturb.registry import catalogue, find
from harness.videos.perturb.table import markdown_table, strengths
from harness.videos.prepare import SourceVideo, prepare_set
from harness.videos.prepared_set import PreparedSet

UNREADABLE_EXIT = 1
_out = printer()
_err = printer(errors=True)
VIDEO_SUFFIXES = {
    ".mp4",
    ".mov",
    ".mkv",
    ".avi",
    ".webm",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".ts",
    ".3gp",
    ".flv",
    ".wmv",
}

app = typer.Typer(
    help="Perturb videos: list the kinds, look at them, render a set.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_kinds(*, as_json: JsonOption = False) -> None:
    """List every kind with what it does and its strengths at severity 1 to 5."""
    if as_json:
        from harness.cli.documents.videos import KindsDocument  # types take time to load

        print_document(KindsDocument.of_catalogue())
        return
    table = Table(title=f"{len(catalogue())} perturbations (● in the DeepFake Detection Challenge)")
    for heading in ("kind", "family", "severity 1-5", "unit", "what it does"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "kind")
    for kind in catalogue().values():
        mark = " ●" if kind.in_contest else ""
        table.add_row(f"{kind.name}{mark}", kind.family, strengths(kind), kind.unit, kind.imitates)
    _out.print(table)


@app.command()
def table() -> None:
    """Print the Markdown table of all kinds, as it stands in docs/perturbations.md."""
    sys.stdout.write(markdown_table())


@app.command()
def preview(
    *,
    video: Annotated[
        Path, typer.Argument(help="The video to show the kinds on.", exists=True, dir_okay=False)
    ],
    kinds: Annotated[str, typer.Option(help="Comma-separated kinds; all if not given.")] = "",
    output: Annotated[Path, typer.Option(help="The picture to write: .png or .jpg.")] = Path("preview.png"),
    cell_width: Annotated[int, typer.Option(min=32, help="Width of one picture, in pixels.")] = 192,
    columns: Annotated[int, typer.Option(min=1, help="Blocks of rows beside each other.")] = 1,
    zoom: Annotated[float, typer.Option(min=1, help="2 shows the middle half of each side.")] = 1.0,
    seed: Annotated[int, typer.Option(help="For what is random in a kind.")] = 0,
) -> None:
    """Write a contact sheet: kinds down, severities 0 to 5 across."""
    names = [name.strip() for name in kinds.split(",") if name.strip()] or list(catalogue())
    for name in names:
        find(name)
    with ConsoleObserver(_err) as observer:
        done = count(1)
        sheet = contact_sheet(
            video,
            names,
            cell_width=cell_width,
            columns=columns,
            zoom=zoom,
            set_seed=seed,
            progress=lambda kind: observer.counting(
                "drawn", next(done), len(names), unit="kind", beside=kind
            ),
        )
    if not cv2.imwrite(str(output), sheet):
        raise VideoError(
            "the contact sheet cannot be written", place=output, remedy="give a .png or .jpg path"
        )
    _out.print(f"{len(names)} kinds: {output}", soft_wrap=True, highlight=False)


@app.command()
def render(
    *,
    videos: Annotated[Path, typer.Argument(help="Folder of clean videos.", exists=True, file_okay=False)],
    destination: Annotated[Path, typer.Argument(help="Folder for the prepared set.")],
    recipe: Annotated[str, typer.Option(help="A TOML file, or the name of a shipped recipe.")] = "private",
    seed: Annotated[int, typer.Option(help="The set's seed; keep it secret for a hidden set.")] = 0,
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV with filename and label, and if known method and source.", dir_okay=False),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; as many as cores if not given.")
    ] = None,
    engine: EngineOption = EngineKind.LOCAL,
    address: AddressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Render every video of a folder by a recipe. Resumable: call it again and it goes on.

    Ends with code 1 if some videos could not be read; they are listed, and the rest is done.
    """
    law = load_recipe(recipe)
    sources = _sources(videos, labels)
    shares = expected_shares(law)
    with (
        ConsoleObserver(_err) as observer,
        opened_engine(engine, address=address, workers=workers) as opened,
    ):
        prepared = prepare_set(
            sources=sources,
            recipe=law,
            set_seed=seed,
            destination=destination,
            engine=opened,
            progress=lambda state: observer.preparing(law.name, state),
            waiting=observer.say,
        )
    actual = actual_shares([video.perturbations for video in prepared.videos])
    if as_json:
        from harness.cli.documents.videos import RenderDocument

        print_document(RenderDocument.of(law.name, prepared, expected=shares, actual=actual))
    else:
        _out.print(_shares(law.name, prepared, expected=shares, actual=actual))
        said = (
            f"{len(prepared.videos)} videos, {prepared.reused} of them already done: {prepared.manifest_path}"
        )
        _out.print(said, soft_wrap=True, highlight=False)
    for source_id, reason in prepared.unreadable:
        _err.print(Text(f"unreadable: {source_id}: {reason}"))
    if prepared.unreadable:
        raise typer.Exit(UNREADABLE_EXIT)


def _shares(
    recipe: str, prepared: PreparedSet, *, expected: Mapping[str, float], actual: Mapping[str, float]
) -> Table:
    report = Table(title=f"{recipe}: share of {len(prepared.videos)} videos")
    for heading in ("kind", "expected", "actual"):
        report.add_column(heading, justify="left" if heading == "kind" else "right")
    for name, share in expected.items():
        report.add_row(name, f"{share:.1%}", f"{actual.get(name, 0):.1%}")
    return report


def _sources(folder: Path, labels: Path | None) -> list[SourceVideo]:
    """Return the labelled videos, or without labels every video of the folder.

    Raises:
        LabelsError: The CSV lacks a column, repeats a file, or the folder contains no video.
    """
    if labels is None:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
        if not paths:
            raise LabelsError("contains no video", place=folder, remedy="give the folder of the clean videos")
        return [SourceVideo(source_id=path.name, path=path) for path in paths]
    with labels.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"filename", "label"} <= set(rows[0]):
        raise LabelsError("has no columns filename and label, or no rows", place=labels, remedy="add them")
    return [
        SourceVideo(
            source_id=row["filename"],
            path=folder / row["filename"],
            label=row["label"],
            method=row.get("method") or "",
            source=row.get("source") or "",
        )
        for row in rows
    ]
