"""A portal that is none, or that repeats what a hostile team wrote: nothing of it acts on a terminal."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.core.errors import ConfigError, PortalError
from harness.core.text import safe_document
from harness.portal.client.broken_line import LineBroke
from harness.portal.client.connection import Portal

pytestmark = pytest.mark.slow  # starts a server

EVIL = "\x1b]0;title\x07\x9b2J\u202egnp\u200b\x00\r"
ANSWERS = {
    "/evil": ("application/json", json.dumps({"name": EVIL, "rows": [{EVIL: EVIL}]}).encode()),
    "/deep": ("application/json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "/list": ("application/json", b"[1]"),
    "/digits": ("application/json", b'{"offset": ' + b"9" * 10_000 + b"}"),
    "/text": ("text/csv", f"team\n{EVIL}\n".encode()),
    "/events": ("text/event-stream", f"event: entry\ndata: {json.dumps({'entry': EVIL})}\n\n".encode()),
    "/deep-events": ("text/event-stream", b"data: " + b"[" * 100_000 + b"\n\n"),
    "/error": ("application/json", json.dumps({"error": {"code": "forbidden", "message": EVIL}}).encode()),
}


class Evil(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind, body = ANSWERS[self.path.removeprefix("/api/v1")]
        self.send_response(403 if self.path.endswith("/error") else 200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def evil() -> Iterator[Portal]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Portal(f"http://127.0.0.1:{server.server_port}", patience_seconds=0.0) as portal:
            yield portal
        server.shutdown()


def is_plain(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


def test_no_answer_of_a_portal_acts_on_a_terminal(evil: Portal) -> None:
    found = evil.get("/evil")
    assert is_plain(json.dumps(found, ensure_ascii=False))
    assert "title" in found["name"]
    assert is_plain(evil.get_text("/text"))
    (event, ended) = evil.events("/events")
    assert not isinstance(event, LineBroke)
    assert isinstance(ended, LineBroke)
    assert is_plain(event.data["entry"])
    with pytest.raises(ConfigError) as refused:
        evil.get("/error")
    assert is_plain(str(refused.value))


@pytest.mark.parametrize("path", ["/deep", "/list", "/digits"])
def test_what_no_portal_answers_is_said_to_be_none(evil: Portal, path: str) -> None:
    with pytest.raises(PortalError, match="JSON"):
        evil.get(path)


def test_a_stream_of_nothing_but_brackets_is_said_to_be_none(evil: Portal) -> None:
    with pytest.raises(PortalError, match="JSON"):
        list(evil.events("/deep-events"))


def test_what_is_no_text_stays_as_it_is() -> None:
    whole = {"a": [1, 2.5, None, True, {"b": "plain – text\n"}]}
    assert safe_document(whole) == whole
