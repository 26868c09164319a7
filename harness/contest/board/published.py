"""The board that everybody may see: what the rules show, and of the statistics only what gives no label away.

It is rendered from a value that contains nothing else, so no page can show more. Scores are the shown ones,
never the exact ones; intervals are rounded like them, P(best) to whole percent. Under the Ladder there are
neither intervals nor groups: they are worked out from the exact answers, which the Ladder is there to hide.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.contest.board.memory import Memory
from harness.contest.board.profiles import PERTURBATION, Cut, profiles_of
from harness.contest.board.read_runs import Entered, board_input
from harness.contest.board.statistics import Board, Standing, board_of
from harness.contest.events import ContestPhase
from harness.contest.regrade.corrections import UNCORRECTED, Correction
from harness.contest.rules.finals import final_entries
from harness.contest.state import Entry, EntryStatus, State, Team
from harness.core.challenge import Challenge
from harness.core.contest import ShownRule
from harness.core.errors import ConfigError
from harness.core.types import SetName
from harness.results.run_folder import RunFolder
from harness.results.run_row import RunRow
from harness.scoring.slices import SUBGROUP_MIN
from harness.videos.ready_set import ReadySet

PARTS_KEPT = 200  # teams whose scores by perturbation are worked out
PARTS_SHOWN = 10  # on the board; a further team sees its own
PART_DECIMALS = 2


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One team's line. What is None is not known, or not shown by this contest's rules."""

    place: int  # teams of equal shown scores share one
    team: str
    name: str
    score: float
    low: float | None
    high: float | None
    group: int | None
    best_percent: int | None
    entries: int
    last: str  # ISO 8601: when it handed in last
    entry: str  # that stands for the team
    public_place: int | None = None  # on the private board: where it was on the public one


@dataclass(frozen=True, kw_only=True)
class PublishedPart:
    """Teams' scores on the videos of one perturbation, in their order on the board."""

    name: str
    videos: int
    scores: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class PublishedBoard:
    """A board as it is published."""

    challenge: str
    title: str
    set: str
    version: str  # changes if anything else does
    events: int
    computed: str
    decimals: int
    rule: str
    rows: tuple[PublishedRow, ...]
    parts: tuple[PublishedPart, ...] = ()

    def to_json(self) -> str:
        """Return it as one JSON document."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What stands for a team."""

    team: Team
    entry: Entry
    score: float  # as shown


def publish(
    state: State,
    challenge: Challenge,
    ready: ReadySet,
    rows: Mapping[str, RunRow],
    runs: Path,
    *,
    before: PublishedBoard | None = None,
    correction: Correction = UNCORRECTED,
    memory: Memory | None = None,
) -> PublishedBoard:
    """Work out a board.

    Args:
        state: The contest.
        challenge: Its challenge.
        ready: The set, with its labels.
        rows: Of runs, by their id.
        runs: Where run folders are.
        before: The public board, for a private one.
        correction: Of the regrade that is in force.
        memory: Of this set's boards; without one every run is read.

    Raises:
        ValueError: there is no contest, or the private board is asked for before scores are released.
        ConfigError: an entry's answers cannot be read at all.
    """
    if state.rules is None:
        raise ValueError("there is no contest")
    private = ready.name is SetName.PRIVATE
    if private and state.phase is not ContestPhase.RELEASED:
        raise ValueError("scores are not released")
    chosen = sorted(
        _private_choice(state, rows) if private else _public_choice(state),
        key=lambda one: (one.score, one.entry.number),
    )
    exact = private or state.rules.public_scores.rule is ShownRule.ROUNDED
    of_set = _OfSet(
        challenge=challenge, ready=ready, runs=runs, correction=correction, memory=memory or Memory()
    )
    board, cuts = _statistics(chosen, of_set, rows) if exact and chosen else (None, ())
    standing = {} if board is None else {one.entry.run_id: one for one in board.standings}
    places = {} if before is None else {one.team: one.place for one in before.rows}
    first: dict[float, int] = {}
    for place, one in enumerate(chosen, start=1):
        first.setdefault(one.score, place)
    lines = tuple(
        _row(one, first[one.score], state, standing.get(one.entry.run_id or ""), places.get(one.team.team))
        for one in chosen
    )
    found = PublishedBoard(
        challenge=state.challenge,
        title=challenge.title or challenge.name,
        set=ready.name.value,
        version="",
        events=state.events,
        computed="",
        decimals=state.public_decimals,
        rule="exact" if private else state.rules.public_scores.rule.value,
        rows=lines,
        parts=_parts(board, cuts, chosen),
    )
    document = json.dumps(asdict(replace(found, events=0)), sort_keys=True)
    version = hashlib.sha256(document.encode()).hexdigest()[:16]
    return replace(found, version=version, computed=datetime.now(UTC).isoformat(timespec="seconds"))


