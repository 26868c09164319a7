"""The board and the plan as the command line prints them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.contest.board.set_size import Components, Size
from harness.contest.board.statistics import Board, Difference, Standing
from harness.report import words
from harness.scoring.clusters import Sampling, Unit

SHOWN = 30
ALIKE = "~"
UNITS = {Unit.IDENTITY: "people", Unit.SOURCE: "pieces of footage", Unit.VIDEO: "source videos"}


def render_board(board: Board) -> RenderableType:
    """Return the first places, what can be said of them, and who has none."""
    title = (
        f"{words.one_line(board.challenge)}, {board.set_name} set: {len(board.standings)} entries, "
        f"{board.videos} videos, {board.clusters} {UNITS[board.unit]} drawn"
    )
    table = Table(title=Text(title), box=SIMPLE_HEAD, padding=0, pad_edge=False)
    table.title_justify = table.caption_justify = "left"
    if any(one.to_first is not None and not one.to_first.told for one in board.standings[:SHOWN]):
        table.caption = f"{ALIKE} not distinguishable from the first"
    for heading in ("", "team", "log loss", "95%", "group", "ranks", "P(best)", "to the first"):
        whole = heading != "team"  # a name may wrap, a score may not
        right = heading not in {"team", "95%", "to the first"}
        table.add_column(heading, justify="right" if right else "left", no_wrap=whole, overflow="fold")
    for one in board.standings[:SHOWN]:
        table.add_row(*_cells(one, board.decimals))
    parts: list[RenderableType] = [table]
    if len(board.standings) > SHOWN:
        parts.append(Text(f"and {len(board.standings) - SHOWN} more: see the page", "dim"))
    if len(board.standings) > 1 and board.first_group:
        parts.append(_first_group(board))
    parts += [Text(warning, "yellow") for warning in board.warnings]
    for absent in board.absent:
        reason = words.one_line(absent.reason, characters=300)
        parts.append(Text(f"no place: {words.one_line(absent.entry.team)}: {reason}", "red"))
    return Group(*parts)


def render_plan(
    sizes: Sequence[Size], components: Components, *, difference: float, power: float, sampling: Sampling
) -> RenderableType:
    """Return the sets that would tell a difference."""
    unit = UNITS[sampling.unit]
    table = Table(
        title=f"To tell a difference of {difference:g} in {power:.0%} of contests (two-sided, 5%)",
        title_justify="left",
    )
    for heading in (f"videos of each of the {unit}", unit, "videos"):
        table.add_column(heading, justify="right")
    for size in sizes:
        table.add_row(f"{size.per_cluster}", f"{size.clusters:,}", f"{size.videos:,}")
    said = (
        f"Variance of the difference on one video: {components.between:.4f} between {unit}, "
        f"{components.within:.4f} within; from {sampling.clusters} {unit}."
        if components.known
        else f"Variance of the difference on one video: {components.between:.4f}, from {sampling.clusters} "
        f"{unit}, one video each: what more videos of the same would add is not in these data."
    )
    return Group(table, Text(said, "dim"))


def _cells(one: Standing, decimals: int) -> list[Text]:
    interval = one.interval
    ranks = "–" if one.rank_low is None else f"{one.rank_low}–{one.rank_high}"
    return [
        Text(str(one.place)),
        Text(words.one_line(one.entry.team)),
        Text(words.score(one.log_loss, decimals)),
        Text(f"{words.score(interval.low)}–{words.score(interval.high)}" if interval else "–"),
        Text("–" if one.group is None else str(one.group)),
        Text(ranks),
        Text(words.percent(one.best)),
        Text(_behind(one.to_first)),
    ]


def _behind(difference: Difference | None) -> str:
    if difference is None or difference.interval is None:
        return ""
    return f"{words.signed(difference.value)}{'' if difference.told else f' {ALIKE}'}"


def _first_group(board: Board) -> Text:
    names = [words.one_line(one.entry.team) for one in board.first_group]
    if len(names) == 1:
        return Text(f"{names[0]} is told from all others (5%, all comparisons together)", "green")
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return Text(
        f"{len(names)} entries cannot be told from the best (5%, all comparisons together): "
        f"{', '.join(names[:10])}{more}"
    )
