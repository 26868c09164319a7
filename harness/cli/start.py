"""Commands to begin with: a package, a challenge of one's own clips, and a score in one command."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from harness.cli.back_ends import (
    NO_ISOLATION_WARNING,
    SandboxKind,
    docker_backend,
    isolation_of,
    process_backend,
)
from harness.cli.documents import Document, print_document
from harness.cli.exit_codes import NOT_WELL, OK
from harness.cli.options import (
    DEFAULT_RUNS,
    CacheOption,
    JsonOption,
    NewRunsOption,
    PackageArgument,
    cache_folder,
)
from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.cli.views.failures import failures_of, render_failures
from harness.core.challenge import load_challenge
from harness.core.text import printable
from harness.core.types import SetName
from harness.package.new import STYLES, new_package
from harness.run.evaluate import Evaluated, Evaluation, evaluate
from harness.sandbox import Backend
from harness.scoring.scored import ScoredVideo, scored_videos
from harness.videos.new_challenge import new_challenge
from harness.videos.ready_set import ready_set

WORST_SHOWN = 10
STYLES_HELP = "; ".join(f"{key}: {text}" for key, text in STYLES.items())
_out = printer()
_err = printer(errors=True)


def new(
    folder: Annotated[
        Path, typer.Argument(metavar="NAME", help="The folder to make, and the package's name.")
    ],
    *,
    style: Annotated[str, typer.Option(help=STYLES_HELP)] = "stream",
) -> None:
    """Write a small package that passes `check` and scores, to begin from."""
    for path in new_package(folder, style=style):
        _out.print(str(path), soft_wrap=True, highlight=False)
    _out.print(f"Next: harness check {folder}", soft_wrap=True, highlight=False)


def new_challenge_command(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="Holds real/ and fake/ with videos.")],
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder to make. Default: DIR-challenge.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="How the videos are perturbed: a shipped recipe.")] = "clean",
) -> None:
    """Write a challenge from a folder with real/ and fake/; without a private set, for practice."""
    target = output or source.resolve().with_name(f"{source.resolve().name}-challenge")
    made = new_challenge(source, target, recipe=recipe)
    load_challenge(made.challenge)
    _out.print(f"{made.challenge}: {made.real} real, {made.fake} fake", soft_wrap=True, highlight=False)
    _out.print(f"Next: harness run PACKAGE -c {made.challenge}", soft_wrap=True, highlight=False)


def score_folder(
    package: PackageArgument,
    source: Annotated[Path, typer.Argument(metavar="DIR", help="Holds real/ and fake/ with videos.")],
    *,
    sandbox: Annotated[SandboxKind, typer.Option("--sandbox", help="docker, or process: no isolation.")] = (
        SandboxKind.DOCKER
    ),
    python: Annotated[str | None, typer.Option(help="With --sandbox process: the interpreter.")] = None,
    runs: NewRunsOption = DEFAULT_RUNS,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a package on your own clips as they are: log loss, AUC, and the worst videos."""
    with ConsoleObserver(_err) as observer, ExitStack() as held:
        place = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="harness-score-")))
        made = new_challenge(source, place / (source.resolve().name or "clips"), recipe="original")
        asked = Evaluation(
            package=package,
            challenge=load_challenge(made.challenge),
            runs=runs.resolve(),
            cache=cache_folder(cache),
            isolation=isolation_of(sandbox),
            fresh=True,  # a challenge made here and now has no earlier run
        )
        if sandbox is SandboxKind.PROCESS:
            observer.warn(NO_ISOLATION_WARNING)

        def backend() -> Backend:
            if sandbox is SandboxKind.PROCESS:
                return process_backend(python)
            return docker_backend(observer.say, gpus=asked.challenge.limits.gpus, held=held, wait=True)

        evaluated = evaluate(asked, backend=backend, observer=observer)
        if as_json:
            print_document(_document(evaluated, asked))
        else:
            _show(evaluated, asked)
    raise typer.Exit(OK if _well(evaluated) else NOT_WELL)


def _well(evaluated: Evaluated) -> bool:
    score = evaluated.result.sets[SetName.PUBLIC].score
    return score.scored and not score.failed


def _worst_first(evaluated: Evaluated, asked: Evaluation) -> list[ScoredVideo]:
    if evaluated.public is None:
        return []
    ready = ready_set(SetName.PUBLIC, asked.challenge, cache=asked.cache)
    rows = scored_videos(outcomes=evaluated.public.outcomes, videos=ready.videos, labels=ready.labels)
    return sorted(rows, key=lambda row: -row.log_loss)


def _document(evaluated: Evaluated, asked: Evaluation) -> Document:
    from harness.cli.documents.results import ScoredClip, ScoreFolderDocument  # slow to load

    one, public = evaluated.result.sets[SetName.PUBLIC], evaluated.public
    clips = (
        ScoredClip(
            video=printable(row.source_id),
            fake=row.label.fake,
            failure=row.kind.value if row.failed else "",
            probability=row.probability,
            log_loss=row.log_loss,
        )
        for row in _worst_first(evaluated, asked)
    )
    auc = one.score.metrics.get("roc_auc")
    return ScoreFolderDocument(
        ok=_well(evaluated),
        verdict=one.verdict,
        detail=one.detail,
        log_loss=one.score.log_loss,
        roc_auc=None if auc is None else auc.value,
        constant_half=one.score.anchors.constant_half,
        clips=tuple(clips),
        failures=() if public is None else failures_of(public, asked.challenge.limits),
        report=str(evaluated.folder.report),
    )


def _show(evaluated: Evaluated, asked: Evaluation) -> None:
    one = evaluated.result.sets[SetName.PUBLIC]
    for key, title in (("log_loss", "log loss"), ("roc_auc", "ROC AUC")):
        found = one.score.metrics.get(key)
        value = "none" if found is None or found.value is None else f"{found.value:.4f}"
        _out.print(f"{title}: {value}", highlight=False)
    _out.print(f"a constant 0.5 has a log loss of {one.score.anchors.constant_half:.4f}", highlight=False)
    public = evaluated.public
    if public is None:
        _out.print(Text(one.detail))
        return
    table = Table(title="The worst videos", title_justify="left", box=None)
    for title in ("video", "truth", "answer", "log loss"):
        table.add_column(title, justify="left" if title in {"video", "truth"} else "right", overflow="fold")
    for row in _worst_first(evaluated, asked)[:WORST_SHOWN]:
        answer = row.kind.value if row.failed else f"{row.probability:.3f}"
        truth = "fake" if row.label.fake else "real"
        table.add_row(Text(printable(row.source_id)), truth, answer, f"{row.log_loss:.3f}")
    _out.print(table)
    for line in render_failures(public, asked.challenge.limits):
        _err.print(line)
    _out.print(f"report: {evaluated.folder.report}", soft_wrap=True, highlight=False)
