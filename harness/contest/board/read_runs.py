"""From run folders to the answers of all entries: who was entered, and what stands for each team."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.contest.board.answers import Absent, BoardEntry, BoardInput, VideoFacts
from harness.contest.regrade.corrections import UNCORRECTED, Correction, corrected_labels, frame_of
from harness.core.challenge import Challenge
from harness.core.errors import ConfigError, InfrastructureError, ResultError
from harness.core.types import PreparedVideo, SetName
from harness.gateway.journal import read_journal
from harness.results.columns import read_columns
from harness.results.leaderboard import Choice, ranked
from harness.results.result import read_result
from harness.results.run_folder import RunFolder
from harness.results.run_row import RunRow, entry_path, read_row
from harness.scoring.clusters import Bootstrap, Floats, Sampling, sampling_of
from harness.videos.labels import Label, Labels, read_labels
from harness.videos.ready_set import ReadySet


@dataclass(frozen=True, kw_only=True)
class Entered:
    """The runs that were entered for a challenge."""

    standing: tuple[RunRow, ...]  # one for each team, the best first
    absent: tuple[Absent, ...]  # teams without a score, each with its newest run
    unreadable: tuple[str, ...]  # folders that could not be read, each with why


def entered_runs(
    runs_root: Path,
    challenge: Challenge,
    *,
    by: SetName,
    choice: Choice,
    judged: Mapping[str, str] | None = None,
) -> Entered:
    """Find the runs that were entered, and what stands for each team.

    Args:
        runs_root: The folder of run folders.
        challenge: The runs of another are passed over.
        by: Public or private.
        choice: Which of a team's runs stands for it.
        judged: Of a contest: the runs that count and their teams, as `judged.judged_runs` finds them. None:
            those that `harness submit` entered.

    Raises:
        ConfigError: there is no such folder, or `by` is neither public nor private.
    """
    if by not in {SetName.PUBLIC, SetName.PRIVATE}:
        raise ConfigError(f"no board by the {by} set", remedy="By public or private.")
    if not runs_root.is_dir():
        raise ConfigError("is not a folder of runs", place=runs_root, remedy="Name it with --runs.")
    rows: list[RunRow] = []
    without: dict[str, Absent] = {}
    unreadable = []
    for folder in (RunFolder(path=path) for path in sorted(runs_root.iterdir())):
        if not entry_path(folder).is_file() if judged is None else folder.run_id not in judged:
            continue
        try:
            row = read_row(folder)
            if judged is not None:
                row = replace(row, team=judged[folder.run_id], submitted=row.submitted or row.created)
            if row.challenge_sha256 != challenge.sha256:
                continue
            loss = row.public_log_loss if by is SetName.PUBLIC else row.private_log_loss
            if row.eligible and loss is not None:
                rows.append(row)
            else:
                without[row.team or ""] = Absent(entry=_entry(row), reason=_reason(folder))
        except ResultError as error:
            unreadable.append(f"{folder.run_id}: {error.message}")
    best = ranked(rows, by=by, choice=choice, decimals=challenge.scoring.public_decimals)
    by_id = {row.run_id: row for row in rows}
    teams = {row.team for row in best}
    return Entered(
        standing=tuple(by_id[one.run_id] for one in best),
        absent=tuple(one for team, one in without.items() if team not in teams),
        unreadable=tuple(unreadable),
    )


Reading = Callable[[RunFolder, RunRow, SetName, Sequence[str]], "Answers | str"]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """One run's P(fake), video by video in the order of the prepared set; NaN if there is none."""

    probability: Floats


def answers_of(folder: RunFolder, name: SetName, video_ids: Sequence[str]) -> Answers | str:
    """Read a run's answers to a set: from its columns, which are a hundred times as fast as its journal.

    Returns:
        They, or why there are none.
    """
    try:
        return Answers(probability=read_columns(folder, name, video_ids).probability)
    except ResultError:  # not what columns are made of: a journal may still tell why, or hold a video twice
        return _from_journal(folder, name, video_ids)
    except InfrastructureError as error:
        return f"its outcomes cannot be read: {error.message}"


