"""Does the regrades that an organiser asked for on a page, beside a driver: here are the labels.

A page asks and decides; nothing changes before it was seen. Killed at any moment, it does the same again:
until a regrade's record is written nothing holds, and from then on the contest's log is told until it knows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.contest.ledger import Ledger
from harness.contest.regrade.asked import correction_asked, read_asked, to_plain
from harness.contest.regrade.corrections import Correction, frame_of, unknown_dropped
from harness.contest.regrade.in_force import catch_up, correction_in_force, correction_of, recorded
from harness.contest.regrade.register import register
from harness.contest.regrade.regrade import RegradePlan, regrade_runs
from harness.contest.regrade.what_moves import Law, Preview, moves_of, read_preview
from harness.contest.rules import Actor, Refusal, Role
from harness.core.challenge import Challenge
from harness.core.errors import ConfigError, HarnessError, InfrastructureError, StoreAwayError
from harness.results.run_folder import RunFolder, regrade_record
from harness.results.seal import Key
from harness.results.store import Store, regrade_rows, runs
from harness.results.store.jobs import moment_text
from harness.results.store.regrade_rows import OPEN, RegradeRow, RegradeState
from harness.videos.ready_set import ReadySet

LOOK_SECONDS = 1.0
LEFT_OUT_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a regrader works with."""

    store: Store
    challenge: Challenge
    toml: Path
    sets: tuple[ReadySet, ...]
    runs: Path
    key: Key | None = None
    workers: int | None = 1  # processes: shards run beside it, and are measured


class Regrader(threading.Thread):
    """Looks for regrades that were asked for, and does them one after the other.

    Args:
        place: What it works with.
        say: Is informed of what could not be done.
    """

    def __init__(self, place: Place, *, say: Callable[[str], None]) -> None:
        super().__init__(name="regrades", daemon=True)
        self._place, self._say = place, say
        self._ledger = Ledger(place.store, place.challenge.name)
        self._end = threading.Event()
        self._recording = threading.Lock()  # while a regrade is made, no other result is recorded

    def run(self) -> None:
        """See `threading.Thread.run`."""
        said = ""
        while not self._end.wait(LOOK_SECONDS):
            try:
                self.look()
                said = ""
            except StoreAwayError:
                pass  # the driver waits for it, and says so
            except HarnessError as error:
                if error.message != said:  # not at every look
                    self._say(f"regrades wait: {error.message}")
                said = error.message

    def finish(self, *, seconds: float | None = None) -> None:
        """End, once what is at work is done; or after so many seconds without that."""
        self._end.set()
        if self.is_alive():
            self.join(seconds)

    def look(self) -> int:
        """Do what was requested, and return how much that was.

        Raises:
            HarnessError: our own fault; it is tried again.
        """
        with self._place.store.read() as connection:
            rows = regrade_rows.listed(connection, self._place.challenge.name, states=OPEN)
        for row in sorted(rows, key=lambda one: one.changed):  # who decided first comes first
            try:
                if row.state is RegradeState.ASKED:
                    self._preview(row)
                else:
                    self._apply(row)
            except InfrastructureError:
                raise
            except HarnessError as error:
                words = f"{error.message} {error.remedy}".strip()
                self._move(row, RegradeState.FAILED, note=words, preview="")
        return len(rows)

    @contextmanager
    def about_to_record(self, folder: RunFolder) -> Iterator[None]:
        """Score a run that has just ended by the regrade in force, and let none be made until it is recorded.

        Raises:
            HarnessError: the regrade's record cannot be read, or the disk refuses.
        """
        place = self._place
        with self._recording:
            why = catch_up(
                folder,
                place.runs,
                self._ledger.state().regrades,
                challenge=place.challenge.name,
                sets=place.sets,
                key=place.key,
            )
            if why:
                self._say(f"the regrade in force does not count for a run: {why}")
            yield

    def _preview(self, row: RegradeRow) -> None:
        place, state = self._place, self._ledger.state()
        in_force = correction_in_force(place.runs, state.regrades)
        wanted = correction_asked(read_asked(row.document), place.challenge, place.toml, in_force)
        plan = self._plan(row, wanted, write=False)
        found = regrade_runs(place.runs, plan, workers=place.workers)
        ids = tuple(one.run_id for one in state.entries.values() if one.run_id)
        with place.store.read() as connection:
            rows = {one.run_id: one for one in runs.all_runs(connection, run_ids=ids)}
        law = Law(
            challenge=place.challenge, sets=place.sets, runs_root=place.runs, in_force=in_force, wanted=wanted
        )
        moved = moves_of(state, law, rows, found, reason=row.reason, now=datetime.now(UTC))
        if isinstance(moved, Refusal):
            raise ConfigError(moved.in_words(), remedy="; ".join(found.left_out[:3]))
        preview = Preview(
            runs=len(found.runs),
            events=state.events,
            regrades=state.regrades,
            left_out=found.left_out[:LEFT_OUT_SHOWN],
            sets=moved,
            correction=to_plain(wanted),
        )
        self._move(row, RegradeState.PREVIEWED, preview=preview.to_json())

    def _apply(self, row: RegradeRow) -> None:
        preview = read_preview(row.preview)
        with self._recording:
            if row.regrade not in self._ledger.state().regrades:
                self._make(row, preview)
        shown = replace(preview, correction={})  # labels are in the regrade's record, and nowhere else
        self._move(row, RegradeState.APPLIED, preview=shown.to_json())

    def _make(self, row: RegradeRow, preview: Preview) -> None:
        place = self._place
        if self._ledger.state().regrades != preview.regrades:
            raise ConfigError("another regrade was made since it was seen", remedy="Ask for it again.")
        if regrade_record(place.runs, row.regrade).is_file():
            found = recorded(place.runs, row.regrade)  # it was killed before the contest's log was told
        else:
            plan = self._plan(row, correction_of(preview.correction), write=True)
            found = regrade_runs(place.runs, plan, workers=place.workers)
        answer = register(
            place.store,
            place.challenge.name,
            place.runs,
            found,
            reason=row.reason,
            now=datetime.now(UTC),
            by=Actor(role=Role.ORGANISER, name=row.by),
        )
        if isinstance(answer, Refusal):
            raise ConfigError(answer.in_words(), remedy="; ".join(found.left_out[:3]))

    def _plan(self, row: RegradeRow, correction: Correction, *, write: bool) -> RegradePlan:
        frames = {ready.name: frame_of(ready, correction) for ready in self._place.sets}
        unknown = unknown_dropped(correction, frames.values())
        if unknown:
            raise ConfigError(f"no set has {', '.join(unknown[:10])}", remedy="Correct the list.")
        return RegradePlan(
            regrade=row.regrade,
            reason=row.reason,
            challenge=self._place.challenge.name,
            frames=frames,
            correction=correction,
            write=write,
            key=self._place.key,
        )

    def _move(self, row: RegradeRow, to: RegradeState, **changed: str) -> None:
        now = moment_text(datetime.now(UTC))
        self._place.store.write(lambda connection: regrade_rows.move(connection, row, to, now=now, **changed))
