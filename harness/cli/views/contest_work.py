"""A contest as text: one line for each entry that finishes, and the table of all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from pydantic import TypeAdapter
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from harness.contest.admission import AdmittedEntry
from harness.contest.progress import ContestProgress, RunProgress, progress_of
from harness.contest.shard_job import ShardDone
from harness.contest.shard_ledger import BEAT_SECONDS, ShardLedger
from harness.contest.shards import ShardingEffect
from harness.core.limits import seconds_in_words
from harness.core.text import printable
from harness.core.types import SetName, Verdict
from harness.results.result import read_result
from harness.results.store.drivers import DriverRow, Wish
from harness.results.store.jobs import Job
from harness.sandbox.docker.owner import Owner

HEARD_SECONDS = 3 * BEAT_SECONDS  # a driver that was silent for longer has something in its way
RUNS_SHOWN = 50  # a contest of more lists only those that are not simply done
NARROW_COLUMNS = 100
WHY_CHARACTERS = 160  # of a refusal in a line; its result has all of it
AT_WORK = "a driver is at work"
_WISHED = {
    Wish.PAUSE: "paused: what runs is finished, nothing begins until `harness contest resume`",
    Wish.DRAIN: "drained: what runs is finished, and nothing begins until `harness contest resume`",
}
_AS_BEFORE = {
    Wish.RUN: "nothing has changed: it was neither paused nor drained",
    Wish.PAUSE: "it was paused before; `harness contest resume` goes on",
    Wish.DRAIN: "it was drained before; `harness contest resume` takes it back",
}
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
        self._known = 0  # entries that had their result before
        self._began = time.monotonic()
        self._due = 0.0
        self._last: ContestProgress | None = None

    def say(self, text: str) -> None:
        """Something that a person may want to know."""
        self._console.print(text, highlight=False)

    def warn(self, text: str) -> None:
        """Something that a person should not miss."""
        self._console.print(Text.assemble(("warning:", "yellow"), f" {text}"))

    def accepted(self, job: Job, done: ShardDone) -> None:
        """Say once of a run what disturbed it; the worst of each set is in its folder's disturbance.json."""
        words = done.disturbance.in_words()
        if words and job.run_id not in self._disturbed:
            self._disturbed.add(job.run_id)
            self.warn(f"{job.run_id}, {job.set_name} shard {job.shard}: {words}")

    def known(self, entry: AdmittedEntry) -> None:
        """Count what was done before: it was said then."""
        self._refused += bool(entry.why_not)
        self._known += 1

    def finished(self, entry: AdmittedEntry) -> None:
        """One line for an entry."""
        self._refused += bool(entry.why_not)
        if self._known:
            self.say(f"{self._known} entries had their result before")
            self._known = 0
        progress = self._progress()
        total = len(progress.runs) + self._refused + progress.unseen
        self.say(
            f"{printable(f'{entry.waiting.team}/{entry.waiting.name}')}: {self._outcome(entry)} · "
            f"{progress.over + self._refused} of {total} entries · "
            f"{_left(progress)} · {_cost(progress, self._price)}"
        )

    def ended(self, left: ContestProgress, *, unfinished: int, no_entries: int = 0) -> None:
        """One line for the whole: how many runs came to what, and what never was a run."""
        parts = [f"{left.count('done')} runs done, {left.count('failed')} given up"]
        parts.append(f"{left.count('cancelled')} cancelled")
        if stopped := left.count("stopped"):
            parts.append(f"{stopped} stopped early")
        if self._refused:
            parts.append(f"{self._refused} refused before a run")
        if disturbed := sum(bool(run.disturbed) for run in left.runs):
            parts.append(f"{disturbed} disturbed: see `harness contest status`")
        if no_entries:
            parts.append(f"{no_entries} things in the folder that are no entries")
        self.say(", ".join(parts) + (f"; {unfinished} entries still wait" if unfinished else ""))
        took = seconds_in_words(time.monotonic() - self._began)
        self.say(f"{took} since the first shard could begin; {_cost(left, self._price)}")

    def _outcome(self, entry: AdmittedEntry) -> str:
        if entry.why_not:
            return f"{Verdict.INVALID_PACKAGE}: {printable(entry.why_not, cap=WHY_CHARACTERS)}"
        if entry.folder.result.is_file():
            return _scored(entry)
        (run,) = progress_of(self._ledger.of_run(entry.run_id), places=self._places).runs
        return f"no result: {run.state}" + (
            f" ({printable(run.note, cap=WHY_CHARACTERS)})" if run.note else ""
        )

    def _progress(self) -> ContestProgress:
        """Sum up the contest; of a large one not at every entry, so that nobody waits for it."""
        began = time.monotonic()
        if self._last is None or began >= self._due:
            self._last = so_far(self._ledger, places=self._places, unseen=self._ledger.unseen)
            ended = time.monotonic()
            self._due = ended + (ended - began) * REST_SHARE
        return self._last


def so_far(ledger: ShardLedger, *, places: int, unseen: int = 0) -> ContestProgress:
    """Sum up a contest as it is at this moment."""
    return progress_of(ledger.listed(), places=places, unseen=unseen, now=datetime.now(UTC))


