"""Pages that go wrong, what an organiser writes, and tables for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from portal_kit import Kit, portal

from harness.contest.board.published import PublishedRow
from harness.portal.site import ABOUT

pytestmark = pytest.mark.slow  # starts servers


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    with portal(tmp_path_factory.mktemp("people")) as found:
        yield found


def test_an_error_is_a_page_of_the_readers_own_session_and_contest(kit: Kit) -> None:
    browser = kit.browser("red")
    for path, status, words in (
        (f"/c/{kit.name}/organise", 403, "This is for the organiser."),
        (f"/c/{kit.name}/entries/none", 404, "There is no such entry."),
        ("/nothing", 404, "There is no such page."),
        ("/c/none", 404, "There is no such challenge."),
    ):
        answer = browser.get(kit.address + path, timeout=60)
        assert (answer.status_code, words in answer.text) == (status, True), path
        inside = path.startswith(f"/c/{kit.name}/")
        assert ("The red team · red person" in answer.text) == inside, path
        assert (f'href="/c/{kit.name}"' in answer.text) == inside, path


def test_the_organisers_words_are_shown_as_text_with_links(kit: Kit) -> None:
    page = f"{kit.address}/c/{kit.name}"
    assert 'id="about"' not in requests.get(page, timeout=60).text
    place = kit.toml.with_name(ABOUT)
    place.write_bytes("Prizes: <b>none</b>\r\n\r\nData: https://data.example/x\u202e".encode() + b"\xff")
    shown = requests.get(page, timeout=60).text
    assert "Prizes: &lt;b&gt;none&lt;/b&gt;" in shown
    assert '<a href="https://data.example/x' in shown
    assert "\u202e" not in shown
    assert requests.get(kit.api, timeout=60).json()["about"].startswith("Prizes: <b>none</b>\n\nData:")
    place.write_text("a" * 100_000)
    assert len(requests.get(kit.api, timeout=60).json()["about"]) == 20_000


def test_a_team_cannot_write_formulas_into_the_boards_table(kit: Kit) -> None:
    names = ("=1+1", "a;=cmd|'/c calc'!A0", "-2+3", "plain name")
    rows = tuple(
        PublishedRow(
            place=place,
            team=f"t{place}",
            name=name,
            score=0.5,
            low=0.4,
            high=0.6,
            group=1,
            best_percent=5,
            entries=1,
            last="2026-11-27T07:00:00+00:00",
            entry="",
        )
        for place, name in enumerate(names, start=1)
    )
    kit.publish(rows)
    for text in (
        requests.get(f"{kit.api}/board.csv", timeout=60).text,
        requests.get(f"{kit.address}/c/{kit.name}/board.csv", timeout=60).text,
    ):
        for delimiter in ",;":
            cells = [cell for row in csv.reader(io.StringIO(text), delimiter=delimiter) for cell in row]
            assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
        assert "plain name" in text


def test_a_flood_is_told_so_on_a_page_to_people_and_in_json_to_programs(tmp_path: Path) -> None:
    with portal(tmp_path, requests_per_minute=60) as kit:
        for _ in range(600):
            page = requests.get(f"{kit.address}/", timeout=60)
            if page.status_code != 200:
                break
        assert page.status_code == 429
        assert page.headers["content-type"].startswith("text/html")
        assert "Too many requests" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert int(page.headers["retry-after"]) >= 1
        while (told := requests.get(kit.api, timeout=60)).status_code == 200:
            pass
        assert told.status_code == 429
        assert told.json()["error"]["code"] == "rate_limited"
