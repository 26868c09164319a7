"""`harness contest packages`: what the folder of packages contains, and what of it nothing needs any more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.documents import print_document
from harness.cli.open_store import open_store
from harness.cli.options import DEFAULT_PACKAGES, DEFAULT_STORE, JsonOption, StoreOption
from harness.cli.terminal import printer
from harness.cli.views.packages import render_packages
from harness.contest.kept_packages import find_unneeded, remove_unneeded

_out = printer()


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(packages)


def packages(
    *,
    store: StoreOption = DEFAULT_STORE,
    folder: Annotated[Path, typer.Option("--packages", help="Where packages are kept.")] = DEFAULT_PACKAGES,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the packages of cancelled entries. Default: only say.")
    ] = False,
    no_entry: Annotated[
        bool,
        typer.Option(
            "--no-entry",
            help="With --remove: also those that no entry of this store names. Not if other stores share "
            "the folder.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say which packages no entry of any contest in the store needs any more, or remove them."""
    if no_entry and not remove:
        raise typer.BadParameter("needs --remove", param_hint="--no-entry")
    opened = open_store(store)
    try:
        place = folder.resolve()
        found = remove_unneeded(opened, place, no_entry=no_entry) if remove else find_unneeded(opened, place)
    finally:
        opened.close()
    if as_json:
        from harness.cli.documents.contest import ContestPackagesDocument

        print_document(ContestPackagesDocument.of(found, removed=remove))
        return
    for part in render_packages(found, removed=remove):
        _out.print(part, soft_wrap=True, highlight=False)
