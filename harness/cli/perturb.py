"""`harness perturb …`: list the kinds, look at them, render a set, print the table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, NoReturn

import cv2
import typer
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from harness.cli.engines import AddressOption, EngineKind, EngineOption, opened_engine
from harness.core.errors import LabelsError, VideoError
from harness.core.limits import bytes_in_words
from harness.videos.perturb.preview import contact_sheet
from harness.videos.perturb.recipes import actual_shares, expected_shares, load_recipe
from harness.videos.perturb.registry import catalogue, find
from harness.videos.perturb.table import markdown_table, strengths
from harness.videos.prepare import PrepareProgress, SourceVideo, prepare_set

UNREADABLE_EXIT = 1
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
def list_kinds() -> None:
    """List every kind with what it does and its strengths at severity 1 to 5."""
    table = Table(title=f"{len(catalogue())} perturbations (● in the DeepFake Detection Challenge)")
    for heading in ("kind", "family", "severity 1-5", "unit", "what it does"):
        table.add_column(heading, overflow="fold")
    for kind in catalogue().values():
        mark = " ●" if kind.in_contest else ""
        table.add_row(f"{kind.name}{mark}", kind.family, strengths(kind), kind.unit, kind.imitates)
    Console().print(table)


@app.command()
def table() -> None:
    """Print the Markdown table of all kinds, as it stands in docs/perturbations.md."""
    typer.echo(markdown_table(), nl=False)


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
    bar: tqdm[NoReturn] = tqdm(total=len(names), unit="kind")
    with bar:
        sheet = contact_sheet(
            video,
            names,
            cell_width=cell_width,
            columns=columns,
            zoom=zoom,
            set_seed=seed,
            progress=lambda kind: _tick(bar, kind),
        )
    if not cv2.imwrite(str(output), sheet):
        raise VideoError(
            "the contact sheet cannot be written", place=output, remedy="give a .png or .jpg path"
        )
    typer.echo(f"{len(names)} kinds: {output}")


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
) -> None:
    """Render every video of a folder by a recipe. Resumable: call it again and it goes on.

    Ends with code 1 if some videos could not be read; they are listed, and the rest is done.
    """
    law = load_recipe(recipe)
    sources = _sources(videos, labels)
    shares = expected_shares(law)
    bar: tqdm[NoReturn] = tqdm(total=len(sources) * max(1, len(law.cells)), unit="video")
    with bar, opened_engine(engine, address=address, workers=workers) as opened:
        prepared = prepare_set(
            sources=sources,
            recipe=law,
            set_seed=seed,
            destination=destination,
            engine=opened,
            progress=lambda state: _show(bar, state),
            waiting=bar.write,
        )
    actual = actual_shares([video.perturbations for video in prepared.videos])
    report = Table(title=f"{law.name}: share of {len(prepared.videos)} videos")
    for heading in ("kind", "expected", "actual"):
        report.add_column(heading, justify="left" if heading == "kind" else "right")
    for name, share in shares.items():
        report.add_row(name, f"{share:.1%}", f"{actual.get(name, 0):.1%}")
    Console().print(report)
    typer.echo(
        f"{len(prepared.videos)} videos, {prepared.reused} of them already done: {prepared.manifest_path}"
    )
    for source_id, reason in prepared.unreadable:
        typer.echo(f"unreadable: {source_id}: {reason}", err=True)
    if prepared.unreadable:
        raise typer.Exit(UNREADABLE_EXIT)


def _tick(bar: tqdm[NoReturn], kind: str) -> None:
    bar.set_postfix_str(kind, refresh=False)
    bar.update()


def _show(bar: tqdm[NoReturn], state: PrepareProgress) -> None:
    bar.set_postfix_str(
        f"{state.frames / max(state.wall_seconds, 1e-9):.0f} frames/s, "
        f"{bytes_in_words(state.bytes_read)} in, {bytes_in_words(state.bytes_written)} out",
        refresh=False,
    )
    bar.update()


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
