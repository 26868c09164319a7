"""Pages that follow what happens: vendored scripts are as their table says, and nobody is told twice."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests
from portal_kit import portal

import harness.portal

VENDOR = Path(harness.portal.__file__).parent / "static" / "vendor"


def test_vendored_scripts_are_what_their_table_says_with_their_licences_beside_them() -> None:
    listed = re.findall(
        r"^\| `(\S+)` \| `(\S+)` \| \S+ \| ([0-9a-f]{64}) \|$", (VENDOR / "README.md").read_text(), re.M
    )
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.glob("*.js")}
    assert found == {name: sha256 for name, _, sha256 in listed}
    for _, package, _ in listed:
        licence = (VENDOR / f"{package.removesuffix('.org')}.LICENSE.txt").read_text(encoding="utf-8")
        assert "is hereby granted" in " ".join(licence.split())


def first_told(answer: requests.Response) -> tuple[str, dict[str, Any]]:
    """Return the first event of a stream: its kind and what it says."""
    kind = ""
    for line in answer.iter_lines(decode_unicode=True):
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            return kind, json.loads(value)
    raise AssertionError("the stream ended")


@pytest.mark.slow  # starts a server
def test_a_watcher_is_told_what_its_page_does_not_show_and_nothing_else(tmp_path: Path) -> None:
    with portal(tmp_path) as kit:
        entry = kit.hand_in("red")
        watched = (
            ("board", lambda: kit.publish(()), "board", ("version", "")),
            ("entries", lambda: kit.finish(entry, loss=0.5), "entry", ("status", "waiting")),
        )
        for path, change, kind, (key, shown) in watched:
            page = kit.browser("red")
            text = page.get(f"{kit.address}/c/{kit.name}/{path}", timeout=60).text
            config = re.search(r"name=\"htmx-config\" content='([^']+)'", text)
            assert config
            assert json.loads(config[1])["allowEval"] is False
            live = re.search(r'sse-connect="([^"]+)"', text)
            assert live
            with page.get(kit.address + live[1].partition("?")[0], stream=True, timeout=60) as plain:
                told = first_told(plain)
            assert path == "entries" or told[1][key] == shown
            with page.get(kit.address + live[1], stream=True, timeout=60) as stream:
                change()
                told = first_told(stream)
            assert told[0] == kind
            assert told[1][key] != shown
