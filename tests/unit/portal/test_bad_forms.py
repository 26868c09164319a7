"""Every form of the portal, fed with what no page sends: refused with words, never our fault."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from portal_kit import Kit, portal

from harness.contest.rules.commands import RegisterTeam
from harness.portal.pages import organiser_pages

pytestmark = pytest.mark.slow  # starts a server

BAD = (
    "x" * 30_000,
    "<script>alert(1)</script>",
    "\u202egnp.exe\u2066",
    "a\r\nSet-Cookie: session=mine",
    "9" * 5000,
    "-1",
    "1e9",
    "٣",
    "nan",
    "\x00",
    "2020-01-01T00:00",
    "2027-03-28T02:30",  # clocks jump over it in Paris
    "9999-12-31T23:59:59",
    "%s{{7919*7907}}${7919*7907}",
)
OWN = {"opens": "2026-01-01T00:00", "closes": "2036-01-01T00:00", "valid_per_day": "5", "finals": "2"}


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    with portal(tmp_path_factory.mktemp("forms")) as found:
        yield found


def forms(kit: Kit, entry: str) -> dict[str, dict[str, str]]:
    """Return the organiser's forms, with fields that make sense."""
    place = f"/c/{kit.name}/organise"
    why = {"reason": "why"}
    return {
        f"{place}/amend": OWN | why,
        f"{place}/wish": {"wish": "pause"},
        f"{place}/phase": {"to": "closed", "reason": ""},
        f"{place}/entries/cancel": {"entry": "none", **why},
        f"{place}/entries/requeue": {"entry": entry, **why},
        f"{place}/disqualify": {"entry": "", "team": "nobody", "note": "n", **why},
        f"{place}/reinstate": {"entry": entry, **why},
        f"{place}/grant": {"team": "nobody", "tries": "1", **why},
        f"{place}/merge": {"into": "red", "other": "red"},
        f"{place}/register": {"name": ""},
        f"{place}/link": {"team": "nobody", "label": "l"},
        f"{place}/revoke": {"access": "none"},
        f"{place}/regrades/ask": {"set": "", "epsilon": "2", **why},
        "/create": {"challenge": "none"},
    }


def word_of(kit: Kit, session: requests.Session) -> str:
    found = re.search(r'data-csrf="([0-9a-f]+)"', session.get(kit.address, timeout=60).text)
    assert found
    return found[1]


def test_no_form_of_the_organiser_fails_by_what_is_written_into_it(kit: Kit) -> None:
    boss, entry = kit.browser(None), kit.hand_in("red")
    word = word_of(kit, boss)
    turn = itertools.cycle(BAD)
    for path, fields in forms(kit, entry).items():
        for name in fields:
            for bad in (
                "",
                *itertools.islice(turn, 4),
            ):  # each field some, and over all forms each many times
                data = fields | {name: bad, "csrf": word}
                answer = boss.post(kit.address + path, data=data, timeout=60, allow_redirects=False)
                where = f"{path} {name}={bad[:40]!r}: {answer.text[-400:]}"
                assert answer.status_code in {303, 403, 404, 409, 413, 422}, where
                assert "set-cookie" not in answer.headers, where
                assert "<script>alert" not in answer.text, where
                assert f"{7919 * 7907}" not in answer.text, where
    assert kit.ledger.problems() == ()


def test_a_link_without_its_team_is_nobodys_and_not_an_organisers(kit: Kit) -> None:
    boss = kit.browser(None)
    place, word = f"{kit.address}/c/{kit.name}/organise/link", word_of(kit, boss)
    for fields, status in (
        ({}, 404),
        ({"team": ""}, 404),
        ({"role": "organiser"}, 200),
        ({"team": "red"}, 200),
    ):
        answer = boss.post(place, data={"label": "Ada", "csrf": word, **fields}, timeout=60)
        assert answer.status_code == status, fields


def test_what_is_no_number_or_no_time_does_not_take_a_limit_away(kit: Kit) -> None:
    boss = kit.browser(None)
    word, place = word_of(kit, boss), f"{kit.address}/c/{kit.name}/organise"
    before = kit.ledger.state().rules
    for name, bad, words in (
        ("total", "many", "total is not a whole number"),
        ("total", "9" * 5000, "total is not a whole number"),
        ("total", "0", "greater than or equal to 1"),
        ("opens", "2027-03-28T02:30", "clocks jump over it"),
        ("closes", "", "closes"),
        ("closes", "soon", "closes"),
        ("releases", "2020-01-01T00:00", "releases must not be before closes"),
    ):
        data = OWN | {"reason": "why", "csrf": word, name: bad}
        answer = boss.post(f"{place}/amend", data=data, timeout=60, allow_redirects=False)
        assert answer.status_code == 422, (name, bad)
        assert words in answer.text.casefold(), answer.text
    assert kit.ledger.state().rules == before


def test_names_that_turn_around_are_refused_and_notes_are_shown_flat(tmp_path: Path) -> None:
    with portal(tmp_path) as kit:
        names_and_notes(kit)


def names_and_notes(kit: Kit) -> None:
    boss = kit.browser(None)
    word, place = word_of(kit, boss), f"{kit.address}/c/{kit.name}/organise"
    for name in ("\u202egnp", "a\u200bb", "x" * 81, "   ", "日本"):  # of the last no id can be made
        answer = boss.post(f"{place}/register", data={"name": name, "csrf": word}, timeout=60)
        assert answer.status_code == 409, name
        assert "team" in answer.text
    entry = kit.hand_in("red")
    data = {"entry": entry, "reason": "r", "note": "a\u202e\r\nb", "csrf": word}
    assert boss.post(f"{place}/disqualify", data=data, timeout=60).status_code == 200
    shown = kit.browser("red").get(f"{kit.address}/c/{kit.name}/entries/{entry}", timeout=60).text
    assert "\u202e" not in shown


def test_a_long_list_comes_a_page_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with portal(tmp_path) as kit:
        for number in range(12):
            kit.ask(RegisterTeam(team=f"t{number}", name=f"Team {number}"))
        ids = [kit.hand_in(f"t{number}") for number in range(12)]
        boss = kit.browser(None)
        place = f"{kit.address}/c/{kit.name}/organise/entries"
        monkeypatch.setattr(organiser_pages, "ENTRIES_SHOWN", 5)
        seen = []
        for asked in ("1", "2", "3", "99", "-1", "x"):
            text = boss.get(place, params={"page": asked, "team": ""}, timeout=60).text
            seen.append([one for one in ids if f"<code>{one}</code>, attempt" in text])
            assert "page=" in text
        assert [len(one) for one in seen] == [5, 5, 2, 2, 5, 5]
        assert sorted(seen[0] + seen[1] + seen[2]) == sorted(ids)