def _public_choice(state: State) -> list[Chosen]:
    found = []
    for team in _ranked_teams(state):
        shown = [
            (one.shown, one.number, one)
            for one in state.entries_of(team.team)
            if one.status is EntryStatus.SCORED and one.shown is not None and one.disqualified is None
        ]
        if shown:
            score, _, entry = min(shown, key=lambda each: each[:2])
            found.append(Chosen(team=team, entry=entry, score=score))
    return found


def _private_choice(state: State, rows: Mapping[str, RunRow]) -> list[Chosen]:
    """Choose, of the entries that a team is judged by, the one with the best private score."""
    found = []
    for team in _ranked_teams(state):
        scored = [
            (round(row.private_log_loss, state.public_decimals), one.number, one)
            for one in final_entries(state, team.team)
            if (row := rows.get(one.run_id or "")) is not None and row.private_log_loss is not None
        ]
        if scored:
            score, _, entry = min(scored, key=lambda each: each[:2])
            found.append(Chosen(team=team, entry=entry, score=score))
    return found


def _ranked_teams(state: State) -> list[Team]:
    return [team for team in state.teams.values() if team.merged_into is None and team.disqualified is None]


@dataclass(frozen=True, kw_only=True)
class _OfSet:
    """What statistics of a set are made of, beside the runs."""

    challenge: Challenge
    ready: ReadySet
    runs: Path
    correction: Correction
    memory: Memory


def _statistics(
    chosen: Sequence[Chosen], of_set: _OfSet, rows: Mapping[str, RunRow]
) -> tuple[Board | None, tuple[Cut, ...]]:
    standing = tuple(
        replace(row, team=one.team.team, submitted=one.entry.submitted.isoformat())
        for one in chosen
        if (row := rows.get(one.entry.run_id or "")) is not None
        and RunFolder(path=of_set.runs / row.run_id).journal(of_set.ready.name).is_file()
    )
    if not standing:
        return None, ()
    known = [(row.run_id, row.result_sha256, row.submitted) for row in standing]
    return of_set.memory.statistics((known, of_set.correction), lambda: _worked_out(standing, of_set))


def _worked_out(standing: tuple[RunRow, ...], of_set: _OfSet) -> tuple[Board | None, tuple[Cut, ...]]:
    of_set.memory.keep_only(standing)
    try:
        given = board_input(
            of_set.challenge,
            Entered(standing=standing, absent=(), unreadable=()),
            of_set.ready,
            of_set.runs,
            correction=of_set.correction,
            reading=of_set.memory.answers,
            forecast=False,
        )
    except ConfigError:
        return None, ()  # scores stay as they were recorded; what cannot be read again has no interval
    board = board_of(given, whole=False)
    kept = board.standings[:PARTS_KEPT]
    return board, profiles_of(given, [one.column for one in kept]).cuts


def _row(
    one: Chosen, place: int, state: State, standing: Standing | None, public_place: int | None
) -> PublishedRow:
    decimals = state.public_decimals
    interval = standing.interval if standing else None
    entries = state.entries_of(one.team.team)
    return PublishedRow(
        place=place,
        team=one.team.team,
        name=one.team.name,
        score=one.score,
        low=round(interval.low, decimals) if interval else None,
        high=round(interval.high, decimals) if interval else None,
        group=standing.group if standing else None,
        best_percent=None if standing is None or standing.best is None else round(100 * standing.best),
        entries=sum(each.status is EntryStatus.SCORED for each in entries),
        last=max(each.submitted for each in entries).isoformat(timespec="seconds"),
        entry=one.entry.entry,
        public_place=public_place,
    )


def _parts(board: Board | None, cuts: Sequence[Cut], chosen: Sequence[Chosen]) -> tuple[PublishedPart, ...]:
    """Return scores by perturbation, coarse and only of parts that are large enough to hide single videos."""
    if board is None:
        return ()
    column = {one.entry.run_id: place for place, one in enumerate(board.standings[:PARTS_KEPT])}
    order = [column.get(one.entry.run_id or "") for one in chosen[:PARTS_KEPT]]
    known = [place for place in order if place is not None]
    if len(known) != len(order):
        return ()  # an entry whose answers cannot be read again would shift the others
    return tuple(
        PublishedPart(
            name=cut.name,
            videos=cut.videos,
            scores=tuple(round(float(cut.log_loss[place]), PART_DECIMALS) for place in known),
        )
        for cut in cuts
        if cut.column == PERTURBATION and cut.severity is None and cut.videos >= SUBGROUP_MIN
    )
