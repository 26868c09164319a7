"""`harness serve` and `harness access`: the portal, and who may enter it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.contest_sources import PackagesOption
from harness.cli.documents import print_document
from harness.cli.options import (
    DEFAULT_PACKAGES,
    DEFAULT_RUNS,
    DEFAULT_STORE,
    SAMPLE_CHALLENGE,
    ChallengeOption,
    JsonOption,
    StoreOption,
)
from harness.cli.portal_workers import workers_beside
from harness.cli.terminal import printer
from harness.core.errors import ConfigError

if TYPE_CHECKING:
    from harness.portal.config import PortalConfig
    from harness.portal.site import Site

DEFAULT_UPLOADS = Path("runs/uploads")
DEMO = Path("runs/portal")

_out = printer()
_err = printer(errors=True)

LogWords = Literal["text", "json"]
RunsOption = Annotated[Path, typer.Option(help="The folder of run folders, as the worker has it.")]
AddressOption = Annotated[
    str | None,
    typer.Option(envvar="HARNESS_ADDRESS", help="As readers reach it, e.g. https://contest.example."),
]
LabelOption = Annotated[str, typer.Option("--label", help="Whose it is, in words.")]

access_app = typer.Typer(
    help="Say who may enter the portal: links for people, tokens for programs.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def serve(
    *,
    store: StoreOption = DEFAULT_STORE,
    runs: RunsOption = DEFAULT_RUNS,
    packages: PackagesOption = DEFAULT_PACKAGES,
    uploads: Annotated[Path, typer.Option(help="Where uploads grow.")] = DEFAULT_UPLOADS,
    challenges: Annotated[
        Path | None,
        typer.Option(help="A folder of challenge folders that an organiser may make contests of."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address that it listens at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port.")] = 8000,
    address: AddressOption = None,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="A host name that it answers to. Default: any.", show_default=False),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(help="The address of a proxy whose word on clients is believed.", show_default=False),
    ] = None,
    requests_per_minute: Annotated[
        int, typer.Option(min=60, help="By one client, before it is told to wait.")
    ] = 3000,
    price_per_hour: Annotated[float, typer.Option(min=0, help="Of one place for a shard.")] = 0.0,
    worker: Annotated[
        list[Path] | None,
        typer.Option(
            help="A challenge.toml whose entries are run by a worker on this machine, beside it.",
            show_default=False,
        ),
    ] = None,
    log_format: Annotated[
        LogWords, typer.Option("--log-format", help="Of the log on standard error: text, or json.")
    ] = "text",
    demo: Annotated[
        bool, typer.Option("--demo", help="The sample challenge as a contest, two links, and a worker.")
    ] = False,
) -> None:
    """Serve the portal: hand in, watch, compare and release contests in a browser, or by a REST API."""
    needs_portal()
    from harness.cli.open_store import open_store
    from harness.portal.config import PortalConfig  # an extra

    workers = list(worker or ())
    if demo:
        from harness.cli.portal_demo import demo_places

        store, runs, packages, uploads, challenge = demo_places(DEMO)
        workers = [challenge]
    config = PortalConfig(
        store=store,
        runs=runs.resolve(),
        packages=packages.resolve(),
        uploads=uploads.resolve(),
        challenges=None if challenges is None else challenges.resolve(),
        address=(address or f"http://{host}:{port}").rstrip("/"),
        hosts=tuple(name or ()),
        requests_per_minute=requests_per_minute,
        price_per_hour=price_per_hour,
    )
    if demo:
        from harness.cli.portal_demo import make_demo

        for words, link in make_demo(config, workers[0]):
            _out.print(f"{words}\n  {link}", highlight=False)
    open_store(store).close()  # with its folder: a first start is in an empty one
    with workers_beside(config, workers):
        _run(config, host, port, tuple(proxy or ()), log_format)


@access_app.command()
def organiser(
    *,
    label: LabelOption = "organiser",
    challenge: Annotated[
        Path | None, typer.Option("--challenge", "-c", help="Of this one only. Default: of all contests.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    address: AddressOption = None,
    token: Annotated[bool, typer.Option("--token", help="A token for a program instead of a link.")] = False,
) -> None:
    """Make a link, or a token, for an organiser."""
    _give(store, address, label=label, challenge=challenge, team=None, token=token)


@access_app.command()
def team(
    name: Annotated[str, typer.Argument(help="The team's id, as `contest show` prints it.")],
    *,
    label: LabelOption = "member",
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    store: StoreOption = DEFAULT_STORE,
    address: AddressOption = None,
    token: Annotated[bool, typer.Option("--token", help="A token for a program instead of a link.")] = False,
) -> None:
    """Make a link, or a token, for a team."""
    _give(store, address, label=label, challenge=challenge, team=name, token=token)


@access_app.command(name="list")
def list_all(*, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """List what is good for entering. Secrets are kept nowhere, so none is shown."""
    needs_portal()
    from harness.cli.open_store import open_store
    from harness.results.store import access_rows

    opened = open_store(store)
    try:
        with opened.read() as connection:
            rows = access_rows.listed(connection)
    finally:
        opened.close()
    if as_json:
        from harness.cli.documents.portal import AccessLine, AccessListDocument

        lines = (
            AccessLine(
                access=row.access,
                kind=row.kind,
                challenge=row.challenge,
                role=row.role,
                team=row.team,
                label=row.label,
                expires=row.expires,
            )
            for row in rows
            if row.revoked is None
        )
        print_document(AccessListDocument(accesses=tuple(lines)))
        return
    for row in rows:
        if row.revoked is None:
            whose = row.team or row.role
            line = (
                f"{row.access} {row.kind} {row.challenge or 'all'} {whose} {row.label!r} until {row.expires}"
            )
            _out.print(line, highlight=False)


@access_app.command()
def revoke(
    access: Annotated[str, typer.Argument(help="Its id, as `access list` prints it.")],
    *,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Revoke a link, a token or a session, and every session that came by it."""
    needs_portal()
    from harness.portal.access import revoke as revoke_now

    with _site(store, None) as site:
        count = revoke_now(site, access)
    _out.print(f"{count} revoked")
    raise typer.Exit(0 if count else 1)


