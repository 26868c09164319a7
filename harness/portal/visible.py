"""What a team may see: the one place that decides it. Pages and API show these values and nothing else.

* Scores are the shown ones. In a blind phase there is none; under the Ladder neither interval nor AUC.
* The ledger's verdict is the worst of both sets; a team gets that of the public set, and of the private
  one a single bit. A private score is there only after release.
* Of the private set's run there is no count and no time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from harness.contest.accepted_shard import AcceptedShard
from harness.contest.board.published import PublishedBoard
from harness.contest.events import ContestPhase
from harness.contest.queue import Queued, label_of
from harness.contest.rules.phases import phase_at
from harness.contest.state import Entry, EntryStatus, State
from harness.core.contest import ShownRule
from harness.core.errors import ResultError
from harness.core.types import SetName, Verdict
from harness.portal.schemas import EntryAnswer, PartAnswer, ProgressAnswer, QueueAnswer, ScoreAnswer
from harness.report.contestant import AUC_DECIMALS
from harness.report.words import VERDICT_WORDS
from harness.results.result import SetResult, read_result
from harness.results.run_folder import RunFolder
from harness.results.run_row import RunRow
from harness.results.store.jobs import Job, JobState

OVER = frozenset({EntryStatus.SCORED, EntryStatus.FAILED})
PRIVATE_FAILED = (
    "It ran well on the public set; its run on the private set does not count. Why is not said, so that "
    "nobody can learn about its videos from it."
)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What an entry's answer is made of. Only this module reads it."""

    state: State
    now: datetime
    queue: Mapping[str, Queued]
    jobs: Mapping[str, Sequence[Job]]  # by label
    rows: Mapping[str, RunRow]  # by run
    board: PublishedBoard | None
    finals: frozenset[str]
    runs: Path
    private_set: bool = True  # whether the challenge has one

    @property
    def released(self) -> bool:
        """Whether private scores are shown."""
        return phase_at(self.state, self.now) is ContestPhase.RELEASED


def entry_answer(seen: Seen, one: Entry, *, closely: bool = False) -> EntryAnswer:
    """Return one entry as its own team may see it.

    Args:
        seen: Of the contest.
        one: The entry.
        closely: Read its result, too, for the interval.
    """
    row = seen.rows.get(one.run_id or "")
    over = one.status in OVER
    public = None if row is None or not over else row.public_verdict
    stopped = seen.private_set and was_stopped_early(one, row)
    return EntryAnswer(
        entry=one.entry,
        number=1 + seen.state.teams[one.team].entries.index(one.entry),
        submitted=one.submitted.isoformat(timespec="seconds"),
        status=one.status.value,
        attempt=one.attempt,
        package_name=row.package if row is not None and over else None,
        package_sha256=one.package_sha256,
        queue=_queue(seen.queue.get(one.entry)),
        progress=_progress(seen, one),
        verdict=public,
        words=_words(one, public),
        private_valid=None
        if stopped or not seen.private_set or not over or public != Verdict.OK
        else one.status is EntryStatus.SCORED,
        stopped_early=stopped,
        score=_score(seen, one, closely=closely),
        private_score=_private(seen, row),
        hidden=_hidden(one),
        final=one.entry in seen.finals,
        disqualified=one.disqualified,
        logs=log_path(seen.runs, one) is not None,
        parts=_parts(seen, one) if closely else [],
    )


def was_stopped_early(one: Entry, row: RunRow | None) -> bool:
    """Tell whether an entry has a score and its run never came to the end of the challenge's private set.

    By its run, and not by the rules of this moment: they may have been amended since.
    """
    return one.status is EntryStatus.SCORED and row is not None and row.private_verdict is None


def log_path(runs: Path, one: Entry) -> Path | None:
    """Return the log of an entry's run on the public set, if there is one; of no other set."""
    if one.run_id is None or one.status not in OVER:
        return None
    found = RunFolder(path=runs / one.run_id).log(SetName.PUBLIC)
    return found if found.is_file() else None


def report_path(state: State, runs: Path, one: Entry) -> Path | None:
    """Return the contestant's page of an entry's run; None if it would say more than the rules show."""
    rules = state.rules
    open_ = rules is not None and rules.public_scores.rule is ShownRule.ROUNDED
    if one.run_id is None or one.status not in OVER or one.phase is ContestPhase.BLIND or not open_:
        return None
    found = RunFolder(path=runs / one.run_id).contestant_report
    return found if found.is_file() else None


