"""Requests that no program of ours sends: refused with words, or answered as if they were harmless."""

from __future__ import annotations

import hashlib
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from portal_kit import Kit, portal, write_package

from harness.portal import uploads

pytestmark = pytest.mark.slow  # starts a server

OCTETS = {"content-type": "application/octet-stream"}


def announced(data: bytes, name: str = "a.zip") -> dict[str, object]:
    return {"name": name, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def raw(kit: Kit, head: str, body: bytes = b"") -> bytes:
    """Send bytes as they are, and return all that comes back before the line is closed."""
    host = urlsplit(kit.address)
    text = head.format(host=host.netloc, token=kit.tokens["red"], api=f"/api/v1/challenges/{kit.name}")
    said = b""
    with socket.create_connection((host.hostname or "", host.port or 0), timeout=60) as line:
        line.sendall(text.encode("latin-1") + body)
        while chunk := line.recv(65536):
            said += chunk
    return said


def test_an_upload_stops_where_the_disk_is_full_also_if_it_had_begun(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"x" * 1000
    begun = kit.call("POST", "uploads", "blue", json=announced(data)).json()
    with monkeypatch.context() as full:
        full.setattr(uploads, "FREE_BYTES", 1 << 60)
        part = {"data": data, "headers": {**OCTETS, "upload-offset": "0"}}
        refused = kit.call("PATCH", f"uploads/{begun['upload']}", "blue", **part)
        assert refused.status_code == 503
        assert "no room" in refused.json()["error"]["message"]
        assert int(refused.headers["retry-after"]) > 0
        assert kit.call("POST", "uploads", "blue", json=announced(b"y" * 1000)).status_code == 503
    assert kit.call("GET", f"uploads/{begun['upload']}", "blue").json()["offset"] == 0
    assert kit.call("PATCH", f"uploads/{begun['upload']}", "blue", **part).json()["offset"] == 1000
    assert kit.call("DELETE", f"uploads/{begun['upload']}", "blue").status_code == 204


def test_many_announcements_at_once_leave_no_more_than_a_team_may_have(kit: Kit) -> None:
    barrier, found = threading.Barrier(12), list[int]()

    def announce(number: int) -> None:
        barrier.wait(60)
        asked = announced(bytes([number]) * 50)
        found.append(kit.call("POST", "uploads", "blue", json=asked).status_code)

    threads = [threading.Thread(target=announce, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert found == [201] * 12
    last = kit.call("POST", "uploads", "blue", json=announced(b"last"))
    assert last.status_code == 201
    folder = kit.config.uploads / kit.name / "blue"
    assert len(list(folder.iterdir())) <= kit.config.uploads_per_team
    assert (folder / last.json()["upload"]).is_dir()


def test_an_upload_that_is_finished_twice_at_once_is_one_entry(tmp_path: Path) -> None:
    with portal(tmp_path) as kit:
        data = write_package(tmp_path / "twice.zip").read_bytes()
        upload = kit.call("POST", "uploads", "red", json=announced(data)).json()["upload"]
        headers = {**OCTETS, "upload-offset": "0"}
        kit.call("PATCH", f"uploads/{upload}", "red", data=data, headers=headers)
        barrier, found = threading.Barrier(6), list[int]()

        def finish() -> None:
            barrier.wait(60)
            asked = {"no_external_data": True}
            found.append(kit.call("POST", f"uploads/{upload}/finish", "red", json=asked).status_code)

        threads = [threading.Thread(target=finish) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert sorted(found)[0] == 201
        assert set(found) <= {201, 404, 409}
        assert len(kit.ledger.state().entries) == 1


@pytest.mark.parametrize(
    "offset", ["-1", "+0", "1e1", "0x0", "٠", "0, 0", "99999999999999999999", "", "nan", "0\u00a0"]
)
def test_an_offset_is_digits_or_it_is_refused(kit: Kit, offset: str) -> None:
    begun = kit.call("POST", "uploads", "blue", json=announced(b"offsets")).json()
    said = raw(
        kit,
        "PATCH {api}/uploads/"
        + begun["upload"]
        + " HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer "
        + kit.tokens["blue"]
        + "\r\nContent-Type: application/octet-stream\r\nContent-Length: 7\r\nUpload-Offset: ",
        offset.encode() + b"\r\n\r\noffsets",
    )
    status = said.split(b" ", 2)[1]
    assert status in {b"200", b"400", b"409", b"422"}, said[:300]
    kept = kit.call("GET", f"uploads/{begun['upload']}", "blue").json()["offset"]
    assert (status == b"200") is (kept == 7)
    assert status != b"200" or int(offset) == 0  # a plain zero, however it is written
    kit.call("DELETE", f"uploads/{begun['upload']}", "blue")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"entries":' * 5_000,
        b'{"entries": ["\\ud800"]}',
        b'{"entries": ["\\u0000"]}',
        b'{"entries": [' + b"9" * 50_000 + b"]}",
        b'{"entries": [NaN]}',
        b'{"entries": [], "entries": ["x"]}',
        b'{"entries": "\xff\xfe"}',
        b"\xef\xbb\xbf{}",
        b"",
        b"null",
    ],
)
def test_json_that_is_meant_badly_is_refused_with_words(kit: Kit, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = kit.call("PUT", "finals", "red", data=body, headers=headers)
    assert answer.status_code in {400, 404, 422}, answer.text
    assert answer.json()["error"]["message"]
    answer.text.encode()  # nothing in it cannot be written


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "OPTIONS", "DELETE"])
def test_a_method_that_a_page_does_not_have_shows_nothing(kit: Kit, method: str) -> None:
    target = urlsplit(kit.address).netloc if method == "CONNECT" else f"/c/{kit.name}/team"
    cookie = f"session={kit.browser('red').cookies['session']}"
    said = raw(
        kit, f"{method} {target} HTTP/1.1\r\nHost: {{host}}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    )
    assert said.split(b" ", 2)[1] in {b"400", b"404", b"405"}, said[:200]
    assert cookie.encode() not in said


def test_a_header_cannot_override_the_method(kit: Kit) -> None:
    entry = kit.hand_in("red")
    for header in ("x-http-method-override", "x-method-override", "x-http-method"):
        kit.call("GET", f"entries/{entry}/cancel", "red", headers={header: "POST"})
    assert kit.ledger.state().entries[entry].status.value == "waiting"


def test_many_ranges_of_a_file_are_not_worked_out(kit: Kit) -> None:
    ranges = "bytes=" + ",".join(f"{n}-" for n in range(5_000))
    answer = requests.get(f"{kit.address}/static/portal.css", headers={"range": ranges}, timeout=60)
    assert answer.status_code in {200, 206, 400, 416, 431}
    assert len(answer.content) < 200_000


def test_two_sessions_in_one_cookie_header_are_not_mixed(kit: Kit) -> None:
    red, blue = (kit.browser(team).cookies["session"] for team in ("red", "blue"))
    for cookie in (f"session={red}; session={blue}", f"session={blue}; session={red}"):
        found = requests.get(f"{kit.api}/team", headers={"cookie": cookie}, timeout=60).json()["team"]
        changed = requests.put(
            f"{kit.api}/finals",
            json={"entries": []},
            headers={"cookie": cookie, "x-csrf-token": "0" * 64},
            timeout=60,
        )
        assert found in {"red", "blue"}
        assert changed.status_code == 403


def test_a_watcher_cannot_write_into_a_stream(kit: Kit) -> None:
    seen = "x\r\nevent: entry\r\ndata: {}\r\n\r\n"
    with requests.get(
        f"{kit.api}/board/events",
        params={"seen": seen},
        headers={"last-event-id": "1\u00e9", "accept": "text/event-stream"},
        stream=True,
        timeout=60,
    ) as answer:
        first = next(answer.iter_content(64))
    assert first.startswith(b"retry: ")
    assert b"event: entry" not in first
