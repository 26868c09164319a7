"""Commands that only an organiser needs: score a table, audit a challenge, rank entries, clean up."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from harness.cli.documents import print_document
from harness.cli.label_doubts import audit_labels, show_labels
from harness.cli.open_store import open_store
from harness.cli.options import (
    DEFAULT_RUNS,
    DEFAULT_STORE,
    SAMPLE_CHALLENGE,
    CacheOption,
    ChallengeArgument,
    JsonOption,
    StoreOption,
    cache_folder,
)
from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.cli.views.audit import render_audit
from harness.cli.views.scores import score_summary
from harness.core.challenge import load_challenge
from harness.core.types import SetName
from harness.diagnose.audit import AuditProgress, audit_challenge
from harness.gateway.staging import reap_stages
from harness.image.container_engine import connect
from harness.results.leaderboard import Choice, LeaderboardRow
from harness.results.run_folder import RunFolder
from harness.sandbox.docker.sandbox import reap as reap_containers
from harness.scoring.score import score_predictions
from harness.scoring.scored import read_predictions_csv
from harness.videos.labels import read_labels
from harness.videos.prepared_set import PreparedSet
from harness.videos.ready_set import ready_set

_out = printer()
_err = printer(errors=True)

RunsArgument = Annotated[Path, typer.Argument(help="The folder of run folders.")]


def score(
    predictions: Annotated[Path, typer.Argument(help="CSV with filename,label; label is P(fake).")],
    labels: Annotated[Path, typer.Option("--labels", help="CSV with filename,label; label is 0 or 1.")],
    *,
    epsilon: Annotated[float, typer.Option(help="Log loss clips to [ε, 1-ε].")] = 1e-15,
    as_json: JsonOption = False,
) -> None:
    """Score a table of predictions against labels; missing, extra and repeated rows are refused."""
    found = score_predictions(read_predictions_csv(predictions), read_labels(labels), epsilon=epsilon)
    if as_json:
        from harness.cli.documents.results import ScoreDocument  # types take time to load

        print_document(ScoreDocument(score=found))
        return
    _out.print(score_summary(found))


def audit(
    challenge: ChallengeArgument = SAMPLE_CHALLENGE,
    *,
    sources: Annotated[
        bool, typer.Option("--sources", help="Audit the clean videos only; prepare nothing.")
    ] = False,
    labels: Annotated[
        bool, typer.Option("--labels", help="List the videos on which all good entries contradict the label.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="With --labels: the folder of run folders.")] = DEFAULT_RUNS,
    best: Annotated[int, typer.Option(min=2, help="With --labels: how many entries are asked.")] = 10,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="With --labels: the page; a CSV is written beside it.")
    ] = Path("labels.html"),
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask whether anything but the picture predicts the label, and whether footage is in two sets."""
    loaded = load_challenge(challenge)
    with ConsoleObserver(_err) as observer:
        if labels:
            doubted = audit_labels(
                loaded, runs=runs, cache=cache_folder(cache), output=output, best=best, observer=observer
            )
            show_labels(doubted, output=output, as_json=as_json)
            raise typer.Exit(1 if any(one.doubts for one in doubted) else 0)
        prepared: dict[SetName, PreparedSet] = {}
        for name in () if sources else loaded.sets:
            observer.step(f"Preparing the {name} set")
            ready = ready_set(
                name,
                loaded,
                cache=cache_folder(cache),
                progress=partial(observer.preparing, name),
                waiting=observer.say,
            )
            prepared[name] = PreparedSet(
                videos=ready.videos, unreadable=ready.left_out, manifest_path=ready.manifest_path, reused=0
            )
        observer.step("Looking for leaks")

        def reading(progress: AuditProgress) -> None:
            observer.counting("reading", progress.done, progress.total)

        report = audit_challenge(loaded, prepared=prepared or None, progress=reading)
    if as_json:
        from harness.cli.documents.videos import AuditDocument

        print_document(AuditDocument.of(report))
    else:
        _out.print(render_audit(report))
    raise typer.Exit(0 if report.clean else 1)


def submit(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    team: Annotated[str, typer.Option("--team", help="The team that hands it in.")],
    *,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Enter a finished run under a team's name."""
    index = open_store(store)
    try:
        row = index.submit(RunFolder(path=run.resolve()), team=team)
    finally:
        index.close()
    stands = "is on the leaderboard" if row.eligible else "is recorded, but is on no leaderboard"
    _out.print(f"{row.run_id} of {team} {stands}", soft_wrap=True)


def leaderboard(
    challenge: ChallengeArgument = SAMPLE_CHALLENGE,
    *,
    by: Annotated[SetName, typer.Option(help="public or private.")] = SetName.PUBLIC,
    choice: Annotated[Choice, typer.Option(help="Which entry represents a team.")] = Choice.BEST,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Rank the teams that submitted to a challenge, by rounded log loss."""
    loaded = load_challenge(challenge)
    index = open_store(store)
    try:
        rows = index.leaderboard(
            challenge_sha256=loaded.sha256, by=by, choice=choice, decimals=loaded.scoring.public_decimals
        )
    finally:
        index.close()
    if as_json:
        from harness.cli.documents.results import LeaderboardDocument

        decimals = loaded.scoring.public_decimals
        document = LeaderboardDocument(
            challenge=loaded.name, by=by, choice=choice, decimals=decimals, rows=rows
        )
        print_document(document)
        return
    if not rows:
        _out.print(f"nobody has submitted to {loaded.name} yet: `harness submit RUN --team NAME`")
        return
    _out.print(_ranking(rows, f"{loaded.name}, {by} log loss", loaded.scoring.public_decimals))


def rebuild(
    runs: RunsArgument = DEFAULT_RUNS, *, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False
) -> None:
    """Rebuild the index from the run folders, which are the truth."""
    index = open_store(store)
    try:
        found = index.rebuild(runs)
    finally:
        index.close()
    for problem in found.problems:
        _err.print(Text(f"warning: {problem}", "yellow"))
    if as_json:
        from harness.cli.documents.results import RebuildDocument

        print_document(RebuildDocument(runs=found.runs, entries=found.entries, problems=found.problems))
    else:
        _out.print(f"{found.runs} runs, {found.entries} of them entries")
    raise typer.Exit(1 if found.problems else 0)


def reap(*, as_json: JsonOption = False) -> None:
    """Remove the containers and staged videos that dead harnesses of this machine left; only those."""
    containers, folders = reap_containers(connect()), reap_stages()
    if as_json:
        from harness.cli.documents.machine import ReapDocument

        print_document(ReapDocument(containers=tuple(containers), folders=tuple(map(str, folders))))
        return
    for name in (*containers, *map(str, folders)):
        _out.print(f"removed {name}", soft_wrap=True)
    _out.print(f"{len(containers)} containers and {len(folders)} folders removed")


def _ranking(rows: tuple[LeaderboardRow, ...], title: str, decimals: int) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("", "team", "log loss", "entry", "entries", "run"):
        justify: JustifyMethod = "right" if heading in {"", "log loss", "entries"} else "left"
        table.add_column(heading, justify=justify, no_wrap=heading == "run", overflow="fold")
    for row in rows:
        table.add_row(
            str(row.rank),
            Text(row.team),
            f"{row.log_loss:.{decimals}f}",
            Text(row.package),
            str(row.entries),
            row.run_id,
        )
    return table
