"""Commands that run a whole package, or make the image that packages run in."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Annotated

import typer

from harness.cli.back_ends import SandboxKind, docker_backend, made_ready
from harness.cli.documents import Document, print_document
from harness.cli.exit_codes import NOT_WELL, OK
from harness.cli.options import (
    DEFAULT_RUNS,
    SAMPLE_CHALLENGE,
    CacheOption,
    ChallengeOption,
    JsonOption,
    NewRunsOption,
    PackageArgument,
    RuntimeOption,
    cache_folder,
    find_challenge,
)
from harness.cli.progress import ConsoleObserver
from harness.cli.projection import projection_of
from harness.cli.terminal import printer
from harness.cli.views.failures import failures_of, render_failures
from harness.cli.views.scores import terminal_summary
from harness.core.types import OutcomeKind, Verdict
from harness.gateway.journal import read_journal
from harness.results.seal import key_from_environment
from harness.run.evaluate import Evaluated, Evaluation, evaluate
from harness.sandbox import Backend, back_end

_err = printer(errors=True)
_out = printer()

SandboxOption = Annotated[
    SandboxKind,
    typer.Option(
        "--sandbox",
        help="docker, or process: no isolation, for debugging your own package.",
    ),
]
PythonOption = Annotated[
    str | None, typer.Option("--python", help="With --sandbox process: the interpreter to use.")
]


def run(
    package: PackageArgument,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    runs: NewRunsOption = DEFAULT_RUNS,
    cache: CacheOption = None,
    sandbox: SandboxOption = SandboxKind.DOCKER,
    python: PythonOption = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do not resume a run that was cut off.")] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the order in which videos are fed. Default: drawn.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that prepare videos. Default: one per core.")
    ] = None,
    runtime: RuntimeOption = None,
    repeat: Annotated[
        int,
        typer.Option(
            min=1,
            max=10,
            help="Passes over each set. The first is scored; further ones, in other orders and with some "
            "videos shown twice, say whether the answers are steady.",
        ),
    ] = 1,
    wait: Annotated[
        bool,
        typer.Option(
            help="Wait for GPUs and cores that other runs on this machine use. With --no-wait, cores are "
            "shared and a GPU in use ends the run.",
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Score a package on the public and the private set of a challenge, and write its reports."""
    chosen = back_end(sandbox)
    asked = Evaluation(
        package=package,
        challenge=find_challenge(challenge),
        runs=runs.resolve(),
        cache=cache_folder(cache),
        isolation=chosen.ISOLATION,
        order_seed=seed,
        fresh=fresh,
        workers=workers,
        signing_key=key_from_environment(os.environ),
        passes=repeat,
    )
    with ConsoleObserver(_err) as observer, ExitStack() as held:
        if chosen.WARNING:
            observer.warn(chosen.WARNING)

        def backend() -> Backend:
            return made_ready(
                sandbox,
                observer.say,
                runtime=runtime,
                gpus=asked.challenge.limits.gpus,
                held=held,
                wait=wait,
                python=python,
            )

        evaluated = evaluate(asked, backend=backend, observer=observer)
    projection = ""
    if chosen.LIKE_A_RUN:
        projection = projection_of(_times(evaluated), cache=asked.cache, limits=asked.challenge.limits)
    result = evaluated.result
    spoiled = any(one.verdict is not Verdict.OK for one in result.sets.values())
    ok = (result.valid or result.practice) and not spoiled
    if as_json:
        print_document(_document(evaluated, asked, projection, ok=ok))
    else:
        _show(evaluated, asked, projection)
    raise typer.Exit(OK if ok else NOT_WELL)


def image(*, as_json: JsonOption = False) -> None:
    """Find or build the runtime image that packages run in, starting an engine if none runs."""
    with ConsoleObserver(_err) as observer:
        observer.step("Runtime image")
        facts = docker_backend(observer.say).image
    if as_json:
        from harness.cli.documents.machine import ImageDocument

        print_document(ImageDocument(label=facts.label, digest=facts.digest, variant=facts.variant))
        return
    _out.print(f"{facts.label} {facts.digest}", soft_wrap=True)


def _document(evaluated: Evaluated, asked: Evaluation, projection: str, *, ok: bool) -> Document:
    from harness.cli.documents.results import RunDocument  # types take time to load

    public, folder = evaluated.public, evaluated.folder
    return RunDocument(
        ok=ok,
        folder=str(folder.path),
        report=str(folder.report),
        contestant_report=str(folder.contestant_report),
        failures=() if public is None else failures_of(public, asked.challenge.limits),
        log_tail="" if public is None else public.log_tail,
        projection=projection,
        result=evaluated.result,
    )


def _show(evaluated: Evaluated, asked: Evaluation, projection: str) -> None:
    _out.print(terminal_summary(evaluated.result))
    for title, path in (
        ("report", evaluated.folder.report),
        ("for the contestant", evaluated.folder.contestant_report),
        ("result", evaluated.folder.result),
    ):
        _out.print(f"{title}: {path}", soft_wrap=True, highlight=False)
    if (
        evaluated.public is not None and len(evaluated.result.sets) == 1
    ):  # of more sets, it was told on the way
        for line in render_failures(evaluated.public, asked.challenge.limits):
            _err.print(line)
    if projection:
        _out.print(projection, soft_wrap=True, highlight=False)


def _times(evaluated: Evaluated) -> list[float]:
    return [
        entry.outcome.wall_seconds
        for name in evaluated.result.sets
        for entry in read_journal(evaluated.folder.journal(name))[1]
        if entry.outcome.kind is OutcomeKind.PREDICTED
    ]
