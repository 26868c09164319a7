"""Arguments and options that more than one command takes, and their defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.core import files

SAMPLE_CHALLENGE = Path("sample_videos/challenge.toml")
DEFAULT_RUNS = Path("runs")
DEFAULT_STORE = "sqlite:///runs/index.db"

PackageArgument = Annotated[
    Path, typer.Argument(help="A folder or zip with submission.toml at its root.", show_default=False)
]
ChallengeArgument = Annotated[Path, typer.Argument(help="A challenge.toml.")]
ChallengeOption = Annotated[Path, typer.Option("--challenge", "-c", help="The challenge.toml to run on.")]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        envvar="HARNESS_CACHE",
        help="Where prepared video sets are kept. Default: the user's cache folder.",
        show_default=False,
    ),
]
StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="HARNESS_STORE",
        help="The index: sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


def cache_folder(given: Path | None) -> Path:
    """Return the folder for prepared sets: the one given, or the user's own cache."""
    if given is not None:
        return given.resolve()
    return files.cache_folder()
