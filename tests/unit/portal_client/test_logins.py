"""Tokens: only their owner can read them, they go to their own portal only, and nothing prints them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from harness.core.errors import ConfigError
from harness.portal.client.logins import (
    TOKEN_VARIABLE,
    URL_VARIABLE,
    Login,
    forget,
    keep,
    login_in_use,
    portal_url,
)
from harness.portal.client.replies import refused_of

ONE = Login(url="https://one.example", token="hvh_1_secret", challenge="deepfakes")
TWO = Login(url="https://two.example", token="hvh_2_other")


def test_only_its_owner_can_read_the_file_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "config" / "portals.json"
    before = os.umask(0)
    try:
        keep(ONE, path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    keep(ONE, tmp_path / "portals.json")
    (tmp_path / "portals.json").chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        login_in_use(tmp_path / "portals.json", {})


def test_the_last_login_is_meant_and_another_can_be(tmp_path: Path) -> None:
    path = tmp_path / "portals.json"
    keep(ONE, path)
    keep(TWO, path)
    assert login_in_use(path, {}) == TWO
    assert login_in_use(path, {}, url="one.example") == ONE
    assert login_in_use(path, {URL_VARIABLE: "https://one.example/"}) == ONE
    keep(ONE, path)
    assert login_in_use(path, {}) == ONE
    assert forget(path) == ONE.url
    assert login_in_use(path, {}) == TWO
    assert forget(path, url=ONE.url) is None


def test_a_token_goes_to_its_own_portal_only(tmp_path: Path) -> None:
    path = tmp_path / "portals.json"
    keep(ONE, path)
    for other in ("https://evil.example", "https://one.example:444", "https://one.example.evil.example"):
        with pytest.raises(ConfigError, match="no token"):
            login_in_use(path, {}, url=other)


def test_the_environment_is_enough_and_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "portals.json"
    found = login_in_use(path, {URL_VARIABLE: "https://ci.example", TOKEN_VARIABLE: " hvh_3_ci\n"})
    assert (found.url, found.token) == ("https://ci.example", "hvh_3_ci")
    assert not path.exists()
    keep(ONE, path)
    assert login_in_use(path, {TOKEN_VARIABLE: "hvh_3_ci"}).token == "hvh_3_ci"
    with pytest.raises(ConfigError, match="remote login"):
        login_in_use(tmp_path / "none.json", {})


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("contest.example", "https://contest.example"),
        ("https://contest.example/sub/", "https://contest.example/sub"),
        ("https://contest.example:8443/api/v1", "https://contest.example:8443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_an_address_is_kept_as_it_is_meant(typed: str, kept: str) -> None:
    assert portal_url(typed) == kept


@pytest.mark.parametrize("wrong", ["ftp://x", "https://user:password@host", "https://", "http://host"])
def test_an_address_that_would_give_the_token_away_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError):
        portal_url(wrong)
    assert portal_url("http://host", insecure=True) == "http://host"


def test_nothing_prints_a_token(tmp_path: Path) -> None:
    assert "secret" not in repr(ONE) + str(ONE)
    (tmp_path / "portals.json").write_text('[{"token": "hvh_1_secret"}]')
    (tmp_path / "portals.json").chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        login_in_use(tmp_path / "portals.json", {})
    assert "secret" not in str(caught.value)


def test_a_refusal_says_when_it_will_be_possible_in_the_reader_s_time() -> None:
    error = {"code": "refused", "message": "quota: 2 of 2 today", "again": "2030-01-02T23:00:00+00:00"}
    assert "2030-01-0" in refused_of({"error": error | {"remedy": None}}).in_words
