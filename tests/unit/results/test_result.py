"""result.json: what is written is read back the same; what does not fit is refused with every key."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import ResultError
from harness.core.types import Outcome, OutcomeKind, SetName
from harness.results.result import (
    Result,
    clocks_of,
    eligibility,
    parse_result,
    read_result,
    result_schema,
    write_result,
)

SCHEMA = Path(__file__).parents[3] / "docs" / "result.schema.json"


@pytest.fixture(scope="module")
def run(finished_run: tuple[Path, Result, object]) -> Path:
    return finished_run[0]


@pytest.fixture
def document(run: Path) -> dict[str, Any]:
    loaded = json.loads((run / "result.json").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_comes_back_as_it_was_written(run: Path, tmp_path: Path) -> None:
    result = read_result(run / "result.json")
    write_result(result, tmp_path / "again.json")
    assert read_result(tmp_path / "again.json") == result
    assert (tmp_path / "again.json").read_bytes() == (run / "result.json").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.json"]  # nothing left beside it


def test_holds_no_video_and_no_label(run: Path) -> None:
    text = (run / "result.json").read_text(encoding="utf-8")
    assert ".mp4" not in text
    assert "hidden_" not in text


@pytest.mark.parametrize("version", [0, 2, "1", None, True, "x" * 1000])
def test_an_unknown_version_is_refused_with_a_remedy(document: dict[str, Any], version: object) -> None:
    document["schema_version"] = version
    with pytest.raises(ResultError, match="schema version") as caught:
        parse_result(document, place="result.json")
    assert caught.value.remedy
    assert len(str(caught.value)) < 400


def test_every_wrong_key_is_named(document: dict[str, Any]) -> None:
    document["epsilon"] = "tiny"
    document["package"]["sha256"] = "short"
    document["sets"]["public"]["verdict"] = "FINE"
    del document["run_id"]
    with pytest.raises(ResultError) as caught:
        parse_result(document, place="result.json")
    for key in ("epsilon", "package.sha256", "sets.public.verdict", "run_id"):
        assert key in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [(), ("host",), ("sets", "public", "score"), ("sets", "private", "score", "slices", 0), ("gaps", 0)],
)
def test_an_unknown_key_is_refused_wherever_it_is(
    document: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    place: Any = document
    for step in path:
        place = place[step]
    place["surprise"] = 1
    with pytest.raises(ResultError, match="surprise"):
        parse_result(document, place="result.json")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema_version": 1, "epsilon": NaN}', "[" * 100_000])
def test_what_is_not_a_result_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ResultError):
        read_result(path)


def test_a_number_that_no_json_can_hold_is_never_written(run: Path, tmp_path: Path) -> None:
    result = read_result(run / "result.json").model_copy(update={"epsilon": math.nan})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_result(result, tmp_path / "result.json")
    assert not list(tmp_path.iterdir())


def test_the_published_schema_is_current() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == result_schema(), (
        "run `python -m harness.results.result > docs/result.schema.json`"
    )


def test_the_schema_lets_no_unknown_key_pass() -> None:
    schema = result_schema()
    parts = [schema, *schema["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in parts if "properties" in part)
    assert set(Result.model_fields) == set(schema["properties"])


def test_only_an_isolated_run_with_both_scores_is_eligible(run: Path) -> None:
    sets = read_result(run / "result.json").sets
    assert eligibility(sets, isolation="docker").eligible
    assert not eligibility(sets, isolation="none").eligible
    without = dict(sets)
    del without[SetName.PRIVATE]
    assert eligibility(without, isolation="docker").reasons == ("the private set was not run",)
    score = sets[SetName.PUBLIC].score
    unscored = dict(sets)
    unscored[SetName.PUBLIC] = sets[SetName.PUBLIC].model_copy(update={"score": _unscored(score)})
    assert eligibility(unscored, isolation="docker").reasons == ("the public set has no score",)


def _unscored(score: Any) -> Any:
    from dataclasses import replace

    return replace(score, scored=False, reason="strict", metrics={})


def test_clocks_leave_out_what_was_never_reached() -> None:
    outcomes = [
        Outcome(video_id="a", kind=OutcomeKind.PREDICTED, probability=0.5, wall_seconds=1.0),
        Outcome(video_id="b", kind=OutcomeKind.VIDEO_TIMEOUT, wall_seconds=3.0),
        Outcome(video_id="c", kind=OutcomeKind.NOT_REACHED),
    ]
    clocks = clocks_of(outcomes, startup_seconds=None, billed_seconds=4.0, budget_seconds=10.0)
    assert (clocks.video_mean_seconds, clocks.video_median_seconds, clocks.video_longest_seconds) == (
        2.0,
        2.0,
        3.0,
    )
    none = clocks_of(outcomes[2:], startup_seconds=None, billed_seconds=0.0, budget_seconds=10.0)
    assert none.video_mean_seconds is None
