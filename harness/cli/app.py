"""The command line: the only module that chooses implementations and prints.

Exit codes: 0 all is well · 1 what was looked at is not well: a verdict other than OK, an error found ·
2 wrong usage, or the organiser's files are wrong · 3 our fault or the host's (HARNESS_ERROR): nothing was
counted, run it again · 130 interrupted; what was done is kept.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from typer.exceptions import TyperException

from harness import __version__
from harness.cli import machine as cli_checks
from harness.cli import organiser as cli_organiser
from harness.cli import security as cli_security
from harness.cli.back_ends import (
    NO_ISOLATION_WARNING,
    SandboxKind,
    docker_backend,
    isolation_of,
    process_backend,
)
from harness.cli.options import (
    DEFAULT_RUNS,
    SAMPLE_CHALLENGE,
    CacheOption,
    ChallengeOption,
    JsonOption,
    PackageArgument,
    cache_folder,
)
from harness.cli.perturb import app as perturb_app
from harness.cli.progress import ConsoleObserver
from harness.cli.views.check import render_report
from harness.cli.views.scores import terminal_summary
from harness.core.challenge import Challenge, load_challenge
from harness.core.errors import ConfigError, HarnessError, SubmissionError
from harness.core.limits import limits_markdown
from harness.core.types import Limits, OutcomeKind, SetName, Verdict
from harness.gateway.journal import read_journal
from harness.gateway.set_run import SetRun
from harness.image.container_engine import connect
from harness.package.check import CheckReport, ContainerProbe, Rules, check_package
from harness.package.pack import pack
from harness.results.seal import key_from_environment
from harness.run.evaluate import Evaluated, Evaluation, evaluate
from harness.run.trial import image_modules, smoke_runner
from harness.sandbox import Backend

OK, NOT_WELL, USAGE, OUR_FAULT, INTERRUPTED = 0, 1, 2, 3, 130
SMOKE_VIDEOS = 2

app = typer.Typer(
    name="harness",
    help="Run, perturb and score entries to a black-box video challenge.",
    epilog="Exit codes: 0 well, 1 a verdict other than OK, 2 wrong usage or files, 3 our own fault, "
    "130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_err = Console(stderr=True, soft_wrap=True)
_out = Console()

SandboxOption = Annotated[
    SandboxKind,
    typer.Option("--sandbox", help="docker, or process: no isolation, for debugging your own package."),
]
PythonOption = Annotated[
    str | None, typer.Option("--python", help="With --sandbox process: the interpreter to use.")
]


@app.command()
def run(
    package: PackageArgument,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    runs: Annotated[Path, typer.Option(help="Where run folders are made.")] = DEFAULT_RUNS,
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
    runtime: Annotated[str | None, typer.Option(help="The engine's runtime, e.g. runsc for gVisor.")] = None,
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
) -> None:
    """Score a package on the public and the private set of a challenge, and write its reports."""
    asked = Evaluation(
        package=package,
        challenge=load_challenge(challenge),
        runs=runs.resolve(),
        cache=cache_folder(cache),
        isolation=isolation_of(sandbox),
        order_seed=seed,
        fresh=fresh,
        workers=workers,
        signing_key=key_from_environment(os.environ),
        passes=repeat,
    )
    with ConsoleObserver(_err) as observer, ExitStack() as held:
        if sandbox is SandboxKind.PROCESS:
            observer.warn(NO_ISOLATION_WARNING)

        def backend() -> Backend:
            if sandbox is SandboxKind.PROCESS:
                return process_backend(python)
            return docker_backend(
                observer.say, runtime=runtime, gpus=asked.challenge.limits.gpus, held=held, wait=wait
            )

        evaluated = evaluate(asked, backend=backend, observer=observer)
    _show(evaluated)
    if sandbox is SandboxKind.DOCKER:
        _project(_times(evaluated), cache=asked.cache, limits=asked.challenge.limits)
    spoiled = any(one.verdict is not Verdict.OK for one in evaluated.result.sets.values())
    raise typer.Exit(NOT_WELL if spoiled else OK)


@app.command()
def check(
    package: PackageArgument,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    static: Annotated[
        bool, typer.Option("--static", help="Only look at the files; start nothing, need no engine.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find everything that would keep a package from running, and try it on two sample videos."""
    loaded = load_challenge(challenge)
    tried: list[SetRun] = []
    with ConsoleObserver(_err) as observer, ExitStack() as held:
        report = _check(package, loaded, static=True)
        if not static and report.ok:
            observer.step("Running it on two of the challenge's public videos")
            report = _check(package, loaded, static=False, observer=observer, held=held, seen=tried.append)
    if as_json:
        sys.stdout.write(report.to_json())
    else:
        _out.print(render_report(report))
        for one in tried:
            times = [a.wall_seconds for a in one.outcomes if a.kind is OutcomeKind.PREDICTED]
            _project(times, cache=cache_folder(None), limits=loaded.limits)
    raise typer.Exit(OK if report.ok else NOT_WELL)


