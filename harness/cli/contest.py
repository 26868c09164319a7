"""`harness contest`: what an organiser decides, from the shell. Every decision is an event in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import contest_log, contest_packages, contest_work
from harness.cli.contest_asking import ask, now_, opened_ledger, tell
from harness.cli.documents import print_document
from harness.cli.options import (
    DEFAULT_PACKAGES,
    DEFAULT_STORE,
    SAMPLE_CHALLENGE,
    ChallengeOption,
    JsonOption,
    NoExternalDataOption,
    PackageArgument,
    StoreOption,
)
from harness.cli.terminal import printer
from harness.cli.views.check import render_report
from harness.cli.views.contest import render_state
from harness.contest.events import ContestPhase
from harness.contest.intake import hand_in, record_run
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
from harness.contest.rules.teams import team_id
from harness.core.challenge import Challenge, load_challenge
from harness.core.contest import ContestRules
from harness.core.errors import ChallengeError, ConfigError
from harness.results.run_folder import RunFolder

_out = printer()
_err = printer(errors=True)

app = typer.Typer(
    help="Run a contest: teams, quotas, phases, finals, and the log of every decision.",
    no_args_is_help=True,
    rich_markup_mode=None,  # [contest] is a table of challenge.toml, and no markup
)
team_app = typer.Typer(help="The teams of a contest.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(team_app, name="team")
contest_work.add_to(app)
contest_log.add_to(app)
contest_packages.add_to(app)

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
    ask(challenge, store, asked, say=lambda _done: f"{loaded.name} is a contest now")


@app.command()
def amend(
    reason: ReasonOption,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Take over a changed [contest] table: later dates, other quotas. What began keeps its moment."""
    _, rules = _with_rules(challenge)
    ask(challenge, store, AmendRules(rules=rules, reason=reason), say=lambda _done: "the rules are amended")


@app.command()
def show(
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
    team: Annotated[str | None, typer.Option(help="Only this team's entries.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the phase, the teams with what their quotas still allow, and the entries."""
    with opened_ledger(challenge, store) as (ledger, _loaded):
        if as_json:
            from harness.cli.documents.contest import ContestShowDocument

            print_document(ContestShowDocument.of(ledger.state(), now=now_(), team=team))
            return
        for part in render_state(ledger.state(), now=now_(), team=team):
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
    wanted = team or team_id(name)
    asked = RegisterTeam(team=wanted, name=name)
    ask(challenge, store, asked, say=lambda _done: f"team {wanted} takes part")


@team_app.command("merge")
def team_merge(
    into: Annotated[str, typer.Argument(help="The id of the team that stays.")],
    other: Annotated[str, typer.Argument(help="The id of the team that joins it.")],
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Merge one team into another, with its entries."""
    ask(challenge, store, MergeTeams(into=into, other=other), say=lambda _done: f"{other} joined {into}")


@app.command()
def submit(
    package: PackageArgument,
    team: Annotated[str, typer.Option("--team", help="The team's id.")],
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
    packages: Annotated[Path, typer.Option(help="Where packages are kept.")] = DEFAULT_PACKAGES,
    no_external_data: NoExternalDataOption = False,
) -> None:
    """Hand in a package: checked at once without starting it, kept, and put in the queue."""
    with opened_ledger(challenge, store) as (ledger, loaded):
        taken = hand_in(
            ledger,
            package,
            team=team,
            challenge=loaded,
            packages=packages.resolve(),
            now=now_(),
            declares_none=no_external_data,
        )
        if taken.answer is None:
            _out.print(render_report(taken.report))
            _err.print("It was not taken, and nothing was spent.")
            raise typer.Exit(1)
        tell(taken.answer, ledger, lambda _done: f"entry {taken.entry} waits; its package is {taken.package}")


@app.command()
def record(
    entry: EntryArgument,
    run: Annotated[Path, typer.Argument(help="The folder of the finished run of its package.")],
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Record the result of an entry that you ran yourself with `harness run`."""
    with opened_ledger(challenge, store) as (ledger, _loaded):
        found = ledger.state().entries.get(entry)
        if found is None:
            raise ConfigError(
                f"there is no entry {entry[:70]!r}", remedy="`harness contest show` lists them."
            )
        answer = record_run(ledger, found, RunFolder(path=run.resolve()), now=now_())
        tell(answer, ledger, lambda done: f"entry {entry} is {done.state.entries[entry].status}")


@app.command()
def cancel(
    entry: EntryArgument,
    *,
    reason: ReasonOption = "",
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Withdraw an entry that has no score yet; what it cost is refunded."""
    ask(challenge, store, CancelEntry(entry=entry, reason=reason), say=lambda _done: f"{entry} is cancelled")


@app.command()
def requeue(
    entry: EntryArgument,
    reason: ReasonOption,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Queue an entry again that our own fault (HARNESS_ERROR) spoiled."""
    ask(challenge, store, RequeueEntry(entry=entry, reason=reason), say=lambda _done: f"{entry} waits again")


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
    ask(challenge, store, asked, say=lambda _done: f"{team} has {tries} further tries")


@app.command()
def phase(
    to: Annotated[ContestPhase, typer.Argument(help="The phase to begin now.")],
    reason: ReasonOption,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Begin a later phase now. For another date, change challenge.toml and use `contest amend`."""
    ask(
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
    ask(challenge, store, asked, say=lambda _done: f"{entry or team} is disqualified")


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
    ask(challenge, store, asked, say=lambda _done: f"{entry or team} is in good standing")


@app.command()
def finals(
    team: TeamArgument,
    entries: Annotated[
        list[str] | None, typer.Argument(help="Ids of entries. Default: its best by public score.")
    ] = None,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Choose the entries that a team is judged by."""
    chosen = tuple(entries or ())
    asked = SelectFinals(team=team, entries=chosen)
    ask(challenge, store, asked, say=lambda _done: f"{team} is judged by {', '.join(chosen) or 'its best'}")


def _with_rules(path: Path) -> tuple[Challenge, ContestRules]:
    loaded = load_challenge(path)
    if loaded.contest is None:
        raise ChallengeError(
            "has no [contest] table", place=path, remedy="Add one; docs/contest.md has an example."
        )
    return loaded, loaded.contest
