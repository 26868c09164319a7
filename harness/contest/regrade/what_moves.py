"""What a regrade would move on both boards, before it holds. Exact and private scores: for the organiser."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.contest.board.memory import Memory
from harness.contest.board.published import PublishedBoard, PublishedRow, publish
from harness.contest.events import ContestPhase
from harness.contest.regrade.corrections import Correction, frame_of
from harness.contest.regrade.register import command_of
from harness.contest.regrade.regrade import RegradedRun
from harness.contest.rules import Refusal, decide
from harness.contest.state import State, fold
from harness.core.challenge import Challenge
from harness.core.errors import ConfigError
from harness.core.types import SetName
from harness.results.run_row import RunRow
from harness.videos.ready_set import ReadySet

SETS = (SetName.PUBLIC, SetName.PRIVATE)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One team's line of a board; what is None is not there, or not worked out."""

    place: int | None = None
    score: float | None = None
    group: int | None = None
    entry: str | None = None


@dataclass(frozen=True, kw_only=True)
class TeamMove:
    """One team before and after."""

    team: str
    name: str
    before: Side
    after: Side


@dataclass(frozen=True, kw_only=True)
class SetMove:
    """What moves on one set's board."""

    set: str
    labels_changed: int
    dropped: int
    teams: int
    scores: int  # of teams that move
    places: int
    groups: int
    moves: tuple[TeamMove, ...]  # the teams of which anything moves, in their order afterwards


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a regrade would do; JSON of it is kept beside what was asked."""

    runs: int
    events: int  # of the contest when it was worked out
    regrades: tuple[str, ...]  # that the contest had then: another one makes this void
    left_out: tuple[str, ...]
    sets: tuple[SetMove, ...]
    correction: Mapping[str, Any]  # empty once it is over

    def to_json(self) -> str:
        """Return it as one JSON document."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)


_PREVIEW = TypeAdapter(Preview)


def read_preview(document: str) -> Preview:
    """Read a preview as it was kept.

    Raises:
        ConfigError: another release kept it, in other words.
    """
    try:
        return _PREVIEW.validate_json(document)
    except ValidationError as error:
        raise ConfigError("what was seen of it cannot be read here", remedy="Ask for it again.") from error


@dataclass(frozen=True, kw_only=True)
class Law:
    """By what boards are worked out: sets with labels, and what corrects them."""

    challenge: Challenge
    sets: Sequence[ReadySet]
    runs_root: Path
    in_force: Correction
    wanted: Correction


def moves_of(
    state: State,
    law: Law,
    rows: Mapping[str, RunRow],
    found: RegradedRun,
    *,
    reason: str,
    now: datetime,
) -> tuple[SetMove, ...] | Refusal:
    """Work both boards out as they are and as they would be.

    Args:
        state: The contest.
        law: Before and after.
        rows: Of runs as they are, by their id.
        found: Every run scored again, nothing of it written.
        reason: For the contest's log.
        now: The moment.

    Returns:
        What moves, set by set; or why the contest would not take the regrade.
    """
    decided = decide(state, command_of(state, found, reason=reason), now)
    if isinstance(decided, Refusal):
        return decided
    after = fold(decided, state)
    graded = {one.run_id: one.after for one in found.runs}
    rows_after = {
        run: replace(
            row,
            public_log_loss=graded[run].get(SetName.PUBLIC) if run in graded else row.public_log_loss,
            private_log_loss=graded[run].get(SetName.PRIVATE) if run in graded else row.private_log_loss,
        )
        for run, row in rows.items()
    }
    moved = []
    for ready in (one for name in SETS for one in law.sets if one.name is name):
        memory = Memory()
        old = _board(state, law, ready, rows, correction=law.in_force, memory=memory)
        new = _board(after, law, ready, rows_after, correction=law.wanted, memory=memory)
        frames = frame_of(ready, law.in_force), frame_of(ready, law.wanted)
        moved.append(
            set_move(
                old,
                new,
                labels_changed=int((frames[0].fake_now != frames[1].fake_now).sum()),
                dropped=frames[1].dropped,
            )
        )
    return tuple(moved)


def set_move(old: PublishedBoard, new: PublishedBoard, *, labels_changed: int, dropped: int) -> SetMove:
    """Lay two boards of a set beside each other."""
    before = {row.team: _side(row) for row in old.rows}
    names = {row.team: row.name for row in (*old.rows, *new.rows)}
    after = {row.team: _side(row) for row in new.rows}
    pairs = [
        TeamMove(team=team, name=names[team], before=before.get(team, Side()), after=after.get(team, Side()))
        for team in (*after, *(team for team in before if team not in after))
    ]
    return SetMove(
        set=new.set,
        labels_changed=labels_changed,
        dropped=dropped,
        teams=len(new.rows),
        scores=sum(one.before.score != one.after.score for one in pairs),
        places=sum(one.before.place != one.after.place for one in pairs),
        groups=sum(one.before.group != one.after.group for one in pairs),
        moves=tuple(one for one in pairs if one.before != one.after),
    )


def _board(
    state: State,
    law: Law,
    ready: ReadySet,
    rows: Mapping[str, RunRow],
    *,
    correction: Correction,
    memory: Memory,
) -> PublishedBoard:
    if ready.name is SetName.PRIVATE:
        state = replace(state, phase=ContestPhase.RELEASED)  # seen by the organiser alone
    return publish(state, law.challenge, ready, rows, law.runs_root, correction=correction, memory=memory)


def _side(row: PublishedRow) -> Side:
    return Side(place=row.place, score=row.score, group=row.group, entry=row.entry)
