"""Commands that look at a machine or a result and change neither; `calibrate` keeps what it measured."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from harness.cli.back_ends import docker_backend
from harness.cli.documents import print_document
from harness.cli.options import CacheOption, JsonOption, cache_folder
from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.cli.views.calibrate import render_speeds
from harness.cli.views.doctor import render_checkup
from harness.core.challenge import load_challenge
from harness.core.errors import ConfigError
from harness.core.files import write_text
from harness.core.types import Limits
from harness.diagnose.calibrate.measure import calibrate
from harness.diagnose.calibrate.project import ratios
from harness.diagnose.calibrate.speeds import (
    keep,
    kept_reference,
    load_reference,
    reference_at,
    reference_toml,
)
from harness.diagnose.doctor.checkup import Patient, examine
from harness.diagnose.doctor.engine import ENGINE_CHECKS
from harness.diagnose.doctor.host import HOST_CHECKS
from harness.diagnose.doctor.inside import probe_container
from harness.image.container_engine import connect
from harness.results.outcomes_on_record import compare_outcomes
from harness.results.seal import KEY_VARIABLE, SealState, key_from_environment, mismatches, read_key, verify
from harness.run.conclude import host_facts

_out = printer()
_err = printer(errors=True)


def doctor(
    *,
    challenge: Annotated[
        Path | None,
        typer.Option(
            "--challenge", "-c", help="The challenge whose limits to check. Default: the usual limits."
        ),
    ] = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check whether this machine is fit: engine, walls, limits, disk, memory, clock, GPU. Changes nothing."""
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
        from harness.cli.documents.machine import DoctorDocument  # types take time to load

        print_document(DoctorDocument(ok=checkup.ok, diagnoses=checkup.diagnoses))
    else:
        _out.print(render_checkup(checkup))
    raise typer.Exit(0 if checkup.ok else 1)


def calibrate_command(
    *,
    challenge: Annotated[
        Path | None,
        typer.Option(
            "--challenge",
            "-c",
            help="The challenge whose limits to measure under. Default: the usual limits.",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", help="The organiser's published speeds. Kept for `check` and `run`."),
    ] = None,
    publish: Annotated[
        Path | None, typer.Option("--publish", help="For organisers: write this machine's speeds to a file.")
    ] = None,
    name: Annotated[str, typer.Option(help="With --publish: what the machine is called.")] = "organiser",
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure this machine, so that `check` and `run` can say what the organiser's would need."""
    folder = cache_folder(cache)
    published = kept_reference(folder) if reference is None else load_reference(reference)
    limits = Limits() if challenge is None else load_challenge(challenge).limits
    with ConsoleObserver(_err) as observer, ExitStack() as held:
        observer.step("Finding the runtime image")
        backend = docker_backend(observer.say, gpus=limits.gpus, held=held, wait=True)
        observer.step("Running the standard workload")
        found = calibrate(
            backend,
            limits=limits,
            cpu=host_facts(engine="").cpu,
            progress=lambda done, total: observer.counting("rounds", done, total),
        )
    keep(found, folder)
    if reference is not None:
        write_text(reference_at(folder), reference.read_text(encoding="utf-8"))
    if publish is not None:
        write_text(publish, reference_toml(found, name=name))
    if as_json:
        from harness.cli.documents.machine import CalibrateDocument

        document = CalibrateDocument(
            here=found,
            reference=published,
            ratios=ratios(found, published),
            published=None if publish is None else str(publish),
        )
        print_document(document)
        return
    if publish is not None:
        _out.print(f"published: {publish}", soft_wrap=True)
    _out.print(render_speeds(found, published))


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
    as_json: JsonOption = False,
) -> None:
    """Tell whether a result is as the organiser sealed it, and its outcomes as they were scored.

    Exit code 0 only if all of it is.
    """
    found = read_key(key) if key else key_from_environment(os.environ)
    if found is None:
        raise ConfigError("no key to verify with", remedy=f"Pass --key FILE, or set {KEY_VARIABLE}.")
    path = result / "result.json" if result.is_dir() else result
    state = verify(path, found)
    outcomes = compare_outcomes(path)
    wrong = outcomes.wrong + mismatches(
        path,
        challenge_sha256=None if challenge is None else load_challenge(challenge).sha256,
        package_sha256=package,
    )
    ok = state is SealState.OK and not wrong
    if as_json:
        from harness.cli.documents.results import VerifyDocument

        print_document(
            VerifyDocument(
                ok=ok, path=str(path), state=state, outcomes_checked=outcomes.checked, mismatches=wrong
            )
        )
        raise typer.Exit(0 if ok else 1)
    _out.print(f"{path}: {_STATES[state]}", soft_wrap=True, highlight=False)
    if outcomes.checked:
        held = outcomes.checked - len(outcomes.wrong)
        _out.print(f"outcomes of {held} of {outcomes.checked} sets are as they were scored", soft_wrap=True)
    else:
        _out.print(
            "nothing can be said of outcomes: the result names none, or lies by itself", soft_wrap=True
        )
    for one in wrong:
        _out.print(Text(f"{path}: {one}"), soft_wrap=True)
    raise typer.Exit(0 if ok else 1)


_STATES = {
    SealState.OK: "OK, as it was sealed",
    SealState.ALTERED: "altered since it was sealed, or sealed with another key",
    SealState.UNSIGNED: "unsigned: there is no seal beside it",
}
