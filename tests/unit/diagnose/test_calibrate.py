"""From times here to times there: ratios, intervals, and files that people write by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.cli.projection import projection_of
from harness.cli.views.calibrate import render_speeds
from harness.core.errors import ConfigError, InfrastructureError, ResultError
from harness.core.types import Limits
from harness.diagnose.calibrate.measure import MARK, WARM_UP_ROUNDS, rounds_of
from harness.diagnose.calibrate.project import SAMPLES, VIDEOS, Fit, Projection, in_words, project, ratios
from harness.diagnose.calibrate.speeds import (
    Calibration,
    PartSeconds,
    Reference,
    keep,
    kept,
    kept_at,
    kept_reference,
    load_reference,
    reference_at,
    reference_toml,
)


def own(decode: float = 0.1, detect: float = 0.1, network: float = 0.1, *, busy: bool = False) -> Calibration:
    return Calibration(
        created=datetime(2026, 1, 1, tzinfo=UTC),
        image="sha256:0",
        cpus=2.0,
        cpu='A "fast" \\ one',
        device="cpu",
        load=0.5,
        busy=busy,
        rounds=15,
        seconds=PartSeconds(decode=decode, detect=detect, network=network),
        spread=0.01,
    )


def published(decode: float = 0.1, detect: float = 0.1, network: float = 0.1) -> Reference:
    return Reference(
        workload=1, name="theirs", seconds=PartSeconds(decode=decode, detect=detect, network=network)
    )


def projected(times: list[float], mine: Calibration, theirs: Reference, mean: float = 8.1) -> Projection:
    found = project(times, own=mine, reference=theirs, mean_video_seconds=mean)
    assert found is not None
    return found


def test_two_equal_machines_need_equal_times() -> None:
    found = projected([2.0] * 20, own(), published())
    assert (found.low, found.seconds, found.high) == pytest.approx((2.0 * VIDEOS,) * 3)
    assert found.budget_seconds == pytest.approx(8.1 * VIDEOS)
    assert found.fit is Fit.FITS
    assert found.caveats == ()


def test_a_machine_that_is_twice_as_slow_in_everything_needs_twice_the_time() -> None:
    found = projected([2.0] * 20, own(), published(0.2, 0.2, 0.2))
    assert (found.low, found.high) == pytest.approx((4.0 * VIDEOS,) * 2)


def test_parts_that_differ_widen_the_interval_up_to_the_slowest_and_the_fastest() -> None:
    found = projected([1.0] * 20, own(), published(0.05, 0.1, 0.4))
    assert 0.5 * VIDEOS < found.low < found.seconds < found.high < 4.0 * VIDEOS
    assert found.high / found.low > 2


def test_videos_that_differ_widen_it_too() -> None:
    found = projected([1.0, 9.0] * 10, own(), published())
    assert found.low < 5.0 * VIDEOS < found.high
    assert found.seconds == pytest.approx(5.0 * VIDEOS, rel=0.05)


@pytest.mark.parametrize(("seconds", "fit"), [(7.0, Fit.FITS), (8.2, Fit.TOO_SLOW)])
def test_a_steady_package_is_judged_by_the_budget_alone(seconds: float, fit: Fit) -> None:
    assert projected([seconds] * 20, own(), published()).fit is fit


def test_an_interval_around_the_budget_is_said_to_be_uncertain() -> None:
    found = projected([1.0, 15.0] * 10, own(), published())
    assert found.low < found.budget_seconds < found.high
    assert found.fit is Fit.UNCERTAIN
    assert "may not fit" in in_words(found)


def test_nothing_timed_projects_nothing() -> None:
    assert project([], own=own(), reference=published(), mean_video_seconds=1.0) is None


def test_what_weakens_a_projection_is_said_with_it() -> None:
    theirs = published().model_copy(update={"provisional": True, "device": "cuda"})
    found = projected([1.0, 1.0], own(busy=True), theirs)
    text = in_words(found)
    for words in ("from 2 videos only", "busy", "provisional", "published for cuda"):
        assert words in text


def test_the_words_have_the_number_of_videos_the_interval_and_the_answer() -> None:
    text = in_words(projected([2.0] * 20, own(), published()))
    assert text.startswith("10,000 videos on the organiser's machine (theirs) would take about 5.56 h")
    assert "(95%: 5.56 h to 5.56 h); 22.5 h are allowed: it fits" in text


@given(
    times=st.lists(st.floats(0.001, 60), min_size=1, max_size=30),
    theirs=st.tuples(*[st.floats(0.001, 10)] * 3),
)
def test_a_projection_is_within_what_times_and_parts_allow(
    times: list[float], theirs: tuple[float, float, float]
) -> None:
    mine, other = own(), published(*theirs)
    found = projected(times, mine, other)
    low, high = min(ratios(mine, other).values()), max(ratios(mine, other).values())
    slack = 1 + 1e-9
    assert min(times) * low * VIDEOS <= found.low * slack
    assert found.low <= found.seconds <= found.high
    assert found.high <= max(times) * high * VIDEOS * slack
    assert SAMPLES >= 1000


def test_what_is_published_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "speeds.toml"
    path.write_text(reference_toml(own(0.1, 0.2, 0.3, busy=True), name='Evil "name"\n[seconds]'), "utf-8")
    found = load_reference(path)
    assert found.seconds == PartSeconds(decode=0.1, detect=0.2, network=0.3)
    assert found.provisional
    assert "Evil" in found.name
    assert "fast" in found.machine


def test_the_shipped_speeds_are_whole_and_say_whose_they_are() -> None:
    found = load_reference()
    assert found.name == "sample organiser"
    assert found.machine


@pytest.mark.parametrize(
    "text",
    [
        "",
        "workload = 2",
        "workload = 1\nname = 'x'\n[seconds]\ndecode = 0\ndetect = 1\nnetwork = 1",
        "workload = 1\nname = 'x'\n[seconds]\ndecode = nan\ndetect = 1\nnetwork = 1",
        "workload = 1\nname = 'x'\n[seconds]\ndecode = 1\ndetect = 1",
        "workload = 1\nname = 'x'\nextra = 1\n[seconds]\ndecode = 1\ndetect = 1\nnetwork = 1",
        "[" * 3000,
        "a = " + "9" * 5000,
        "\x00",
    ],
)
def test_wrong_speeds_are_refused_with_their_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "speeds.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"speeds\.toml"):
        load_reference(path)


def test_a_calibration_is_kept_and_read_back(tmp_path: Path) -> None:
    assert kept(tmp_path) is None
    assert keep(own(), tmp_path) == kept_at(tmp_path)
    assert kept(tmp_path) == own()
    kept_at(tmp_path).write_text("{}", "utf-8")
    with pytest.raises(ResultError, match="calibrate"):
        kept(tmp_path)


def test_the_reference_that_was_given_last_is_used(tmp_path: Path) -> None:
    assert kept_reference(tmp_path).name == "sample organiser"
    reference_at(tmp_path).write_text(reference_toml(own(), name="ours"), "utf-8")
    assert kept_reference(tmp_path).name == "ours"


def test_without_a_calibration_the_way_to_one_is_named(tmp_path: Path) -> None:
    assert "harness calibrate" in projection_of([1.0], cache=tmp_path, limits=Limits())
    keep(own(), tmp_path)
    assert "10,000 videos" in projection_of([1.0], cache=tmp_path, limits=Limits())
    assert projection_of([], cache=tmp_path, limits=Limits()) == ""


def said(**seconds: float) -> str:
    return MARK + json.dumps({"device": "cpu", "seconds": seconds})


def test_what_the_workload_says_is_found_among_other_lines() -> None:
    lines = [said(decode=1.0, detect=2.0, network=3.0)] * (WARM_UP_ROUNDS + 1)
    device, rounds = rounds_of("\n".join(["warning: x", *lines, "harness-calibratio"]))
    assert device == "cpu"
    assert rounds == [{"decode": 1.0, "detect": 2.0, "network": 3.0}] * (WARM_UP_ROUNDS + 1)


@pytest.mark.parametrize(
    "log",
    [
        "",
        MARK,
        MARK + "{}",
        MARK + "[1]",
        said(decode=1.0, detect=1.0),
        said(decode=1.0, detect=1.0, network=1.0),  # warm-up alone
    ],
)
def test_a_workload_that_says_too_little_is_our_fault(log: str) -> None:
    with pytest.raises(InfrastructureError):
        rounds_of(log)


def test_the_table_shows_both_machines_and_what_weakens_the_comparison() -> None:
    console = Console(width=100)
    with console.capture() as shown:
        console.print(render_speeds(own(busy=True), published(0.2)))
    for text in ("100.0 ms", "200.0 ms", "2.00 times as long", "theirs", "was busy"):
        assert text in shown.get()
