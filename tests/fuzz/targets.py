"""What is fuzzed: every reader of bytes that somebody else wrote, and what must hold whatever the bytes are.

A target takes bytes and returns; anything that it raises is a fault. The same targets are run by Hypothesis
(`test_fuzz.py`, thousands of inputs with every change) and by libFuzzer (`run_atheris.py`, millions by hand).
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from numpy.random import default_rng

from harness.core.challenge import parse_challenge
from harness.core.errors import (
    ChallengeError,
    LabelsError,
    PackageError,
    ProcessEnded,
    ProtocolViolation,
    RecipeError,
    ResultError,
)
from harness.core.types import Limits
from harness.gateway.batch_table import parse_table
from harness.gateway.journal import read_journal
from harness.package.content_rules import judge, unsafe_path
from harness.package.findings import Severity
from harness.package.manifest import left_out_by, parse_manifest
from harness.package.source import survey
from harness.package.zip_reader import chunks, read_directory
from harness.results.result import parse_result
from harness.sandbox.inbox import Inbox
from harness.sandbox.protocol import (
    MESSAGE_CHARACTERS_MAX,
    Answer,
    Failed,
    Ready,
    Table,
    decode_reply,
    payload_length,
    probability_of,
)
from harness.videos.labels import parse_labels
from harness.videos.perturb.recipes import draw, load_recipe

LIMITS = Limits(package_bytes=1_000_000, package_files=100)
FRAME_CAP = 256
UNZIPPED_BYTES_MAX = 4_000_000


def reply(data: bytes) -> None:
    """One reply is read or is a violation; what is read is of the promised types and sizes."""
    try:
        found = decode_reply(data)
    except ProtocolViolation:
        return
    if isinstance(found, Failed | Table):
        assert len(found.message) <= MESSAGE_CHARACTERS_MAX
        found.message.encode()
        assert not set(found.message) & set("\x00\x1b\r\u202e\u2028")
    if isinstance(found, Answer):
        probability = probability_of(found.probability)
        assert probability is None or (type(probability) is float and 0 <= probability <= 1)
        assert isinstance(found.request_id, str)
    assert isinstance(found, Ready | Failed | Answer | Table)


def stream(data: bytes) -> None:
    """Frames come out the same however the bytes come in; memory is bounded by cap and pending frames."""
    if len(data) >= 4:
        with contextlib.suppress(ProtocolViolation):
            assert 0 < payload_length(data[:4], cap=FRAME_CAP) <= FRAME_CAP
    steps = (data[0] % 31 + 1) if data else 1
    assert _frames(data, len(data) or 1) == _frames(data, steps)


def _frames(data: bytes, step: int) -> tuple[list[bytes], str]:
    inbox = Inbox(cap=FRAME_CAP, log_bytes_max=100)
    for start in range(0, len(data), step):
        inbox.feed_frames(data[start : start + step])
        inbox.feed_log(data[start : start + step])
    inbox.close()
    assert len(inbox.log_tail()) <= 64 * 1024
    frames: list[bytes] = []
    while True:
        try:
            frames.append(inbox.receive(0))
        except ProtocolViolation as violation:
            return frames, str(violation)
        except ProcessEnded:
            return frames, "end"
        assert len(frames[-1]) <= FRAME_CAP
        assert len(frames) <= 8


def archive(data: bytes) -> None:
    """A zip has one reading or is refused: where ours finds no fault, Python's own reads the very same."""
    source = io.BytesIO(data)
    directory = read_directory(source, entries_max=200)
    if any(finding.severity is Severity.ERROR for finding in directory.findings):
        return
    contents = judge([member.entry for member in directory.members], left_out=left_out_by(()), limits=LIMITS)
    for entry in contents.members:
        assert unsafe_path(entry.path) is None
        assert not set(entry.path.split("/")) & {"", ".", ".."}
    if any(finding.severity is Severity.ERROR for finding in contents.findings):
        return  # refused: nothing is read from it
    if contents.size_bytes > UNZIPPED_BYTES_MAX:
        return
    by_path = {member.entry.path: member for member in directory.members}
    for entry in contents.members:
        size, pieces = 0, []
        try:
            for piece in chunks(source, by_path[entry.path]):
                size += len(piece)
                assert size <= entry.size_bytes
                pieces.append(piece)
        except PackageError:
            continue
        assert size == entry.size_bytes
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as other:
                same = other.read(entry.path) == b"".join(pieces)
        except (NotImplementedError, zipfile.BadZipFile):
            continue  # it asks for a newer reader, say: refused there, and no second reading
        assert same


