"""A portal with a small contest, served by uvicorn on a port of its own: `with portal(tmp_path) as kit: ...`.

The contest has two teams, `red` and `blue`, and an organiser. Results that no test runs a container for are
put on record by `finish`, which writes a run folder as a worker leaves it.
"""

from __future__ import annotations

import hashlib
import socket
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import requests
import uvicorn
from example_run import example_result

from harness.contest.board.published import PublishedBoard, PublishedRow
from harness.contest.intake import hand_in
from harness.contest.ledger import Accepted, Ledger
from harness.contest.rules import HARNESS
from harness.contest.rules.commands import Command, CreateContest, RecordScore, RegisterTeam, Role, Start
from harness.core.challenge import Challenge, load_challenge
from harness.core.types import SetName, Verdict
from harness.portal.access import TEAM_SCOPES, Holder, Scope, make_link, make_token
from harness.portal.app import create_app
from harness.portal.config import PortalConfig
from harness.portal.lines import PatientProtocol
from harness.portal.site import Site
from harness.results.result import Result, write_result
from harness.results.run_folder import RunFolder
from harness.results.seal import content_sha256
from harness.results.store import board_rows, runs
from harness.results.store.board_rows import BoardRow
from tests.contest_kit import write_challenge

CONTEST = """
[contest]
timezone = "Europe/Paris"
opens = {opens}
closes = {closes}
valid_per_day = 5
failed_per_day = 3
total = 40
finals = 2
"""
PREDICTOR = """
class Predictor:
    def __init__(self, package):
        pass
    def predict(self, video):
        return {answer}
"""
API = "/api/v1"
PRIVATE_LOSS = 0.987654321  # a number that nobody finds by chance


@dataclass(kw_only=True)
class Kit:
    """A portal that runs, and what tests need of it."""

    folder: Path
    config: PortalConfig
    site: Site
    challenge: Challenge
    toml: Path
    address: str
    tokens: dict[str, str] = field(default_factory=dict)  # red, blue, organiser

    @property
    def name(self) -> str:
        """The contest's name."""
        return self.challenge.name

    @property
    def api(self) -> str:
        """The contest's address in the API."""
        return f"{self.address}{API}/challenges/{self.name}"

    @property
    def ledger(self) -> Ledger:
        """A fresh ledger of the contest."""
        return Ledger(self.site.store, self.name)

    def ask(self, command: Command) -> Accepted:
        """Ask as the organiser; a refusal is the test's mistake."""
        answer = self.ledger.ask(command, now=datetime.now(UTC))
        assert isinstance(answer, Accepted), answer
        return answer

    def headers(self, who: str) -> dict[str, str]:
        """Return the headers of a token's holder."""
        return {"authorization": f"Bearer {self.tokens[who]}"}

    def call(self, method: str, path: str, who: str | None = None, **more: Any) -> requests.Response:
        """Call the API of the contest; a path that begins with / is of the whole portal."""
        place = f"{self.address}{path}" if path.startswith("/") else f"{self.api}/{path}"
        headers = (self.headers(who) if who else {}) | more.pop("headers", {})
        return requests.request(
            method, place.rstrip("/"), headers=headers, timeout=60, allow_redirects=False, **more
        )

    def browser(self, team: str | None) -> requests.Session:
        """Return a session as a browser has after following a link: of a team, or of an organiser."""
        role = Role.ORGANISER if team is None else Role.TEAM
        holder = Holder(
            role=role, label=f"{team or 'organiser'} person", challenge=team and self.name, team=team
        )
        link = make_link(self.site, holder).text
        session = requests.Session()
        session.post(link, timeout=60, allow_redirects=False)
        return session

    def hand_in(self, team: str, *, answer: str = "0.5") -> str:
        """Hand a package in for a team, past the portal; returns the entry."""
        package = write_package(self.folder / "made" / f"{team}-{time.monotonic_ns()}.zip", answer=answer)
        taken = hand_in(
            self.ledger,
            package,
            team=team,
            challenge=self.challenge,
            packages=self.config.packages,
            now=datetime.now(UTC),
            declares_none=True,
        )
        assert isinstance(taken.answer, Accepted), taken
        return taken.entry

    def finish(self, entry: str, *, loss: float, private: float = PRIVATE_LOSS, log: str = "") -> str:
        """Put a result on record as a worker does; returns the run."""
        found = self.ledger.state().entries[entry]
        folder = RunFolder(path=self.config.runs / f"{self.name}-{entry}")
        result = with_losses(made_result(), run_id=folder.run_id, public=loss, private=private)
        write_result(result, folder.result)
        for name in (SetName.PUBLIC, SetName.PRIVATE):
            folder.log(name).parent.mkdir(parents=True, exist_ok=True)
        folder.log(SetName.PUBLIC).write_text(log or f"log of {entry}\n", encoding="utf-8")
        folder.log(SetName.PRIVATE).write_text(f"SECRET private log of {entry}\n", encoding="utf-8")
        folder.contestant_report.write_text(f"<title>report of {entry}</title>", encoding="utf-8")
        folder.report.write_text(f"SECRET organiser's report of {entry}, {private}", encoding="utf-8")
        self.ledger.ask(Start(entry=entry, attempt=found.attempt), now=datetime.now(UTC), by=HARNESS)
        asked = RecordScore(
            entry=entry,
            attempt=found.attempt,
            run_id=folder.run_id,
            verdict="OK",
            result_sha256=content_sha256(folder.result),
            public_loss=loss,
        )
        answer = self.ledger.ask(
            asked,
            now=datetime.now(UTC),
            by=HARNESS,
            also=lambda connection, _state, _events: _index(runs.record(connection, folder)),
        )
        assert isinstance(answer, Accepted), answer
        return folder.run_id

    def publish(self, rows: tuple[PublishedRow, ...], *, set_name: str = "public") -> None:
        """Publish a board of made rows, as a worker does."""
        found = PublishedBoard(
            challenge=self.name,
            title=self.name,
            set=set_name,
            version=hashlib.sha256(repr(rows).encode()).hexdigest()[:16],
            events=self.ledger.state().events,
            computed=datetime.now(UTC).isoformat(timespec="seconds"),
            decimals=4,
            rule="rounded" if set_name == "public" else "exact",
            rows=rows,
        )
        row = BoardRow(
            challenge=self.name,
            set_name=set_name,
            version=found.version,
            events=found.events,
            computed=found.computed,
            document=found.to_json(),
        )
        self.site.store.write(lambda connection: board_rows.put(connection, row))

    def upload(self, who: str, package: Path, *, chunk: int = 1_000_000) -> requests.Response:
        """Upload a package in parts and finish it; returns the last answer."""
        data = package.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        asked = {"name": package.name, "size_bytes": len(data), "sha256": sha256}
        begun = self.call("POST", "uploads", who, json=asked)
        if begun.status_code not in {200, 201}:
            return begun
        upload, at = begun.json()["upload"], begun.json()["offset"]
        while at < len(data):
            part = self.call(
                "PATCH",
                f"uploads/{upload}",
                who,
                data=data[at : at + chunk],
                headers={"upload-offset": str(at), "content-type": "application/octet-stream"},
            )
            if part.status_code != 200:
                return part
            at = part.json()["offset"]
        return self.call("POST", f"uploads/{upload}/finish", who, json={"no_external_data": True})


