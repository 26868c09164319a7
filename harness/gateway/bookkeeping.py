"""What is written down while the run of one video set goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.core.text import outcomes_in_words
from harness.core.types import (
    Outcome,
    OutcomeKind,
    PreparedVideo,
    ResourceSample,
    SandboxFacts,
    Terms,
    Verdict,
)
from harness.core.usage import Usage, total
from harness.gateway.journal import Journal, Line
from harness.gateway.set_run import (
    LOG_CHARACTERS_MAX,
    Phase,
    SetProgress,
    SetRun,
    verdict_of,
    verdict_of_kind,
    worst,
)

SAMPLES_MAX = 2000


class Tally:
    """Adds up the facts of the containers that served one set, one after the other."""

    def __init__(self) -> None:
        self._usages: list[Usage] = []
        self.log_bytes = 0
        self.log_tail = ""
        self._samples: list[ResourceSample] = []

    def add(self, facts: SandboxFacts, *, started_seconds: float) -> None:
        """Add the final facts of one container.

        Args:
            facts: As the sandbox gave them.
            started_seconds: When it was started, since the start of the set's run.
        """
        self._usages.append(facts.usage)
        self.log_bytes += facts.log_bytes
        self.log_tail = (self.log_tail + facts.log_tail)[-LOG_CHARACTERS_MAX:]
        self._samples += [
            replace(sample, seconds=started_seconds + sample.seconds) for sample in facts.samples
        ]

    @property
    def usage(self) -> Usage:
        """What all containers used together."""
        return total(self._usages)

    @property
    def samples(self) -> tuple[ResourceSample, ...]:
        """The samples of all containers, thinned evenly to a bounded number."""
        step = -(-len(self._samples) // SAMPLES_MAX) or 1
        return tuple(self._samples[::step])


class SetRecord:
    """The outcomes so far, what an earlier harness did included, and what ended the run, if anything did.

    Args:
        journal: Takes each outcome before it counts.
        terms: Of this run.
        total: How many videos the set has.
        progress: Told about every step.
        keep_messages: Whether anything the package said is kept.

    Attributes:
        budget_seconds: What may be billed.
        billed_seconds: What was, by all harnesses that worked on this set.
        startup_seconds: Of the first container of this harness that became ready.
        ending: What ended the run before its last video.
        blemishes: What is wrong with the run but with no one video.
        message: Why there is no answer at all, in the package's own words.
        tally: The facts of this harness's containers.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        terms: Terms,
        total: int,
        progress: Callable[[SetProgress], None] | None,
        keep_messages: bool,
    ) -> None:
        self._journal = journal
        self._terms = terms
        self._limits = terms.limits
        self._restarts_allowed = terms.limits.restarts_for(total)
        self._total = total
        self._progress = progress
        self._keep_messages = keep_messages
        self._started = time.monotonic()
        self._news = [line.outcome for line in journal.lines]
        self._outcomes = {line.outcome.video_id: line.outcome for line in journal.lines}
        self._failures = sum(_failed(outcome) for outcome in self._outcomes.values())
        self._losses = [verdict_of_kind(line.outcome.kind) for line in journal.lines if line.container_lost]
        self._containers = max((line.outcome.attempt for line in journal.lines), default=0)
        self.budget_seconds = terms.limits.mean_video_seconds * total
        self.billed_seconds = sum(outcome.wall_seconds for outcome in self._outcomes.values())
        self.startup_seconds: float | None = None
        self.ending: Verdict | None = None
        self.blemishes: list[Verdict] = []
        self.message = ""
        self.tally = Tally()

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since this harness took up the set."""
        return time.monotonic() - self._started

    @property
    def budget_left_seconds(self) -> float:
        """Seconds that may still be billed."""
        return self.budget_seconds - self.billed_seconds

    @property
    def attempt(self) -> int:
        """The number of the container at work, counted from 1 over all harnesses that worked on this set."""
        return self._containers

    @property
    def restarts(self) -> int:
        """How many containers were lost to the package's own doing."""
        return len(self._losses)

    @property
    def has_outcomes(self) -> bool:
        """Whether any video has been asked for."""
        return bool(self._outcomes)

    def is_done(self, video: PreparedVideo) -> bool:
        """Tell whether a video has its outcome."""
        return video.video_id in self._outcomes

    def start_over(self) -> None:
        """Forget what an earlier harness did: for runs that are all or nothing.

        Raises:
            InfrastructureError: the disk refuses.
        """
        self._journal.restart()
        self._outcomes.clear()
        self._failures = 0
        self._news.clear()
        self._losses.clear()
        self.billed_seconds = 0.0

    def container_started(self) -> None:
        """Count a container."""
        self._containers += 1
        self.tell(Phase.STARTING)

    def container_lost(self, verdict: Verdict) -> None:
        """Count a container that has to be replaced; the one too many ends the run."""
        self._losses.append(verdict)
        self.end_if_exhausted()

    def end_if_exhausted(self) -> None:
        """End the run if the time budget or the replacements are used up."""
        if self.ending is not None:
            return
        if len(self._losses) > self._restarts_allowed:
            self.ending = worst(self._losses)
        elif self.budget_left_seconds <= 0:
            self.ending = Verdict.TIME_LIMIT

    def add(self, outcomes: Sequence[Outcome], *, container_lost: bool = False) -> None:
        """Write outcomes to the journal, then count them.

        Raises:
            InfrastructureError: the disk refuses.
        """
        if not self._keep_messages:
            outcomes = [replace(outcome, message="") for outcome in outcomes]
        self._journal.append([Line(outcome=outcome, container_lost=container_lost) for outcome in outcomes])
        for outcome in outcomes:
            self._outcomes[outcome.video_id] = outcome
            self._failures += _failed(outcome)
            self._news.append(outcome)
            self.billed_seconds += outcome.wall_seconds
            if container_lost:
                self.container_lost(verdict_of_kind(outcome.kind))
        self.tell(Phase.PREDICTING)

    def tell(self, phase: Phase) -> None:
        """Tell the observer how far the run is."""
        if self._progress is None:
            return
        self._progress(
            SetProgress(
                phase=phase,
                done=len(self._outcomes),
                total=self._total,
                failures=self._failures,
                restarts=self.restarts,
                elapsed_seconds=self.elapsed_seconds,
                billed_seconds=self.billed_seconds,
                budget_seconds=self.budget_seconds,
                news=tuple(self._news),
            )
        )
        self._news.clear()

    def result(self, videos: Sequence[PreparedVideo], *, isolation: str) -> SetRun:
        """Sum up. Videos without an outcome were not reached."""
        self.tell(Phase.FINISHED)
        attempt = max(1, self._containers)
        outcomes = tuple(
            self._outcomes.get(video.video_id)
            or Outcome(video_id=video.video_id, kind=OutcomeKind.NOT_REACHED, attempt=attempt)
            for video in videos
        )
        kinds = [outcome.kind for outcome in outcomes]
        tally = self.tally
        return SetRun(
            verdict=verdict_of(kinds, terms=self._terms, ending=self.ending, blemishes=self.blemishes),
            detail=self._detail(kinds),
            outcomes=outcomes,
            isolation=isolation,
            billed_seconds=self.billed_seconds,
            budget_seconds=self.budget_seconds,
            startup_seconds=self.startup_seconds,
            restarts=self.restarts,
            ending=self.ending,
            blemishes=tuple(self.blemishes),
            usage=tally.usage,
            samples=tally.samples,
            log_bytes=tally.log_bytes,
            log_tail=tally.log_tail if self._keep_messages else "",
            message=self.message if self._keep_messages else "",
        )

    def _detail(self, kinds: Sequence[OutcomeKind]) -> str:
        parts = [outcomes_in_words(kinds)]
        if self.ending is not None:
            parts.append(self._why_it_ended(self.ending))
        return "; ".join(parts)

    def _why_it_ended(self, ending: Verdict) -> str:
        if ending is Verdict.STARTUP_TIMEOUT:
            return f"not ready within {self._limits.startup_seconds:g} s"
        if self.startup_seconds is None and not self._outcomes:
            return "it never became ready"
        if len(self._losses) > self._restarts_allowed:
            return f"its container was lost {len(self._losses)} times, {self._restarts_allowed} are replaced"
        if ending is Verdict.TIME_LIMIT:
            return f"the time budget of {self.budget_seconds:g} s is used up"
        return "the command gave no table"


def _highest(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _sum(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def _failed(outcome: Outcome) -> bool:
    return outcome.kind is not OutcomeKind.PREDICTED
