"""`harness contest`: what an organiser decides, from the shell. Every decision is an event in the store."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from harness.cli import contest_work
from harness.cli.open_store import open_store
from harness.cli.options import DEFAULT_STORE, SAMPLE_CHALLENGE, ChallengeOption, StoreOption
from harness.cli.views.check import render_report
from harness.cli.views.contest import render_state
from harness.contest.events import ContestPhase
from harness.contest.intake import hand_in, record_run
from harness.contest.ledger import Done, Ledger, restore
from harness.contest.ledger import rebuild as rebuild_rows
from harness.contest.rules import Command, Refusal
from harness.contest.rules.commands import (
    AmendRules,
    CancelEntry,
    CreateContest,
    Disqualify,
    EnterPhase,
    GrantTries,
    MergeTeams,
    RegisterTeam,
    Reinstate,
    RequeueEntry,
    SelectFinals,
)
from harness.core.challenge import Challenge, load_challenge
from harness.core.contest import ContestRules
from harness.core.errors import ChallengeError, ConfigError, ResultError
from harness.results.run_folder import RunFolder
from harness.results.store.chain import Record

DEFAULT_PACKAGES = Path("runs/packages")
_out = Console()
_err = Console(stderr=True, soft_wrap=True)

app = typer.Typer(
    help="Run a contest: teams, quotas, phases, finals, and the log of every decision.",
    no_args_is_help=True,
)
team_app = typer.Typer(help="The teams of a contest.", no_args_is_help=True)
app.add_typer(team_app, name="team")
contest_work.add_to(app)

TeamArgument = Annotated[str, typer.Argument(help="The team's id, as `contest show` prints it.")]
EntryArgument = Annotated[str, typer.Argument(help="The entry's id, as `contest show` prints it.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is kept in the log.")]


@app.command()
def init(*, challenge: ChallengeOption = SAMPLE_CHALLENGE, store: StoreOption = DEFAULT_STORE) -> None:
    """Make a contest of a challenge whose challenge.toml has a [contest] table."""
    loaded, rules = _with_rules(challenge)
    asked = CreateContest(
        challenge=loaded.name,
        challenge_sha256=loaded.sha256,
        public_decimals=loaded.scoring.public_decimals,
        rules=rules,
    )
    _ask(challenge, store, asked, say=lambda _done: f"{loaded.name} is a contest now")


@app.command()
def amend(
    reason: ReasonOption,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Take over a changed [contest] table: later dates, other quotas. What began keeps its moment."""
    _, rules = _with_rules(challenge)
    _ask(challenge, store, AmendRules(rules=rules, reason=reason), say=lambda _done: "the rules are amended")


@app.command()
def show(
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
    team: Annotated[str | None, typer.Option(help="Only this team's entries.")] = None,
) -> None:
    """Show the phase, the teams with what their quotas still allow, and the entries."""
    with _ledger(challenge, store) as (ledger, _loaded):
        for part in render_state(ledger.state(), now=_now(), team=team):
            _out.print(part)


