"""The journal: on the disk before the next video, whole after any end, and bound to its run."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.errors import InfrastructureError, ResultError
from harness.core.types import Limits, Outcome, OutcomeKind, PreparedVideo
from harness.gateway.journal import Header, Journal, Line, header_of, read_journal

HEADER = Header(order_seed=1, videos_sha256="v", limits_sha256="l")


def outcome(name: str) -> Outcome:
    return Outcome(video_id=name, kind=OutcomeKind.PREDICTED, probability=0.1 + 0.2, wall_seconds=1 / 3)


def write(path: Path, *names: str) -> None:
    with Journal(path, HEADER) as journal:
        journal.append([Line(outcome=outcome(name)) for name in names])


def test_what_was_written_is_read_back_to_the_last_digit(tmp_path: Path) -> None:
    path = tmp_path / "sets" / "public" / "outcomes.jsonl"
    lines = (
        Line(outcome=replace(outcome("a.mp4"), cpu_seconds=0.7, message='quote " and \n line\ud800')),
        Line(
            outcome=Outcome(video_id="ü\u2028.mp4", kind=OutcomeKind.VIDEO_TIMEOUT, probability=None),
            container_lost=True,
        ),
    )
    with Journal(path, HEADER) as journal:
        journal.append(lines[:1])
        journal.append(lines[1:])
    assert read_journal(path) == (HEADER, lines)
    with Journal(path, HEADER) as journal:
        assert journal.lines == lines


def test_cut_off_at_any_byte_it_holds_every_whole_line_and_can_go_on(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    write(path, "a", "b")
    data = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(data) if byte == 10]
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        whole = max(0, sum(end <= cut for end in ends) - 1)
        with Journal(path, HEADER) as journal:
            assert [line.outcome.video_id for line in journal.lines] == ["a", "b"][:whole]
            journal.append([Line(outcome=outcome("z"))])
        _, lines = read_journal(path)
        assert [line.outcome.video_id for line in lines] == [*["a", "b"][:whole], "z"]


WRITER = """
import sys
from pathlib import Path
from harness.gateway.journal import Header, Journal, Line
from harness.core.types import Outcome, OutcomeKind
with Journal(Path(sys.argv[1]), Header(order_seed=1, videos_sha256="v", limits_sha256="l")) as journal:
    for number in range(10**9):
        journal.append([Line(outcome=Outcome(video_id=str(number), kind=OutcomeKind.RUNTIME_ERROR))])
        print(number, flush=True)
"""


def test_a_killed_writer_has_lost_nothing_that_it_said_was_written(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    said = [writer.stdout.readline() for _ in range(20)]
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate()
    last_said = int((said + [line for line in rest.splitlines() if line])[-1])
    _, lines = read_journal(path)
    numbers = [int(line.outcome.video_id) for line in lines]
    assert numbers == list(range(len(numbers)))
    assert last_said <= numbers[-1] <= last_said + 1


def test_a_journal_of_another_run_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    write(path, "a")
    data = path.read_bytes()
    with pytest.raises(ResultError, match="order_seed, limits_sha256 differ"):
        Journal(path, replace(HEADER, order_seed=2, limits_sha256="other"))
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"{}",
        b"[1]",
        b'{"video_id": "a"}',
        b'{"video_id": "a", "kind": "NOVEL", "container_lost": false}',
        b'{"video_id": "a", "kind": "PREDICTED", "container_lost": false, "extra": 1}',
    ],
)
def test_a_damaged_line_is_told_with_its_place_and_remedy(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "outcomes.jsonl"
    write(path, "a")
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(ResultError) as caught:
        Journal(path, HEADER)
    assert caught.value.place == str(path)
    assert caught.value.remedy is not None


def test_a_video_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    write(path, "a", "a")
    with pytest.raises(ResultError, match="twice"):
        Journal(path, HEADER)


def test_starting_over_keeps_the_header_only(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    write(path, "a", "b")
    with Journal(path, HEADER) as journal:
        journal.restart()
        journal.append([Line(outcome=outcome("c"))])
    header, lines = read_journal(path)
    assert header == HEADER
    assert [line.outcome.video_id for line in lines] == ["c"]


def test_of_no_outcomes_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    with Journal(path, HEADER) as journal:
        journal.append([])
    assert read_journal(path) == (HEADER, ())
    path.write_bytes(path.read_bytes() + b"\n")  # as earlier releases left it
    with Journal(path, HEADER) as journal:
        assert journal.lines == ()
        journal.append([Line(outcome=outcome("a"))])
    assert len(read_journal(path)[1]) == 1


def test_a_disk_that_refuses_is_our_own_error_and_the_run_can_go_on_later(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    write(path, "a")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Journal(path, HEADER) as journal:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, limit[1]))
            with pytest.raises(InfrastructureError, match="cannot be written"):
                journal.append([Line(outcome=outcome("b"))])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            signal.signal(signal.SIGXFSZ, handler)
    with Journal(path, HEADER) as journal:
        assert [line.outcome.video_id for line in journal.lines] == ["a"]


def test_nothing_there_is_an_empty_journal(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "none") == (None, ())
    (tmp_path / "empty").touch()
    assert read_journal(tmp_path / "empty") == (None, ())


def test_the_header_names_videos_limits_and_seed(tmp_path: Path) -> None:
    one = PreparedVideo(video_id="a", path=tmp_path, source_id="s", sha256="1")
    two = replace(one, video_id="b", sha256="2")
    header = header_of(videos=[one, two], limits=Limits(), order_seed=3)
    assert header_of(videos=[two, one], limits=Limits(), order_seed=3) == header
    different = [
        header_of(videos=[one], limits=Limits(), order_seed=3),
        header_of(videos=[one, replace(two, sha256="3")], limits=Limits(), order_seed=3),
        header_of(videos=[one, two], limits=Limits(pids=1), order_seed=3),
        header_of(videos=[one, two], limits=Limits(), order_seed=4),
    ]
    assert header not in different
    assert len({repr(one) for one in different}) == len(different)
    shared = header_of(videos=[one, two], limits=Limits(restart_share=0.5), order_seed=3)
    assert shared.limits_sha256 != header.limits_sha256
    assert os.fspath(tmp_path) not in repr(header)
