"""The board as plain values and as CSV, for whoever wants to look further."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from harness.contest.board.page import verdict_of
from harness.contest.board.profiles import Profiles, worst_cuts
from harness.contest.board.statistics import Board
from harness.core.text import table_cell
from harness.scoring.intervals import Interval


def board_values(board: Board, profiles: Profiles) -> dict[str, Any]:
    """Return the board as plain values; what does not exist is None."""
    return {
        **{key: value for key, value in _plain(board).items() if key != "standings"},
        "standings": [
            {
                **_plain(one),
                "calibration_error": profiles.calibration_error[place],
                "brier_parts": _plain(profiles.brier[place]),
                "calibration": _plain(profiles.calibration[place]),
                "curve_area": profiles.curve_area[place] if profiles.curve_area else None,
                "worse_on": [
                    {"column": cut.column, "name": cut.name, "severity": cut.severity}
                    for cut in worst_cuts(profiles, place)
                ],
            }
            for place, one in enumerate(board.standings)
        ],
        "cuts": [_plain(cut) for cut in profiles.cuts],
        "curve": {"severities": list(profiles.curve_severities), "log_loss": _plain(profiles.curve)},
    }


def board_csv(board: Board, profiles: Profiles) -> dict[str, str]:
    """Return the tables by file name: standings, pairs, rank probabilities, parts of the set, and absent."""
    return {
        "standings.csv": _table(_standing_rows(board, profiles)),
        "pairs.csv": _table(_pair_rows(board)),
        "ranks.csv": _table(
            {"place": one.place, "team": one.entry.team, "rank": rank, "probability": float(share)}
            for one, shares in zip(board.standings, board.rank_shares, strict=False)
            for rank, share in enumerate(shares, start=1)
            if share > 0
        ),
        "parts.csv": _table(_part_rows(board, profiles)),
        "absent.csv": _table(
            {"team": one.entry.team, "run": one.entry.run_id, "reason": one.reason} for one in board.absent
        ),
    }


def _standing_rows(board: Board, profiles: Profiles) -> Iterable[Mapping[str, object]]:
    for place, one in enumerate(board.standings):
        yield {
            "place": one.place,
            "team": one.entry.team,
            "run": one.entry.run_id,
            "package": one.entry.package,
            "submitted": one.entry.submitted,
            "log_loss": one.log_loss,
            **_ends("log_loss", one.interval),
            "group": one.group,
            "rank_low": one.rank_low,
            "rank_high": one.rank_high,
            "probability_best": one.best,
            "behind_first": one.to_first.value if one.to_first else None,
            **_ends("behind_first", one.to_first.interval if one.to_first else None),
            "against_first": verdict_of(one.to_first),
            "roc_auc": one.roc_auc,
            **_ends("roc_auc", one.roc_auc_interval),
            "calibration_error": profiles.calibration_error[place],
            "curve_area": profiles.curve_area[place] if profiles.curve_area else None,
            "failed": one.failed,
        }


def _pair_rows(board: Board) -> Iterable[Mapping[str, object]]:
    for one in board.pairs:
        entry, other = board.standings[one.entry], board.standings[one.other]
        yield {
            "place": entry.place,
            "team": entry.entry.team,
            "other_place": other.place,
            "other_team": other.entry.team,
            "difference": one.value,
            **_ends("difference", one.interval),
            "verdict": verdict_of(one),
        }


def _part_rows(board: Board, profiles: Profiles) -> Iterable[Mapping[str, object]]:
    for cut in profiles.cuts:
        for place, one in enumerate(board.standings):
            yield {
                "column": cut.column,
                "part": cut.name,
                "severity": cut.severity,
                "videos": cut.videos,
                "place": one.place,
                "team": one.entry.team,
                "log_loss": float(cut.log_loss[place]),
                "log_loss_low": float(cut.low[place]),
                "log_loss_high": float(cut.high[place]),
                "above_rest": float(cut.above_rest[place]),
                "told_from_rest": int(cut.told[place]),
            }


def _ends(name: str, interval: Interval | None) -> dict[str, float | None]:
    return {
        f"{name}_low": interval.low if interval else None,
        f"{name}_high": interval.high if interval else None,
    }


def _table(rows: Iterable[Mapping[str, object]]) -> str:
    stream = io.StringIO()
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(stream, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return stream.getvalue()


def _cell(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula: a team may call itself `=1+1`."""
    if isinstance(value, str):
        return table_cell(value)
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {key: _plain(getattr(value, key)) for key in (field.name for field in fields(value))}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
