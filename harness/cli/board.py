"""`harness board` and `harness plan`: what can be told apart, and how large a set that takes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.text import Text

from harness.cli.documents import print_document
from harness.cli.options import (
    DEFAULT_RUNS,
    SAMPLE_CHALLENGE,
    CacheOption,
    ChallengeArgument,
    JsonOption,
    RunsOption,
    cache_folder,
)
from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.cli.views.board import render_board, render_plan
from harness.contest.board.answers import BoardInput
from harness.contest.board.set_size import POWER, components_of, pooled, sizes_for
from harness.core.challenge import Challenge, load_challenge
from harness.core.errors import ConfigError
from harness.core.files import write_text
from harness.core.text import listed
from harness.core.types import SetName
from harness.results.leaderboard import Choice
from harness.scoring.clusters import Floats, Sampling, sampling_of
from harness.scoring.metrics import EPSILON_DEFAULT, log_losses
from harness.scoring.scored import read_predictions_csv
from harness.videos.labels import read_labels
from harness.videos.ready_set import ready_set

PLANNED_PAIRS = 10  # neighbours on the board whose variance is pooled

_out = printer()
_err = printer(errors=True)

ByOption = Annotated[SetName, typer.Option("--by", help="public or private.")]
ContestStoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="Of a contest: its database. Final entries stand for their teams, and whoever is disqualified "
        "has no place. Otherwise: the runs that `harness submit` entered.",
        show_default=False,
    ),
]
OutputOption = Annotated[Path, typer.Option("--output", "--out", "-o", help="Where the page is written.")]
ChoiceOption = Annotated[Choice, typer.Option(help="Which entry represents a team.")]


def board(
    challenge: ChallengeArgument = SAMPLE_CHALLENGE,
    *,
    runs: RunsOption = DEFAULT_RUNS,
    by: ByOption = SetName.PUBLIC,
    choice: ChoiceOption = Choice.BEST,
    out: OutputOption = Path("board.html"),
    as_json: JsonOption = False,
    store: ContestStoreOption = None,
    csv_folder: Annotated[
        Path | None, typer.Option("--csv", help="A folder for the tables as CSV files.", show_default=False)
    ] = None,
    cache: CacheOption = None,
) -> None:
    """Rank the entered runs of a challenge, say which can be told apart, and write board.html.

    By the public set it also foretells the private ranks, without looking at private answers.
    """
    from harness.contest.board.export import board_csv, board_values  # plots are slow to load
    from harness.contest.board.page import board_page
    from harness.contest.board.profiles import profiles_of
    from harness.contest.board.statistics import board_of

    given = _read(challenge, runs=runs, by=by, choice=choice, cache=cache, store=store)
    found = board_of(given)
    profiles = profiles_of(given, [one.column for one in found.standings])
    write_text(out, board_page(found, profiles))
    if csv_folder is not None:
        csv_folder.mkdir(parents=True, exist_ok=True)
        for name, text in board_csv(found, profiles).items():
            write_text(csv_folder / name, text)
    if as_json:
        from harness.cli.documents.board import BoardDocument

        print_document(BoardDocument.model_validate(board_values(found, profiles)))
        return
    _out.print(render_board(found))
    _out.print(f"board: {out}", soft_wrap=True, highlight=False)


def plan(
    challenge: ChallengeArgument = SAMPLE_CHALLENGE,
    *,
    difference: Annotated[
        float, typer.Option("--difference", "-d", min=0.0, help="The difference of log loss to detect.")
    ] = 0.005,
    power: Annotated[
        float,
        typer.Option(min=0.05, max=0.999, help="In what share of contests the difference should be found."),
    ] = POWER,
    runs: RunsOption = DEFAULT_RUNS,
    by: ByOption = SetName.PUBLIC,
    choice: ChoiceOption = Choice.BEST,
    pilot: Annotated[
        list[Path] | None,
        typer.Option(
            "--pilot",
            help="Instead of runs: a table filename,label of one package's answers. Give it twice or more.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="With --pilot: the labels of its videos.", show_default=False),
    ] = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how many videos and people a set needs to tell two entries apart."""
    if difference <= 0:
        raise ConfigError("--difference must be above 0", remedy="For example 0.005.")
    if pilot:
        losses, sampling = _pilot(pilot, labels)
    else:
        given = _read(challenge, runs=runs, by=by, choice=choice, cache=cache)
        losses, sampling = given.losses, given.sampling
    if losses.shape[1] < 2:
        raise ConfigError(
            "a difference needs the answers of two entries",
            remedy="Enter another run, or give --pilot twice with --labels.",
        )
    order = losses.mean(axis=0).argsort()[: PLANNED_PAIRS + 1]
    pairs = list(itertools.pairwise(order))
    components = pooled([components_of(losses[:, other] - losses[:, one], sampling) for one, other in pairs])
    sizes = sizes_for(components, difference=difference, power=power)
    if as_json:
        from harness.cli.documents.board import PlanDocument

        document = PlanDocument(
            difference=difference,
            power=power,
            pairs=len(pairs),
            unit=sampling.unit,
            components=components,
            sizes=tuple(sizes),
        )
        print_document(document)
    else:
        _out.print(render_plan(sizes, components, difference=difference, power=power, sampling=sampling))


