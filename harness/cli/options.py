"""Arguments and options that more than one command takes, and their defaults."""

from __future__ import annotations

import site
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.core import files
from harness.core.challenge import Challenge, load_challenge

SAMPLE_CHALLENGE = Path("sample_videos/challenge.toml")
DEFAULT_RUNS = Path("runs")
DEFAULT_PACKAGES = DEFAULT_RUNS / "packages"
DEFAULT_STORE = "sqlite:///runs/index.db"

PackageArgument = Annotated[
    Path, typer.Argument(help="A folder or zip with submission.toml at its root.", show_default=False)
]
ChallengeArgument = Annotated[Path, typer.Argument(help="A challenge.toml.")]
ChallengeOption = Annotated[
    Path,
    typer.Option(
        "--challenge",
        "-c",
        help="The challenge.toml to run on. Default: one here or in a folder above, or the sample challenge.",
        show_default=False,
    ),
]
RunsOption = Annotated[Path, typer.Option("--runs", help="The folder of run folders.")]
NewRunsOption = Annotated[Path, typer.Option("--runs", help="Where run folders are made.")]
RuntimeOption = Annotated[str | None, typer.Option(help="The engine's runtime, e.g. runsc for gVisor.")]
NoExternalDataOption = Annotated[
    bool, typer.Option("--no-external-data", help="Declare that it was not trained on further data.")
]
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
JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON; docs/json.md has the schema.")]


def find_challenge(given: Path) -> Challenge:
    """Load the challenge that the options mean.

    A path that was given is that file. The default is, in this order: what it says from here; a
    `challenge.toml` here or in a folder above; the sample challenge above, or that came with the harness.

    Raises:
        ChallengeError: it is not there, or wrong.
    """
    if given != SAMPLE_CHALLENGE or given.is_file():
        return load_challenge(given)
    here = Path.cwd()
    for folder in (here, *here.parents):
        for name in (Path("challenge.toml"), SAMPLE_CHALLENGE):
            if (folder / name).is_file():
                return load_challenge(folder / name)
    return load_challenge(shipped_samples() / SAMPLE_CHALLENGE.name)


def shipped_samples() -> Path:
    """Return the folder of the sample challenge: beside the harness, or where an installation puts it."""
    beside = Path(files.__file__).parents[2] / SAMPLE_CHALLENGE.parent
    installed = Path("share") / "blackbox-video-harness" / SAMPLE_CHALLENGE.parent
    places = [beside, Path(sys.prefix) / installed, Path(site.getuserbase()) / installed]
    return next((place for place in places if (place / SAMPLE_CHALLENGE.name).is_file()), beside)


def cache_folder(given: Path | None) -> Path:
    """Return the folder for prepared sets: the one given, or the user's own cache."""
    if given is not None:
        return given.resolve()
    return files.cache_folder()
