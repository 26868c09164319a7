"""`outcomes.jsonl`: what happened to each video, on the disk before the next one is asked for.

The first line says which run it belongs to; every other line is one outcome. A harness that was killed, at
any moment, leaves whole lines and at most one torn one at the end, which is dropped: the video it was about
is asked for again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.core.errors import InfrastructureError, ResultError
from harness.core.types import Limits, Outcome, OutcomeKind, PreparedVideo

VERSION = 1
_LATER_LIMITS = frozenset({"restart_share"})


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a set's run was started with: a journal of anything else is not resumed."""

    order_seed: int
    videos_sha256: str
    limits_sha256: str
    version: int = VERSION


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line: an outcome, and whether it cost the container."""

    outcome: Outcome
    container_lost: bool = False


def header_of(*, videos: Iterable[PreparedVideo], limits: Limits, order_seed: int) -> Header:
    """Describe a run of these videos under these limits."""
    return Header(
        order_seed=order_seed,
        videos_sha256=videos_sha256(videos),
        limits_sha256=_digest(_on_record(limits)),
    )


def videos_sha256(videos: Iterable[PreparedVideo]) -> str:
    """Return what a journal's header says of the videos that it is about."""
    return _digest(sorted((video.video_id, video.sha256) for video in videos))


def _on_record(limits: Limits) -> dict[str, object]:
    """Leave out what journals of earlier releases do not know, while it has its default: they are resumed."""
    return {
        one.name: value
        for one in fields(limits)
        if (value := getattr(limits, one.name)) != one.default or one.name not in _LATER_LIMITS
    }


def read_journal(path: Path) -> tuple[Header | None, tuple[Line, ...]]:
    """Read a journal; a torn last line is left out. A file without a whole line is empty.

    Raises:
        ResultError: a whole line is not what a journal holds.
        InfrastructureError: the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, ()
    except OSError as error:
        raise InfrastructureError(
            f"cannot be read: {error.strerror}",
            place=path,
            remedy="Allow reading it, and run the same command again.",
        ) from error
    lines = [line for line in data[: data.rfind(b"\n") + 1].splitlines() if line]  # see `Journal.append`
    if not lines:
        return None, ()
    try:
        header = Header(**json.loads(lines[0])["header"])
        found = tuple(_line(json.loads(line)) for line in lines[1:])
    except (ValueError, KeyError, TypeError) as error:
        raise ResultError(
            f"is damaged: {error}", place=path, remedy="Delete this run folder, or run with --fresh."
        ) from error
    return header, found


class Journal:
    """An open journal; a context manager that closes it.

    Args:
        path: The file; made if it is not there.
        header: This run. A journal of another run is refused.

    Attributes:
        lines: What an earlier harness wrote for this same run.

    Raises:
        ResultError: the file is damaged or belongs to another run.
        InfrastructureError: the disk refuses.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        self._header = header
        found, lines = read_journal(path)
        if found is not None and found != header:
            wrong = [key for key, value in asdict(header).items() if getattr(found, key) != value]
            raise ResultError(
                f"belongs to another run: {', '.join(wrong)} differ",
                place=path,
                remedy="Run with --fresh; this one stays as it is.",
            )
        done = [line.outcome.video_id for line in lines]
        if len(set(done)) != len(done):
            raise ResultError("names a video twice", place=path, remedy="Delete this run folder.")
        self.lines = lines
        with _disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._cut_torn_line()
            if found is None:
                self._write(json.dumps({"header": asdict(header)}))
                _flush_folder(path.parent)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def append(self, lines: Iterable[Line]) -> None:
        """Write outcomes; they are on the disk when this returns. Of none, nothing is written.

        Raises:
            InfrastructureError: the disk refuses.
        """
        texts = [_text(line) for line in lines]
        if not texts:  # an empty line is not an outcome: a batch run that ended without a row left one, once
            return
        with _disk(self._path):
            self._write("\n".join(texts))

    def restart(self) -> None:
        """Forget every outcome: for runs that are all or nothing.

        Raises:
            InfrastructureError: the disk refuses.
        """
        with _disk(self._path):
            os.ftruncate(self._descriptor, 0)
            self._write(json.dumps({"header": asdict(self._header)}))
        self.lines = ()

    def _cut_torn_line(self) -> None:
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            os.ftruncate(self._descriptor, whole)

    def _write(self, text: str) -> None:
        rest = memoryview((text + "\n").encode("utf-8", errors="surrogatepass"))
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        os.fsync(self._descriptor)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InfrastructureError(
            f"the journal cannot be written: {error.strerror}",
            place=path,
            remedy="Make room on the disk; the run resumes where it stopped.",
        ) from error


def _text(line: Line) -> str:
    return json.dumps(asdict(line.outcome) | {"container_lost": line.container_lost})


def _line(document: dict[str, Any]) -> Line:
    lost = document.pop("container_lost")
    kind = OutcomeKind(document.pop("kind"))
    return Line(outcome=Outcome(kind=kind, **document), container_lost=bool(lost))


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
