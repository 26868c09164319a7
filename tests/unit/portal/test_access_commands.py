"""`harness access` from a shell, and what a running portal makes of it."""

from __future__ import annotations

import json

import pytest
import requests
from portal_kit import Kit

from harness.cli.app import run_command

pytestmark = pytest.mark.slow  # starts a server


def typed(kit: Kit, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = run_command(["access", *arguments, "--store", kit.config.store])
    return code, capsys.readouterr().out.strip()


def test_a_link_and_a_token_let_in_until_they_are_revoked(
    kit: Kit, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("-c", str(kit.toml), "--address", kit.address)
    code, link = typed(kit, capsys, "team", "red", *here, "--label", "Grace")
    assert (code, link.startswith(f"{kit.address}/enter/")) == (0, True)
    browser = requests.Session()
    browser.post(link, timeout=60, allow_redirects=False)
    assert browser.get(f"{kit.api}/team", timeout=60).json()["team"] == "red"
    _, token = typed(kit, capsys, "team", "red", *here, "--token", "--label", "CI")
    headers = {"authorization": f"Bearer {token}"}
    assert requests.get(f"{kit.api}/team", headers=headers, timeout=60).status_code == 200
    listed = json.loads(typed(kit, capsys, "list", "--json")[1])["accesses"]
    mine = {one["label"]: one for one in listed if one["label"] in {"Grace", "CI"} and one["kind"] != "link"}
    assert token.split("_")[2] not in json.dumps(listed)
    for name in ("Grace", "CI"):
        assert typed(kit, capsys, "revoke", mine[name]["access"]) == (0, "1 revoked")
    assert requests.get(f"{kit.api}/team", headers=headers, timeout=60).status_code == 401
    assert browser.get(f"{kit.api}/team", timeout=60).status_code == 401
    assert typed(kit, capsys, "revoke", "0123456789abcdef")[0] == 1


def test_an_organiser_of_one_contest_is_none_of_another(kit: Kit, capsys: pytest.CaptureFixture[str]) -> None:
    _, link = typed(kit, capsys, "organiser", "-c", str(kit.toml), "--address", kit.address)
    browser = requests.Session()
    answer = browser.post(link, timeout=60, allow_redirects=False)
    assert answer.headers["location"] == f"/c/{kit.name}/organise"
    assert browser.get(f"{kit.address}/c/{kit.name}/organise", timeout=60).status_code == 200
    assert browser.get(f"{kit.address}/create", timeout=60).status_code == 403


def test_what_does_not_exist_is_said_with_its_remedy(kit: Kit, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["access", "team", "nobody", "-c", str(kit.toml), "--store", kit.config.store]) == 2
    assert "there is no team 'nobody'" in capsys.readouterr().err