@team_app.command("add")
def team_add(
    name: Annotated[str, typer.Argument(help="The team's name, as it is shown.")],
    *,
    team: Annotated[str | None, typer.Option("--id", help="Its id. Default: made of the name.")] = None,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Let a team take part."""
    wanted = team or _slug(name)
    asked = RegisterTeam(team=wanted, name=name)
    _ask(challenge, store, asked, say=lambda _done: f"team {wanted} takes part")


@team_app.command("merge")
def team_merge(
    into: Annotated[str, typer.Argument(help="The id of the team that stays.")],
    other: Annotated[str, typer.Argument(help="The id of the team that goes up in it.")],
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Let one team go up in another, with its entries."""
    _ask(challenge, store, MergeTeams(into=into, other=other), say=lambda _done: f"{other} went up in {into}")


@app.command()
def submit(
    package: Annotated[Path, typer.Argument(help="A folder or zip with submission.toml at its root.")],
    team: Annotated[str, typer.Option("--team", help="The team's id.")],
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
    packages: Annotated[Path, typer.Option(help="Where packages are kept.")] = DEFAULT_PACKAGES,
    no_external_data: Annotated[
        bool, typer.Option("--no-external-data", help="Declare that it was trained on no further data.")
    ] = False,
) -> None:
    """Hand in a package: checked at once without starting it, kept, and put in the queue."""
    with _ledger(challenge, store) as (ledger, loaded):
        taken = hand_in(
            ledger,
            package,
            team=team,
            challenge=loaded,
            packages=packages.resolve(),
            now=_now(),
            declares_none=no_external_data,
        )
        if taken.answer is None:
            _out.print(render_report(taken.report))
            _err.print("It was not taken, and nothing was spent.")
            raise typer.Exit(1)
        _tell(
            taken.answer, ledger, lambda _done: f"entry {taken.entry} waits; its package is {taken.package}"
        )


@app.command()
def record(
    entry: EntryArgument,
    run: Annotated[Path, typer.Argument(help="The folder of the finished run of its package.")],
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Record the result of an entry that you ran yourself with `harness run`."""
    with _ledger(challenge, store) as (ledger, _loaded):
        found = ledger.state().entries.get(entry)
        if found is None:
            raise ConfigError(
                f"there is no entry {entry[:70]!r}", remedy="`harness contest show` lists them."
            )
        answer = record_run(ledger, found, RunFolder(path=run.resolve()), now=_now())
        _tell(answer, ledger, lambda done: f"entry {entry} is {done.state.entries[entry].status}")


@app.command()
def cancel(
    entry: EntryArgument,
    *,
    reason: ReasonOption = "",
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Withdraw an entry that has no score yet; what it cost is refunded."""
    _ask(challenge, store, CancelEntry(entry=entry, reason=reason), say=lambda _done: f"{entry} is cancelled")


@app.command()
def requeue(
    entry: EntryArgument,
    reason: ReasonOption,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Let an entry wait again that was spoiled by our fault (HARNESS_ERROR)."""
    _ask(challenge, store, RequeueEntry(entry=entry, reason=reason), say=lambda _done: f"{entry} waits again")


@app.command()
def grant(
    team: TeamArgument,
    tries: Annotated[int, typer.Argument(min=1, help="How many.")],
    reason: ReasonOption,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Give a team further tries, on top of every quota."""
    asked = GrantTries(team=team, tries=tries, reason=reason)
    _ask(challenge, store, asked, say=lambda _done: f"{team} has {tries} further tries")


@app.command()
def phase(
    to: Annotated[ContestPhase, typer.Argument(help="The phase to begin now.")],
    reason: ReasonOption,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Begin a later phase now. For another date, change challenge.toml and use `contest amend`."""
    _ask(
        challenge,
        store,
        EnterPhase(phase=to, reason=reason),
        say=lambda done: f"it is {done.state.phase} now",
    )


@app.command()
def disqualify(
    team: TeamArgument,
    reason: ReasonOption,
    note: Annotated[str, typer.Option("--note", help="What everybody reads.")],
    *,
    entry: Annotated[str | None, typer.Option(help="Only this entry of the team.")] = None,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Take a team, or one of its entries, off every board."""
    asked = Disqualify(team=team, entry=entry, reason=reason, public_note=note)
    _ask(challenge, store, asked, say=lambda _done: f"{entry or team} is disqualified")


@app.command()
def reinstate(
    team: TeamArgument,
    reason: ReasonOption,
    *,
    entry: Annotated[str | None, typer.Option(help="Only this entry of the team.")] = None,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Lift a disqualification."""
    asked = Reinstate(team=team, entry=entry, reason=reason)
    _ask(challenge, store, asked, say=lambda _done: f"{entry or team} is in good standing")


@app.command()
def finals(
    team: TeamArgument,
    entries: Annotated[
        list[str] | None, typer.Argument(help="Ids of entries. None: its best by public score.")
    ] = None,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Choose the entries that a team is judged by."""
    chosen = tuple(entries or ())
    asked = SelectFinals(team=team, entries=chosen)
    _ask(challenge, store, asked, say=lambda _done: f"{team} is judged by {', '.join(chosen) or 'its best'}")


@app.command()
def log(
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write JSON lines here instead of printing.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="The sha256 that the last event must have, from if you kept it.")
    ] = None,
) -> None:
    """Print or export every decision, and verify that nobody changed one since."""
    with _ledger(challenge, store) as (ledger, _loaded):
        records, problems = ledger.log(), ledger.problems(head=head)
    lines = "".join(json.dumps(asdict(one)) + "\n" for one in records)
    if output is None:
        sys.stdout.write(lines)
    else:
        output.write_text(lines, encoding="utf-8")
    for problem in problems:
        _err.print(Text(f"the log was changed: {problem}", "bold red"))
    if records and not problems:
        _err.print(f"{len(records)} events, unchanged; keep this: --head {records[-1].sha256}")
    raise typer.Exit(1 if problems else 0)


@app.command()
def rebuild(
    *,
    events: Annotated[
        Path | None, typer.Option("--events", help="A log that `contest log -o` wrote, for an empty store.")
    ] = None,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Make the rows of every contest again from its events; or bring a contest back from its log."""
    opened = open_store(store)
    try:
        if events is not None:
            name = restore(opened, _read_log(events), path=str(challenge.resolve()))
            _out.print(f"{name} is back, as its log has it", soft_wrap=True, markup=False)
            return
        names = rebuild_rows(opened)
    finally:
        opened.close()
    _out.print(f"{len(names)} contests: {', '.join(names) or 'none'}", soft_wrap=True, markup=False)


@contextmanager
def _ledger(challenge: Path, url: str) -> Iterator[tuple[Ledger, Challenge]]:
    loaded = load_challenge(challenge)
    store = open_store(url)
    try:
        yield Ledger(store, loaded.name, path=str(challenge.resolve())), loaded
    finally:
        store.close()


def _ask(challenge: Path, url: str, command: Command, *, say: Callable[[Done], str]) -> None:
    with _ledger(challenge, url) as (ledger, _loaded):
        _tell(ledger.ask(command, now=_now()), ledger, say)


def _tell(answer: Done | Refusal, ledger: Ledger, say: Callable[[Done], str]) -> None:
    if isinstance(answer, Refusal):
        rules = ledger.state().rules
        words = answer.in_words(rules.zone if rules else None)
        _err.print(Text.assemble(("refused:", "bold red"), f" {words}"))
        raise typer.Exit(1)
    _out.print(say(answer), soft_wrap=True, markup=False, highlight=False)


def _with_rules(path: Path) -> tuple[Challenge, ContestRules]:
    loaded = load_challenge(path)
    if loaded.contest is None:
        raise ChallengeError(
            "has no [contest] table", place=path, remedy="Add one; docs/contest.md has an example."
        )
    return loaded, loaded.contest


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64]


def _read_log(path: Path) -> tuple[Record, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return tuple(Record(**json.loads(line)) for line in lines)
    except (OSError, ValueError, TypeError) as error:
        raise ResultError(
            f"is not a log of a contest: {error}",
            place=path,
            remedy="Export it with `harness contest log -o`.",
        ) from error


def _now() -> datetime:
    return datetime.now(UTC)
