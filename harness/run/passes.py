"""What to run, and the running of it: one package, set after set and pass after pass, resumable."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.core.challenge import Challenge
from harness.core.errors import InfrastructureError
from harness.core.files import write_text
from harness.core.limits import banner
from harness.core.types import Limits, Outcome, PreparedVideo, SetName, Verdict
from harness.gateway.run_package import run_package
from harness.gateway.set_run import SetProgress, SetRun, read_set_run, write_set_run
from harness.package.opened import Package
from harness.results.run_folder import RunFolder
from harness.results.seal import Key
from harness.sandbox import Backend
from harness.scoring.repeatability import Pass, Repeatability, Steadiness, ask_again, in_words
from harness.scoring.running import RunningScore
from harness.videos.labels import Labels

if TYPE_CHECKING:
    from harness.results.result import SetResult
    from harness.videos.prepare import PrepareProgress
    from harness.videos.ready_set import ReadySet

RETRY_AFTER_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a run should do."""

    package: Path
    challenge: Challenge
    runs: Path  # run folders are made here
    cache: Path  # prepared sets are kept here
    isolation: str  # the sandbox's own word for it, on record even if nothing was started
    order_seed: int | None = None  # None: drawn, and recorded
    fresh: bool = False  # do not resume
    workers: int | None = None
    signing_key: Key | None = None  # seals the result
    passes: int = 1  # over every set; only the first is scored, see `harness.scoring.repeatability`


class Observer(Protocol):
    """Watches how far a run is."""

    def step(self, text: str) -> None:
        """Hear that the next step has begun."""

    def say(self, text: str) -> None:
        """Something about the current step."""

    def warn(self, text: str) -> None:
        """Something that a person should not miss."""

    def preparing(self, name: SetName, progress: PrepareProgress) -> None:
        """Hear that a set is being prepared."""

    def running(self, name: SetName, progress: SetProgress) -> None:
        """Hear that a set is being run."""

    def judged(self, one: SetResult, run: SetRun, limits: Limits) -> None:
        """Hear the public set's score, before any other set is prepared."""


@dataclass(frozen=True, kw_only=True)
class _Todo:
    """One pass over one set, and where it is kept."""

    name: SetName
    videos: tuple[PreparedVideo, ...]
    order_seed: int
    folder: RunFolder
    labels: Labels | None = None  # of the public set, for its score while it runs


@dataclass(frozen=True, kw_only=True)
class Work:
    """The running of one package, set after set, each in its own containers."""

    asked: Evaluation
    chosen: Backend
    package: Package
    folder: RunFolder
    observer: Observer

    def run(self, ready: ReadySet) -> SetRun:
        """Run one set, or read what an earlier harness finished. Our own faults are tried once more."""
        todo = _Todo(
            name=ready.name,
            videos=ready.videos,
            order_seed=self.folder.seed(),
            folder=self.folder,
            labels=ready.labels if ready.name is SetName.PUBLIC else None,
        )
        return self._once(todo, f"the {ready.name} set")

    def repeat(self, ready: ReadySet, scored: SetRun) -> Repeatability | None:
        """Run one set again as often as requested, and compare; None if no repeats were requested."""
        if self.asked.passes < 2:
            return None

        def again(planned: Pass) -> tuple[Outcome, ...]:
            todo = _Todo(
                name=ready.name,
                videos=planned.videos,
                order_seed=planned.order_seed,
                folder=self.folder.repeat(planned.number),
            )
            return self._once(todo, f"the {ready.name} set, pass {planned.number}").outcomes

        found = ask_again(
            ready.name,
            ready.videos,
            scored.outcomes,
            seed=self.folder.seed(),
            passes=self.asked.passes,
            mode=self.package.manifest.mode,
            run=again,
        )
        if found.steadiness is not Steadiness.DETERMINISTIC:
            self.observer.warn(f"the {ready.name} set: {in_words(found)}")
        return found

    def _once(self, todo: _Todo, named: str) -> SetRun:
        place = todo.folder.set_run(todo.name)
        done = read_set_run(place, terms=self.asked.challenge.terms)
        if done is not None:
            self.observer.say(f"{named} was finished before")
            return done
        self.observer.step(f"Running {named}")
        self.observer.say(banner(self.asked.challenge.limits, videos=len(todo.videos)))
        try:
            run = self._attempt(todo)
        except InfrastructureError as error:
            self.observer.warn(
                f"{Verdict.HARNESS_ERROR}, tried once more in {RETRY_AFTER_SECONDS:g} s: {error}"
            )
            time.sleep(RETRY_AFTER_SECONDS)
            run = self._attempt(todo)
        write_set_run(run, place)
        if run.log_tail:
            write_text(todo.folder.log(todo.name), run.log_tail)
        return run

    def _attempt(self, todo: _Todo) -> SetRun:
        score = (
            None
            if todo.labels is None
            else RunningScore(todo.videos, todo.labels, self.asked.challenge.scoring)
        )

        def progress(now: SetProgress) -> None:
            scored = now if score is None else replace(now, log_loss=score.add(now.news))
            self.observer.running(todo.name, scored)

        return run_package(
            self.package,
            todo.videos,
            backend=self.chosen,
            terms=self.asked.challenge.terms,
            run_id=self.folder.run_id,
            order_seed=todo.order_seed,
            journal=todo.folder.journal(todo.name),
            keep_messages=todo.name is SetName.PUBLIC,
            progress=progress,
        )
