"""Handing in over the API: parts, broken lines, what is refused, and what it costs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from portal_kit import Kit, write_package

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
