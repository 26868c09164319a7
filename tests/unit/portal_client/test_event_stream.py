"""Events are the same whatever pieces they come in, and what is no event is said."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import PortalError
from harness.portal.client.event_stream import LINE_BYTES_MAX, StreamEvent, events_of

DATA = st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers(), max_size=3)
NAMES = st.sampled_from(["entry", "board", "over"])


def written(events: list[tuple[str, dict[str, object]]], end: str) -> bytes:
    text = f"retry: 2000{end}{end}"
    for number, (name, data) in enumerate(events):
        text += f": beat{end}id: {number}{end}event: {name}{end}data: {json.dumps(data)}{end}{end}"
    return text.encode()


@given(
    st.lists(st.tuples(NAMES, DATA), max_size=4),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_the_pieces_do_not_matter(
    events: list[tuple[str, dict[str, object]]], end: str, cuts: list[int]
) -> None:
    data = written(events, end)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:stop] for start, stop in itertools.pairwise(places)]
    assert [(one.name, one.data) for one in events_of(pieces)] == events


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_not_even_if_each_byte_comes_alone(end: str) -> None:
    events: list[tuple[str, dict[str, object]]] = [("entry", {"a": "é"}), ("board", {}), ("entry", {"b": 1})]
    pieces = [bytes([one]) for one in written(events, end)]
    assert [(one.name, one.data) for one in events_of(pieces)] == events


def test_an_event_that_is_cut_off_did_not_happen() -> None:
    whole = b'event: entry\ndata: {"a": 1}\n\n'
    assert list(events_of([whole, whole[:-1]])) == [StreamEvent(name="entry", data={"a": 1})]


def test_data_of_several_lines_is_one_document() -> None:
    assert list(events_of([b'data: {"a":\ndata:1}\n\n'])) == [StreamEvent(name="message", data={"a": 1})]


@pytest.mark.parametrize("wrong", [b"data: [1]\n\n", b"data: {\n\n", b"data: \xff\n\n"])
def test_an_event_without_an_object_is_said(wrong: bytes) -> None:
    with pytest.raises(PortalError, match="JSON"):
        list(events_of([wrong]))


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    with pytest.raises(PortalError, match="without an end"):
        list(events_of([b"x" * 65536] * (LINE_BYTES_MAX // 65536 + 1)))
