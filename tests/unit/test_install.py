"""`tools/install.py`: pip's settings reach uv, and what cannot be said to it is pip's to do."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PIP_VARIABLES = {"PIP_CONFIG_FILE": os.devnull, "PATH": os.environ["PATH"]}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install_tool", ROOT / "tools" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def listed(**variables: str) -> str:
    """What pip itself prints of settings in its environment."""
    command = [sys.executable, "-m", "pip", "config", "list", "-vvv"]
    return subprocess.run(
        command, env=PIP_VARIABLES | variables, capture_output=True, text=True, check=True
    ).stdout


def test_where_packages_come_from_is_said_to_uv_as_pip_was_told(tool: ModuleType) -> None:
    said = tool.in_uv(
        tool.settings_of(
            listed(
                PIP_INDEX_URL="https://one.example/simple",
                PIP_EXTRA_INDEX_URL="https://two.example/simple\nfile:///three/simple",
                PIP_FIND_LINKS="/a /b",
                PIP_CERT="/etc/it's mine.pem",
                PIP_PROXY="http://proxy.example:3128",
                PIP_QUIET="1",
            )
        )
    )
    assert said is not None
    options, variables = said
    assert set(options) == {
        "--default-index=https://one.example/simple",
        "--index=https://two.example/simple",
        "--index=file:///three/simple",
        "--find-links=/a",
        "--find-links=/b",
    }
    proxy = "http://proxy.example:3128"
    assert variables == {"SSL_CERT_FILE": "/etc/it's mine.pem", "HTTP_PROXY": proxy, "HTTPS_PROXY": proxy}


def test_the_setting_that_pip_follows_wins(tool: ModuleType) -> None:
    listing = "\n".join(
        (":env:.index-url='c'", "global.index-url='a'", "install.index-url='b'", "download.index-url='d'")
    )
    assert tool.settings_of(listing) == {"index-url": "c"}


def test_a_setting_that_cannot_be_said_is_left_to_pip(tool: ModuleType) -> None:
    assert tool.in_uv(tool.settings_of(listed(PIP_REQUIRE_HASHES="1"))) is None


@pytest.mark.parametrize(("value", "options"), [("1", ["--no-index"]), ("0", []), ("false", [])])
def test_a_switch_that_is_off_is_off(tool: ModuleType, value: str, options: list[str]) -> None:
    assert tool.in_uv({"no-index": value}) == (options, {})
