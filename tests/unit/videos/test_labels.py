"""Labels and folders of videos: every wrong row is named, and nothing leaks by accident."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import LabelsError
from harness.videos.labels import Labels, parse_labels, read_labels, read_video_set

HEADER = "filename,label,method,source,identity\n"


def test_both_spellings_of_a_label_are_read() -> None:
    labels = parse_labels(HEADER + "a.mp4,1,swap,clip,ann\nb.mp4,REAL,,,\n", place="here")
    assert labels.of("a.mp4").fake
    assert labels.of("a.mp4").method == "swap"
    assert not labels.of("b.mp4").fake


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"\xef\xbb\xbffilename,label\r\na.mp4,0\r\n")
    assert read_labels(path).ids() == ("a.mp4",)


def test_every_wrong_row_is_listed() -> None:
    rows = "a.mp4,1,,,\na.mp4,0,,,\nb.mp4,maybe,,,\n../c.mp4,1,,,\nd.mp4,1\n"
    with pytest.raises(LabelsError) as caught:
        parse_labels(HEADER + rows, place="labels.csv")
    text = str(caught.value)
    assert "4 wrong rows" in text
    for part in ("line 3", "appears twice", "line 4", "'maybe'", "line 5", "line 6: 2 cells"):
        assert part in text


@pytest.mark.parametrize("text", ["", "a,b\n", "filename,label\n", "filename,label,label\na.mp4,1,1\n"])
def test_a_file_without_labels_is_refused(text: str) -> None:
    with pytest.raises(LabelsError):
        parse_labels(text, place="labels.csv")


def test_labels_never_print_themselves() -> None:
    labels = parse_labels("filename,label\nsecret.mp4,1\n", place="here")
    assert "secret" not in repr(labels) + str(labels)


def test_a_missing_label_is_an_error_and_not_a_default() -> None:
    with pytest.raises(LabelsError, match="no label"):
        Labels({}).of("a.mp4")


def test_videos_and_labels_must_pair_up(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.MP4").touch()
    (tmp_path / "notes.txt").touch()
    labels = tmp_path / "labels.csv"
    labels.write_text("filename,label\na.mp4,1\nc.mp4,0\n")
    with pytest.raises(LabelsError) as caught:
        read_video_set(tmp_path, labels)
    assert "b.MP4: a video without a label" in str(caught.value)
    assert "c.mp4: a label without a video" in str(caught.value)


def test_other_suffixes_count_as_videos(tmp_path: Path) -> None:
    for name in ("a.mov", "b.webm"):
        (tmp_path / name).touch()
    labels = tmp_path / "labels.csv"
    labels.write_text("filename,label\na.mov,1\nb.webm,0\n")
    assert [path.name for path in read_video_set(tmp_path, labels).videos] == ["a.mov", "b.webm"]


@given(st.text(max_size=300))
def test_any_text_is_labels_or_a_labels_error(text: str) -> None:
    for candidate in (text, "filename,label\n" + text):
        try:
            labels = parse_labels(candidate, place="fuzz")
        except LabelsError:
            continue
        assert len(labels) > 0
