"""`harness remote`: hand in to a portal, watch, select and look at the board, from a shell or from CI."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import typer

from harness.cli.exit_codes import NOT_WELL, OK, OUR_FAULT
from harness.cli.options import JsonOption, NoExternalDataOption, PackageArgument
from harness.cli.remote_progress import RemoteProgress
from harness.cli.terminal import printer
from harness.cli.views.remote import board_table, entry_lines, entry_table, refusal_lines, team_lines
from harness.core.errors import ConfigError
from harness.portal.client.connection import Portal
from harness.portal.client.follow import follow
from harness.portal.client.logins import (
    TOKEN_VARIABLE,
    URL_VARIABLE,
    Login,
    forget,
    keep,
    login_in_use,
    logins_file,
    portal_url,
)
from harness.portal.client.replies import SCORED, VOIDED, EntryView, JsonObject, Refused, entry_of
from harness.portal.client.upload import entries_of

PATIENCE_SECONDS = 20.0
NO_DATA_HINT = "  If it was trained on no further data, say so: --no-external-data."
LONG_PATIENCE_SECONDS = 600.0  # of what takes long anyway: a portal that is started again costs nothing

_out = printer()
_err = printer(errors=True)

app = typer.Typer(
    help="Hand in to a portal, watch, choose finals and see the board, from a shell or from CI.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

PortalOption = Annotated[
    str | None,
    typer.Option("--portal", help=f"Its address. Default: {URL_VARIABLE}, or of the last login."),
]
ChallengeNameOption = Annotated[
    str | None,
    typer.Option("--challenge", help="The challenge's name. Default: the one of your token."),
]
EntryIdArgument = Annotated[str, typer.Argument(help="The entry's id, as `remote status` prints it.")]
WaitOption = Annotated[
    bool, typer.Option("--wait", help="Watch it to its end; the exit code is then the verdict's.")
]


@dataclass(frozen=True, kw_only=True)
class _At:
    """A portal, and the challenge that is meant there."""

    portal: Portal
    challenge: str

    def path(self, *parts: str) -> str:
        return "/".join(("/challenges", self.challenge, *parts))


@app.command()
def login(
    portal: Annotated[str, typer.Argument(help="The portal's address, https://HOST.")],
    *,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Send the token over http:// to another machine.")
    ] = False,
) -> None:
    """Keep a token for a portal; it is asked for, or read from standard input or HARNESS_PORTAL_TOKEN."""
    address = portal_url(portal, insecure=insecure)
    token = os.environ.get(TOKEN_VARIABLE, "").strip() or _asked_token()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError("is not a token", place="what was given", remedy="The portal shows it once, whole.")
    with Portal(address, token=token, patience_seconds=PATIENCE_SECONDS, say=_say) as asked:
        me = asked.get("/me")
    path = logins_file()
    keep(Login(url=address, token=token, challenge=str(me.get("challenge") or "")), path)
    who = me.get("team_name") or me.get("team") or me.get("role")
    _out.print(f"you are {who} at {address}; the token is in {path}", soft_wrap=True)


@app.command()
def logout(*, portal: PortalOption = None) -> None:
    """Forget the token for a portal on this machine. It stays valid until it is revoked."""
    gone = forget(logins_file(), url=None if portal is None else portal_url(portal, insecure=True))
    if gone is None:
        raise ConfigError("there is no token for it", place=portal or "this user", remedy="Nothing to do.")
    _out.print(f"forgot the token for {gone}", soft_wrap=True)


@app.command()
def submit(
    package: PackageArgument,
    *,
    wait: WaitOption = False,
    no_external_data: NoExternalDataOption = False,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Do not check it here first; the portal checks it anyway.")
    ] = False,
    as_json: JsonOption = False,
    portal: PortalOption = None,
    challenge: ChallengeNameOption = None,
) -> None:
    """Check a package, send it, and have it taken as an entry; an upload that was cut off goes on."""
    from harness.cli.remote_parcel import checked_parcel  # reads packages: on use
    from harness.portal.client.upload import hand_in

    with _at(portal, challenge, patience_seconds=LONG_PATIENCE_SECONDS) as at, RemoteProgress(_err) as told:
        facts = at.portal.get(at.path())
        with checked_parcel(package, facts.get("limits", ()), check=not unchecked, as_json=as_json) as parcel:
            answer = hand_in(
                at.portal,
                at.challenge,
                parcel,
                no_external_data=no_external_data,
                progress=told.uploading,
            )
        if isinstance(answer, Refused):
            hint = "" if no_external_data else NO_DATA_HINT
            _refuse(answer, as_json=as_json, hint=hint if "external data" in answer.rule else "")
        entry = answer.entry
        told.line(f"entry {entry.entry} is {entry.status}")
        if wait:
            for now in follow(at.portal, at.challenge, entry.entry):
                told.entry(now)
                entry = now
        elif not as_json:
            _out.print(
                f"entry {entry.entry}; `harness remote status {entry.entry} --wait` watches it",
                soft_wrap=True,
            )
    _end(entry, wait=wait, as_json=as_json, shown=False)


@app.command()
def status(
    entry: Annotated[str | None, typer.Argument(help="An entry's id. Default: all of the team's.")] = None,
    *,
    wait: WaitOption = False,
    as_json: JsonOption = False,
    portal: PortalOption = None,
    challenge: ChallengeNameOption = None,
) -> None:
    """Show what quotas still allow and how the entries are; or one entry, and watch it."""
    patience = LONG_PATIENCE_SECONDS if wait else PATIENCE_SECONDS
    with _at(portal, challenge, patience_seconds=patience) as at:
        if entry is None:
            if wait:
                raise ConfigError("--wait needs an entry", remedy="`harness remote status ENTRY --wait`.")
            team, entries = at.portal.get(at.path("team")), entries_of(at.portal, at.challenge)
            if as_json:
                _print_json({"team": team, "entries": entries})
                return
            for line in team_lines(team):
                _out.print(line, soft_wrap=True)
            _out.print(entry_table(entries))
            return
        if not wait:
            found = entry_of(at.portal.get(at.path("entries", entry)))
        else:
            with RemoteProgress(_err) as told:
                for found in follow(at.portal, at.challenge, entry):
                    told.entry(found)
    _end(found, wait=wait, as_json=as_json)


@app.command()
def logs(
    entry: EntryIdArgument, *, portal: PortalOption = None, challenge: ChallengeNameOption = None
) -> None:
    """Print the end of what an entry's package printed on the public set."""
    with _at(portal, challenge) as at:
        text = at.portal.get_text(at.path("entries", entry, "logs"))
    if not text:
        _err.print("it printed nothing, or has not run yet")
    sys.stdout.write(text + ("" if text.endswith("\n") or not text else "\n"))