@app.command(name="pack")
def pack_command(
    folder: Annotated[Path, typer.Argument(help="The package's folder.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the folder's name with .zip.")
    ] = None,
) -> None:
    """Make a zip of a package; the same files give the same bytes, on any machine."""
    target = output or Path(f"{folder.resolve().name}.zip")
    report = pack(folder, target)
    _out.print(f"{target}: {report.file_count} files, sha256 {report.package_sha256}", soft_wrap=True)


@app.command()
def image() -> None:
    """Find or build the runtime image that packages run in, starting an engine where none runs."""
    with ConsoleObserver(_err) as observer:
        observer.step("Runtime image")
        facts = docker_backend(observer.say).image
    _out.print(f"{facts.label} {facts.digest}", soft_wrap=True)


@app.command()
def limits() -> None:
    """Print every limit, its key in challenge.toml and its default, as a Markdown table."""
    sys.stdout.write(limits_markdown(Limits()) + "\n")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        _out.print(__version__)
        raise typer.Exit(OK)


app.add_typer(perturb_app, name="perturb")
cli_organiser.add_to(app)
cli_checks.add_to(app)
app.command(name="self-check")(cli_security.self_check)


def main() -> None:
    """Run the command line, and turn our exceptions into their exit codes."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        code = app(arguments, standalone_mode=False)
    except TyperException as error:
        _complain("error", error)
        _err.print("`harness --help` lists the commands; each has a --help of its own.")
        return USAGE
    except (ConfigError, SubmissionError) as error:
        _complain("error", error)
        return NOT_WELL if isinstance(error, SubmissionError) else USAGE
    except HarnessError as error:
        _complain(Verdict.HARNESS_ERROR, error)
        _err.print("This is no verdict on the package. What was done is kept; run the same command again.")
        return OUR_FAULT
    if code == INTERRUPTED:
        _err.print("interrupted; what was done is kept, and the same command goes on from there")
    return code if isinstance(code, int) else OK


def _complain(title: str, error: Exception) -> None:
    text = error.format_message() if isinstance(error, TyperException) else str(error)
    _err.print(Text.assemble((f"{title}:", "bold red"), f" {text}"))


def _show(evaluated: Evaluated) -> None:
    _out.print(terminal_summary(evaluated.result))
    for title, path in (
        ("report", evaluated.folder.report),
        ("for the contestant", evaluated.folder.contestant_report),
        ("result", evaluated.folder.result),
    ):
        _out.print(f"{title}: {path}", soft_wrap=True, highlight=False)


def _times(evaluated: Evaluated) -> list[float]:
    return [
        entry.outcome.wall_seconds
        for name in evaluated.result.sets
        for entry in read_journal(evaluated.folder.journal(name))[1]
        if entry.outcome.kind is OutcomeKind.PREDICTED
    ]


def _project(times: Sequence[float], *, cache: Path, limits: Limits) -> None:
    text = cli_checks.projection_of(times, cache=cache, limits=limits)
    if text:
        _out.print(text, soft_wrap=True, markup=False, highlight=False)


def _check(
    package: Path,
    challenge: Challenge,
    *,
    static: bool,
    observer: ConsoleObserver | None = None,
    held: ExitStack | None = None,
    seen: Callable[[SetRun], None] | None = None,
) -> CheckReport:
    contract = challenge.contract
    rules = Rules(
        modes=contract.modes,
        external_data_required=contract.external_data_required,
        kaggle_slug=contract.kaggle_slug,
    )
    inside = None
    if not static and observer is not None:
        backend = docker_backend(observer.say, gpus=challenge.limits.gpus, held=held, wait=True)
        public = challenge.sets[SetName.PUBLIC].videos
        videos = sorted(path for path in public.iterdir() if path.suffix == ".mp4")[:SMOKE_VIDEOS]
        inside = ContainerProbe(
            modules=image_modules(connect(), backend.image.digest),
            smoke=smoke_runner(backend=backend, terms=challenge.terms, videos=videos, seen=seen),
        )
    return check_package(package, limits=challenge.limits, rules=rules, inside=inside)
