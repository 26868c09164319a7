"""What a portal says of itself: metrics and logs, in which no secret, no score and no name of a team is."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from portal_kit import Kit, portal, write_package
from prometheus_client.parser import text_string_to_metric_families

from harness.portal.logs import LOGGER, JsonLines

SECRET = "b" * 43
HARNESS = Path(sys.executable).with_name("harness")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    with portal(tmp_path_factory.mktemp("portal")) as running:
        yield running


def metrics(kit: Kit) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = kit.call("GET", "/metrics", "organiser")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_prometheus_hears_of_requests_and_of_the_queue(kit: Kit) -> None:
    before = metrics(kit)
    kit.hand_in("red")
    kit.finish(kit.hand_in("red"), loss=0.5)
    assert kit.call("GET", "entries", "red").status_code == 200
    assert kit.call("GET", "entries/nobody", "red").status_code == 404
    now = metrics(kit)
    template = "/api/v1/challenges/{challenge}/entries"
    labels = (("method", "GET"), ("route", template), ("status", "200"))
    counted = ("harness_portal_requests_total", labels)
    assert now[counted] == before.get(counted, 0) + 1
    of_one = (("method", "GET"), ("route", f"{template}/{{entry}}"), ("status", "404"))
    assert now["harness_portal_requests_total", of_one] == 1
    challenge = ("challenge", kit.name)
    assert now["harness_contest_entries", (challenge, ("status", "waiting"))] == 1
    assert now["harness_contest_entries", (challenge, ("status", "scored"))] == 1
    assert now["harness_contest_teams", (challenge,)] == 2
    assert now["harness_contest_oldest_waiting_seconds", (challenge,)] >= 0
    assert now["harness_portal_database_up", ()] == 1


def test_an_open_stream_is_counted_while_it_is_open(kit: Kit) -> None:
    with requests.get(f"{kit.api}/board/events", stream=True, timeout=30) as stream:
        pieces = stream.iter_content(chunk_size=None)  # which ends the stream when it goes
        next(pieces)
        assert metrics(kit)["harness_portal_streams", ()] == 1


@pytest.mark.parametrize("who", [None, "red", "blue"])
def test_only_a_token_for_it_may_ask_for_metrics(kit: Kit, who: str | None) -> None:
    answer = kit.call("GET", "/metrics", who)
    assert answer.status_code in {401, 403}
    assert "harness_" not in answer.text


def test_metrics_name_no_team_no_score_and_no_path_that_was_asked_for(kit: Kit, tmp_path: Path) -> None:
    kit.upload("blue", write_package(tmp_path / "mine.zip"))
    kit.call("GET", f"/enter/{SECRET}")
    kit.call("GET", f"/{SECRET}/nowhere")
    requests.request("BREW" + SECRET, kit.address, timeout=30)
    text = kit.call("GET", "/metrics", "organiser").text
    for word in ("red", "blue", SECRET, "0.5000", *kit.ledger.state().entries):
        assert not re.search(rf"\b{re.escape(word)}\b", text), word
    assert SECRET not in text


class Kept(logging.Handler):
    """Keeps each line as a log file would have it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def log() -> Iterator[Kept]:
    handler, logger = Kept(), logging.getLogger(LOGGER)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_each_request_is_a_line_and_no_line_opens_a_door(kit: Kit, log: Kept, tmp_path: Path) -> None:
    assert kit.upload("red", write_package(tmp_path / "mine.zip")).status_code == 201
    browser = kit.browser("blue")
    page = browser.get(f"{kit.address}/?next={SECRET}", timeout=30)
    kit.call("GET", f"/enter/{SECRET}")
    kit.call("POST", "uploads", "red", json={"name": SECRET, "size_bytes": 1, "sha256": "x"})
    refused = requests.get(f"{kit.api}/team", headers={"authorization": f"Bearer hvh_a_{SECRET}"}, timeout=30)
    assert refused.status_code == 401
    lines = [json.loads(line) for line in log.lines]
    first = next(one for one in lines if one["route"].endswith("/uploads"))
    assert (first["method"], first["status"], first["role"], first["team"]) == ("POST", 201, "team", "red")
    assert {"time", "level", "request", "seconds"} <= first.keys()
    assert page.headers["x-request-id"] in {one["request"] for one in lines}
    assert refused.headers["x-request-id"] == lines[-1]["request"]
    whole = "\n".join(log.lines)
    cookies = [str(cookie.value) for cookie in browser.cookies]
    assert cookies
    for secret in (SECRET, *kit.tokens.values(), *cookies, *(one.rsplit("_", 1)[-1] for one in cookies)):
        assert secret not in whole


def test_a_first_start_in_an_empty_folder_logs_json_on_standard_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        str(HARNESS),
        "serve",
        "--port",
        str(port),
        "--log-format",
        "json",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        assert server.stderr is not None
        assert str(port) in server.stderr.readline()
        answer = None
        while answer is None:
            assert server.poll() is None
            with contextlib.suppress(requests.ConnectionError):
                answer = requests.get(f"http://127.0.0.1:{port}/api/v1/health?token={SECRET}", timeout=10)
        server.terminate()
        said = server.communicate(timeout=60)[1]
    (line,) = [json.loads(one) for one in said.splitlines()]
    assert (line["route"], line["status"]) == ("/api/v1/health", 200)
    assert line["request"] == answer.headers["x-request-id"]
    assert SECRET not in said


def test_a_portal_that_is_terminated_leaves_no_worker_behind(kit: Kit) -> None:
    command = [str(HARNESS), "serve", "--store", kit.config.store, "--port", "0", "--worker", str(kit.toml)]
    command += ["--runs", str(kit.config.runs), "--packages", str(kit.config.packages)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        assert any("the portal is at" in line for line in server.stderr)
        workers = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="ascii").split()
        assert workers
        server.terminate()
        server.communicate(timeout=120)
    assert server.returncode == 128 + signal.SIGTERM
    assert not any(Path(f"/proc/{one}").exists() for one in workers)


def test_an_exception_is_named_without_its_words(log: Kept) -> None:
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger(LOGGER).exception("it went wrong")
    (line,) = log.lines
    assert json.loads(line)["exception"] == "ValueError"
    assert json.loads(line)["place"].startswith(__name__.rsplit(".", maxsplit=1)[-1]) or "test_portal" in line
    assert SECRET not in line
