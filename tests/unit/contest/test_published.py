"""The board that everybody sees: what stands for a team, and what must not be in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written_runs import made_challenge, ready_of, row_of, write_journal

from harness.contest.board.memory import Memory
from harness.contest.board.published import PublishedBoard, publish
from harness.contest.events import ContestPhase, Purse
from harness.contest.regrade.corrections import Correction
from harness.contest.state import Entry, EntryStatus, State, Team
from harness.core.challenge import Challenge, load_challenge
from harness.core.contest import ContestRules, PublicScores, ShownRule
from harness.core.types import SetName
from harness.results.run_folder import RunFolder
from harness.results.run_row import RunRow
from harness.videos.labels import read_labels
from harness.videos.ready_set import ReadySet
from tests.contest_kit import write_challenge

MOMENT = datetime(2026, 11, 27, tzinfo=UTC)
RULES = ContestRules(timezone="UTC", opens=MOMENT, closes=datetime(2027, 1, 1, tzinfo=UTC))
LADDER = RULES.model_copy(update={"public_scores": PublicScores(rule=ShownRule.LADDER)})


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Challenge:
    return load_challenge(write_challenge(tmp_path_factory.mktemp("made"), public=2, private=2))


def entry(number: int, team: str, shown: float | None, **changed: Any) -> Entry:
    made = Entry(
        entry=f"e{number}",
        team=team,
        package_sha256="0" * 64,
        submitted=MOMENT.replace(hour=number),
        day=date(2026, 11, 27),
        phase=ContestPhase.OPEN,
        paid_by=Purse.QUOTA,
        number=number,
        status=EntryStatus.SCORED,
        run_id=f"run{number}",
        shown=shown,
        public_loss=0.123456789,
    )
    return replace(made, **changed)


def contest(*entries: Entry, rules: ContestRules = LADDER, **teams: dict[str, Any]) -> State:
    names = sorted({one.team for one in entries} | set(teams))
    return State(
        challenge="made",
        rules=rules,
        phase=ContestPhase.OPEN,
        entries={one.entry: one for one in entries},
        teams={
            name: replace(
                Team(
                    team=name,
                    name=f"The {name}",
                    registered=MOMENT,
                    entries=tuple(one.entry for one in entries if one.team == name),
                ),
                **teams.get(name, {}),
            )
            for name in names
        },
    )


def board(state: State, challenge: Challenge, name: SetName = SetName.PUBLIC) -> PublishedBoard:
    labels = read_labels(challenge.sets[name].labels)
    ready = ReadySet(name=name, videos=(), labels=labels, sha256="", manifest_path=Path())
    rows = {
        one.run_id or "": RunRow(
            run_id=one.run_id or "", created="", challenge="made", challenge_sha256="", package="p",
            package_sha256="", image_digest="", isolation="docker", public_verdict="OK", private_verdict="OK",
            public_log_loss=0.1, private_log_loss=0.9 - one.number / 100, eligible=True,
        )
        for one in state.entries.values()
    }  # fmt: skip
    return publish(state, challenge, ready, rows, Path("nowhere"))


def test_a_teams_best_shown_score_stands_and_equal_ones_share_a_place(challenge: Challenge) -> None:
    found = board(
        contest(entry(1, "a", 0.6), entry(2, "a", 0.5), entry(3, "b", 0.5), entry(4, "c", 0.7)), challenge
    )
    assert [(one.place, one.team, one.score, one.entry) for one in found.rows] == [
        (1, "a", 0.5, "e2"),
        (1, "b", 0.5, "e3"),
        (3, "c", 0.7, "e4"),
    ]
    assert found.rows[0].entries == 2
    assert found.rows[0].last.startswith("2026-11-27T02")


def test_under_the_ladder_there_is_nothing_that_was_worked_out_from_exact_answers(
    challenge: Challenge,
) -> None:
    found = board(contest(entry(1, "a", 0.6), entry(2, "b", 0.5)), challenge)
    for row in found.rows:
        assert (row.low, row.high, row.group, row.best_percent) == (None, None, None, None)
    assert found.parts == ()
    assert "0.1234" not in found.to_json()


def test_hidden_failed_disqualified_and_merged_ones_are_not_on_it(challenge: Challenge) -> None:
    state = contest(
        entry(1, "a", 0.6),
        entry(2, "a", None, phase=ContestPhase.BLIND),
        entry(3, "a", 0.1, disqualified="copied"),
        entry(4, "b", 0.2),
        entry(5, "c", 0.3),
        entry(6, "d", None, status=EntryStatus.FAILED),
        b={"disqualified": "shared answers"},
        c={"merged_into": "a"},
    )
    assert [(one.team, one.score) for one in board(state, challenge).rows] == [("a", 0.6)]


def test_the_private_board_is_by_final_entries_and_only_after_release(challenge: Challenge) -> None:
    state = contest(entry(1, "a", 0.6), entry(2, "a", 0.5), entry(3, "a", 0.7), a={"finals": ("e1", "e2")})
    with pytest.raises(ValueError, match="not released"):
        board(state, challenge, SetName.PRIVATE)
    released = replace(state, phase=ContestPhase.RELEASED)
    found = board(released, challenge, SetName.PRIVATE)
    assert [(one.entry, one.score) for one in found.rows] == [("e2", 0.88)]  # e3 is better, and no final


def test_the_version_changes_with_what_is_shown_and_with_nothing_else(challenge: Challenge) -> None:
    state = contest(entry(1, "a", 0.6))
    same = replace(state, events=9)
    other = contest(entry(1, "a", 0.61))
    assert board(state, challenge).version == board(same, challenge).version
    assert board(state, challenge).version != board(other, challenge).version


# --- what a keeper remembers -------------------------------------------------------------------------------


def test_a_board_that_remembers_reads_a_run_once_and_says_the_same(
    tmp_path: Path,
) -> None:
    fake = np.arange(40) % 2 == 0
    ids = tuple(f"{number:02}.mp4" for number in range(40))
    ready = ready_of(ids, fake)
    state = contest(entry(1, "a", 0.6), entry(2, "b", 0.5), entry(3, "c", 0.4), rules=RULES)
    rows = {one.run_id or "": row_of(one) for one in state.entries.values()}
    rng = np.random.default_rng(0)
    for run in rows:
        journal = RunFolder(path=tmp_path / run).journal(SetName.PUBLIC)
        journal.parent.mkdir(parents=True)
        write_journal(journal, ids, np.clip(0.5 + 0.3 * rng.normal(size=40), 0.05, 0.95))
    memory = Memory()

    def made(state: State, rows: dict[str, RunRow], memory: Memory, **more: Any) -> PublishedBoard:
        return publish(state, made_challenge(), ready, rows, tmp_path, memory=memory, **more)

    two = contest(entry(1, "a", 0.6), entry(2, "b", 0.5), rules=RULES)
    made(two, rows, memory)
    assert (memory.read, memory.worked_out) == (2, 1)
    three = made(state, rows, memory)
    assert (memory.read, memory.worked_out) == (3, 2)
    assert three.rows == made(state, rows, Memory()).rows
    assert made(replace(state, events=9), rows, memory).version == three.version
    assert (memory.read, memory.worked_out) == (3, 2)  # a hand-in changes no score
    regraded = rows | {"run2": replace(rows["run2"], result_sha256="other")}
    made(state, regraded, memory)
    assert (memory.read, memory.worked_out) == (4, 3)
    flipped = Correction(labels={SetName.PUBLIC: dict.fromkeys(ids[20:], True)})
    corrected = made(state, rows, memory, correction=flipped)
    assert [row.low for row in corrected.rows] != [row.low for row in three.rows]
    small = Memory(bytes_max=700)  # two runs of 40 videos
    made(state, rows, small)
    assert made(replace(state, rules=RULES), regraded, small).rows == three.rows
    assert small.read == 5  # the one that was regraded, and the one that did not fit


def test_answers_that_cannot_be_read_are_asked_for_again(tmp_path: Path) -> None:
    ids = tuple(f"{number:02}.mp4" for number in range(40))
    journal = RunFolder(path=tmp_path / "run1").journal(SetName.PUBLIC)
    journal.parent.mkdir(parents=True)
    journal.write_text("no journal\n", encoding="utf-8")
    state = contest(entry(1, "a", 0.6), rules=RULES)
    memory, rows = Memory(), {"run1": row_of(state.entries["e1"])}
    ready = ready_of(ids, np.arange(40) % 2 == 0)
    damaged = publish(state, made_challenge(), ready, rows, tmp_path, memory=memory)
    assert damaged.rows[0].low is None
    journal.unlink()
    write_journal(journal, ids, np.full(40, 0.4))
    restored = publish(state, made_challenge(), ready, rows, tmp_path, memory=memory)
    assert restored.rows[0].low is not None
