"""A few of many clips, for `--small`: is the whole wired up, does it go on, does it repeat?

Of every repository the smallest real and the smallest generated file, both of one recording where it
publishes such pairs: every generator, every fold and every kind of pair is there, and decoding takes minutes.
Figures of so few clips mean nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from .clips import TABLES, Clip

COLUMNS = ("file", "label", "method", "identity", "repo", "path", "licence")


def few(clips: Sequence[Clip]) -> list[Clip]:
    """One real and one generated clip of each repository, as far as it has them, in order of name."""
    sizes = {clip.name: (clip.video.stat().st_size, clip.name) for clip in clips}
    chosen: dict[str, Clip] = {}
    for repository in sorted({clip.repository for clip in clips}):
        own = sorted((c for c in clips if c.repository == repository), key=lambda clip: sizes[clip.name])
        recordings = [{c.recording for c in own if c.label == label} for label in (0, 1)]
        both = recordings[0] & recordings[1]
        for label in (0, 1):
            some = [c for c in own if c.label == label]
            pairs = [c for c in some if both and c.recording == min(both)]
            chosen |= {clip.name: clip for clip in (pairs or some)[:1]}
    return [chosen[name] for name in sorted(chosen)]


def write_table(clips: Sequence[Clip], folder: Path) -> Path:
    """A folder of clips that holds nothing but a table, which names them where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / TABLES[0]).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for clip in clips:
            place = str(clip.video.resolve())
            writer.writerow(
                (place, clip.label, clip.method, clip.identity, clip.repository, clip.recording, clip.licence)
            )
    return folder
