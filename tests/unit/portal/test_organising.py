"""An organiser runs a contest on pages alone; every decision is in the log, under their name."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from portal_kit import CONTEST, Kit, portal

from harness.contest.events import ContestPhase
from harness.contest.rules import HARNESS
from harness.contest.rules.commands import VoidAttempt
from harness.contest.state import EntryStatus
from harness.results.store import drivers
from tests.contest_kit import write_challenge

pytestmark = pytest.mark.slow  # starts a server


class Organiser:
    """A browser that fills in forms."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.session = kit, kit.browser(None)
        found = re.search(r'data-csrf="([0-9a-f]+)"', self.get("/").text)
        assert found
        self.word = found[1]

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.kit.address + path, timeout=60)

    def page(self, path: str = "") -> str:
        return self.get(f"/c/{self.kit.name}/organise{path}").text

    def send(self, path: str, **fields: str) -> requests.Response:
        place = path if path == "/create" else f"/c/{self.kit.name}/organise/{path}"
        data = {"csrf": self.word, **fields}
        return self.session.post(self.kit.address + place, data=data, timeout=60, allow_redirects=False)

    def decides(self, path: str, **fields: str) -> None:
        answer = self.send(path, **fields)
        assert answer.status_code == 303, answer.text


def test_a_contest_is_run_without_a_terminal(kit: Kit) -> None:
    boss = Organiser(kit)
    boss.decides("register", name="Les Étoiles")
    assert kit.ledger.state().teams["les-etoiles"].name == "Les Étoiles"
    boss.decides("grant", team="red", tries="3", reason="their first upload was lost")
    assert kit.ledger.state().teams["red"].granted == 3
    entry = kit.hand_in("red")
    boss.decides("disqualify", entry=entry, reason="copied", note="Not their own work")
    assert kit.ledger.state().entries[entry].disqualified == "Not their own work"
    assert (
        "Not their own work"
        in kit.browser("red").get(f"{kit.address}/c/{kit.name}/entries/{entry}", timeout=60).text
    )
    boss.decides("reinstate", entry=entry, reason="it was")
    kit.ledger.ask(
        VoidAttempt(entry=entry, attempt=1, reason="a disk broke"), now=datetime.now(UTC), by=HARNESS
    )
    boss.decides("entries/requeue", entry=entry, reason="the disk is new")
    assert kit.ledger.state().entries[entry].attempt == 2
    boss.decides("entries/cancel", entry=entry, reason="they asked")
    assert kit.ledger.state().entries[entry].status is EntryStatus.CANCELLED
    boss.decides("merge", into="red", other="les-etoiles")
    assert kit.ledger.state().teams["les-etoiles"].merged_into == "red"
    boss.decides("wish", wish="pause")
    with kit.site.store.read() as connection:
        row = drivers.get(connection, kit.name)
    assert row is not None
    assert row.wish == "pause"
    rules = kit.ledger.state().rules
    assert rules is not None
    shown = re.findall(r'name="(\w+)" value="([^"]*)"', boss.page())
    fields = {name: value for name, value in shown if name not in {"csrf", "wish"}}
    boss.decides("amend", **fields | {"valid_per_day": "9", "total": "", "reason": "more for everybody"})
    amended = kit.ledger.state().rules
    assert amended == rules.model_copy(update={"valid_per_day": 9, "total": None})
    log = boss.page("/log")
    for text in ("organiser organiser person", "their first upload was lost", "RulesAmended", "whole"):
        assert text in log
    assert kit.ledger.problems() == ()


def test_a_phase_is_seen_before_it_begins(kit: Kit) -> None:
    boss = Organiser(kit)
    entry = kit.hand_in("blue")
    page = boss.page("/phase?to=released")
    assert "entries have no result yet" in page
    assert "Begin it now" not in page
    refused = boss.send("phase", to="released", reason="now")
    assert refused.status_code == 409
    kit.finish(entry, loss=0.5, private=0.625)
    page = boss.page("/phase?to=released")
    assert "0.6250" in page
    assert "The blue team" in page
    assert boss.send("phase", to="released", reason="").status_code == 409
    assert kit.ledger.state().phase is ContestPhase.OPEN
    boss.decides("phase", to="closed", reason="it is over")
    assert kit.ledger.state().phase is ContestPhase.CLOSED


def test_a_changed_log_is_noticed_on_its_page_and_exported_as_it_is(kit: Kit) -> None:
    boss = Organiser(kit)
    head = kit.ledger.log()[-1].sha256
    assert "whole" in boss.page(f"/log?head={head}")
    assert "and not" in boss.page(f"/log?head={'0' * 64}")
    exported = boss.get(f"/c/{kit.name}/organise/log.jsonl").text.splitlines()
    assert len(exported) == len(kit.ledger.log())
    kit.site.store.write(
        lambda connection: connection.exec_driver_sql(
            "UPDATE harness_events SET event = replace(event, 'red', 'rad') WHERE number = 2"
        )
    )
    assert "event 2 was changed" in boss.page("/log")


def test_a_contest_is_made_of_a_folder_that_the_portal_was_given(tmp_path: Path) -> None:
    place = write_challenge(tmp_path / "challenges" / "second", name="second", public=2, private=2)
    table = CONTEST.format(opens="2026-01-01T00:00:00", closes="2036-01-01T00:00:00")
    place.write_text(place.read_text(encoding="utf-8") + table, encoding="utf-8")
    with portal(tmp_path / "portal", challenges=tmp_path / "challenges") as kit:
        boss = Organiser(kit)
        assert str(place) in boss.get("/create").text
        for wrong in ("../portal/challenge", "/etc", "first"):
            assert boss.send("/create", challenge=wrong).status_code == 404
        boss.decides("/create", challenge="second")
        assert "second" in {
            one["challenge"] for one in kit.call("GET", "/api/v1/challenges").json()["challenges"]
        }
        place.unlink()  # what cannot be read any more takes nothing else down
        assert kit.call("GET", "/").status_code == 200
