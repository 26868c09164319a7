"""The portal's walls: others' things, private scores, hostile text, forged forms, sessions, floods.

Every route is tried that the portal has: a new one without a case here fails the first test.
"""

from __future__ import annotations

import html
import re
import socket
import time
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from fastapi.routing import APIRoute
from portal_kit import PRIVATE_LOSS, Kit, portal, write_package

from harness.contest.board.published import PublishedRow
from harness.contest.events import ContestPhase
from harness.contest.regrade.what_moves import Preview, SetMove, Side, TeamMove
from harness.contest.rules.commands import EnterPhase, RegisterTeam, Role
from harness.portal.access import Holder, make_link, make_token, revoke
from harness.portal.access import Scope as Scopes
from harness.portal.app import routers
from harness.results.store import regrade_rows
from harness.results.store.regrade_rows import RegradeRow, RegradeState

pytestmark = pytest.mark.slow  # starts servers

PAYLOAD = "<script>alert(1)</script>'\"><img src=x onerror=alert(1)>{{7919*7907}}"
SECRETS = (f"{PRIVATE_LOSS}"[:8], f"{PRIVATE_LOSS:.4f}", "SECRET")
REGRADE = "20261127-070000-abcdef"
PUBLIC_ROUTES = {
    ("GET", "/"),
    ("GET", "/c/{challenge}"),
    ("GET", "/c/{challenge}/board"),
    ("GET", "/c/{challenge}/board.csv"),
    ("GET", "/enter/{text}"),
    ("POST", "/enter/{text}"),
    ("GET", "/api/v1/health"),
    ("GET", "/api/v1/challenges"),
    ("GET", "/api/v1/challenges/{challenge}"),
    ("GET", "/api/v1/challenges/{challenge}/board"),
    ("GET", "/api/v1/challenges/{challenge}/board.csv"),
    ("GET", "/api/v1/challenges/{challenge}/board/events"),
}


def routes(kit: Kit) -> list[tuple[str, str]]:
    del kit
    found = [
        (method, f"{prefix}{one.path}")
        for prefix, router in routers()
        for one in router.routes
        if isinstance(one, APIRoute)
        for method in one.methods or ()
    ]
    assert len(found) > 50
    return sorted(found)


def row(kit: Kit, entry: str, **changed: object) -> PublishedRow:
    team = kit.ledger.state().entries[entry].team
    known: dict[str, object] = {
        "place": 1,
        "team": team,
        "name": kit.ledger.state().teams[team].name,
        "score": 0.5,
        "low": 0.4,
        "high": 0.6,
        "group": 1,
        "best_percent": 60,
        "entries": 1,
        "last": "2026-11-27T07:00:00+00:00",
        "entry": entry,
    }
    return PublishedRow(**(known | changed))  # type: ignore[arg-type]  # its values are of many types


@pytest.fixture(scope="module")
def filled(kit: Kit) -> tuple[Kit, str, str]:
    """A scored entry of each team, and a board."""
    mine, theirs = kit.hand_in("red"), kit.hand_in("blue", answer="0.6")
    kit.finish(mine, loss=0.51)
    kit.finish(theirs, loss=0.52)
    kit.publish((row(kit, mine), row(kit, theirs, place=2, score=0.52)))
    before, after = Side(place=1, score=PRIVATE_LOSS), Side(place=2, score=0.5)
    moved = Preview(
        runs=2,
        events=1,
        regrades=(),
        left_out=("SECRET was left out",),
        sets=(
            SetMove(
                set="private",
                labels_changed=1,
                dropped=0,
                teams=2,
                scores=1,
                places=1,
                groups=0,
                moves=(TeamMove(team="red", name="SECRET", before=before, after=after),),
            ),
        ),
        correction={},
    )
    regrade = RegradeRow(
        challenge=kit.name,
        regrade=REGRADE,
        state=RegradeState.PREVIEWED,
        by="organiser",
        reason="SECRET",
        asked="2026-11-27T07:00:00+00:00",
        changed="2026-11-27T07:00:00+00:00",
        document='{"labels": {"private": "SECRET"}}',
        preview=moved.to_json(),
    )
    kit.site.store.write(lambda connection: regrade_rows.add(connection, regrade))
    return kit, mine, theirs


