"""What arrives from a sandbox, in pieces of any size and never the expected ones."""

from __future__ import annotations

import struct
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import ProcessEnded, ProtocolViolation, ReceiveTimeout
from harness.core.types import Mode
from harness.sandbox.inbox import LOG_TAIL_BYTES, PENDING_FRAMES_MAX, Inbox, frame_cap
from harness.sandbox.protocol import ANSWER_BYTES_MAX, TABLE_BYTES_MAX, frame


def inbox(cap: int = 100, log_bytes_max: int = 1000) -> Inbox:
    return Inbox(cap=cap, log_bytes_max=log_bytes_max)


@given(
    st.lists(st.binary(min_size=1, max_size=100), max_size=PENDING_FRAMES_MAX), st.lists(st.integers(1, 60))
)
def test_frames_come_out_whole_however_they_were_cut(payloads: list[bytes], cuts: list[int]) -> None:
    box, data = inbox(), b"".join(map(frame, payloads))
    for cut in [*cuts, len(data) + 1]:
        box.feed_frames(data[:cut])
        data = data[cut:]
    assert [box.receive(0) for _ in payloads] == payloads


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_no_bytes_make_it_keep_more_than_its_caps(chunks: list[bytes]) -> None:
    box = inbox()
    for chunk in chunks:
        box.feed_frames(chunk)
    assert len(box._partial) <= 100 + 4 + 300
    assert len(box._frames) <= PENDING_FRAMES_MAX


def test_a_length_over_the_cap_is_refused_before_its_bytes_arrive() -> None:
    box = inbox(cap=10)
    box.feed_frames(struct.pack(">I", 11))
    with pytest.raises(ProtocolViolation):
        box.receive(0)
    with pytest.raises(ProtocolViolation):  # and for good
        box.receive(0)


def test_what_came_before_a_violation_is_still_read() -> None:
    box = inbox()
    box.feed_frames(frame(b"ok") + b"\x00\x00\x00\x00")
    assert box.receive(0) == b"ok"
    with pytest.raises(ProtocolViolation):
        box.receive(0)


def test_half_a_frame_is_a_timeout_and_then_an_end() -> None:
    box = inbox()
    box.feed_frames(frame(b"hello")[:-1])
    with pytest.raises(ReceiveTimeout):
        box.receive(0.01)
    box.close()
    with pytest.raises(ProcessEnded):
        box.receive(0.01)


def test_what_was_said_last_is_read_after_the_end() -> None:
    box = inbox()
    box.feed_frames(frame(b"bye"))
    box.close()
    assert box.receive(0) == b"bye"


def test_a_waiting_reader_is_woken() -> None:
    box = inbox()
    timer = threading.Timer(0.05, box.feed_frames, [frame(b"late")])
    timer.start()
    started = time.monotonic()
    assert box.receive(30) == b"late"
    assert time.monotonic() - started < 10
    timer.join()


def test_the_log_is_counted_whole_and_kept_at_its_end() -> None:
    box = inbox(log_bytes_max=LOG_TAIL_BYTES * 2)
    assert box.feed_log(b"a" * LOG_TAIL_BYTES)
    assert box.feed_log(b"b" * LOG_TAIL_BYTES)
    assert not box.feed_log(b"c")
    assert box.log_bytes == LOG_TAIL_BYTES * 2 + 1
    assert box.log_tail() == "b" * (LOG_TAIL_BYTES - 1) + "c"


@pytest.mark.parametrize(
    "letter", ["\x00", "\x1b", "\r", "\x7f", "\x85", "\u202e", "\u200b", "\u2028", "\ufeff"]
)
def test_no_control_character_reaches_a_terminal_or_a_page(letter: str) -> None:
    box = inbox()
    box.feed_log(f"a{letter}b\tc\n".encode())
    assert box.log_tail() == "a\ufffdb\tc\n"


def test_a_batch_may_send_a_table_and_a_stream_may_not() -> None:
    assert frame_cap(Mode.BATCH) == TABLE_BYTES_MAX
    assert frame_cap(Mode.STREAM) == ANSWER_BYTES_MAX
