"""The table of all videos: what is in it, and that no text gets out of the script element that holds it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from example_run import example_data

from harness.core.types import SetName
from harness.report.video_table import COLUMNS, ROWS_MAX, video_table
from harness.scoring.scored import ScoredVideo

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028&"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[ScoredVideo, ...]:
    return tuple(example_data(tmp_path_factory.mktemp("clips"))[SetName.PRIVATE].rows)


def test_the_most_expensive_comes_first_and_every_row_has_every_column(rows: tuple[ScoredVideo, ...]) -> None:
    table = video_table(rows)
    assert table is not None
    document = json.loads(table.json)
    assert [title for title, _ in document["columns"]] == [title for title, _ in COLUMNS]
    assert all(len(row) == len(COLUMNS) for row in document["rows"])
    losses = [row[5] for row in document["rows"]]
    assert losses == sorted(losses, reverse=True)
    assert table.rows == len(rows)


def test_a_failed_video_has_no_answer(rows: tuple[ScoredVideo, ...]) -> None:
    table = video_table(rows)
    assert table is not None
    answers = {row[0]: row[4] for row in json.loads(table.json)["rows"]}
    for row in rows:
        assert (answers[row.video_id] is None) == row.failed


def test_text_cannot_end_the_element_that_holds_it(rows: tuple[ScoredVideo, ...]) -> None:
    table = video_table([replace(rows[0], source_id=HOSTILE)])
    assert table is not None
    assert not set("<>&\u2028\u2029") & set(table.json)
    assert json.loads(table.json)["rows"][0][1].startswith("</script>")  # whole, once it is read


def test_ten_thousand_rows_are_a_small_part_of_a_page(rows: tuple[ScoredVideo, ...]) -> None:
    many = [replace(rows[number % len(rows)], video_id=f"{number:010x}.mp4") for number in range(10_000)]
    table = video_table(many)
    assert table is not None
    assert len(table.json.encode()) < 1_700_000  # three sets of them stay below 5 MB


def test_what_is_over_the_limit_is_counted(rows: tuple[ScoredVideo, ...]) -> None:
    table = video_table([rows[0]] * (ROWS_MAX + 3))
    assert table is not None
    assert (table.rows, table.left_out) == (ROWS_MAX, 3)


def test_no_videos_make_no_table() -> None:
    assert video_table([]) is None