@app.command()
def select(
    entries: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of entries. Default, with --best: the best by public score."),
    ] = None,
    *,
    best: Annotated[bool, typer.Option("--best", help="Take back a choice: the best public score.")] = False,
    as_json: JsonOption = False,
    portal: PortalOption = None,
    challenge: ChallengeNameOption = None,
) -> None:
    """Choose the entries that your team is judged by."""
    chosen = list(entries or ())
    if best == bool(chosen):
        raise ConfigError("give entries, or --best", remedy="`harness remote status` lists the entries.")
    with _at(portal, challenge) as at:
        answer = at.portal.send("PUT", at.path("finals"), {"entries": chosen})
    if isinstance(answer, Refused):
        _refuse(answer, as_json=as_json)
    if as_json:
        _print_json(answer)
        return
    named = ", ".join(map(str, answer.get("finals", ()))) or "its best by public score"
    _out.print(f"your team is judged by {named}", soft_wrap=True)


@app.command()
def cancel(
    entry: EntryIdArgument,
    *,
    as_json: JsonOption = False,
    portal: PortalOption = None,
    challenge: ChallengeNameOption = None,
) -> None:
    """Withdraw an entry that has no score yet; what it cost is refunded."""
    with _at(portal, challenge) as at:
        answer = at.portal.send("POST", at.path("entries", entry, "cancel"), {})
    if isinstance(answer, Refused):
        _refuse(answer, as_json=as_json)
    _end(entry_of(answer), wait=False, as_json=as_json)


@app.command()
def board(
    *,
    private: Annotated[
        bool, typer.Option("--private", help="Of the private set, after its release.")
    ] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print it as CSV.")] = False,
    portal: PortalOption = None,
    challenge: ChallengeNameOption = None,
) -> None:
    """Show the board: places, scores with their intervals, and which cannot be told apart."""
    which = "private" if private else "public"
    with _at(portal, challenge) as at:
        if as_csv:
            sys.stdout.write(at.portal.get_text(at.path("board.csv"), set=which))
            return
        found = at.portal.get(at.path("board"), set=which)
    if as_json:
        _print_json(found)
    else:
        _out.print(board_table(found))


@contextmanager
def _at(
    url: str | None, challenge: str | None, *, patience_seconds: float = PATIENCE_SECONDS
) -> Iterator[_At]:
    used = login_in_use(logins_file(), os.environ, url=url)
    with Portal(used.url, token=used.token, patience_seconds=patience_seconds, say=_say) as portal:
        named = challenge or used.challenge or str(portal.get("/me").get("challenge") or "")
        if not named:
            raise ConfigError(
                "the token is for no single challenge", place=used.url, remedy="Name one with --challenge."
            )
        yield _At(portal=portal, challenge=named)


def _asked_token() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("token: ").strip()
    return sys.stdin.readline().strip()


def _end(entry: EntryView, *, wait: bool, as_json: bool, shown: bool = True) -> None:
    """Show an entry, and end with the verdict's exit code if it was waited for."""
    if as_json:
        _print_json(entry.document)
    elif shown or wait or entry.over:
        for line in entry_lines(entry.document):
            _out.print(line, soft_wrap=True)
    if not wait or entry.status == SCORED:
        raise typer.Exit(OK)
    raise typer.Exit(OUR_FAULT if entry.status == VOIDED else NOT_WELL)


def _refuse(answer: Refused, *, as_json: bool, hint: str = "") -> NoReturn:
    """Say why something was not done, and end.

    Raises:
        typer.Exit: always, with exit code 1.
    """
    if as_json:
        _print_json(answer.document)
    else:
        for line in refusal_lines(answer):
            _err.print(line)
        if hint:
            _err.print(hint, highlight=False)
    raise typer.Exit(NOT_WELL)


def _print_json(document: Mapping[str, Any] | JsonObject) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _say(text: str) -> None:
    _err.print(f"  {text}", highlight=False)
