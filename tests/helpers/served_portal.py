"""A portal that runs: a contest with two teams, tokens for everybody, and a server on a port of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from harness.contest.ledger import Accepted, Ledger
from harness.contest.rules import ORGANISER
from harness.contest.rules.commands import CreateContest, RegisterTeam, Role
from harness.core.challenge import load_challenge
from harness.portal.access import TEAM_SCOPES, Holder, Scope, make_token
from harness.portal.app import create_app
from harness.portal.config import PortalConfig
from harness.portal.site import Site

NAME = "tiny"
TEAMS = ("red", "blue")
CHALLENGE = """schema = 1
name = "tiny"
title = "A tiny challenge"
[sets.public]
videos = "videos"
labels = "videos/labels.csv"
recipe = "original"
seed = 1
[sets.private]
videos = "videos"
labels = "videos/labels.csv"
recipe = "original"
seed = 2
[contest]
timezone = "UTC"
opens = 2020-01-01T00:00:00
closes = 2100-01-01T00:00:00
valid_per_day = {valid_per_day}
"""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running portal."""

    url: str
    site: Site
    app: FastAPI
    tokens: dict[str, str]  # of each team, of the `organiser`, and one for `metrics`


def write_challenge(folder: Path, *, valid_per_day: int = 3) -> Path:
    """Write a challenge whose videos nobody can decode."""
    (folder / "videos").mkdir(parents=True)
    for number in range(4):
        (folder / "videos" / f"{number}.mp4").write_bytes(f"{number}".encode())
    labels = "".join(f"{number}.mp4,{number % 2}\n" for number in range(4))
    (folder / "videos" / "labels.csv").write_text(f"filename,label\n{labels}")
    path = folder / "challenge.toml"
    path.write_text(CHALLENGE.format(valid_per_day=valid_per_day))
    return path


def made_site(
    folder: Path, *, store: str = "", valid_per_day: int = 3, requests_per_minute: int = 600_000
) -> Site:
    """Make a contest with its teams, and a portal's surroundings for it."""
    path = write_challenge(folder / "challenge", valid_per_day=valid_per_day)
    config = PortalConfig(
        store=store or f"sqlite:///{folder / 'portal.db'}",
        runs=folder / "runs",
        packages=folder / "packages",
        uploads=folder / "uploads",
        requests_per_minute=requests_per_minute,
    )
    site = Site(config)
    challenge = load_challenge(path)
    assert challenge.contest is not None
    create = CreateContest(
        challenge=challenge.name,
        challenge_sha256=challenge.sha256,
        public_decimals=challenge.scoring.public_decimals,
        rules=challenge.contest,
    )
    ledger = Ledger(site.store, NAME, path=str(path))
    for command in (create, *(RegisterTeam(team=team, name=team.title()) for team in TEAMS)):
        assert isinstance(ledger.ask(command, now=site.now(), by=ORGANISER), Accepted)
    return site


def made_tokens(site: Site) -> dict[str, str]:
    """Make a token for everybody."""
    holders = {
        team: (Holder(role=Role.TEAM, label=f"{team}'s", challenge=NAME, team=team), TEAM_SCOPES)
        for team in TEAMS
    }
    organiser = Holder(role=Role.ORGANISER, label="organiser")
    holders |= {"organiser": (organiser, (Scope.ORGANISE,)), "metrics": (organiser, (Scope.METRICS,))}
    return {name: make_token(site, *one).text for name, one in holders.items()}


@contextmanager
def served(site: Site) -> Iterator[Served]:
    """Serve a portal from a thread of this process."""
    app = create_app(site.config, site=site)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    tokens = made_tokens(site)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive(), "the portal did not start"
            assert time.monotonic() < deadline, "the portal did not start in a minute"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(url=f"http://127.0.0.1:{port}", site=site, app=app, tokens=tokens)
    finally:
        server.should_exit = True
        server.force_exit = True  # event streams would be waited for
        thread.join(timeout=30)
        assert not thread.is_alive()
