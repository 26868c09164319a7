"""`harness regrade`: score recorded outcomes again, and show what it does to the ranks before it holds."""

from __future__ import annotations

import csv
import os
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from harness.cli.documents import print_document
from harness.cli.exit_codes import NOT_WELL, OK
from harness.cli.open_store import open_store
from harness.cli.options import (
    DEFAULT_RUNS,
    DEFAULT_STORE,
    SAMPLE_CHALLENGE,
    CacheOption,
    ChallengeArgument,
    JsonOption,
    RunsOption,
    StoreOption,
    cache_folder,
)
from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.contest.regrade.corrections import (
    Correction,
    SetFrame,
    frame_of,
    read_correction,
    unknown_dropped,
)
from harness.contest.regrade.ranks import Moved, ranks
from harness.contest.regrade.register import register
from harness.contest.regrade.regrade import RegradedRun, RegradePlan, new_regrade, regrade_runs
from harness.contest.rules import Refusal
from harness.core.challenge import Challenge, load_challenge
from harness.core.errors import ConfigError
from harness.core.text import table_cell
from harness.core.types import SetName
from harness.results.seal import key_from_environment
from harness.videos.ready_set import ready_set

ROWS_SHOWN = 50
_out = printer()
_err = printer(errors=True)


def regrade(
    challenge: ChallengeArgument = SAMPLE_CHALLENGE,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in every new result.")],
    labels: Annotated[
        list[str] | None,
        typer.Option(help="[SET=]FILE: CSV with filename,label, of corrected rows or of all; repeat it."),
    ] = None,
    drop: Annotated[
        Path | None, typer.Option(help="Text file: videos that do not count, a source's name or id a line.")
    ] = None,
    epsilon: Annotated[float | None, typer.Option(help="Log loss clips to [ε, 1-ε].")] = None,
    failed_probability: Annotated[float | None, typer.Option(help="What a failed video scores.")] = None,
    runs: RunsOption = DEFAULT_RUNS,
    store: StoreOption = DEFAULT_STORE,
    by: Annotated[SetName, typer.Option(help="The set whose ranks are shown.")] = SetName.PRIVATE,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="All ranks as CSV.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; write nothing but columns.")
    ] = False,
    from_journals: Annotated[
        bool, typer.Option("--from-journals", help="Read every journal again instead of its columns.")
    ] = False,
    cache: CacheOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. Default: one per core.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Score recorded outcomes again, under other labels or rules, without running a model."""
    if not reason.strip():
        raise ConfigError("--reason is empty", remedy="Say why; contestants will ask.")
    loaded = load_challenge(challenge)
    correction = read_correction(
        loaded, labels=labels or (), drop=drop, epsilon=epsilon, failed_probability=failed_probability
    )
    if not runs.is_dir():
        raise ConfigError("is not a folder of runs", place=runs, remedy="Name it with --runs.")
    with ConsoleObserver(_err) as observer:
        frames = _frames(loaded, correction, cache_folder(cache), observer)
        unknown = unknown_dropped(correction, frames.values())
        if unknown:
            raise ConfigError(f"no set has {', '.join(unknown[:10])}", place=drop, remedy="Correct the list.")
        plan = RegradePlan(
            regrade=new_regrade(datetime.now(UTC)),
            reason=reason,
            challenge=loaded.name,
            frames=frames,
            correction=correction,
            write=not dry_run,
            key=key_from_environment(os.environ),
            anew=from_journals,
        )
        began = time.monotonic()
        found = _scored_again(runs, plan, workers, observer)
        seconds = time.monotonic() - began
    moved = ranks(found.runs, by=by, decimals=loaded.scoring.public_decimals)
    if output is not None:
        _write_csv(moved, output)
    if not as_json:
        _show(moved, by, loaded.scoring.public_decimals)
        _say(found, frames_changed=plan.labels_changed, seconds=seconds)
    refused = "" if dry_run else _registered(store, loaded, runs, found, reason=reason)
    if as_json:
        _print_json(plan, found, moved, by=by, refused=refused, seconds=seconds)
    else:
        _say_whether_it_holds(plan, refused)
    raise typer.Exit(NOT_WELL if refused else OK)


def _print_json(
    plan: RegradePlan,
    found: RegradedRun,
    moved: tuple[Moved, ...],
    *,
    by: SetName,
    refused: str,
    seconds: float,
) -> None:
    from harness.cli.documents.results import RegradeDocument

    document = RegradeDocument(
        ok=not refused,
        regrade=found.regrade,
        dry_run=not plan.write,
        refused=refused,
        by=by,
        runs=len(found.runs),
        labels_changed=plan.labels_changed,
        seconds=round(seconds, 3),
        moved=moved,
        left_out=found.left_out,
    )
    print_document(document)


def _say_whether_it_holds(plan: RegradePlan, refused: str) -> None:
    if refused:
        _err.print(Text(f"the results hold, but the contest's log does not say so: {refused}", "red"))
    else:
        said = f"regrade {plan.regrade} holds" if plan.write else "nothing was changed: --dry-run"
        _out.print(said, soft_wrap=True, highlight=False)


def _frames(
    challenge: Challenge, correction: Correction, cache: Path, observer: ConsoleObserver
) -> dict[SetName, SetFrame]:
    """Find every set of the challenge, and join it with its labels before and after."""
    frames = {}
    for name in challenge.sets:
        observer.step(f"Finding the {name} set")
        ready = ready_set(name, challenge, cache=cache, progress=partial(observer.preparing, name))
        frames[name] = frame_of(ready, correction)
    return frames


def _scored_again(
    runs: Path, plan: RegradePlan, workers: int | None, observer: ConsoleObserver
) -> RegradedRun:
    observer.step("Scoring again")
    total = sum((path / "result.json").is_file() for path in runs.iterdir())
    return regrade_runs(
        runs,
        plan,
        workers=workers,
        progress=lambda done: observer.counting("runs", done, total, unit="run"),
    )


def _registered(store: str, challenge: Challenge, runs: Path, found: RegradedRun, *, reason: str) -> str:
    """Let the index and the contest's log say that it holds; return why not, or nothing."""
    opened = open_store(store)
    try:
        answer = register(opened, challenge.name, runs, found, reason=reason, now=datetime.now(UTC))
    finally:
        opened.close()
    return answer.in_words() if isinstance(answer, Refusal) else ""


