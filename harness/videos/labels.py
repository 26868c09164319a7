"""Folders of videos and their labels, as an organiser keeps them.

Labels have their own type. Only scoring asks them anything; their `repr` says how many there are and
nothing else, so that no log, traceback or manifest of ours gives one away by accident.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import LabelsError
from harness.core.text import listed

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".3gp"})
LABELS_BYTES_MAX = 64 * 1024 * 1024
_FAKE_BY_TEXT = {"0": False, "1": True, "real": False, "fake": True}


@dataclass(frozen=True, kw_only=True)
class Label:
    """The truth about one video. Everything else is for breakdowns and audits."""

    fake: bool
    method: str = ""
    source: str = ""
    identity: str = ""
    columns: tuple[tuple[str, str], ...] = ()  # whatever else the organiser keeps: column and cell


class Labels:
    """The truth about a video set, by the file name of the organiser's source video."""

    def __init__(self, by_id: Mapping[str, Label]) -> None:
        self._by_id = dict(by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __contains__(self, source_id: object) -> bool:
        return source_id in self._by_id

    def __repr__(self) -> str:
        return f"<Labels of {len(self)} videos>"

    def of(self, source_id: str) -> Label:
        """Return one label.

        Raises:
            LabelsError: there is none for this video.
        """
        try:
            return self._by_id[source_id]
        except KeyError:
            raise LabelsError(f"no label for {source_id!r}", remedy="Add a row for it.") from None

    def ids(self) -> tuple[str, ...]:
        """Return the file names in the order of the labels file."""
        return tuple(self._by_id)


@dataclass(frozen=True, kw_only=True)
class VideoSet:
    """A folder of videos with their labels, checked against each other."""

    folder: Path
    videos: tuple[Path, ...]
    labels: Labels


def read_labels(path: Path) -> Labels:
    """Read `filename,label[,method,source,identity]` and any further columns; label is 0, 1, REAL or FAKE.

    Raises:
        LabelsError: the file cannot be read, or rows are wrong; every wrong row is listed, not the first.
    """
    try:
        if path.stat().st_size > LABELS_BYTES_MAX:
            raise LabelsError(
                f"larger than {LABELS_BYTES_MAX} bytes", place=path, remedy="Is that the table of labels?"
            )
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LabelsError(
            f"cannot be read: {error.strerror}", place=path, remedy="Check `labels` in challenge.toml."
        ) from error
    except UnicodeDecodeError as error:
        raise LabelsError("is not UTF-8 text", place=path, remedy="Save it as UTF-8 CSV.") from error
    return parse_labels(text, place=path)


def parse_labels(text: str, *, place: Path | str) -> Labels:
    """Read labels from CSV text. See `read_labels`; `place` is named in errors."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise LabelsError(
            f"is not CSV: {error}",
            place=place,
            remedy="Write it as UTF-8 with commas; docs/organisers.md has an example.",
        ) from error
    header = [cell.strip() for cell in rows[0]] if rows else []
    if header[:2] != ["filename", "label"] or len(set(header)) != len(header):
        raise LabelsError(
            f"starts with {','.join(header)[:80]!r}",
            place=place,
            remedy="The first line must be `filename,label`, then optionally `method,source,identity`.",
        )
    by_id: dict[str, Label] = {}
    errors = []
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        wrong = _add_row(by_id, header, row)
        if wrong:
            errors.append(f"line {number}: {wrong}")
    if errors:
        raise LabelsError(
            listed(f"{len(errors)} wrong rows", errors), place=place, remedy="Correct these rows."
        )
    if not by_id:
        raise LabelsError("contains no label", place=place, remedy="Add a row for each video.")
    return Labels(by_id)


def _add_row(by_id: dict[str, Label], header: list[str], row: list[str]) -> str | None:
    if len(row) != len(header):
        return f"{len(row)} cells, but the header has {len(header)}"
    cells = dict(zip(header, (cell.strip() for cell in row), strict=True))
    name, label = cells["filename"], cells["label"].lower()
    if not name or name in {".", ".."} or "/" in name or "\\" in name or not name.isprintable():
        return f"{name[:80]!r} is not a plain file name"
    if name in by_id:
        return f"{name!r} appears twice"
    if label not in _FAKE_BY_TEXT:
        return f"label {cells['label'][:20]!r} of {name!r} is not one of 0, 1, REAL, FAKE"
    extras = {key: cells.pop(key, "") for key in ("method", "source", "identity")}
    columns = tuple((key, cell) for key, cell in cells.items() if key not in {"filename", "label"})
    by_id[name] = Label(fake=_FAKE_BY_TEXT[label], columns=columns, **extras)
    return None


def read_video_set(folder: Path, labels_path: Path) -> VideoSet:
    """Pair a folder of videos with its labels.

    Raises:
        LabelsError: a video without a label, a label without a video, or no videos at all; all are listed.
    """
    labels = read_labels(labels_path)
    if not folder.is_dir():
        raise LabelsError(
            "is not a folder of videos", place=folder, remedy="Check `videos` in challenge.toml."
        )
    videos = tuple(
        sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    )
    names = {path.name for path in videos}
    errors = [f"{name}: a video without a label" for name in sorted(names) if name not in labels]
    errors += [f"{name}: a label without a video" for name in labels if name not in names]
    if errors:
        raise LabelsError(
            listed(f"{len(errors)} videos and labels do not pair up with {labels_path.name}", errors),
            place=folder,
            remedy="Every video needs one row, and every row its video.",
        )
    return VideoSet(folder=folder, videos=videos, labels=labels)
