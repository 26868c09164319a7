"""Lines that are slow on purpose, heads without an end, archives that are none, and floods from one house."""

from __future__ import annotations

import resource
import socket
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from portal_kit import Kit, portal, write_package

from harness.portal import walls
from harness.portal.lines import PatientProtocol, allow_many_lines

slow = pytest.mark.slow  # starts servers


def line_to(kit: Kit) -> socket.socket:
    host = urlsplit(kit.address)
    return socket.create_connection((host.hostname or "", host.port or 0), timeout=60)


def everything(line: socket.socket) -> bytes:
    """Return what is said until the line is closed."""
    said = b""
    try:
        while chunk := line.recv(65536):
            said += chunk
    except ConnectionResetError:
        pass
    return said


@slow
def test_a_head_that_does_not_end_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PatientProtocol, "head_seconds", 3.0)
    health = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n"
    with portal(tmp_path) as kit, line_to(kit) as silent, line_to(kit) as fresh, line_to(kit) as used:
        used.sendall(health + b"\r\n")
        answered = b""
        while b'"ok"' not in answered:
            chunk = used.recv(65536)
            assert chunk, answered
            answered += chunk
        for line in (fresh, used):
            line.sendall(health + b"X-Slow: ")
        for line in (silent, fresh, used):
            assert everything(line).startswith(b"HTTP/1.1 408")


@slow
def test_a_head_without_end_fills_no_memory(kit: Kit) -> None:
    with line_to(kit) as line:
        sent = 0
        try:
            line.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n")
            while sent < 200_000_000:  # what would be kept of it, if anything were
                sent += line.send(b"X-Filler: " + b"a" * 60_000 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 200_000_000
    assert kit.call("GET", "/api/v1/health").status_code == 200


def link(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("weights.bin")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")


def device(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("weights.bin")
    info.external_attr = (stat.S_IFBLK | 0o777) << 16
    archive.writestr(info, "")


def outside(archive: zipfile.ZipFile) -> None:
    archive.writestr("../../../../tmp/outside.py", "x = 1\n")


def twice(archive: zipfile.ZipFile) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("predictor.py", "import os\n")


def many(archive: zipfile.ZipFile) -> None:
    for number in range(10_100):
        archive.writestr(f"f{number}", "")


@slow
@pytest.mark.parametrize("spoil", [link, device, outside, twice, many])
def test_no_archive_reaches_the_packages_that_is_none(
    kit: Kit, tmp_path: Path, spoil: Callable[[zipfile.ZipFile], None]
) -> None:
    package = write_package(tmp_path / "hostile.zip")
    with zipfile.ZipFile(package, "a") as archive:
        spoil(archive)
    there = set(kit.config.packages.rglob("*"))
    left = kit.call("GET", "team", "red").json()["allowance"]
    answer = kit.upload("red", package)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "check_failed"
    assert all(one["remedy"] for one in answer.json()["check"]["findings"] if one["severity"] == "error")
    assert set(kit.config.packages.rglob("*")) == there
    assert kit.call("GET", "team", "red").json()["allowance"]["valid_left"] == left["valid_left"]


@slow
def test_what_is_no_zip_is_said_to_be_none(kit: Kit, tmp_path: Path) -> None:
    package = tmp_path / "x.zip"
    package.write_bytes(b"MZ" + bytes(5000))
    answer = kit.upload("red", package)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "check_failed"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("testclient", "testclient", True),
    ],
)
def test_a_house_has_one_rate_however_many_addresses_it_has(one: str, other: str, same: bool) -> None:
    assert (walls._household(one) == walls._household(other)) is same


def test_a_portal_may_have_as_many_lines_as_its_system_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert allow_many_lines() == min(65_536, hard)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(65_536, hard), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
