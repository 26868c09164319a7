"""`harness remote` against a running portal: what a contestant types, over lines that break."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from broken_line import BrokenLine
from portal_kit import Kit
from portal_kit import portal as serving

from harness.cli.app import run_command
from harness.contest.board.published import PublishedRow
from harness.contest.ledger import Accepted
from harness.contest.rules import HARNESS, Command
from harness.contest.rules.commands import RecordFailure, RecordScore, Start, VoidAttempt

MakePackage = Callable[..., Path]
DEAD = "http://127.0.0.1:9"
PROGRAM = Path(sys.executable).with_name("harness")


class Said(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


Remote = Callable[..., Said]


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Kit]:
    with serving(tmp_path / "portal") as kit:
        yield kit


@pytest.fixture
def remote(
    portal: Kit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Remote:
    """Types a command as team red, on a machine that knows only its own portal."""
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("XDG_CONFIG_HOME", str(tmp_path / "config")),
        ("XDG_CACHE_HOME", str(tmp_path / "cache")),
        ("HARNESS_PORTAL", portal.address),
        ("HARNESS_PORTAL_TOKEN", portal.tokens["red"]),
        ("COLUMNS", "150"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("harness.cli.remote.PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr("harness.cli.remote.LONG_PATIENCE_SECONDS", 60.0)

    def typed(*arguments: object) -> Said:
        capsys.readouterr()
        code = run_command(["remote", *map(str, arguments)])
        return Said(code, *capsys.readouterr())

    return typed


def tell(portal: Kit, command: Command) -> None:
    """Say what the worker would say."""
    assert isinstance(portal.ledger.ask(command, now=portal.site.now(), by=HARNESS), Accepted)


def entries(portal: Kit) -> list[str]:
    return list(portal.ledger.state().entries)


def large(folder: Path, megabytes: int) -> Path:
    """Make a package as large as that, and the same every time."""
    (folder / "padding.dat").write_bytes(bytes(range(256)) * (4096 * megabytes))
    return folder


# --- logging in --------------------------------------------------------------------------------------------


def test_a_login_is_kept_and_is_enough(
    portal: Kit, remote: Remote, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = remote("login", portal.address)
    assert said.code == 0, said.err
    assert f"you are The red team at {portal.address}" in said.out
    assert portal.tokens["red"] not in said.out + said.err
    (kept,) = (tmp_path / "config").rglob("*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    monkeypatch.delenv("HARNESS_PORTAL")
    monkeypatch.delenv("HARNESS_PORTAL_TOKEN")
    assert "The red team" in remote("status").out
    assert remote("logout").code == 0
    assert "remote login" in remote("status").err


def test_a_wrong_token_is_refused_and_not_kept(
    portal: Kit, remote: Remote, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = portal.tokens["red"][:-1] + ("A" if portal.tokens["red"][-1] != "A" else "B")
    monkeypatch.setenv("HARNESS_PORTAL_TOKEN", wrong)
    said = remote("login", portal.address)
    assert said.code == 2
    assert "unknown, revoked or expired" in said.err
    assert wrong not in said.err
    assert not list((tmp_path / "config").rglob("*.json"))


def test_what_is_no_portal_is_said(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    said = remote("status", "--portal", DEAD)
    assert said.code == 3
    assert "does not answer" in said.err
    assert "object at 0x" not in said.err
    assert "trying again" in said.err
    monkeypatch.setenv("HARNESS_PORTAL", "http://portal.example")
    assert "open line" in remote("status").err


def test_an_interrupted_submit_says_so_and_keeps_what_arrived(
    portal: Kit, remote: Remote, make_package: MakePackage, tmp_path: Path
) -> None:
    package = large(make_package("return 0.5"), 12)
    with BrokenLine(portal.address, sent_bytes=9_000_000) as line:
        environment = os.environ | {"HARNESS_PORTAL": line.url}
        command = [str(PROGRAM), "remote", "submit", str(package), "--no-external-data"]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as client:
            assert client.stderr is not None
            while "trying again" not in client.stderr.readline():
                assert client.poll() is None
            client.send_signal(signal.SIGINT)
            said = client.communicate(timeout=60)[1]
    assert client.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert not list((tmp_path / "cache").rglob("*.zip")), "the zip that was made of the folder is gone"
    assert "sent 0%" not in remote("submit", package, "--no-external-data").err


# --- handing in --------------------------------------------------------------------------------------------


def test_a_package_is_sent_over_a_line_that_breaks_and_is_whole(
    portal: Kit, remote: Remote, make_package: MakePackage
) -> None:
    package = large(make_package("return 0.5"), 9)
    with BrokenLine(portal.address, sent_bytes=1_500_000, breaks=4) as line:
        said = remote("submit", package, "--no-external-data", "--portal", line.url)
    assert said.code == 0, said.err
    assert line.broken == 4
    (entry,) = entries(portal)
    assert f"entry {entry}; " in said.out
    assert "sent 100%" in said.err
    assert "\r" not in said.err, "no bar in a pipe"


def test_an_upload_that_was_killed_goes_on_from_where_it_was(
    portal: Kit, remote: Remote, make_package: MakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = large(make_package("return 0.5"), 12)
    monkeypatch.setattr("harness.cli.remote.LONG_PATIENCE_SECONDS", 0.0)
    with BrokenLine(portal.address, sent_bytes=9_000_000) as line:
        said = remote("submit", package, "--no-external-data", "--portal", line.url)
    assert said.code == 3
    assert "have arrived" in said.err
    assert entries(portal) == []
    again = remote("submit", package, "--no-external-data")
    assert again.code == 0, again.err
    assert "sent 0%" not in again.err
    assert len(entries(portal)) == 1


def test_a_package_is_handed_in_once_though_the_answer_was_lost(
    portal: Kit, remote: Remote, make_package: MakePackage
) -> None:
    package = make_package("return 0.5")
    with _deaf_at(portal.address, b"/finish ") as line:
        said = remote("submit", package, "--no-external-data", "--portal", line)
    assert said.code == 0, said.err
    (entry,) = entries(portal)
    assert entry in said.out


def test_a_bad_package_is_refused_here_and_there_and_costs_nothing(
    portal: Kit, remote: Remote, make_package: MakePackage
) -> None:
    package = make_package(module="def broken(:\n")
    here = remote("submit", package, "--no-external-data")
    assert here.code == 1
    assert "was not sent" in here.err
    there = remote("submit", package, "--no-external-data", "--unchecked")
    assert there.code == 1
    assert there.err.count("predictor.py") >= 1
    as_json = remote("submit", package, "--no-external-data", "--unchecked", "--json")
    assert json.loads(as_json.out)["error"]["code"] == "check_failed"
    assert entries(portal) == []


def test_a_quota_that_is_used_up_is_said_with_the_hour(
    portal: Kit, remote: Remote, make_package: MakePackage
) -> None:
    for _ in range(3):  # as many as may fail in a day
        portal.hand_in("red")
    said = remote("submit", make_package("return 0.9"), "--no-external-data")
    assert said.code == 1
    assert "refused: " in said.err
    assert "Possible again from" in said.err
    assert "nothing is taken now" in remote("status").out


# --- watching ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (
            lambda entry: RecordScore(
                entry=entry, attempt=1, run_id="r", verdict="OK", result_sha256="ab" * 32, public_loss=0.4242
            ),
            0,
        ),
        (lambda entry: RecordFailure(entry=entry, attempt=1, run_id="r", verdict="TIME_LIMIT"), 1),
        (lambda entry: VoidAttempt(entry=entry, attempt=1, reason="a disk was full"), 3),
    ],
    ids=["scored", "failed", "voided"],
)
def test_the_exit_code_is_the_verdict_s(
    portal: Kit, remote: Remote, make_package: MakePackage, ending: Callable[[str], Command], code: int
) -> None:
    package = make_package("return 0.5")

    def worker() -> None:
        deadline = time.monotonic() + 60
        while not (there := entries(portal)) and time.monotonic() < deadline:
            time.sleep(0.05)
        tell(portal, Start(entry=there[0], attempt=1))
        time.sleep(0.3)
        tell(portal, ending(there[0]))

    working = threading.Thread(target=worker)
    working.start()
    with BrokenLine(portal.address, received_bytes=2500, breaks=1 if code == 0 else 0) as line:
        said = remote("submit", package, "--no-external-data", "--wait", "--portal", line.url)
    working.join()
    assert said.code == code, said.err
    (entry,) = entries(portal)
    state = {0: "scored", 1: "failed", 3: "voided"}[code]
    assert f"{entry} {state}" in said.err
    assert state in said.out
    if code == 0:
        assert "0.4242" in said.out
        assert remote("select", entry).code == 0
        assert json.loads(remote("status", "--json").out)["team"]["finals"] == [entry]
        assert remote("select", "--best").code == 0
    assert json.loads(remote("status", entry, "--json").out)["status"] == state
    assert remote("status", entry, "--wait").code == code


def test_what_is_another_team_s_is_not_there(
    portal: Kit, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = portal.hand_in("red")
    assert entry in remote("status").out
    assert remote("logs", entry).code == 0
    monkeypatch.setenv("HARNESS_PORTAL_TOKEN", portal.tokens["blue"])
    assert entry not in remote("status").out
    for asked in (("status", entry), ("logs", entry), ("cancel", entry), ("status", "no-entry")):
        said = remote(*asked)
        assert (said.code, "no such entry" in said.err) == (2, True), asked
    monkeypatch.setenv("HARNESS_PORTAL_TOKEN", portal.tokens["red"])
    assert "cancelled" in remote("cancel", entry).out
    assert remote("status", entry, "--wait").code == 1


def test_the_board_is_a_table_csv_or_json(portal: Kit, remote: Remote) -> None:
    row = PublishedRow(
        place=1,
        team="red",
        name="The red team",
        score=0.4242,
        low=0.4,
        high=0.45,
        group=1,
        best_percent=90,
        entries=2,
        last="2030-01-02T03:04:05+00:00",
        entry="e",
    )
    portal.publish((row,))
    assert "The red team" in remote("board").out
    assert "0.4000-0.4500" in remote("board").out
    assert json.loads(remote("board", "--json").out)["rows"][0]["score"] == 0.4242
    assert "0.4242" in remote("board", "--csv").out
    private = remote("board", "--private")
    assert private.code == 2, "not before it is released"


@contextlib.contextmanager
def _deaf_at(url: str, request: bytes) -> Iterator[str]:
    """A line over which one request arrives and its answer does not."""

    class Deaf(BrokenLine):
        def watch(self, piece: bytes) -> None:
            if request in piece and not self.broken:
                self.received_bytes, self._breaks_left = 0, 1

    with Deaf(url, breaks=0) as line:
        yield line.url
