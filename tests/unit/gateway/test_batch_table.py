"""Tables of batch entries: good ones in every honest spelling, and every way to be wrong."""

from __future__ import annotations

import csv
import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.gateway.batch_table import TableAnswers, parse_table
from harness.sandbox.protocol import TABLE_BYTES_MAX

NAMES = ("a.mp4", "b.mp4")
GOOD = "filename,label\na.mp4,0.25\nb.mp4,1\n"
EXPECTED = {"a.mp4": 0.25, "b.mp4": 1.0}


def table(text: str, *, complete: bool = True) -> TableAnswers:
    answers = parse_table(text, NAMES, complete=complete)
    # What every caller relies on: each name is in exactly one place, and every fault is listed.
    assert sorted([*answers.probabilities, *answers.invalid, *answers.missing]) == sorted(NAMES)
    assert all(math.isfinite(p) and 0 <= p <= 1 for p in answers.probabilities.values())
    assert bool(answers.errors) >= bool(answers.invalid or answers.missing)
    assert all(error.isprintable() and len(error) < 400 for error in answers.errors)
    return answers


GOOD_TABLES = {
    "plain": GOOD,
    "no_last_line_end": GOOD.rstrip(),
    "crlf": GOOD.replace("\n", "\r\n"),
    "old_mac": GOOD.replace("\n", "\r"),
    "byte_order_mark": "\ufeff" + GOOD,
    "quoted": '"filename","label"\n"a.mp4","0.25"\n"b.mp4","1"\n',
    "other_order": "filename,label\nb.mp4,1\na.mp4,0.25\n",
    "blank_lines": "filename,label\n\na.mp4,0.25\n\n\nb.mp4,1\n\n",
    "spaces_around_numbers": "filename, label\na.mp4, 0.25\nb.mp4,1 \n",
    "exponents": "filename,label\na.mp4,2.5e-1\nb.mp4,+1.0E0\n",
    "short_numbers": "filename,label\na.mp4,.25\nb.mp4,1.\n",
}


@pytest.mark.parametrize("text", GOOD_TABLES.values(), ids=GOOD_TABLES)
def test_every_honest_spelling_is_read(text: str) -> None:
    answers = table(text)
    assert answers.probabilities == EXPECTED
    assert answers.errors == ()


BAD_LABELS = {
    "nan": "nan",
    "upper_nan": "NaN",
    "infinity": "inf",
    "minus_infinity": "-Infinity",
    "empty": "",
    "space": " ",
    "word": "fake",
    "boolean": "True",
    "above": "1.0000001",
    "below": "-0.0000001",
    "minus_zero_point_one": "-0.1",
    "huge": "1e999",
    "percent": "50%",
    "comma": '"0,5"',
    "underscore": "1_0",
    "hexadecimal": "0x1",
    "arabic_digits": "٠.٥",
    "list": "[0.5]",
    "formula": "=1/2",
    "too_long": "0." + "5" * 100,
    "line_break": '"0.\n5"',
}


@pytest.mark.parametrize("label", BAD_LABELS.values(), ids=BAD_LABELS)
def test_a_label_that_is_not_a_probability_costs_its_video_only(label: str) -> None:
    answers = table(f"filename,label\na.mp4,{label}\nb.mp4,1\n")
    assert answers.probabilities == {"b.mp4": 1.0}
    assert list(answers.invalid) == ["a.mp4"]
    assert len(answers.errors) == 1


@pytest.mark.parametrize("second", ["0.25", "0.75", "nan"])
def test_a_name_answered_twice_has_no_answer_even_if_the_rows_agree(second: str) -> None:
    answers = table(GOOD + f"a.mp4,{second}\n")
    assert answers.invalid == {"a.mp4": "answered 2 times"}
    assert answers.probabilities == {"b.mp4": 1.0}


def test_a_missing_row_is_missing() -> None:
    answers = table("filename,label\nb.mp4,1\n")
    assert answers.missing == ("a.mp4",)
    assert answers.errors == ("a.mp4: no row",)


@pytest.mark.parametrize("name", ["c.mp4", "A.mp4", " a.mp4", "a.mp4 ", "a", "", "/videos/c.mp4", "\x1b[2J"])
def test_a_row_for_an_unknown_name_is_an_error_and_spoils_nothing_else(name: str) -> None:
    answers = table(GOOD + f'"{name}",0.5\n')
    assert answers.probabilities == EXPECTED
    assert len(answers.errors) == 1
    assert answers.errors[0].startswith("line 4: ")