def _queue(found: Queued | None) -> QueueAnswer | None:
    if found is None:
        return None
    return QueueAnswer(
        place=found.place,
        of=found.of,
        seconds=None if found.seconds is None else round(found.seconds),
        error_seconds=None if found.error_seconds is None else round(found.error_seconds),
    )


def _progress(seen: Seen, one: Entry) -> ProgressAnswer | None:
    if one.status is not EntryStatus.RUNNING:
        return None
    jobs = seen.jobs.get(label_of(one), ())
    public = [job for job in jobs if job.set_name == SetName.PUBLIC.value]
    rest = [job.state for job in jobs if job.set_name != SetName.PUBLIC.value]
    known = [job.videos for job in public if job.videos is not None]
    if set(rest) <= {JobState.WAITING}:
        private = "waiting"
    else:
        private = "done" if set(rest) == {JobState.DONE} else "running"
    return ProgressAnswer.model_validate(
        {
            "public_done": sum(_videos(job) for job in public),
            "public_total": sum(known) if known and len(known) == len(public) else None,
            "private": private,
        }
    )


def _videos(job: Job) -> int:
    accepted = AcceptedShard.of(job)
    return accepted.videos if accepted is not None else job.videos_done or 0


def _words(one: Entry, public: str | None) -> str:
    if one.status is EntryStatus.WAITING:
        return "It waits for its turn."
    if one.status is EntryStatus.RUNNING:
        return "It runs."
    if one.status is EntryStatus.VOIDED:
        return "Our own fault kept it from a score. It cost nothing, and can be run again."
    if one.status is EntryStatus.CANCELLED:
        return "It was cancelled. It cost nothing."
    if one.status is EntryStatus.FAILED and public == Verdict.OK:
        return PRIVATE_FAILED
    return VERDICT_WORDS.get(Verdict(public), "") if public else ""


def _score(seen: Seen, one: Entry, *, closely: bool) -> ScoreAnswer | None:
    if one.shown is None or one.status is not EntryStatus.SCORED:
        return None
    rules = seen.state.rules
    exact = rules is not None and rules.public_scores.rule is ShownRule.ROUNDED
    line = next(
        (row for row in (seen.board.rows if seen.board else ()) if row.entry == one.entry and exact), None
    )
    low, high = (line.low, line.high) if line is not None else (None, None)
    auc = None
    if closely and exact:
        low, high, auc = _from_result(seen, one)
    return ScoreAnswer(
        shown=one.shown,
        low=low,
        high=high,
        auc=auc,
        group=line.group if line else None,
        place=line.place if line else None,
    )


def _parts(seen: Seen, one: Entry) -> list[PartAnswer]:
    """Return an entry's scores by perturbation, if it is the one that stands for its team on the board."""
    board = seen.board
    places = [row.entry for row in board.rows] if board else []
    if board is None or one.shown is None or one.entry not in places:
        return []
    place = places.index(one.entry)
    return [
        PartAnswer(name=part.name, videos=part.videos, log_loss=part.scores[place])
        for part in board.parts
        if place < len(part.scores)
    ]


def _from_result(seen: Seen, one: Entry) -> tuple[float | None, float | None, float | None]:
    """Read the public set's interval and AUC, rounded like everything that is shown."""
    found = _public_result(seen.runs, one)
    if found is None:
        return None, None, None
    decimals = seen.state.public_decimals
    loss, auc = found.score.metrics.get("log_loss"), found.score.metrics.get("roc_auc")
    interval = loss.interval if loss else None
    return (
        round(interval.low, decimals) if interval else None,
        round(interval.high, decimals) if interval else None,
        round(auc.value, min(decimals, AUC_DECIMALS)) if auc and auc.value is not None else None,
    )


def _public_result(runs: Path, one: Entry) -> SetResult | None:
    try:
        return read_result(RunFolder(path=runs / (one.run_id or "")).current.result).sets.get(SetName.PUBLIC)
    except ResultError:
        return None


def _private(seen: Seen, row: RunRow | None) -> float | None:
    if not seen.released or row is None or row.private_log_loss is None:
        return None
    return round(row.private_log_loss, seen.state.public_decimals)


def _hidden(one: Entry) -> str | None:
    if one.status is EntryStatus.SCORED and one.shown is None:
        return "It has a score, which is hidden: it was handed in during the blind phase."
    return None
