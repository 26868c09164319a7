"""The board's pictures: scores with their intervals, robustness curves, and ranks to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.report.plots import (
    ACCENT,
    CONTROL,
    FAKE,
    INK,
    LIMIT,
    PRIVATE,
    REAL,
    drawing,
    figure_of,
    legend,
    short,
    svg_of,
)

GROUP_COLOURS = (ACCENT, PRIVATE)  # by turns, so that a border between groups is seen
CURVE_COLOURS = (ACCENT, PRIVATE, REAL, FAKE, CONTROL, LIMIT)
CURVE_STYLES = ("-", (0, (5, 2)), (0, (1, 1.5)))


@dataclass(frozen=True, kw_only=True)
class Span:
    """One line of a picture: a name, a value, and how far it may reach either way."""

    name: str
    value: float
    low: float | None
    high: float | None
    group: int


def spans(rows: Sequence[Span], *, title: str, axis: str, baseline: float | None = None) -> Markup:
    """Values with their intervals, the best on top; neighbouring groups differ in colour and mark."""
    with drawing():
        figure, axes = figure_of(0.25 * len(rows) + 0.9)
        for place, row in enumerate(rows):
            colour = GROUP_COLOURS[(row.group - 1) % 2]
            if row.low is not None and row.high is not None:
                axes.plot(
                    [row.low, row.high], [place, place], color=colour, linewidth=3, alpha=0.4,
                    solid_capstyle="round",
                )  # fmt: skip
            mark = "o" if row.group % 2 else "D"
            axes.plot([row.value], [place], mark, color=colour, markersize=5.5)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(range(len(rows)), [short(row.name) for row in rows])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        ends = [end for row in rows for end in (row.low, row.high, row.value) if end is not None]
        if baseline is not None and min(ends) < baseline < max(ends):
            axes.axvline(baseline, color=LIMIT, linewidth=1.3, linestyle=(0, (4, 3)))
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_xlabel(axis)
        return svg_of(figure, title)


def curves(severities: Sequence[int], lines: Sequence[tuple[str, Sequence[float]]], *, title: str) -> Markup:
    """Log loss over the severity of what was done to the videos, one line for each entry."""
    with drawing():
        figure, axes = figure_of(3.4)
        for number, (name, heights) in enumerate(lines):
            axes.plot(
                severities, heights, marker="o", markersize=4, linewidth=1.7, label=short(name),
                color=CURVE_COLOURS[number % len(CURVE_COLOURS)],
                linestyle=CURVE_STYLES[number // len(CURVE_COLOURS) % len(CURVE_STYLES)],
            )  # fmt: skip
        axes.set_xticks(list(severities))
        axes.set_xlabel("severity (0 is unperturbed)")
        axes.set_ylabel("log loss")
        axes.grid()
        legend(axes)
        return svg_of(figure, title)