def test_every_route_that_is_not_for_everybody_refuses_nobody_and_the_wrong_ones(
    filled: tuple[Kit, str, str],
) -> None:
    kit, _, theirs = filled
    stranger = kit.browser("red")
    for method, path in routes(kit):
        if (method, path) in PUBLIC_ROUTES:
            continue
        place = path.format(challenge=kit.name, entry=theirs, upload="0" * 24, text="x", regrade=REGRADE)
        page = not path.startswith("/api")
        body: dict[str, Any] = (
            {"data": {"csrf": ""}} if page and method == "POST" else {"json": {}} if method == "POST" else {}
        )
        nobody = kit.call(method, place, **body)
        assert nobody.status_code in {401, 403, 422}, f"{method} {path}: {nobody.status_code}"
        if "organise" in path or path == "/create":
            token = csrf_of(stranger, kit)
            wrong = stranger.request(
                method,
                kit.address + place,
                data={"csrf": token, "to": "released", "wish": "run", "reason": "x", "entry": theirs},
                timeout=60,
                allow_redirects=False,
            )
            assert wrong.status_code in {403, 422}, f"{method} {path}: {wrong.status_code}"
    assert kit.ledger.state().phase is ContestPhase.OPEN


def test_another_teams_things_answer_like_what_does_not_exist(filled: tuple[Kit, str, str]) -> None:
    kit, mine, theirs = filled
    begun = kit.call("POST", "uploads", "blue", json={"name": "b", "size_bytes": 9, "sha256": "b" * 64})
    upload = begun.json()["upload"]
    browser = kit.browser("red")
    token = csrf_of(browser, kit)
    tried = 0
    for method, path in routes(kit):
        for name, own, foreign in (("{entry}", mine, theirs), ("{upload}", "0" * 24, upload)):
            if name not in path or "organise" in path:
                continue
            tried += 1
            answers = []
            for value in (foreign, "does-not-exist" if name == "{entry}" else own):
                place = path.format(challenge=kit.name, entry=value, upload=value, regrade=value)
                if path.startswith("/api"):
                    body: dict[str, Any] = {"data": b"x"} if method == "PATCH" else {"json": {}}
                    headers = {"upload-offset": "0"} | (
                        {"content-type": "application/octet-stream"} if method == "PATCH" else {}
                    )
                    found = kit.call(method, place, "red", headers=headers, **body)
                else:
                    found = browser.request(method, kit.address + place, data={"csrf": token}, timeout=60)
                answers.append((found.status_code, found.text))
            assert answers[0] == answers[1], f"{method} {path}"
            assert answers[0][0] == 404, f"{method} {path}: {answers[0]}"
    assert tried >= 9
    chosen = kit.call("PUT", "finals", "red", json={"entries": [theirs]})
    assert chosen.status_code == 404
    assert kit.call("GET", f"uploads/{upload}", "blue").json()["offset"] == 0


def test_private_scores_are_in_nothing_that_a_team_can_reach_before_release(
    filled: tuple[Kit, str, str],
) -> None:
    kit, mine, theirs = filled
    kit.publish((row(kit, mine, score=PRIVATE_LOSS),), set_name="private")  # as if a worker had erred
    browser = kit.browser("red")
    seen = set(crawled(browser, kit))
    assert {urlsplit(url).path for url, _ in seen} >= {
        f"/c/{kit.name}/entries/{mine}",
        f"/c/{kit.name}/board",
    }
    places = {
        path.format(challenge=kit.name, entry=value, upload="0" * 24, text="x", regrade=REGRADE) + query
        for method, path in routes(kit)
        for value in (mine, theirs)
        for query in (("", "?set=private") if "board" in path else ("",))
        if method == "GET" and not path.endswith("events")
    }
    for place in places:
        seen.add((place, kit.call("GET", place, "red").text))
        seen.add((place, browser.get(kit.address + place, timeout=60).text))
    for stream in ("events", "board/events"):
        seen.add((stream, first_events(kit, stream)))
    assert len(seen) > 40
    for url, text in seen:
        for secret in SECRETS:
            assert secret not in text, url
        assert theirs not in text, url
    assert kit.call("GET", "board?set=private", "red").status_code == 404


