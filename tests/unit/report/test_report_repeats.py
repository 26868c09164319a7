"""What asking a package again found is on the pages: the public set's alone on the contestant's."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.types import SetName
from harness.report.contestant import contestant_page
from harness.report.organiser import organiser_page
from harness.report.repeats import STEADINESS_WORDS
from harness.results.result import Result
from harness.scoring.repeatability import Repeatability, Steadiness


@pytest.fixture(scope="module")
def plain(finished_run: tuple[Path, Result, object]) -> Result:
    """A run without slices, and so almost without plots: these tests are about words."""
    result = finished_run[1]
    sets = {
        name: one.model_copy(update={"score": replace(one.score, slices=())})
        for name, one in result.sets.items()
    }
    return result.model_copy(update={"sets": sets})


def asked_again(result: Result, found: dict[SetName, Repeatability]) -> Result:
    sets = {name: one.model_copy(update={"repeat": found.get(name)}) for name, one in result.sets.items()}
    return result.model_copy(update={"sets": sets})


def found(steadiness: Steadiness, *, differing: int, largest: float | None) -> Repeatability:
    return Repeatability(
        steadiness=steadiness,
        passes=4,
        compared=59,
        duplicates=12,
        tolerance=1e-6,
        differing=differing,
        largest_difference=largest,
    )


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.split("</style>", 1)[1]).split())


def test_a_run_that_was_not_repeated_says_nothing_of_it(plain: Result) -> None:
    for page in (organiser_page(plain, {}), contestant_page(plain, None)):
        assert "Asked again" not in page


def test_the_organiser_sees_every_set_that_was_asked_again(plain: Result) -> None:
    result = asked_again(
        plain,
        {
            SetName.PUBLIC: found(Steadiness.DETERMINISTIC, differing=0, largest=0.0),
            SetName.PRIVATE: found(Steadiness.NON_DETERMINISTIC, differing=37, largest=0.12345),
        },
    )
    text = text_of(organiser_page(result, {}))
    assert "Public 4 59 12 0 0 deterministic" in text
    assert "Private 4 59 12 37 0.123 non-deterministic" in text
    assert "more than 1e-06 apart" in text
    assert "Control 4" not in text


@pytest.mark.parametrize("steadiness", list(Steadiness))
def test_the_contestant_sees_the_public_set_s(plain: Result, steadiness: Steadiness) -> None:
    largest = None if steadiness is Steadiness.NOT_COMPARED else 0.25
    result = asked_again(plain, {SetName.PUBLIC: found(steadiness, differing=3, largest=largest)})
    text = text_of(contestant_page(result, None))
    assert f"{steadiness.value} {STEADINESS_WORDS[steadiness]}" in text
    assert "videos compared 59, and 12 shown twice" in text
    assert f"at most by {'–' if largest is None else '0.25'}" in text


def test_of_the_hidden_sets_repeats_the_contestant_sees_nothing(plain: Result) -> None:
    shaky = found(Steadiness.ORDER_DEPENDENT, differing=37, largest=0.98765)
    hidden = asked_again(plain, {SetName.PRIVATE: shaky, SetName.CONTROL: shaky})
    assert contestant_page(hidden, None) == contestant_page(plain, None)
