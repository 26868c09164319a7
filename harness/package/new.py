"""Write a package to begin with: small, complete, and one that `check` passes."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Final

from harness.core.errors import ConfigError

STYLES: Final = {
    "stream": "one class, asked for one video after the other: a good start",
    "batch": "one program for a folder of videos, which writes filename,label",
    "kaggle": "a script with the paths of the 2020 contest",
    "timm": "a network of timm, with weights in the package",
    "ensemble": "several members, averaged",
}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")


def new_package(folder: Path, *, style: str) -> tuple[Path, ...]:
    """Write a package of a style into a fresh folder, and return its files.

    Args:
        folder: Made here; its name becomes the package's.
        style: A key of `STYLES`.

    Raises:
        ConfigError: the style is unknown, the name cannot be a package's, or the folder holds something.
    """
    if style not in STYLES:
        known = ", ".join(STYLES)
        raise ConfigError(f"unknown style {style!r}", place="--style", remedy=f"One of: {known}.")
    name = folder.resolve().name
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "cannot be a package's name",
            place=name,
            remedy="Letters, digits, space, `.`, `_` and `-`; a letter or digit first.",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError("already exists and is not empty", place=folder, remedy="Choose another name.")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for source in sorted(
        files("harness.package").joinpath("packages", style).iterdir(), key=lambda f: f.name
    ):
        if not source.is_file():
            continue
        text = source.read_text(encoding="utf-8")
        if source.name == "submission.toml":
            text = text.format(name=name)
        target = folder / source.name
        target.write_text(text, encoding="utf-8")
        written.append(target)
    return tuple(written)