def test_release_shows_private_scores_and_only_then(tmp_path: Path) -> None:
    with portal(tmp_path) as kit:
        mine = kit.hand_in("red")
        kit.finish(mine, loss=0.51, private=0.7)
        assert kit.call("GET", f"entries/{mine}", "red").json()["private_score"] is None
        kit.ask(EnterPhase(phase=ContestPhase.RELEASED, reason="it is over"))
        kit.publish((row(kit, mine, score=0.7, public_place=1),), set_name="private")
        assert kit.call("GET", f"entries/{mine}", "red").json()["private_score"] == 0.7
        assert kit.call("GET", "board?set=private").json()["rows"][0]["score"] == 0.7
        assert "private board" in requests.get(f"{kit.address}/c/{kit.name}/board", timeout=60).text


def test_a_blind_phase_and_the_ladder_show_no_more_than_they_may(tmp_path: Path) -> None:
    ladder = '\n[contest.public_scores]\nrule = "ladder"\nstep = 0.01\n'
    with portal(tmp_path, rules=ladder) as kit:
        first = kit.hand_in("red")
        kit.finish(first, loss=0.5123)
        kit.ask(EnterPhase(phase=ContestPhase.BLIND, reason="the end is near"))
        second = kit.hand_in("red", answer="0.7")
        kit.finish(second, loss=0.4321)
        found = {one["entry"]: one for one in kit.call("GET", "entries", "red").json()["entries"]}
        assert found[first]["score"] == dict.fromkeys(found[first]["score"]) | {"shown": 0.51}
        assert found[second]["score"] is None
        assert "hidden" in found[second]["hidden"]
        browser = kit.browser("red")
        pages = [text for _, text in crawled(browser, kit)]
        assert not any("0.4321" in text or "0.5123" in text for text in pages)
        report = browser.get(f"{kit.address}/c/{kit.name}/entries/{first}/report", timeout=60)
        assert report.status_code == 404


def test_hostile_text_is_text_wherever_it_comes_back(kit: Kit, tmp_path: Path) -> None:
    kit.ask(RegisterTeam(team="hostile", name=PAYLOAD[:80]))
    holder = Holder(role=Role.TEAM, label=PAYLOAD[:80], challenge=kit.name, team="hostile")
    kit.tokens["hostile"] = make_token(kit.site, holder, (Scopes.READ, Scopes.SUBMIT)).text
    entry = kit.hand_in("hostile")
    kit.finish(entry, loss=0.53, log=f"{PAYLOAD}\n</pre>{PAYLOAD}\n")
    kit.publish((row(kit, entry),))
    refused = write_package(tmp_path / "x.zip", more={"<script>alert(1)<.py": "import ("})
    assert kit.upload("hostile", refused).headers["content-type"] == "application/json"
    browser = requests.Session()
    browser.post(make_link(kit.site, holder).text, timeout=60, allow_redirects=False)
    pages = dict(crawled(browser, kit))
    organiser = dict(crawled(kit.browser(None), kit))
    assert any("organise/teams" in url for url in organiser)
    shown = 0
    for url, text in (pages | organiser).items():
        if not text.startswith("<!doctype html>"):  # no browser runs it: the next test says of which types
            continue
        assert "<script>alert" not in text, url
        assert "<img src=x" not in text, url
        assert f"{7919 * 7907}" not in text, url
        shown += html.escape("<script>alert(1)</script>") in text
    assert shown > 4
    assert (
        kit.call("GET", f"entries/{entry}/logs", "hostile").headers["content-type"].startswith("text/plain")
    )
    reflected = requests.get(f"{kit.address}/c/{PAYLOAD}", timeout=60)
    assert "<script>alert" not in reflected.text


def test_every_answer_has_its_headers_and_no_page_has_inline_code(kit: Kit) -> None:
    browser = kit.browser("red")
    for url, text in crawled(browser, kit):
        answer = browser.get(url, timeout=60)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        kind = answer.headers["content-type"].partition(";")[0]
        if kind != "text/html":
            allowed = {"application/json", "application/jsonl", "text/csv", "text/css", "text/plain"}
            assert kind in allowed | {"text/javascript", "image/svg+xml"}, url
            continue
        if url.endswith("/report"):
            continue
        assert "unsafe" not in policy
        assert "javascript:" not in text, url
        Inspector(url).feed(text)


