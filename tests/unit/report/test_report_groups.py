"""The organiser's page by the organiser's own columns, and whether probabilities mean what they say."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.core.types import OutcomeKind, SetName
from harness.report import SetData
from harness.report.contestant import contestant_page
from harness.report.group_plots import group_plots
from harness.report.organiser import organiser_page
from harness.results.result import Result, SetResult
from harness.scoring.against_rest import against_rest
from harness.scoring.scored import ScoredVideo, sampling
from harness.scoring.slices import slices_of
from harness.videos.labels import Label

FinishedRun = tuple[Path, Result, dict[SetName, SetData]]
pytestmark = pytest.mark.slow  # every page draws its plots
SITES = ("studio", "street", "phone")


def rows(losses: dict[str, float], *, each: int = 40, people: int | None = None) -> tuple[ScoredVideo, ...]:
    """Videos of several sites with these mean losses; spread about them by a fixed draw."""
    rng = np.random.default_rng(3)
    made = []
    for site, mean in losses.items():
        for number in range(each):
            name = f"{site}_{number}.mp4"
            made.append(
                ScoredVideo(
                    video_id=name,
                    source_id=name,
                    label=Label(
                        fake=number % 2 == 0,
                        identity=f"{site} {number % people}" if people else "",
                        columns=(("site", site),),
                    ),
                    kind=OutcomeKind.PREDICTED,
                    probability=0.5,
                    log_loss=float(mean + 0.1 * rng.normal()),
                    wall_seconds=0.1,
                    perturbations=(),
                )
            )
    return tuple(made)


def pictures(made: tuple[ScoredVideo, ...], like: SetResult) -> tuple[str, tuple[tuple[str, ...], ...]]:
    score = replace(like.score, slices=slices_of(made, scored=True))
    (plot,) = group_plots(like.model_copy(update={"score": score}), SetData(rows=made))
    assert plot.title == "By site"
    return plot.caption, plot.values.rows


@pytest.fixture
def private(finished_run: FinishedRun) -> SetResult:
    return finished_run[1].sets[SetName.PRIVATE]


def test_the_worst_group_is_named_with_its_interval(private: SetResult) -> None:
    caption, table = pictures(rows({"studio": 0.4, "street": 0.4, "phone": 0.7}), private)
    assert caption.startswith("The worst group is phone: +0.3")
    assert "40 videos" in caption
    assert table[0][0] == "phone"
    assert [row[-1] for row in table] == ["worse", "better", "better"]


def test_no_group_is_named_the_worst_if_chance_explains_it(private: SetResult) -> None:
    caption, table = pictures(rows(dict.fromkeys(SITES, 0.5)), private)
    assert caption.startswith("No group can be told to be worse")
    assert {row[-1] for row in table} == {"not distinguishable"}


def test_few_people_make_no_finding_of_many_videos(private: SetResult) -> None:
    caption, table = pictures(rows({"studio": 0.4, "phone": 0.7}, people=8), private)
    assert "worst group" not in caption
    assert {row[-1] for row in table} == {"too few to tell"}


def test_a_group_that_is_the_whole_set_is_compared_with_nothing() -> None:
    made = rows({"studio": 0.4})
    losses = np.array([[row.log_loss] for row in made])
    assert against_rest(losses, np.arange(len(made)), sampling(made), comparisons=1) is None


def test_of_a_hundred_columns_of_chance_few_name_a_worst_group() -> None:
    rng = np.random.default_rng(11)
    made = rows(dict.fromkeys(SITES, 0.5))
    drawn, named = sampling(made), 0
    for _ in range(100):
        losses = rng.exponential(size=(len(made), 1))
        found = [
            against_rest(losses, np.arange(40 * part, 40 * part + 40), drawn, comparisons=3)
            for part in range(3)
        ]
        named += any(one is not None and one.told[0] != 0 for one in found)
    assert named <= 12  # 5 of 100 are expected


def test_the_page_has_both_and_the_contestants_page_neither(finished_run: FinishedRun) -> None:
    _, result, data = finished_run
    page = organiser_page(result, data)
    assert page.count("<h3>By camera</h3>") == 3
    parts = result.sets[SetName.PRIVATE].score.brier_parts
    assert parts is not None
    whole = result.sets[SetName.PRIVATE].score.metrics["brier"].value
    assert f'data-what="Brier score">{whole:.4f}<' in page
    errors = re.findall(r'data-what="calibration error">([0-9.]+)<', page)
    assert len(errors) == 3
    assert all(0.0 < float(one) < 1.0 for one in errors)
    shown = contestant_page(result, data[SetName.PUBLIC])
    assert "camera" not in shown
    assert "Brier score, taken apart" not in shown