def _judged(store: str | None, challenge: Challenge, by: SetName) -> Mapping[str, str] | None:
    """Return the runs of a contest that count, each with its team; None if no contest was named."""
    if store is None:
        return None
    from harness.cli.open_store import open_store  # the database is slow to load
    from harness.contest.board.judged import judged_runs
    from harness.contest.ledger import Ledger

    with closing(open_store(store)) as database:
        state = Ledger(database, challenge.name).state()
    if state.rules is None:
        raise ConfigError(
            f"no contest of {challenge.name!r}", place=store, remedy="`harness contest` says how one is made."
        )
    return judged_runs(state, by=by)


def _read(
    path: Path, *, runs: Path, by: SetName, choice: Choice, cache: Path | None, store: str | None = None
) -> BoardInput:
    from harness.contest.board.read_runs import board_input, entered_runs
    from harness.contest.regrade.in_force import correction_in_force, regrades_of

    challenge = load_challenge(path)
    judged = _judged(store, challenge, by)
    entered = entered_runs(runs, challenge, by=by, choice=choice, judged=judged)
    for problem in entered.unreadable:
        _err.print(Text(f"warning: {problem}", "yellow"))
    if not entered.standing:
        reasons = "; ".join(f"{one.entry.team}: {one.reason}" for one in entered.absent)
        raise ConfigError(
            f"no entry of {challenge.name} has a score" + (f" ({reasons})" if reasons else ""),
            place=runs,
            remedy="Enter finished runs: `harness submit RUN --team NAME`.",
        )
    with ConsoleObserver(_err) as observer:
        observer.step(f"Finding the {by} set")
        ready = ready_set(by, challenge, cache=cache_folder(cache), progress=partial(observer.preparing, by))
        observer.step("Reading the entries")
        return board_input(
            challenge,
            entered,
            ready,
            runs,
            correction=correction_in_force(runs, regrades_of(runs, challenge.name)),
            told=lambda done, total: observer.counting("reading", done, total, unit="run"),
        )


def _pilot(tables: list[Path], labels: Path | None) -> tuple[Floats, Sampling]:
    if labels is None or len(tables) < 2:
        raise ConfigError(
            "--pilot needs --labels, and at least two tables", remedy="Give --pilot A.csv --pilot B.csv."
        )
    truth = read_labels(labels)
    known = [truth.of(name) for name in truth]
    fake = np.array([label.fake for label in known], dtype=np.bool_)
    columns = []
    for table in tables:
        found = {one.video_id: one.probability for one in read_predictions_csv(table)}
        missing = sorted(set(truth) ^ set(found))
        if missing:
            raise ConfigError(
                listed("rows that are not in both", missing), place=table, remedy=f"Compare with {labels}."
            )
        columns.append(
            log_losses(fake, np.array([found[name] for name in truth], dtype=np.float64), EPSILON_DEFAULT)
        )
    sampling = sampling_of(
        fake=fake.tolist(),
        identities=[label.identity for label in known],
        sources=[label.source for label in known],
    )
    return np.column_stack(columns), sampling
