"""`harness backup`: database, packages and run folders kept somewhere else, and brought back."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from harness.cli.contest_blobs import opened_blobs
from harness.cli.documents import print_document
from harness.cli.open_store import open_store
from harness.cli.options import DEFAULT_RUNS, DEFAULT_STORE, JsonOption, RunsOption, StoreOption
from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.core.blobs import BlobStore
from harness.core.errors import ConfigError
from harness.core.limits import bytes_in_words
from harness.portal.backup import backups, damage, make_backup, restore_backup

DEFAULT_PACKAGES = Path("runs/packages")
_out = printer()
_err = printer(errors=True)

app = typer.Typer(
    help="Keep database, packages and run folders somewhere else, and bring them back.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

FolderArgument = Annotated[Path, typer.Argument(help="The backup folder.")]
PackagesOption = Annotated[Path, typer.Option("--packages", help="Where packages are kept.")]
BlobsOption = Annotated[
    str | None,
    typer.Option(
        "--blobs",
        help="Where contents are kept: a folder, sftp:// or s3://. Default: in the backup folder.",
    ),
]
NameOption = Annotated[
    str | None, typer.Option("--name", help="Which backup, by its moment. Default: the last.")
]


@app.command()
def make(
    folder: FolderArgument,
    *,
    store: StoreOption = DEFAULT_STORE,
    runs: RunsOption = DEFAULT_RUNS,
    packages: PackagesOption = DEFAULT_PACKAGES,
    blobs: BlobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a backup; contests go on meanwhile. What the last one has is not copied again."""
    for path in _areas(runs, packages).values():
        if _inside(folder, path):
            raise ConfigError(
                f"is inside {path}, of which it is a backup", place=folder, remedy="Name a folder outside."
            )
    opened = open_store(store)
    try:
        with ConsoleObserver(_err) as observer:
            observer.step("Copying the database, then the files")
            report = make_backup(
                opened,
                _areas(runs, packages),
                folder,
                _blobs(folder, blobs),
                now=datetime.now(UTC),
                apart=_files_of(store),
                progress=lambda done: observer.counting("files", done, 0),
            )
    finally:
        opened.close()
    for skipped in report.skipped:
        _err.print(Text(f"left out, for it is not a file: {skipped}", "yellow"))
    if as_json:
        from harness.cli.documents.portal import BackupMakeDocument  # types take time to load

        print_document(BackupMakeDocument.model_validate(asdict(report)))
        return
    _out.print(
        f"{folder / report.name}: {sum(report.rows.values())} rows, {report.files} files of "
        f"{bytes_in_words(report.size_bytes)}, {report.new_files} of them new",
        soft_wrap=True,
        highlight=False,
    )


@app.command("list")
def list_backups(folder: FolderArgument, *, as_json: JsonOption = False) -> None:
    """List the whole backups of a folder, the oldest first."""
    if as_json:
        from harness.cli.documents.portal import BackupListDocument

        print_document(BackupListDocument(backups=tuple(backups(folder))))
        return
    sys.stdout.write("".join(f"{name}\n" for name in backups(folder)))


@app.command()
def verify(
    folder: FolderArgument,
    *,
    name: NameOption = None,
    blobs: BlobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read a whole backup again; exit code 0 only if everything is as it was written."""
    chosen = _chosen(folder, name)
    with ConsoleObserver(_err) as observer:
        wrong = damage(
            folder,
            chosen,
            _blobs(folder, blobs),
            progress=lambda done: observer.counting("files", done, 0),
        )
    for text in wrong:
        _err.print(Text(text, "red"))
    if as_json:
        from harness.cli.documents.portal import BackupVerifyDocument

        print_document(BackupVerifyDocument(ok=not wrong, backup=chosen, damage=tuple(wrong)))
    else:
        _out.print(f"{chosen}: {'damaged' if wrong else 'as it was written'}", highlight=False)
    raise typer.Exit(1 if wrong else 0)


@app.command()
def restore(
    folder: FolderArgument,
    *,
    name: NameOption = None,
    store: StoreOption = DEFAULT_STORE,
    runs: RunsOption = DEFAULT_RUNS,
    packages: PackagesOption = DEFAULT_PACKAGES,
    blobs: BlobsOption = None,
    moved: Annotated[
        str | None,
        typer.Option("--moved", help="OLD=NEW: where the folder of challenges was, and where it is now."),
    ] = None,
) -> None:
    """Bring a backup back into an empty database, of either kind, and into empty folders."""
    chosen = _chosen(folder, name)
    was, equals, now = (moved or "").partition("=")
    if moved is not None and not (was and equals and now):
        raise ConfigError("is not OLD=NEW", place=f"--moved {moved}", remedy="For example /srv/old=/srv/new.")
    opened = open_store(store)
    try:
        with ConsoleObserver(_err) as observer:
            problems = restore_backup(
                folder,
                chosen,
                opened,
                _areas(runs, packages),
                _blobs(folder, blobs),
                moved=(was, now) if moved else None,
                apart=_files_of(store),
                progress=lambda done: observer.counting("files", done, 0),
            )
    finally:
        opened.close()
    for problem in problems:
        _err.print(Text(f"the log was changed before the backup: {problem}", "bold red"))
    _out.print(f"{chosen} is back", highlight=False)
    raise typer.Exit(1 if problems else 0)


def _areas(runs: Path, packages: Path) -> dict[str, Path]:
    """Name the folders; packages that lie among the runs are part of them, and not kept twice."""
    return {"runs": runs} | ({} if _inside(packages, runs) else {"packages": packages})


def _files_of(store: str) -> frozenset[Path]:
    """Return the files of a SQLite database, which is copied row by row."""
    if not store.startswith("sqlite:///"):
        return frozenset()
    path = Path(store.removeprefix("sqlite:///")).resolve()
    return frozenset(path.with_name(path.name + ending) for ending in ("", "-wal", "-shm", "-journal"))


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _blobs(folder: Path, url: str | None) -> BlobStore:
    return opened_blobs(url or str(folder / "files"))


def _chosen(folder: Path, name: str | None) -> str:
    there = backups(folder)
    if name is None and not there:
        raise ConfigError("holds no whole backup", place=folder, remedy="`harness backup make` makes one.")
    return name or there[-1]
