"""Commands that look at a machine or a result and change neither."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from harness.challenge import load_challenge
from harness.cli_options import CacheOption, JsonOption, cache_folder
from harness.console import ConsoleObserver
from harness.doctor.checkup import Patient, examine
from harness.doctor.engine import ENGINE_CHECKS
from harness.doctor.host import HOST_CHECKS
from harness.doctor.probe import probe_container
from harness.doctor.view import render_checkup
from harness.errors import ConfigError
from harness.host import connect
from harness.seal import KEY_VARIABLE, SealState, key_from_environment, mismatches, read_key, verify
from harness.types import Limits

_out = Console()
_err = Console(stderr=True, soft_wrap=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(doctor)
    app.command(name="verify")(verify_command)


def doctor(
    *,
    challenge: Annotated[
        Path | None,
        typer.Option("--challenge", "-c", help="Whose limits to look for. Default: the usual ones."),
    ] = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look whether this machine is fit: engine, walls, limits, disk, memory, clock, GPU. Changes nothing."""
    patient = Patient(
        connect=connect,
        limits=Limits() if challenge is None else load_challenge(challenge).limits,
        cache=cache_folder(cache),
        temporary=Path(tempfile.gettempdir()),
    )
    with ConsoleObserver(_err) as observer:
        checkup = examine(
            patient, host=HOST_CHECKS, engine=(*ENGINE_CHECKS, probe_container), say=observer.step
        )
    if as_json:
        sys.stdout.write(checkup.to_json())
    else:
        _out.print(render_checkup(checkup))
    raise typer.Exit(0 if checkup.ok else 1)


def verify_command(
    result: Annotated[Path, typer.Argument(help="A result.json, or the folder of its run.")],
    *,
    key: Annotated[
        Path | None, typer.Option("--key", help=f"The key file. Default: what {KEY_VARIABLE} names.")
    ] = None,
    challenge: Annotated[
        Path | None, typer.Option("--challenge", "-c", help="The challenge.toml it should be of.")
    ] = None,
    package: Annotated[
        str | None, typer.Option("--package", help="The sha256 of the package it should be of.")
    ] = None,
) -> None:
    """Tell whether a result is as the organiser sealed it: exit code 0 only if it is."""
    found = read_key(key) if key else key_from_environment(os.environ)
    if found is None:
        raise ConfigError("no key to verify with", remedy=f"Pass --key FILE, or set {KEY_VARIABLE}.")
    path = result / "result.json" if result.is_dir() else result
    state = verify(path, found)
    wrong = mismatches(
        path,
        challenge_sha256=None if challenge is None else load_challenge(challenge).sha256,
        package_sha256=package,
    )
    _out.print(f"{path}: {_STATES[state]}", soft_wrap=True, markup=False, highlight=False)
    for one in wrong:
        _out.print(Text(f"{path}: {one}"), soft_wrap=True)
    raise typer.Exit(0 if state is SealState.OK and not wrong else 1)


_STATES = {
    SealState.OK: "OK, as it was sealed",
    SealState.ALTERED: "altered since it was sealed, or sealed with another key",
    SealState.UNSIGNED: "unsigned: there is no seal beside it",
}
