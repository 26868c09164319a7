"""What there is to learn from: clips with their label, who is seen, and which repository they come from.

A folder of clips may hold a table, `clips.csv` or `labels.csv`. Columns: `file` or `filename`, `label` (1 is
fake), `method`, `identity`, `repo`, `path` or `source` (what it was cut from), `licence`; only the first two
must be there. A folder without a table holds real clips, each of a person of its own.

Folds go by *repository*: a repository's fakes are mostly one generator's and its reals look alike, so that
leaving one out leaves out its generator, its cameras and its encoder. Whoever is seen in a repository that is
held out is not trained on either, wherever the clip comes from.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDS = 5
SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi"}
TABLES = ("clips.csv", "labels.csv")


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One video. `repository` is where it was published, `method` what made it ("real" where nothing did)."""

    video: Path
    label: int
    method: str
    identity: str
    repository: str
    recording: str  # the same for a real clip and what was made from it, where that is known
    licence: str

    @property
    def name(self) -> str:
        """The file's name without its ending: names a clip in caches and reports."""
        return self.video.stem

    @property
    def generator(self) -> str:
        """The method without its particulars: all donors of one face swapper are one generator."""
        return self.method.split(" (", maxsplit=1)[0]


def read_clips(folders: Iterable[Path]) -> list[Clip]:
    """The clips of all folders, in order of name.

    Raises:
        FileNotFoundError: a folder, or a clip that its table names, is not there.
        ValueError: two clips have the same name, or a table has no label for one.
    """
    clips: dict[str, Clip] = {}
    for folder in folders:
        for clip in _read_folder(folder):
            if clip.name in clips:
                raise ValueError(f"{clip.video} and {clips[clip.name].video} have the same name: rename one")
            clips[clip.name] = clip
    return [clips[name] for name in sorted(clips)]


def _read_folder(folder: Path) -> list[Clip]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: name one with clips in it")
    table = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if table is None:
        rows = [{"file": p.name, "label": "0"} for p in sorted(folder.iterdir()) if p.suffix in SUFFIXES]
    else:
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file))
    clips = []
    for row in rows:
        video = folder / (row.get("file") or row["filename"])
        if not video.is_file():
            raise FileNotFoundError(f"{table or folder} names {video.name}, which is not there")
        if row.get("label") not in {"0", "1"}:
            raise ValueError(f"{table}: the label of {video.name} is {row.get('label')!r}, neither 0 nor 1")
        clips.append(
            Clip(
                video=video,
                label=int(row["label"]),
                method=row.get("method") or ("fake" if row["label"] == "1" else "real"),
                identity=row.get("identity") or video.stem,
                repository=row.get("repo") or folder.name,
                recording=row.get("path") or row.get("source") or video.stem,
                licence=row.get("licence") or "not stated",
            )
        )
    return clips


def fold_of(clips: Sequence[Clip], *, always: Sequence[str] = (), folds: int = FOLDS) -> dict[str, int]:
    """Deals repositories out to folds so that both labels are spread evenly: repository to fold.

    The largest repository comes first; each goes to the fold where the squares of the numbers of real and of
    fake clips grow least.

    Args:
        clips: all there are.
        always: repositories that are trained on in every fold, and judged in none.
        folds: how many.
    """
    counts: dict[str, list[int]] = {}
    for clip in clips:
        if clip.repository not in always:
            counts.setdefault(clip.repository, [0, 0])[clip.label] += 1
    held = [[0, 0] for _ in range(folds)]
    dealt = {}
    for repository, (real, fake) in sorted(counts.items(), key=lambda item: (-sum(item[1]), item[0])):
        cost = [(r + real) ** 2 - r**2 + (f + fake) ** 2 - f**2 for r, f in held]
        fold = cost.index(min(cost))
        held[fold] = [held[fold][0] + real, held[fold][1] + fake]
        dealt[repository] = fold
    return dealt


def split(
    clips: Sequence[Clip], fold: int | None, *, always: Sequence[str] = ()
) -> tuple[list[Clip], list[Clip]]:
    """(training, held out) of a fold; everything and nothing where the fold is None."""
    if fold is None:
        return list(clips), []
    dealt = fold_of(clips, always=always)
    held_out = [clip for clip in clips if dealt.get(clip.repository) == fold]
    known = {clip.identity for clip in held_out}
    training = [clip for clip in clips if dealt.get(clip.repository) != fold and clip.identity not in known]
    return training, held_out