@contextmanager
def portal(
    folder: Path, *, rules: str = "", fill: bool = True, public: int = 6, private: int = 6, **settings: Any
) -> Iterator[Kit]:
    """Serve a portal over a fresh contest.

    Args:
        folder: For everything that it keeps.
        rules: Further lines of the [contest] table.
        fill: Make the contest; otherwise it is in the store already.
        public: Videos of the set.
        private: Videos of the set.
        settings: Of `PortalConfig`, other than the kit's own.
    """
    toml = write_challenge(folder / "challenge", public=public, private=private)
    now = datetime.now(UTC).replace(microsecond=0)
    table = CONTEST.format(
        opens=(now - timedelta(days=2)).isoformat(), closes=(now + timedelta(days=20)).isoformat()
    )
    toml.write_text(toml.read_text(encoding="utf-8") + table + rules, encoding="utf-8")
    challenge = load_challenge(toml)
    assert challenge.contest is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        own: dict[str, Any] = {
            "store": f"sqlite:///{folder / 'portal.db'}",
            "runs": folder / "runs",
            "packages": folder / "packages",
            "uploads": folder / "uploads",
            "address": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "requests_per_minute": 100_000,
            "links_per_minute": 100_000,
        }
        config = PortalConfig(**own | settings)
        site = Site(config)
        kit = Kit(
            folder=folder, config=config, site=site, challenge=challenge, toml=toml, address=config.address
        )
        if fill:
            _fill(kit)
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(config), http=PatientProtocol, log_level="warning", timeout_graceful_shutdown=1
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the portal did not start"
                time.sleep(0.01)
            yield kit
        finally:
            server.should_exit = True
            thread.join(30)
            site.close()


def _fill(kit: Kit) -> None:
    rules = kit.challenge.contest
    assert rules is not None
    answer = Ledger(kit.site.store, kit.name, path=str(kit.toml)).ask(
        CreateContest(
            challenge=kit.name, challenge_sha256=kit.challenge.sha256, public_decimals=4, rules=rules
        ),
        now=datetime.now(UTC),
    )
    assert isinstance(answer, Accepted), answer
    for team in ("red", "blue"):
        kit.ask(RegisterTeam(team=team, name=f"The {team} team"))
        holder = Holder(role=Role.TEAM, label=f"{team} token", challenge=kit.name, team=team)
        kit.tokens[team] = make_token(kit.site, holder, TEAM_SCOPES).text
    boss = Holder(role=Role.ORGANISER, label="organiser token")
    kit.tokens["organiser"] = make_token(kit.site, boss, (Scope.ORGANISE, Scope.METRICS)).text


def write_package(path: Path, *, answer: str = "0.5", more: dict[str, str] | None = None) -> Path:
    """Write the zip of a package that passes the check."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files = {
        "submission.toml": f'name = "{path.stem}"\nentry = "predictor:Predictor"\n',
        "predictor.py": PREDICTOR.format(answer=answer),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (files | (more or {})).items():
            archive.writestr(name, text)
    return path


def with_losses(result: Result, *, run_id: str, public: float, private: float) -> Result:
    """Return a result with other scores, as a run of its own."""
    sets = dict(result.sets)
    for name, loss in ((SetName.PUBLIC, public), (SetName.PRIVATE, private)):
        metrics = dict(sets[name].score.metrics)
        metrics["log_loss"] = replace(metrics["log_loss"], value=loss)
        score = replace(sets[name].score, metrics=metrics)
        sets[name] = sets[name].model_copy(update={"score": score, "verdict": Verdict.OK})
    return result.model_copy(update={"run_id": run_id, "sets": sets})


@cache
def made_result() -> Result:
    """Return a result that nobody measured."""
    with tempfile.TemporaryDirectory() as folder:
        return example_result(Path(folder) / "made")[0]


def _index(_row: object) -> None:
    """Ignore the row that was written."""