def test_a_form_needs_its_own_sessions_word(kit: Kit) -> None:
    mine, other = kit.browser("red"), kit.browser("blue")
    place = f"{kit.address}/c/{kit.name}/finals"
    for word in ("", "x" * 64, csrf_of(other, kit)):
        assert mine.post(place, data={"csrf": word}, timeout=60, allow_redirects=False).status_code == 403
    cross = mine.post(
        place, data={"csrf": csrf_of(mine, kit)}, headers={"origin": "https://evil.example"}, timeout=60
    )
    assert cross.status_code == 403
    fetched = mine.post(
        place, data={"csrf": csrf_of(mine, kit)}, headers={"sec-fetch-site": "cross-site"}, timeout=60
    )
    assert fetched.status_code == 403
    api = mine.put(f"{kit.api}/finals", json={"entries": []}, timeout=60)
    assert api.status_code == 403
    good = mine.put(
        f"{kit.api}/finals", json={"entries": []}, headers={"x-csrf-token": csrf_of(mine, kit)}, timeout=60
    )
    assert good.status_code == 200


def test_a_session_is_never_one_that_the_client_chose(kit: Kit) -> None:
    holder = Holder(role=Role.TEAM, label="victim", challenge=kit.name, team="red")
    session = requests.Session()
    session.cookies.set("session", "hvh_0123456789abcdef_chosen-by-somebody-else")
    answer = session.post(make_link(kit.site, holder).text, timeout=60, allow_redirects=False)
    assert "chosen-by" not in answer.headers["set-cookie"]
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "samesite=lax" in answer.headers["set-cookie"].lower()
    before = kit.browser("red")
    old = before.cookies["session"]
    before.post(make_link(kit.site, holder).text, timeout=60, allow_redirects=False)
    assert before.cookies["session"] != old
    stale = requests.get(f"{kit.api}/team", cookies={"session": old}, timeout=60)
    assert stale.status_code == 401


def test_a_link_works_once_and_looking_at_it_does_not_use_it_up(kit: Kit) -> None:
    link = make_link(kit.site, Holder(role=Role.TEAM, label="one", challenge=kit.name, team="red")).text
    for _ in range(3):
        assert "red team" in requests.get(link, timeout=60).text
    first, second = requests.Session(), requests.Session()
    first.post(link, timeout=60, allow_redirects=False)
    second.post(link, timeout=60, allow_redirects=False)
    assert first.get(f"{kit.api}/team", timeout=60).status_code == 200
    assert second.get(f"{kit.api}/team", timeout=60).status_code == 401


def test_what_is_revoked_or_out_of_scope_is_good_for_nothing(kit: Kit) -> None:
    holder = Holder(role=Role.TEAM, label="reader", challenge=kit.name, team="red")
    made = make_token(kit.site, holder, (Scopes.READ,))
    kit.tokens["reader"] = made.text
    assert kit.call("GET", "team", "reader").status_code == 200
    assert kit.call("PUT", "finals", "reader", json={"entries": []}).status_code == 403
    revoke(kit.site, made.row.access)
    assert kit.call("GET", "team", "reader").status_code == 401
    for wrong in ("", "Bearer", "Bearer x", "Basic eDp4", f"Bearer {made.text}x", "Bearer hvh_a_b"):
        assert kit.call("GET", "team", headers={"authorization": wrong}).status_code == 401
    with kit.site.store.read() as connection:
        kept = str(connection.exec_driver_sql("SELECT * FROM harness_access").all())
    assert made.text.split("_", 2)[2] not in kept  # a secret may hold a "_" itself


@pytest.mark.parametrize(
    "name", ["..%2f..%2fetc%2fpasswd", "../../etc/passwd", "%2e%2e", "a'--", "\u0000", "x" * 500]
)
def test_names_that_lead_elsewhere_lead_nowhere(kit: Kit, name: str) -> None:
    for path in (f"/c/{name}", f"/static/{name}", f"/c/{kit.name}/entries/{name}/report", f"/enter/{name}"):
        answer = kit.browser("red").get(f"{kit.address}{path}", timeout=60)
        assert answer.status_code in {200, 400, 404, 422}, path
        assert "root:" not in answer.text
    for path in (f"entries/{name}/logs", f"uploads/{name}"):
        assert kit.call("GET", path, "red").status_code in {404, 422}


