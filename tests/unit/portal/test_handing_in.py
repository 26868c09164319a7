"""Handing in over the API: parts, broken lines, what is refused, and what it costs."""

from __future__ import annotations

import hashlib
import re
import socket
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from portal_kit import Kit, portal, write_package

from harness.contest.rules import HARNESS
from harness.contest.rules.commands import VoidAttempt
from tests.contest_kit.servers import Postgres

pytestmark = pytest.mark.slow  # starts a server

OCTETS = {"content-type": "application/octet-stream"}


def begin(kit: Kit, data: bytes, **changed: object) -> dict[str, object]:
    asked = {"name": "a.zip", "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} | changed
    found: dict[str, object] = kit.call("POST", "uploads", "red", json=asked).json()
    return found


def test_a_package_in_three_parts_becomes_an_entry_that_waits(kit: Kit, tmp_path: Path) -> None:
    package = write_package(tmp_path / "first.zip")
    answer = kit.upload("red", package, chunk=package.stat().st_size // 3 + 1)
    assert answer.status_code == 201, answer.text
    entry = answer.json()["entry"]
    assert entry["status"] == "waiting"
    assert entry["queue"]["place"] == 1
    assert answer.json()["check"]["ok"]
    kept = kit.config.packages / f"{entry['package_sha256']}.zip"
    assert kept.is_file()
    assert not list(kit.config.uploads.rglob("*.zip"))


def test_an_upload_goes_on_where_a_line_broke(kit: Kit, tmp_path: Path) -> None:
    data = write_package(tmp_path / "resumed.zip", more={"w.txt": "7" * 90_000}).read_bytes()
    found = begin(kit, data)
    place = f"/api/v1/challenges/{kit.name}/uploads/{found['upload']}"
    host = urlsplit(kit.address)
    with socket.create_connection((host.hostname or "", host.port or 0)) as line:
        head = (
            f"PATCH {place} HTTP/1.1\r\nHost: {host.netloc}\r\nAuthorization: Bearer {kit.tokens['red']}\r\n"
            "Content-Type: application/octet-stream\r\nUpload-Offset: 0\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        line.sendall(head.encode() + data[:400])
        deadline = time.monotonic() + 60
        while kit.call("GET", place, "red").json()["offset"] < 400:
            assert time.monotonic() < deadline, "what has arrived is not kept"
            time.sleep(0.05)
    again = begin(kit, data)
    assert (again["upload"], again["offset"]) == (found["upload"], 400)
    wrong = kit.call("PATCH", place, "red", data=data[:9], headers=OCTETS | {"upload-offset": "0"})
    while wrong.json()["error"]["code"] == "conflict":  # the broken transfer still holds it
        wrong = kit.call("PATCH", place, "red", data=data[:9], headers=OCTETS | {"upload-offset": "0"})
    assert wrong.status_code == 409
    assert wrong.json()["error"]["offset"] == 400
    rest = kit.call("PATCH", place, "red", data=data[400:], headers=OCTETS | {"upload-offset": "400"})
    assert rest.json()["offset"] == len(data)
    done = kit.call("POST", f"{place}/finish", "red", json={"no_external_data": True})
    assert done.status_code == 201, done.text


def test_what_does_not_fit_its_announcement_is_refused(kit: Kit) -> None:
    found = begin(kit, b"abcdef", sha256="0" * 64)
    place = f"uploads/{found['upload']}"
    early = kit.call("POST", f"{place}/finish", "red", json={})
    assert early.json()["error"]["offset"] == 0
    more = kit.call("PATCH", place, "red", data=b"abcdefg", headers=OCTETS | {"upload-offset": "0"})
    assert more.status_code == 413
    kit.call("PATCH", place, "red", data=b"abcdef", headers=OCTETS | {"upload-offset": "0"})
    wrong = kit.call("POST", f"{place}/finish", "red", json={})
    assert wrong.json()["error"]["code"] == "sha256_mismatch"
    assert kit.call("GET", place, "red").status_code == 404
    for changed in ({"size_bytes": 10**12}, {"size_bytes": 0}, {"sha256": "x"}, {"more": 1}):
        asked = {"name": "a", "size_bytes": 9, "sha256": "a" * 64} | changed
        assert kit.call("POST", "uploads", "red", json=asked).status_code in {413, 422}


def test_what_the_check_refuses_costs_nothing_and_says_how_to_repair_it(kit: Kit, tmp_path: Path) -> None:
    before = kit.call("GET", "team", "blue").json()["allowance"]
    broken = write_package(tmp_path / "broken.zip", more={"predictor.py": "class Predictor(:\n"})
    answer = kit.upload("blue", broken)
    assert answer.status_code == 422
    found = {one["code"]: one for one in answer.json()["check"]["findings"]}
    assert found["P301"]["place"] == "predictor.py:1"
    assert found["P301"]["remedy"]
    assert kit.call("GET", "team", "blue").json()["allowance"] == before
    assert not list((kit.config.uploads / kit.name / "blue").rglob("*.zip"))


def test_a_used_up_quota_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    with portal(tmp_path) as kit:
        for number in range(3):  # failed ones may be three a day, and each may still fail
            kit.hand_in("red", answer=f"0.{number}1")
        asked = {"name": "a.zip", "size_bytes": 9, "sha256": "a" * 64}
        answer = kit.call("POST", "uploads", "red", json=asked)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["count"], error["limit"]) == (409, "refused", 3, 3)
        assert error["again"].endswith("+00:00")
        page = kit.browser("red").get(f"{kit.address}/c/{kit.name}/submit", timeout=60).text
        assert "3 of 3 failed entries" in page
        assert 'type="file"' not in page


def test_a_cancelled_entry_costs_nothing_and_only_once(kit: Kit) -> None:
    entry = kit.hand_in("blue", answer="0.33")
    left = kit.call("GET", "team", "blue").json()["allowance"]["valid_left"]
    done = kit.call("POST", f"entries/{entry}/cancel", "blue", json={})
    assert done.json()["status"] == "cancelled"
    assert kit.call("GET", "team", "blue").json()["allowance"]["valid_left"] == left + 1
    again = kit.call("POST", f"entries/{entry}/cancel", "blue", json={})
    assert (again.status_code, again.json()["error"]["rule"]) == (409, "entry")


def test_what_our_fault_spoiled_is_run_again_at_its_team_s_word(kit: Kit) -> None:
    entry = kit.hand_in("blue", answer="0.34")
    assert kit.call("POST", f"entries/{entry}/requeue", "blue", json={}).status_code == 409  # it waits
    kit.ledger.ask(VoidAttempt(entry=entry, attempt=1, reason="a disk"), now=datetime.now(UTC), by=HARNESS)
    page = kit.browser("blue").get(f"{kit.address}/c/{kit.name}/entries/{entry}", timeout=60).text
    assert f"/entries/{entry}/requeue" in page
    assert kit.call("POST", f"entries/{entry}/requeue", "red", json={}).status_code == 404
    done = kit.call("POST", f"entries/{entry}/requeue", "blue", json={})
    assert done.json()["status"] == "waiting"
    kit.call("POST", f"entries/{entry}/cancel", "blue", json={})


def test_two_portals_over_one_postgresql_are_one(tmp_path: Path) -> None:
    """Begun at one, gone on at the other; entered at one, known at the other, and revoked for both."""
    server = Postgres()
    with closing(server), portal(tmp_path / "one", store=server.url) as one:
        shared: dict[str, Any] = {
            "store": server.url,
            "uploads": one.config.uploads,
            "packages": one.config.packages,
        }
        with portal(tmp_path / "two", fill=False, **shared) as two:
            two.tokens = one.tokens
            data = write_package(tmp_path / "both.zip").read_bytes()
            upload = begin(one, data)["upload"]
            half = len(data) // 2
            for kit, part, at in ((one, data[:half], 0), (two, data[half:], half)):
                headers = OCTETS | {"upload-offset": str(at)}
                assert kit.call("PATCH", f"uploads/{upload}", "red", data=part, headers=headers).ok
            done = two.call("POST", f"uploads/{upload}/finish", "red", json={"no_external_data": True})
            assert done.status_code == 201, done.text
            entry = done.json()["entry"]["entry"]
            assert one.call("GET", f"entries/{entry}", "red").json()["status"] == "waiting"
            session = one.browser("red")
            assert session.get(f"{two.api}/team", timeout=60).status_code == 200
            session.post(f"{two.address}/leave", data={"csrf": csrf(session, two)}, timeout=60)
            assert requests.get(f"{one.api}/team", cookies=session.cookies, timeout=60).status_code == 401


def csrf(session: requests.Session, kit: Kit) -> str:
    found = re.search(r'data-csrf="([0-9a-f]+)"', session.get(f"{kit.address}/", timeout=60).text)
    assert found
    return found[1]
