"""Log loss by whatever the organiser wrote into further columns of the labels. For the organiser only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.report import plots, words
from harness.report.data import SetData
from harness.report.set_plots import Plot, Values
from harness.results.result import SetResult
from harness.scoring.against_rest import AgainstRest, against_rest
from harness.scoring.scored import ScoredVideo, losses_of, sampling
from harness.scoring.slices import Slice, SliceKind, subgroups

_Rests = Mapping[tuple[str, str], AgainstRest]


@dataclass(frozen=True, kw_only=True)
class _Column:
    name: str
    groups: tuple[Slice, ...]  # the worst first


def group_plots(one: SetResult, data: SetData | None) -> list[Plot]:
    """Return a picture for each column that cuts the set, with its smallest and its worst group named.

    Without `data` no group is compared with the rest: that takes every video's loss.
    """
    rests = _rests(data.rows) if data and one.score.scored else {}
    return [
        Plot(
            title=f"By {words.one_line(column.name)}",
            caption=_caption(column, rests),
            svg=plots.dots(
                [
                    plots.Dot(
                        name=words.one_line(cut.name),
                        value=cut.log_loss or 0.0,
                        interval=cut.interval,
                        note=f"{words.score(cut.log_loss, 3)}  ·  {cut.videos}",
                        colour=plots.SET_COLOURS[one.set_name.value],
                    )
                    for cut in column.groups
                ],
                title=f"{one.set_name}: log loss by {words.one_line(column.name)}",
                baseline=one.score.anchors.constant_half,
            ),
            values=_values(column, rests),
        )
        for column in _columns(one.score.slices)
    ]


def _columns(slices: Sequence[Slice]) -> Iterator[_Column]:
    found: dict[str, list[Slice]] = {}
    for cut in slices:
        if cut.kind is SliceKind.SUBGROUP and cut.log_loss is not None:
            found.setdefault(cut.column, []).append(cut)
    for name, groups in found.items():
        yield _Column(name=name, groups=tuple(sorted(groups, key=lambda cut: -(cut.log_loss or 0.0))))


def _rests(rows: Sequence[ScoredVideo]) -> _Rests:
    losses, drawn = losses_of(rows)[:, None], sampling(rows)
    found = {}
    for column, groups in subgroups([dict(row.label.columns) for row in rows]).items():
        for name, places in groups.items():
            rest = against_rest(losses, np.array(places), drawn, comparisons=len(groups))
            if rest is not None:
                found[column, name] = rest
    return found


def _caption(column: _Column, rests: _Rests) -> str:
    smallest = min(column.groups, key=lambda cut: cut.videos)
    size = f"The smallest group is {_name(smallest)}, {smallest.videos} videos."
    worse = [
        (cut, rests[column.name, cut.name])
        for cut in column.groups
        if (column.name, cut.name) in rests and rests[column.name, cut.name].told[0] > 0
    ]
    if worse:
        cut, rest = max(worse, key=lambda pair: float(pair[1].above[0]))
        return (
            f"The worst group is {_name(cut)}: {words.signed(float(rest.above[0]))} against all others "
            f"({_ends(rest)}, 95% for all groups together). {size}"
        )
    if not rests:
        return f"The highest is {_name(column.groups[0])}; whether by chance was not looked at. {size}"
    return (
        f"No group can be told to be worse than the others; the highest is {_name(column.groups[0])}. {size}"
    )


def _values(column: _Column, rests: _Rests) -> Values:
    return Values(
        columns=("group", "log loss", "95% interval", "videos", "fake", "against all others", "so"),
        rows=tuple(
            (
                _name(cut),
                words.score(cut.log_loss),
                words.interval(cut.interval),
                f"{cut.videos:,}",
                f"{cut.fakes:,}",
                *_against(rests.get((column.name, cut.name))),
            )
            for cut in column.groups
        ),
    )


def _against(rest: AgainstRest | None) -> tuple[str, str]:
    if rest is None:
        return "–", "not compared"
    value = words.signed(float(rest.above[0]))
    if np.isnan(rest.low[0]):
        return value, "too few to tell"
    verdict = {1: "worse", -1: "better", 0: "not distinguishable"}[int(rest.told[0])]
    return f"{value} ({_ends(rest)})", verdict


def _ends(rest: AgainstRest) -> str:
    return f"{words.signed(float(rest.low[0]))} to {words.signed(float(rest.high[0]))}"


def _name(cut: Slice) -> str:
    return words.one_line(cut.name)