def status_lines(
    progress: ContestProgress, driver: DriverRow | None, price_per_hour: float, *, width: int, every: bool
) -> Iterator[Table | str]:
    """Return a contest for people: runs that are not simply done, and at the end how far it is.

    Args:
        progress: How far it is.
        driver: Who drives it.
        price_per_hour: Of one place.
        width: Columns of the terminal; in a narrow one each run has fewer.
        every: Whether runs that are done are listed in a large contest, too.
    """
    plain = [run for run in progress.runs if run.state == "done" and not run.disturbed]
    hidden = () if every or len(progress.runs) <= RUNS_SHOWN else plain
    if len(hidden) < len(progress.runs):
        yield _table(
            [run for run in progress.runs if run not in hidden],
            narrow=width < NARROW_COLUMNS,
            alive=works(driver),
        )
    if hidden:
        yield f"{len(hidden)} runs that are done are not listed: --all lists them"
    counts = Counter(run.state for run in progress.runs)
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    unseen = f", {progress.unseen} entries not opened yet" if progress.unseen else ""
    yield f"{len(progress.runs)} runs: {states or 'none'}{unseen}"
    wish = driver.wish.value if driver is not None else "run"
    words = driver_in_words(driver, now=datetime.now(UTC))
    yield f"{words}, wish: {wish} · {_left(progress)} · {_cost(progress, price_per_hour)}"


def _table(runs: Sequence[RunProgress], *, narrow: bool, alive: bool) -> Table:
    """Return runs as a table; a narrow one leaves out what `--json` has."""
    table = Table()
    table.add_column("run", overflow="fold")
    for heading in (
        ("state", "shards") if narrow else ("team", "entry", "state", "shards", "time", "attempts")
    ):
        justify: JustifyMethod = "right" if heading in {"shards", "time", "attempts"} else "left"
        table.add_column(heading, justify=justify, overflow="fold")
    table.add_column("", overflow="fold")
    for run in runs:
        note = Text("; ".join(printable(part) for part in (run.note, run.disturbed) if part))
        shards = f"{run.shards_done}/{run.shards}"
        state = run.state if run.state != "running" or alive else "interrupted"
        if narrow:
            table.add_row(Text(run.run_id), state, shards, note)
            continue
        names = (Text(printable(run.team)), Text(printable(run.entry)))
        time_ = seconds_in_words(run.seconds)
        table.add_row(Text(run.run_id), *names, state, shards, time_, str(run.attempts), note)
    return table


def wish_in_words(before: DriverRow | None, now: DriverRow, *, moment: datetime) -> str:
    """Say what the organiser's wish comes to, and whether there is a driver to follow it."""
    was = before.wish if before is not None else Wish.RUN
    if was is now.wish:
        said = _AS_BEFORE[was]
    elif now.wish is Wish.RUN:
        said = "resumed"
    else:
        said = _WISHED[now.wish]
    driver = driver_in_words(now, now=moment)
    if driver == AT_WORK:
        return f"{said}; the driver follows within seconds"
    return f"{said}; {driver}" + ("" if now.wish is Wish.RUN else ", and the next one holds to it")


def works(driver: DriverRow | None) -> bool:
    """Tell whether a driver may be at work: nobody knows that it is dead."""
    owner = Owner.parse(driver.driver) if driver is not None and driver.driver else None
    return driver is not None and driver.driver is not None and (owner is None or not owner.is_dead())


def driver_in_words(driver: DriverRow | None, *, now: datetime) -> str:
    """Say whether a driver is at work; one that was killed is still written down."""
    if driver is None or driver.driver is None:
        return "no driver is at work"
    if not works(driver):
        return "the driver has died: `contest run` goes on from here"
    silent = (now - datetime.fromisoformat(driver.heartbeat)).total_seconds() if driver.heartbeat else 0.0
    if silent > HEARD_SECONDS:
        return f"the driver was last heard of {seconds_in_words(silent)} ago"
    return AT_WORK


def _scored(entry: AdmittedEntry) -> str:
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
    if not progress.runs and progress.unseen == 0:
        return "no run yet"
    if progress.shards_left == 0 and progress.unseen == 0:
        return "nothing left"
    if progress.left_seconds is None:
        unseen = f" and {progress.unseen} entries" if progress.unseen else ""
        return f"{progress.shards_left} shards{unseen} left"
    return f"about {seconds_in_words(_two_digits(progress.left_seconds))} left"


def _two_digits(value: float) -> float:
    """Round to what an estimate can mean."""
    return float(f"{value:.2g}")


def _cost(progress: ContestProgress, price_per_hour: float) -> str:
    spent = f", {progress.cost(price_per_hour):.2f} spent" if price_per_hour else ""
    stopped = progress.count("stopped")
    saved = f", {seconds_in_words(progress.saved_seconds)} saved by stopping {stopped} early"
    return f"{seconds_in_words(progress.worker_seconds)} of a place{spent}" + (saved if stopped else "")
