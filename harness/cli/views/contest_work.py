"""A contest as text: one line for each entry that finishes, and the table of all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import TypeAdapter
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from harness.contest.admission import AdmittedEntry
from harness.contest.progress import HOUR_SECONDS, ContestProgress, progress_of
from harness.contest.shard_job import ShardDone
from harness.contest.shard_ledger import BEAT_SECONDS, ShardLedger
from harness.contest.shards import ShardingEffect
from harness.core.limits import seconds_in_words
from harness.core.types import SetName
from harness.results.result import read_result
from harness.results.store.drivers import DriverRow
from harness.results.store.jobs import Job
from harness.sandbox.docker.owner import Owner

HEARD_SECONDS = 3 * BEAT_SECONDS  # a driver that was silent for longer has something in its way
REST_SHARE = 20.0  # summing up a contest takes a twentieth of a thread at most


class Lines:
    """Prints one line for each entry that finishes, with what is left and what it cost so far."""

    def __init__(self, console: Console, ledger: ShardLedger, *, places: int, price_per_hour: float) -> None:
        self._console = console
        self._ledger = ledger
        self._places = places
        self._price = price_per_hour
        self._disturbed: set[str] = set()  # runs of which it was said
        self._refused = 0
        self._due = 0.0
        self._last: ContestProgress | None = None

    def say(self, text: str) -> None:
        """Something that a person may want to know."""
        self._console.print(text, highlight=False)

    def warn(self, text: str) -> None:
        """Something that a person should not miss."""
        self._console.print(Text.assemble(("warning:", "yellow"), f" {text}"))

    def accepted(self, job: Job, done: ShardDone) -> None:
        """Count a shard, and say once what disturbed its run; `contest status` has the worst of each."""
        words = done.disturbance.in_words()
        if words and job.run_id not in self._disturbed:
            self._disturbed.add(job.run_id)
            self.warn(f"{job.run_id}, {job.set_name} shard {job.shard}: {words}")

    def finished(self, entry: AdmittedEntry) -> None:
        """One line for an entry."""
        self._refused += bool(entry.why_not)
        progress = self._progress()
        over = sum(run.state in {"done", "stopped", "failed", "cancelled"} for run in progress.runs)
        self.say(
            f"{entry.waiting.team}/{entry.waiting.name}: {_outcome(entry)} · {over} of "
            f"{len(progress.runs)} runs · {_left(progress)} · {_cost(progress, self._price)}"
        )

    def ended(self, left: ContestProgress, *, unfinished: int) -> None:
        """One line for the whole: how many runs came to what, and what never was a run."""
        parts = [f"{left.count('done')} runs done, {left.count('failed')} given up"]
        parts.append(f"{left.count('cancelled')} cancelled")
        if self._refused:
            parts.append(f"{self._refused} refused before a run: see the lines above")
        self.say(", ".join(parts) + (f"; {unfinished} entries still wait" if unfinished else ""))

    def _progress(self) -> ContestProgress:
        """Sum up the contest; of a large one not at every entry, so that nobody waits for it."""
        began = time.monotonic()
        if self._last is None or began >= self._due:
            self._last = progress_of(self._ledger.listed(), places=self._places)
            ended = time.monotonic()
            self._due = ended + (ended - began) * REST_SHARE
        return self._last


def status_table(progress: ContestProgress, driver: DriverRow | None, price_per_hour: float) -> Table:
    """Return a contest as a table for people."""
    wish = driver.wish.value if driver is not None else "run"
    title = f"{driver_in_words(driver, now=datetime.now(UTC))}, wish: {wish} · {_left(progress)} · "
    table = Table(title=title + _cost(progress, price_per_hour), title_justify="left")
    for heading in ("run", "team", "entry", "state", "shards", "time", "attempts", ""):
        justify: JustifyMethod = "right" if heading in {"shards", "time", "attempts"} else "left"
        table.add_column(heading, justify=justify, no_wrap=heading == "run", overflow="fold")
    for run in progress.runs:
        table.add_row(
            Text(run.run_id),
            Text(run.team),
            Text(run.entry),
            run.state,
            f"{run.shards_done}/{run.shards}",
            seconds_in_words(run.seconds),
            str(run.attempts),
            Text("; ".join(part for part in (run.note, run.disturbed) if part)),
        )
    return table


def driver_in_words(driver: DriverRow | None, *, now: datetime) -> str:
    """Say whether a driver is at work; one that was killed is still written down."""
    if driver is None or driver.driver is None:
        return "no driver is at work"
    owner = Owner.parse(driver.driver)
    if owner is not None and owner.is_dead():
        return "the driver has died: `contest run` goes on from here"
    silent = (now - datetime.fromisoformat(driver.heartbeat)).total_seconds() if driver.heartbeat else 0.0
    if silent > HEARD_SECONDS:
        return f"the driver was last heard of {seconds_in_words(silent)} ago"
    return "a driver is at work"


def _outcome(entry: AdmittedEntry) -> str:
    if not entry.folder.result.is_file():
        return "no result: given up or cancelled"
    result = read_result(entry.folder.result)
    public = result.sets[SetName.PUBLIC]
    loss = public.score.log_loss
    score = "" if loss is None else f", public log loss {loss:.4f}"
    return f"{public.verdict}{score}" + "".join(f"; {text}" for text in _sharding(entry))


def _sharding(entry: AdmittedEntry) -> Iterator[str]:
    """Say of each set that was also run whole whether its shards changed an answer."""
    for name in SetName:
        place = entry.folder.sharding(name)
        if place.is_file():
            effect = TypeAdapter(ShardingEffect).validate_json(place.read_bytes())
            yield f"{name}: {effect.in_words()}"


def _left(progress: ContestProgress) -> str:
    if progress.left_seconds is None:
        return f"{progress.shards_left} shards left"
    if progress.shards_left == 0:
        return "nothing left"
    return f"about {seconds_in_words(progress.left_seconds)} left"


def _cost(progress: ContestProgress, price_per_hour: float) -> str:
    hours = progress.worker_seconds / HOUR_SECONDS
    spent = f", {progress.cost(price_per_hour):.2f} spent" if price_per_hour else ""
    stopped = progress.count("stopped")
    saved = f", {progress.saved_seconds / HOUR_SECONDS:.3g} saved by stopping {stopped} early"
    return f"{hours:.3g} hours of a place{spent}" + (saved if stopped else "")