def _show(moved: tuple[Moved, ...], by: SetName, decimals: int) -> None:
    table = Table(title=f"Ranks by {by} log loss", title_justify="left")
    for heading in ("now", "before", "name", "now", "before", "what moved it", "run"):
        left = heading in {"name", "what moved it", "run"}
        table.add_column(
            heading, justify="left" if left else "right", no_wrap=heading == "run", overflow="fold"
        )
    for row in moved[:ROWS_SHOWN]:
        table.add_row(
            str(row.rank_after),
            str(row.rank_before),
            Text(row.name),
            f"{row.after:.{decimals}f}",
            f"{row.before:.{decimals}f}",
            row.effects.in_words(),
            row.run_id,
        )
    _out.print(table)
    if len(moved) > ROWS_SHOWN:
        _out.print(f"… and {len(moved) - ROWS_SHOWN} more; --output FILE writes all of them")


def _say(found: RegradedRun, *, frames_changed: int, seconds: float) -> None:
    for why in found.left_out[:ROWS_SHOWN]:
        _err.print(Text(f"left out: {why}", "yellow"))
    changed = "1 label" if frames_changed == 1 else f"{frames_changed} labels"
    _out.print(f"{len(found.runs)} runs, {changed} changed, {seconds:.1f} s", highlight=False)


def _write_csv(moved: tuple[Moved, ...], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        effects = ("labels", "dropped", "failed_probability", "epsilon")
        writer.writerow(("rank", "rank_before", "name", "run_id", "log_loss", "log_loss_before", *effects))
        for row in moved:
            writer.writerow(
                (
                    *(
                        row.rank_after,
                        row.rank_before,
                        table_cell(row.name),
                        row.run_id,
                        row.after,
                        row.before,
                    ),
                    *(getattr(row.effects, one) for one in effects),
                )
            )
