"""The command for an organiser's own machine: what it prints and returns, and that it can find a hole."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import harness.sandbox.docker.sandbox
from harness.cli.security import self_check
from harness.core.errors import ConfigError
from harness.sandbox.docker.hardening import container_options

pytestmark = pytest.mark.docker

app = typer.Typer()
app.command()(self_check)


@pytest.mark.usefixtures("runtime_image")
def test_it_shows_what_stopped_each_attack() -> None:
    done = CliRunner().invoke(app, ["--only", "io_uring", "--only", "zip_slip"])
    assert done.exit_code == 0, done.output
    assert "2 attacks, none got through" in done.stdout
    assert "Operation not" in done.stdout
    assert "BROKEN" not in done.stdout


@pytest.mark.usefixtures("runtime_image")
def test_a_hole_is_found_and_told_to_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_seccomp(*args: Any, **kwargs: Any) -> dict[str, Any]:
        options = container_options(*args, **kwargs)
        options["HostConfig"]["SecurityOpt"] = ["no-new-privileges", "seccomp=unconfined"]
        return options

    monkeypatch.setattr(harness.sandbox.docker.sandbox, "container_options", without_seccomp)
    done = CliRunner().invoke(app, ["--only", "io_uring", "--only", "zip_slip", "--json"])
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["ok"] is False
    assert {row["name"]: row["held"] for row in document["attacks"]} == {"io_uring": False, "zip_slip": True}
    assert "answered 1" in document["attacks"][0]["evidence"]


def test_an_unknown_attack_is_refused_with_those_there_are() -> None:
    done = CliRunner().invoke(app, ["--only", "magic"])
    assert isinstance(done.exception, ConfigError)
    assert "fork_bomb" in str(done.exception)
