"""What an installed harness needs is in its wheel: what is not is missed in nobody's own checkout."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOR_DEVELOPERS = {".md", ".py", ".pyc"}  # of Markdown, the vendored scripts' table alone is packaged


def test_every_file_that_is_no_module_is_package_data() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packaged = {
        path for pattern in table["package-data"]["harness"] for path in (ROOT / "harness").glob(pattern)
    }
    needed = {
        path
        for path in (ROOT / "harness").rglob("*")
        if path.is_file() and path.suffix not in FOR_DEVELOPERS and "__pycache__" not in path.parts
    }
    assert (ROOT / "harness/portal/static/icon.svg") in needed
    assert sorted(map(str, needed - packaged)) == []
