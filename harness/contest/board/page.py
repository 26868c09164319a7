"""`board.html`: one file that opens offline, with every picture's numbers in a table beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from harness.contest.board.profiles import PERTURBATION, SEVERITY, Cut, Profiles, worst_cuts
from harness.contest.board.statistics import Board, Difference, Standing
from harness.report import board_plots, plots, words
from harness.report.pages import render

ENTRIES_IN_PICTURE = 25
ENTRIES_SIDE_BY_SIDE = 10
ENTRIES_COMPARED = 15
RELIABILITIES = 4
CURVES = 8


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A number in a table with a colour behind it, from 0 (good, or rare) to 100."""

    text: str
    heat: int
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of a table of cells; none is an empty cell."""

    name: str
    cells: tuple[Cell | None, ...]
    note: str = ""


def board_page(board: Board, profiles: Profiles) -> str:
    """Return the page as HTML.

    Args:
        board: The ranking.
        profiles: Of its entries, in the order of the board.
    """
    shown = board.standings[:ENTRIES_SIDE_BY_SIDE]
    many = len(board.standings) > 1
    return render(
        "board.html",
        {
            "board": board,
            "several": many,
            "first_group": board.first_group,
            "scores": _scores(board),
            "names": [one.entry.team for one in shown],
            "rank_rows": _rank_rows(board),
            "compared": [one.place for one in board.standings[:ENTRIES_COMPARED]],
            "pair_rows": _pair_rows(board),
            "forecast": _forecast_picture(board),
            "cut_tables": _cut_tables(profiles, len(shown)),
            "worst": [(one, worst_cuts(profiles, place)) for place, one in enumerate(shown)],
            "curves": _curves(board, profiles),
            "reliabilities": _reliabilities(board, profiles),
            "profiles": profiles,
            "half": math.log(2.0),
            "unit_words": {"identity": "people", "source": "pieces of footage", "video": "source videos"},
        },
    )


def verdict_of(difference: Difference | None) -> str:
    """Say what a difference of log losses comes to: `worse` is said only if the interval excludes 0."""
    if difference is None or difference.interval is None:
        return ""
    if not difference.told:
        return "not distinguishable"
    return "worse" if difference.value > 0 else "better"


def _scores(board: Board) -> Markup:
    rows = [
        board_plots.Span(
            name=f"{one.place} {one.entry.team}",
            value=one.log_loss,
            low=one.interval.low if one.interval else None,
            high=one.interval.high if one.interval else None,
            group=one.group or 1,
        )
        for one in board.standings[:ENTRIES_IN_PICTURE]
    ]
    return board_plots.spans(
        rows,
        title=f"Log loss of the first {len(rows)} entries with 95% intervals",
        axis="log loss (lower is better)",
        baseline=math.log(2.0),
    )


def _rank_rows(board: Board) -> tuple[Row, ...]:
    return tuple(
        Row(
            name=one.entry.team,
            cells=tuple(
                Cell(text=_share(share), heat=round(100 * share)) if share >= 0.005 else None
                for share in shares
            ),
        )
        for one, shares in zip(board.standings, board.rank_shares, strict=False)
    )


def _pair_rows(board: Board) -> tuple[Row, ...]:
    count = min(len(board.standings), ENTRIES_COMPARED) if board.pairs else 0
    found = {(one.entry, one.other): one for one in board.pairs if one.entry < count}
    return tuple(
        Row(
            name=f"{standing.place} {standing.entry.team}",
            cells=tuple(_pair_cell(found.get((place, other))) for other in range(count)),
        )
        for place, standing in enumerate(board.standings[:count])
    )


def _pair_cell(difference: Difference | None) -> Cell | None:
    if difference is None or difference.interval is None:
        return None
    interval = difference.interval
    between = f"95% {words.signed(interval.low)} to {words.signed(interval.high)}"
    return Cell(
        text=words.signed(difference.value, 3) if difference.told else "≈",
        heat=100 if difference.told else 0,
        title=f"{verdict_of(difference)}: {words.signed(difference.value)}, {between}",
    )


def _forecast_picture(board: Board) -> Markup | None:
    forecast = board.forecast
    if forecast is None or len(board.standings) < 2:
        return None
    rows = [
        board_plots.Span(
            name=f"{one.place} {one.entry.team}",
            value=float(place + 1),
            low=float(forecast.rank_low[place]),
            high=float(forecast.rank_high[place]),
            group=one.group or 1,
        )
        for place, one in enumerate(board.standings[:ENTRIES_IN_PICTURE])
    ]
    return board_plots.spans(
        rows, title="Private ranks foretold", axis="rank: public, and 90% range of the private"
    )


def _cut_tables(profiles: Profiles, entries: int) -> tuple[tuple[str, tuple[Row, ...], tuple[Row, ...]], ...]:
    """Return each column's title, its parts, and, of perturbations, each at each severity."""
    tables: dict[str, tuple[list[Row], list[Row]]] = {}
    for cut in profiles.cuts:
        title = {PERTURBATION: "By perturbation", SEVERITY: "By severity"}.get(cut.column, f"By {cut.column}")
        name, finer = cut.name.replace("_", " "), cut.column == PERTURBATION and cut.severity is not None
        row = Row(
            name=f"{name}, severity {cut.severity}" if finer else name,
            cells=tuple(_cut_cell(cut, entry) for entry in range(entries)),
            note=f"{cut.videos} videos",
        )
        tables.setdefault(title, ([], []))[finer].append(row)
    return tuple((title, tuple(rows), tuple(finer)) for title, (rows, finer) in tables.items())


def _cut_cell(cut: Cut, entry: int) -> Cell:
    loss = float(cut.log_loss[entry])
    low, high = float(cut.low[entry]), float(cut.high[entry])
    sure = "no interval: too few" if math.isnan(low) else f"95% {words.score(low)} to {words.score(high)}"
    mark = {1: " ▲", -1: " ▼"}.get(int(cut.told[entry]), "")
    return Cell(
        text=f"{words.score(loss, 3)}{mark}",
        heat=round(min(100.0, 50.0 * loss / math.log(2.0))),
        title=f"{cut.videos} videos, {sure}",
    )


def _curves(board: Board, profiles: Profiles) -> Markup | None:
    if profiles.curve_area is None:
        return None
    lines = [
        (f"{one.place} {one.entry.team}", [float(height) for height in profiles.curve[:, place]])
        for place, one in enumerate(board.standings[:CURVES])
    ]
    return board_plots.curves(profiles.curve_severities, lines, title="Robustness curves")


def _reliabilities(board: Board, profiles: Profiles) -> tuple[tuple[Standing, Markup], ...]:
    return tuple(
        (
            one,
            plots.calibration(
                profiles.calibration[place],
                title=f"Reliability of place {one.place}, {one.entry.run_id}",
                colour=plots.SET_COLOURS[board.set_name.value],
            ),
        )
        for place, one in enumerate(board.standings[:RELIABILITIES])
    )


def _share(share: float) -> str:
    return f"{100 * share:.0f}"
