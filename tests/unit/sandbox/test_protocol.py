"""The wire: every byte that comes in is hostile until it is one of four replies."""

from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import ProtocolViolation
from harness.sandbox.protocol import (
    ANSWER_BYTES_MAX,
    MESSAGE_CHARACTERS_MAX,
    TABLE_BYTES_MAX,
    Answer,
    Failed,
    Ready,
    Table,
    decode_reply,
    encode_batch,
    encode_collect,
    encode_predict,
    frame,
    payload_length,
    probability_of,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def say(**document: object) -> bytes:
    return json.dumps(document).encode()


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_decode_or_be_a_violation(data: bytes) -> None:
    try:
        reply = decode_reply(data)
    except ProtocolViolation:
        return
    assert isinstance(reply, Ready | Failed | Answer | Table)


@given(JSON, st.sampled_from(["ready", "failed", "answer", "table", "", 1, None]))
def test_no_json_does_anything_but_decode_or_be_a_violation(value: object, kind: object) -> None:
    document = value if isinstance(value, dict) else {"id": value, "probability": value, "csv": value}
    try:
        reply = decode_reply(json.dumps({**document, "type": kind}).encode())
    except ProtocolViolation:
        return
    if isinstance(reply, Answer):
        probability = probability_of(reply.probability)
        assert probability is None or 0 <= probability <= 1


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        (say(type="ready"), Ready()),
        (say(type="ready", extra=[1]), Ready()),
        (say(type="failed", id=None, message="m"), Failed(request_id=None, message="m")),
        (say(type="failed", id="1"), Failed(request_id="1", message="")),
        (
            say(type="failed", id=None, message="m", package_missing=True),
            Failed(request_id=None, message="m", package_missing=True),
        ),
        (
            say(type="failed", id=None, message="m", package_missing=1),
            Failed(request_id=None, message="m", package_missing=False),
        ),
        (say(type="answer", id="1", probability=0.5), Answer(request_id="1", probability=0.5)),
        (say(type="answer", id="1", probability=None), Answer(request_id="1", probability=None)),
        (
            say(type="table", id="1", csv="a,b\n", message="exit code 1"),
            Table(request_id="1", csv="a,b\n", message="exit code 1"),
        ),
    ],
)
def test_each_reply_is_read_as_it_was_said(payload: bytes, reply: object) -> None:
    assert decode_reply(payload) == reply


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b'"ready"',
        b"{",
        b"\xff\xfe",
        b"\x00" * 8,
        b"[" * 100_000,
        b'{"type":' * 50_000,
        say(),
        say(type="Ready"),
        say(type="predict", id="1"),
        say(type=["ready"]),
        say(type="answer", probability=0.5),
        say(type="answer", id=1, probability=0.5),
        say(type="answer", id=None, probability=0.5),
        say(type="answer", id="1"),
        say(type="failed", id=7),
        say(type="failed", id=None, message=7),
        say(type="table", id="1"),
        say(type="table", id="1", csv=None),
        b'{"type": "answer", "id": "1", "probability": ' + b"9" * 5000 + b"}",
        say(type="answer", id="1", probability=0.5, padding="x" * ANSWER_BYTES_MAX),
    ],
)
def test_everything_else_is_a_violation(payload: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        decode_reply(payload)


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, 0.5, 1e-300, 5e-324, -0.0])
def test_a_number_from_0_to_1_is_a_probability(value: float) -> None:
    assert probability_of(value) == float(value)


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        None,
        "0.5",
        [0.5],
        {},
        math.nan,
        math.inf,
        -math.inf,
        -1e-12,
        1 + 1e-12,
        2,
        -1,
        10**400,
        -(10**400),
        1e308,
    ],
)
def test_nothing_else_is(value: object) -> None:
    assert probability_of(value) is None


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_what_json_lets_through_is_judged_too(text: bytes) -> None:
    reply = decode_reply(b'{"type": "answer", "id": "1", "probability": ' + text + b"}")
    assert isinstance(reply, Answer)
    assert probability_of(reply.probability) is None


@given(st.floats(min_value=0, max_value=1))
def test_a_probability_arrives_to_the_last_digit(value: float) -> None:
    reply = decode_reply(say(type="answer", id="1", probability=value))
    assert isinstance(reply, Answer)
    assert probability_of(reply.probability) == value


@pytest.mark.parametrize("length", [0, TABLE_BYTES_MAX + 1, 2**32 - 1])
def test_a_length_of_nothing_or_over_the_cap_is_a_violation(length: int) -> None:
    with pytest.raises(ProtocolViolation):
        payload_length(struct.pack(">I", length))


@pytest.mark.parametrize("length", [1, ANSWER_BYTES_MAX, TABLE_BYTES_MAX])
def test_a_length_within_the_cap_is_read(length: int) -> None:
    assert payload_length(struct.pack(">I", length)) == length


def test_a_frame_is_its_length_and_its_payload() -> None:
    assert frame(b"abc") == b"\x00\x00\x00\x03abc"


def test_messages_are_capped() -> None:
    for reply in (
        decode_reply(say(type="failed", id=None, message="x" * 50_000)),
        decode_reply(say(type="table", id="1", csv="", message="x" * 50_000)),
    ):
        assert isinstance(reply, Failed | Table)
        assert len(reply.message) == MESSAGE_CHARACTERS_MAX


@pytest.mark.parametrize("letter", ["\x00", "\x1b[2J", "\r", "\u202e", "\ud800"])
def test_a_package_s_words_can_be_stored_and_printed(letter: str) -> None:
    for reply in (
        decode_reply(say(type="failed", id=None, message=f"a{letter}b\n\tc")),
        decode_reply(say(type="table", id="1", csv="", message=f"a{letter}b\n\tc")),
    ):
        assert isinstance(reply, Failed | Table)
        assert reply.message == f"a\ufffd{letter[1:]}b\n\tc"
        reply.message.encode()


@given(st.text(), st.text())
def test_a_request_is_ascii_json_whatever_the_names(request_id: str, video: str) -> None:
    payload = encode_predict(request_id=request_id, video=video)
    assert payload.isascii()
    assert json.loads(payload) == {"type": "predict", "id": request_id, "video": video}


def test_the_other_requests_say_what_they_are() -> None:
    assert json.loads(encode_batch(request_id="1")) == {"type": "batch", "id": "1"}
    assert json.loads(encode_collect(request_id="1")) == {"type": "collect", "id": "1"}


def test_a_request_that_no_runner_would_read_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="are allowed"):
        encode_predict(request_id="1", video="x" * 70_000)
