"""Write a challenge from a folder with `real/` and `fake/`, so that one's own clips can be scored at once."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.core.errors import ConfigError
from harness.videos.labels import VIDEO_SUFFIXES

CLASSES: Final = {"real": 0, "fake": 1}
_TOML: Final = """\
# Made by `harness new-challenge`. A private set can be added later: see docs/organisers.md.
schema = 1
name = "{name}"
title = "Practice on {name}"

[sets.public]
videos = "videos"
labels = "labels.csv"
recipe = "{recipe}"
seed = {seed}
"""


@dataclass(frozen=True, kw_only=True)
class NewChallenge:
    """What was written."""

    challenge: Path
    real: int
    fake: int


def new_challenge(source: Path, target: Path, *, recipe: str = "clean") -> NewChallenge:
    """Write `challenge.toml`, `labels.csv` and `videos/` (hard links where possible) into a fresh folder.

    Args:
        source: Holds `real/` and `fake/` with videos, at any depth.
        target: Made here.
        recipe: How the videos are perturbed: a shipped recipe's name.

    Raises:
        ConfigError: a class is missing or empty, or the target holds something.
    """
    videos = {name: _videos(source / name) for name in CLASSES}
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError("already exists and is not empty", place=target, remedy="Choose another folder.")
    folder = target / "videos"
    folder.mkdir(parents=True)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["filename", "label"])
    for label, found in videos.items():
        for path in found:
            # The path is in the name, so that two clips of one name stay two.
            name = f"{label}-{'-'.join(path.relative_to(source / label).parts)}"
            _link(path, folder / name)
            rows.writerow([name, CLASSES[label]])
    (target / "labels.csv").write_text(table.getvalue(), encoding="utf-8")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", target.resolve().name).strip("-._")[:64] or "practice"
    seed = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
    path = target / "challenge.toml"
    path.write_text(_TOML.format(name=name, recipe=recipe, seed=seed), encoding="utf-8")
    return NewChallenge(challenge=path, real=len(videos["real"]), fake=len(videos["fake"]))


def _videos(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(
            "is missing", place=folder, remedy="The folder needs real/ and fake/, each with videos."
        )
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        shown = ", ".join(sorted(VIDEO_SUFFIXES))
        raise ConfigError("contains no videos", place=folder, remedy=f"Videos end in {shown}.")
    return found


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