def test_names_with_their_folder_get_a_hint() -> None:
    answers = table("filename,label\n/videos/a.mp4,0.25\nb.mp4,1\n")
    assert answers.missing == ("a.mp4",)
    assert "without its folder" in answers.errors[0]


BAD_HEADERS = {
    "nothing": "",
    "none": "a.mp4,0.25\nb.mp4,1\n",
    "swapped": "label,filename\n0.25,a.mp4\n",
    "more": "filename,label,note\na.mp4,0.25,\n",
    "less": "filename\na.mp4\n",
    "upper": "FILENAME,LABEL\na.mp4,0.25\n",
    "semicolons": "filename;label\na.mp4;0.25\n",
    "html": "<html>not found</html>\n",
}


@pytest.mark.parametrize("text", BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_without_the_header_nothing_is_read(text: str) -> None:
    answers = table(text)
    assert answers.missing == NAMES
    assert answers.errors[0].startswith("line 1: ")


def test_the_index_of_pandas_gets_a_hint() -> None:
    assert "index=False" in table(",filename,label\n0,a.mp4,0.25\n").errors[0]


@pytest.mark.parametrize("row", ["a.mp4", "a.mp4,0.25,0.5", "a.mp4 0.25", ",,,,"])
def test_rows_of_another_width_are_errors(row: str) -> None:
    answers = table(f"filename,label\n{row}\nb.mp4,1\n")
    assert answers.missing == ("a.mp4",)
    assert answers.errors[0].startswith("line 2: ")


def test_every_error_is_listed() -> None:
    answers = table("filename,label\nx.mp4,1\na.mp4,nan\ny.mp4,1\nb.mp4,2\nonly one cell\n")
    assert len(answers.errors) == 5


def test_rows_before_broken_quotes_are_kept() -> None:
    answers = table('filename,label\na.mp4,0.25\n"b.mp4"x,1\n')
    assert answers.probabilities == {"a.mp4": 0.25}
    assert answers.missing == ("b.mp4",)
    assert "not CSV" in answers.errors[0]


def test_a_cell_without_end_does_not_swallow_the_error() -> None:
    answers = table('filename,label\na.mp4,0.25\n"b.mp4,1\n' + "x" * 200_000)
    assert answers.probabilities == {"a.mp4": 0.25}
    assert any("not CSV" in error for error in answers.errors)


class TestCutOff:
    def test_a_half_written_last_line_is_left_out(self) -> None:
        # 0.9 could be the start of 0.93, and 1 of 1e-3.
        answers = table("filename,label\na.mp4,0.25\nb.mp4,1", complete=False)
        assert answers.probabilities == {"a.mp4": 0.25}
        assert answers.missing == ("b.mp4",)

    def test_a_whole_last_line_is_kept(self) -> None:
        assert table(GOOD, complete=False).probabilities == EXPECTED

    @pytest.mark.parametrize("length", range(len(GOOD) + 1))
    def test_no_cut_changes_an_answer(self, length: int) -> None:
        answers = table(GOOD[:length], complete=False)
        assert answers.probabilities.items() <= EXPECTED.items()


def test_a_flood_of_rows_is_cut() -> None:
    answers = table("filename,label\n" + "x.mp4,0.5\n" * 100_000)
    assert "far more rows" in answers.errors[-len(NAMES) - 1]
    assert len(answers.errors) < 1100


def test_an_oversized_table_is_not_parsed() -> None:
    answers = table(GOOD + " " * TABLE_BYTES_MAX)
    assert answers.missing == NAMES
    assert "are allowed" in answers.errors[0]


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
        st.floats(0, 1, allow_nan=False),
        max_size=8,
    )
)
def test_what_a_csv_writer_writes_is_read_back(answers: dict[str, float]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["filename", "label"])
    writer.writerows(answers.items())
    assert parse_table(stream.getvalue(), tuple(answers)).probabilities == answers


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet='filename,labe\n\r"a.mp4b0159\0\ufeff- ', max_size=80), st.booleans())
def test_no_text_makes_it_crash(text: str, complete: bool) -> None:
    table("filename,label\n" + text, complete=complete)
    table(text, complete=complete)