def board_input(
    challenge: Challenge,
    entered: Entered,
    ready: ReadySet,
    runs_root: Path,
    *,
    correction: Correction = UNCORRECTED,
    reading: Reading = lambda folder, _row, name, video_ids: answers_of(folder, name, video_ids),
    forecast: bool = True,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> BoardInput:
    """Read the answers of every standing entry to one set.

    Args:
        challenge: Says how a failed video scores, and what the private set holds.
        entered: The entries.
        ready: The set, as it was fed.
        runs_root: Where the run folders are.
        correction: Of the regrade that is in force.
        reading: Returns a run's answers, or why there are none.
        forecast: Ask how many clusters the private set has.
        told: Called after each run with how many are read, and of how many.

    Raises:
        ConfigError: not one entry has answers to these videos, or none of them counts.
    """
    ids = tuple(video.video_id for video in ready.videos)
    counted = frame_of(ready, correction).kept
    scoring = challenge.scoring
    constant = _or(correction.failed_probability, scoring.failed_probability)
    kept: list[tuple[BoardEntry, Floats, int]] = []
    absent = list(entered.absent)
    for number, row in enumerate(entered.standing, start=1):
        found = reading(RunFolder(path=runs_root / row.run_id), row, ready.name, ids)
        if isinstance(found, str):
            absent.append(Absent(entry=_entry(row), reason=found))
        else:
            answers = found.probability[counted]
            failed = np.isnan(answers)  # a video whose turn never came failed as well
            kept.append((_entry(row), np.where(failed, constant, answers), int(failed.sum())))
        told(number, len(entered.standing))
    if not kept:
        raise ConfigError(
            f"no entry of {challenge.name} has a score on the {ready.name} set",
            place=runs_root,
            remedy="Enter finished runs: `harness submit RUN --team NAME`.",
        )
    corrected = corrected_labels(ready, correction)
    videos = [video for video, counts in zip(ready.videos, counted, strict=True) if counts]
    labels = [corrected.of(video.source_id) for video in videos]
    private = None
    if forecast and ready.name is SetName.PUBLIC:
        private = read_labels(challenge.sets[SetName.PRIVATE].labels)
    return BoardInput(
        challenge=challenge.title or challenge.name,
        set_name=ready.name,
        entries=tuple(entry for entry, _, _ in kept),
        probability=np.column_stack([answers for _, answers, _ in kept]),
        failed=np.array([failed for _, _, failed in kept], dtype=np.int64),
        fake=np.array([label.fake for label in labels], dtype=np.bool_),
        sampling=_sampling(labels, [video.source_id for video in videos]),
        epsilon=_or(correction.epsilon, scoring.epsilon),
        facts=_facts(labels, videos),
        absent=tuple(absent),
        bootstrap=Bootstrap(samples=scoring.bootstrap_samples, seed=bootstrap_seed(challenge, ready.name)),
        decimals=scoring.public_decimals,
        private_clusters=None if private is None else _of_all(private).clusters,
    )


def bootstrap_seed(challenge: Challenge, name: SetName) -> int:
    """Return the seed of a set's replicates: of the challenge and the set, so that no rerun can choose it."""
    digest = hashlib.sha256(f"{challenge.sha256} {name}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _of_all(labels: Labels) -> Sampling:
    return _sampling([labels.of(name) for name in labels], None)


def _sampling(labels: Sequence[Label], videos: Sequence[str] | None) -> Sampling:
    return sampling_of(
        fake=[label.fake for label in labels],
        identities=[label.identity for label in labels],
        sources=[label.source for label in labels],
        videos=videos,
    )


def _facts(labels: Sequence[Label], videos: Sequence[PreparedVideo]) -> VideoFacts:
    return VideoFacts(
        perturbations=tuple({one.name: one.severity for one in video.perturbations} for video in videos),
        cells=tuple({"method": label.method, **dict(label.columns)} for label in labels),
        people=len({label.identity for label in labels} - {""}),
    )


def _or(corrected: float | None, plain: float) -> float:
    return plain if corrected is None else corrected


def _from_journal(folder: RunFolder, name: SetName, video_ids: Sequence[str]) -> Answers | str:
    place = {video: index for index, video in enumerate(video_ids)}
    answers = np.full(len(place), np.nan)
    try:
        _, lines = read_journal(folder.journal(name))
    except (ResultError, InfrastructureError) as error:
        return f"its outcomes cannot be read: {error.message}"
    for entry in lines:  # of a video that is there twice, the later line counts
        index = place.get(entry.outcome.video_id)
        if index is None:
            return f"its {name} outcomes are of other videos than the set prepared here"
        given = entry.outcome.probability
        answers[index] = np.nan if given is None else given
    return Answers(probability=answers)


def _reason(folder: RunFolder) -> str:
    return "; ".join(_reasons(folder))


def _reasons(folder: RunFolder) -> Iterator[str]:
    result = read_result(folder.result)
    yield from result.leaderboard.reasons
    if result.stopped_early:
        yield f"it was stopped early: {result.stopped_early}"
    for name, one in result.sets.items():
        if not one.score.scored:
            yield f"{name}: {one.score.reason}"


def _entry(row: RunRow) -> BoardEntry:
    return BoardEntry(
        team=row.team or "", run_id=row.run_id, package=row.package, submitted=row.submitted or ""
    )
