"""What a plot calls a thing is what the thing is called."""

from __future__ import annotations

from harness.report import board_plots, plots


def test_a_team_s_name_is_not_written_another_way() -> None:
    rows = [
        board_plots.Span(name=f"1 {name}", value=0.6, low=0.5, high=0.7, group=1) for name in ("a_b", "a b")
    ]
    picture = board_plots.spans(rows, title="scores", axis="log loss")
    assert all(f">1 {name}<" in picture for name in ("a_b", "a b")), "two teams look like one"


def test_a_long_name_is_cut_and_says_so() -> None:
    assert plots.short("x" * 25) == "x" * 23 + "…"