def needs_portal() -> None:
    """Say what to install if the extra is missing.

    Raises:
        ConfigError: it is.
    """
    try:
        import fastapi  # noqa: F401  (is it there?)
        import uvicorn  # noqa: F401  (likewise)
    except ImportError as error:
        raise ConfigError(
            "the portal needs packages that are not installed",
            remedy="Install the extra: pip install 'blackbox-video-harness[portal]'.",
        ) from error


def _give(
    store: str, address: str | None, *, label: str, challenge: Path | None, team: str | None, token: bool
) -> None:
    needs_portal()
    from harness.cli.options import find_challenge
    from harness.contest.rules.commands import Role
    from harness.portal.access import TEAM_SCOPES, Holder, Scope, make_link, make_token

    name = None if challenge is None else find_challenge(challenge).name
    with _site(store, address) as site:
        if name is not None:
            known = {row.challenge for row in site.contests()}
            teams = site.contest(name).state.teams if name in known else {}
            if name not in known or (team is not None and team not in teams):
                raise ConfigError(
                    f"there is no contest {name}" if name not in known else f"there is no team {team!r}",
                    place=site.store.place,
                    remedy="`harness contest show` lists teams; `harness contest init` makes a contest.",
                )
        role = Role.ORGANISER if team is None else Role.TEAM
        holder = Holder(role=role, label=label, challenge=name, team=team)
        if token:
            scopes = (Scope.ORGANISE, Scope.METRICS) if team is None else TEAM_SCOPES
            made = make_token(site, holder, scopes)
        else:
            made = make_link(site, holder)
    sys.stdout.write(made.text + "\n")


@contextlib.contextmanager
def _site(store: str, address: str | None) -> Iterator[Site]:
    from harness.cli.open_store import open_store
    from harness.portal.config import PortalConfig
    from harness.portal.site import Site

    open_store(store).close()
    nowhere = Path()
    here = (address or "http://127.0.0.1:8000").rstrip("/")
    site = Site(PortalConfig(store=store, runs=nowhere, packages=nowhere, uploads=nowhere, address=here))
    try:
        yield site
    finally:
        site.close()


def _run(config: PortalConfig, host: str, port: int, proxies: tuple[str, ...], log_format: str) -> None:
    import uvicorn

    from harness.cli.portal_logs import LogFormat, log_to_standard_error
    from harness.portal.app import create_app
    from harness.portal.lines import PatientProtocol, allow_many_lines

    allow_many_lines()
    log_to_standard_error(LogFormat(log_format))
    app = create_app(config)
    _err.print(f"the portal is at {config.address}", highlight=False)
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=PatientProtocol,
        log_config=None,  # it is set up already
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies) or None,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
    )