def test_bombs_and_bodies_that_are_too_large_are_refused(kit: Kit, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("submission.toml", 'name = "b"\nentry = "p:P"\n')
        archive.writestr("zeros.bin", bytes(60_000_000))
    answer = kit.upload("red", bomb)
    assert answer.status_code == 422
    assert "P105" in {one["code"] for one in answer.json()["check"]["findings"]}
    large = kit.call("POST", "uploads", "red", data=b"{" + b" " * 70_000)
    assert large.status_code == 413
    parts = kit.call("POST", "uploads", "red", data=iter([b" " * 40_000, b" " * 40_000]))
    assert parts.status_code == 413


def test_a_flood_is_told_to_wait_and_others_are_not(tmp_path: Path) -> None:
    with portal(tmp_path, requests_per_minute=60, links_per_minute=5) as kit:
        links = [requests.get(f"{kit.address}/enter/guess{n}", timeout=60).status_code for n in range(7)]
        assert links == [200] * 5 + [429] * 2
        codes = [kit.call("GET", "/api/v1/health").status_code for _ in range(70)]
        assert codes[:50] == [200] * 50
        last = kit.call("GET", "/api/v1/health")
        assert 429 in codes
        assert last.status_code == 429
        assert int(last.headers["retry-after"]) >= 1


def test_slow_clients_keep_nobody_else_waiting(kit: Kit) -> None:
    host = urlsplit(kit.address)
    slow = [socket.create_connection((host.hostname or "", host.port or 0)) for _ in range(200)]
    try:
        for one in slow:
            one.sendall(b"POST /api/v1/challenges HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n")
        began = time.monotonic()
        assert kit.call("GET", "/api/v1/health").status_code == 200
        assert time.monotonic() - began < 30
    finally:
        for one in slow:
            one.close()


class Inspector(HTMLParser):
    """Fails at inline code or style, as a browser would read the page."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        assert not any(name.startswith("on") or name == "style" for name in names), (self.url, tag, attrs)
        assert tag != "style", self.url
        assert tag != "script" or "src" in names, self.url


def csrf_of(session: requests.Session, kit: Kit) -> str:
    """Return the word that this session's forms carry."""
    found = re.search(r'data-csrf="([0-9a-f]+)"', session.get(f"{kit.address}/", timeout=60).text)
    assert found
    return found[1]


def crawled(session: requests.Session, kit: Kit) -> Iterator[tuple[str, str]]:
    """Yield every page that can be reached by links, with its text."""
    todo, seen = [f"{kit.address}/"], set[str]()
    while todo:
        url = todo.pop()
        if url in seen:
            continue
        seen.add(url)
        answer = session.get(url, timeout=60)
        assert answer.status_code == 200, url
        yield url, answer.text
        if "text/html" not in answer.headers["content-type"]:
            continue
        for link in re.findall(r'(?:href|src)="([^"]+)"', answer.text):
            target = requests.compat.urljoin(url, html.unescape(link))
            if target.startswith(kit.address) and "/events" not in target:
                todo.append(target.partition("#")[0])


def first_events(kit: Kit, path: str) -> str:
    """Return what a stream says at once."""
    with requests.get(f"{kit.api}/{path}", headers=kit.headers("red"), stream=True, timeout=60) as answer:
        found = b""
        for chunk in answer.iter_content(None):
            found += chunk
            if found.count(b"event:") >= 1 and len(found) > 100:
                break
    return found.decode()


def test_a_body_that_a_proxy_and_we_could_cut_at_two_places_is_refused(kit: Kit) -> None:
    host = urlsplit(kit.address).netloc
    smuggled = f"GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n"
    head = f"POST /leave HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((host.partition(":")[0], int(host.partition(":")[2])), timeout=60) as line:
        line.sendall(f"{head}0\r\n\r\n{smuggled}".encode())
        said = b""
        while chunk := line.recv(65536):  # the line is closed: what came behind the body is never answered
            said += chunk
    assert said.startswith(b"HTTP/1.1 400")
    assert said.count(b"HTTP/1.1 ") == 1