def package(data: bytes) -> None:
    """A file that is handed in is surveyed to the end: findings, never an exception."""
    with _scratch(data, ".zip") as path, survey(path, limits=LIMITS) as looked:
        for entry in looked.contents.members[:50]:
            if looked.errors or entry.size_bytes > UNZIPPED_BYTES_MAX:
                break
            with contextlib.suppress(PackageError):
                assert sum(map(len, looked.read(entry))) == entry.size_bytes
        for finding in looked.findings:
            assert finding.message.isprintable() or "\n" in finding.message


def manifest(data: bytes) -> None:
    """A manifest is read, or everything that is wrong with it is a finding."""
    found, findings = parse_manifest(data)
    assert (found is None) == any(finding.severity is Severity.ERROR for finding in findings)
    if found is None:
        return
    assert (found.entry is None) != (found.command is None)
    left_out = left_out_by(found.exclude)
    for path in ("a.py", "training/x.bin", "a/" * 30 + "b", "é/ü"):
        assert left_out(path) is None or path.startswith(left_out(path) or "")


def challenge(data: bytes) -> None:
    """A challenge is read, or its faults are named; every limit that is read is a number that limits."""
    try:
        found = parse_challenge(data, place="challenge.toml")
    except ChallengeError:
        return
    for name, value in asdict(found.limits).items():
        assert math.isfinite(value), name
        assert value >= 0, name


def labels(data: bytes) -> None:
    """Labels are read, or their faults are named; what is read is a plain file name and true or false."""
    try:
        found = parse_labels(data.decode("utf-8", errors="replace"), place="labels.csv")
    except LabelsError:
        return
    assert len(found) > 0
    for name in found:
        assert "/" not in name
        assert isinstance(found.of(name).fake, bool)
    assert repr(found) == f"<Labels of {len(found)} videos>"


def recipe(data: bytes) -> None:
    """A recipe is read, or its faults are named; one that is read can be drawn from."""
    try:
        with _scratch(data, ".toml") as path:
            found = load_recipe(path)
    except RecipeError:
        return
    for seed in range(3):
        for applied in draw(found, default_rng(seed)):
            assert 0 <= applied.severity <= 5


def table(data: bytes) -> None:
    """A batch entry's table says exactly one thing of every expected video."""
    expected = ("a.mp4", "b.mp4", "c d.mp4")
    for complete in (True, False):
        found = parse_table(data.decode("utf-8", errors="replace"), expected, complete=complete)
        assert sorted([*found.probabilities, *found.invalid, *found.missing]) == sorted(expected)
        assert all(0 <= value <= 1 for value in found.probabilities.values())
        assert all(line.isprintable() for line in found.errors)


def journal(data: bytes) -> None:
    """A journal is read up to its last whole line, or is said to be damaged."""
    try:
        with _scratch(data, ".jsonl") as path:
            header, entries = read_journal(path)
    except ResultError:
        return
    assert header is not None or not entries


def result(data: bytes) -> None:
    """A result is read or refused with the place; nothing of it is guessed at."""
    try:
        document = json.loads(data.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return
    try:
        parse_result(document, place="result.json")
    except ResultError:
        return


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        reply, stream, archive, package, manifest, challenge, labels, recipe, table, journal, result
    )
}  # fmt: skip


@contextlib.contextmanager
def _scratch(data: bytes, suffix: str) -> Iterator[Path]:
    path = Path(tempfile.gettempdir()) / f"fuzz-{os.getpid()}{suffix}"
    path.write_bytes(data)
    try:
        yield path
    finally:
        path.unlink()
