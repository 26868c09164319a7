"""Small pictures as plain numbers; the templates draw them, without a style that the policy would refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.portal.schemas import BoardAnswer, EntryAnswer

WIDTH, HEIGHT, LEFT, MARGIN = 640, 190, 66, 16
SHAKE_LINES = 24
LINE_HEIGHT = 18


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One entry's score."""

    x: float
    y: float
    number: int
    score: str


@dataclass(frozen=True, kw_only=True)
class History:
    """A team's scores over its entries."""

    width: int
    height: int
    top: int
    bottom: int
    most: str
    least: str
    dots: tuple[Dot, ...]
    best: str  # the points of the line of the best so far


@dataclass(frozen=True, kw_only=True)
class Move:
    """One team's public and private place."""

    name: str
    from_: int
    to: int
    y1: float
    y2: float
    way: str  # up, down, or nothing
    own: bool


@dataclass(frozen=True, kw_only=True)
class Shake:
    """How places moved from the public to the private board."""

    height: int
    lines: tuple[Move, ...]


def history_of(entries: Sequence[EntryAnswer], decimals: int) -> History | None:
    """Draw a team's shown scores, the first entry left; None if there are fewer than two."""
    scored = [(one.number, one.score.shown) for one in entries if one.score is not None]
    scored.sort()
    if len(scored) < 2:
        return None
    low, high = min(score for _, score in scored), max(score for _, score in scored)
    span = (high - low) or 1.0
    first, last = scored[0][0], scored[-1][0]
    top, bottom = MARGIN, HEIGHT - MARGIN

    def place(number: int, score: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - MARGIN) * (number - first) / (last - first)
        return round(x, 1), round(bottom - (bottom - top) * (score - low) / span, 1)

    best, points = high, list[tuple[float, float]]()
    for number, score in scored:
        best = min(best, score)
        x, y = place(number, best)
        points += [(x, points[-1][1])] if points else []
        points.append((x, y))
    dots = [(number, score, *place(number, score)) for number, score in scored]
    return History(
        width=WIDTH,
        height=HEIGHT,
        top=top,
        bottom=bottom,
        most=f"{high:.{decimals}f}",
        least=f"{low:.{decimals}f}",
        dots=tuple(
            Dot(x=x, y=y, number=number, score=f"{score:.{decimals}f}") for number, score, x, y in dots
        ),
        best=" ".join(f"{x},{y}" for x, y in points),
    )


def shake_of(board: BoardAnswer, own: str | None) -> Shake | None:
    """Draw how the first private places were public ones; None unless it is a private board."""
    rows = [row for row in board.rows if row.public_place is not None][:SHAKE_LINES]
    if board.set != "private" or len(rows) < 2:
        return None
    ranks = {row.team: rank for rank, row in enumerate(sorted(rows, key=lambda row: row.public_place or 0))}
    lines = []
    for rank, row in enumerate(rows):
        before = row.public_place or 0
        lines.append(
            Move(
                name=row.name,
                from_=before,
                to=row.place,
                y1=28 + LINE_HEIGHT * ranks[row.team],
                y2=28 + LINE_HEIGHT * rank,
                way="up" if row.place < before else "down" if row.place > before else "same",
                own=row.team == own,
            )
        )
    return Shake(height=40 + LINE_HEIGHT * len(rows), lines=tuple(lines))
