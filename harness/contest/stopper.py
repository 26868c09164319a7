"""Stops entries on the private set that can no longer reach a prize place, if the rules announced it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from pathlib import Path

from harness.contest.accepted_shard import AcceptedShard
from harness.contest.admission import AdmittedEntry, Prepared, shards
from harness.contest.conclusion import accepted_of
from harness.contest.early_stopping import Bound, bound_by, hopeless, seconds_saved
from harness.contest.private_score import PrivateScore
from harness.contest.shard_ledger import STOPPED
from harness.contest.sources import Source
from harness.core.contest import EarlyStopping, StopRule
from harness.core.files import write_text
from harness.core.types import SetName
from harness.results.result import Result
from harness.results.store.jobs import Job, JobState
from harness.scoring.scored import scored_videos

_JUDGED = (SetName.PUBLIC, SetName.PRIVATE)


@dataclass(kw_only=True)
class Stopper:
    """Knows the private score of every finished run.

    Attributes:
        common: What all entries have in common: labels, scoring rules.
        source: Says what was announced, and what other teams are judged by.
        saved_seconds: Of a place, by what was stopped so far.
    """

    common: Prepared
    source: Source
    saved_seconds: float = 0.0
    _scores: dict[str, PrivateScore] = field(default_factory=dict)

    @property
    def rule(self) -> EarlyStopping | None:
        """As announced by the contest's log, or without one by challenge.toml; None: nothing is stopped."""
        rules = self.source.rules() or self.common.challenge.contest
        return rules.early_stopping if rules else None

    def finished(self, entry: AdmittedEntry, result: Result) -> None:
        """Take note of a finished entry's private score, if both of its scores count."""
        counts = all(name in result.sets and result.sets[name].score.counts for name in _JUDGED)
        loss = result.sets[SetName.PRIVATE].score.log_loss if counts else None
        if loss is not None and result.isolation == self.common.isolation:
            self.scored(entry.run_id, PrivateScore(team=entry.waiting.team, log_loss=loss))

    def scored(self, run_id: str, score: PrivateScore) -> None:
        """Take note of a run's private score."""
        self._scores[run_id] = score

    def reason_to_stop(self, entry: AdmittedEntry, jobs: Sequence[Job]) -> str:
        """Say why an entry is to be stopped; empty if it is not. Looks only once its public set is done."""
        rule = self.rule
        if rule is None:
            return ""
        count = len(shards(self.common, entry).get(SetName.PRIVATE, ()))  # behind them may be the whole set
        private = [job for job in jobs if job.set_name == SetName.PRIVATE.value and job.shard < count]
        public = [job for job in jobs if job.set_name == SetName.PUBLIC.value]
        done = [job for job in private if job.state is JobState.DONE]
        if not done or len(done) == len(private):
            return ""
        if rule.rule is StopRule.SEQUENTIAL:
            done = first_ones(private)
        if any(job.state is not JobState.DONE for job in public):
            return ""
        bound = self._bound(rule, entry, done, looks=len(private))
        known = dict(self._scores)  # in one step: the concluder's thread writes into it
        rivals = self.source.rivals(entry.waiting, known)
        decimals = self.common.challenge.scoring.public_decimals
        if not hopeless(bound, rivals, prizes=rule.prizes, decimals=decimals):
            return ""
        accepted = [found for job in done if (found := AcceptedShard.of(job)) is not None]
        pace = sum(one.seconds for one in accepted) / max(1, sum(one.videos for one in accepted))
        saved = seconds_saved(bound, video_seconds=pace)
        self.saved_seconds += saved
        last = sorted(rivals)[rule.prizes - 1]
        why = (
            f"{STOPPED} by the {rule.rule} rule: after {bound.seen} of {bound.videos} private videos"
            f" its log loss is at least {bound.at_least:.4f}, and the last prize place has {last:.4f};"
            f" {saved / 3600:.3g} hours of a place saved"
        )
        told = f"after {bound.seen} of {bound.videos} private videos, by the {rule.rule} rule"
        document = asdict(bound) | {"rule": rule.model_dump(mode="json"), "why": why, "told": told}
        write_text(_place(entry), json.dumps(document, indent=1) + "\n")
        return why

    def stopped(self, entry: AdmittedEntry, jobs: Sequence[Job]) -> str:
        """Say for the record why an entry was stopped, without a score; empty if it was not.

        Args:
            entry: Which.
            jobs: Its jobs: if one was given up, or cancelled by somebody else, it was not stopped.
        """
        left = [job for job in jobs if job.state is not JobState.DONE]
        if not left or any(not (job.note or "").startswith(STOPPED) for job in left):
            return ""
        return str(json.loads(_place(entry).read_text(encoding="utf-8"))["told"])

    def _bound(self, rule: EarlyStopping, entry: AdmittedEntry, done: Sequence[Job], *, looks: int) -> Bound:
        ready = next(one for one in self.common.sets if one.name is SetName.PRIVATE)
        scoring = self.common.challenge.scoring
        outcomes = [one for job in done for one in accepted_of(entry.folder, job).run.outcomes]
        seen = {outcome.video_id for outcome in outcomes}
        scored = scored_videos(
            outcomes=outcomes,
            videos=[video for video in ready.videos if video.video_id in seen],
            labels=ready.labels,
            epsilon=scoring.epsilon,
            failed_probability=scoring.failed_probability,
        )
        return bound_by(
            rule,
            [one.log_loss for one in scored],
            videos=len(ready.videos),
            epsilon=scoring.epsilon,
            looks=looks,
        )


def first_ones(private: Sequence[Job]) -> list[Job]:
    """Return the shards that are done before the first one that is not.

    Which shards are in at a moment hangs on how long they take, and that may hang on what their videos are.
    The first ones by number are a drawn sample of the set whenever one looks.
    """
    in_order = sorted(private, key=lambda job: job.shard)
    return list(takewhile(lambda job: job.state is JobState.DONE, in_order))


def _place(entry: AdmittedEntry) -> Path:
    return entry.folder.path / "stopped_early.json"
