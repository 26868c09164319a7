"""Keeps the published boards up to date beside a driver: worked out here, where the labels are."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.contest.board.memory import Memory
from harness.contest.board.published import PublishedBoard, publish
from harness.contest.events import ContestPhase
from harness.contest.ledger import Ledger
from harness.contest.regrade.in_force import correction_in_force
from harness.contest.state import State
from harness.core.challenge import Challenge
from harness.core.errors import HarnessError, StoreAwayError
from harness.core.types import SetName
from harness.results.store import Store, board_rows, runs
from harness.results.store.board_rows import BoardRow
from harness.videos.ready_set import ReadySet

LOOK_SECONDS = 1.0
REST = 4.0  # times as long as the last board took, before the next one is begun
_BOARD = TypeAdapter(PublishedBoard)


class BoardKeeper(threading.Thread):
    """Works out a contest's boards when its events say that they may have changed.

    Args:
        store: The database.
        ledger: The contest's, for this thread alone.
        challenge: Its challenge.
        sets: With their labels.
        runs_root: Where run folders are.
        say: Is informed of what could not be worked out.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        challenge: Challenge,
        sets: tuple[ReadySet, ...],
        runs_root: Path,
        *,
        say: Callable[[str], None],
    ) -> None:
        super().__init__(name="boards", daemon=True)
        self._store, self._ledger, self._challenge = store, ledger, challenge
        self._sets = {ready.name: ready for ready in sets}
        self._memory = {ready.name: Memory() for ready in sets}
        self._runs_root, self._say = runs_root, say
        self._end = threading.Event()
        self._done = -1

    def run(self) -> None:
        """See `threading.Thread.run`."""
        rest, said = LOOK_SECONDS, ""
        while not self._end.wait(rest):
            began = time.monotonic()
            try:
                self.look()
                said = ""
            except StoreAwayError:
                pass  # the driver waits for it, and says so
            except HarnessError as error:
                if error.message != said:  # not at every look
                    self._say(f"the board could not be worked out: {error.message}")
                said = error.message
            rest = max(LOOK_SECONDS, REST * (time.monotonic() - began))

    def finish(self, *, seconds: float | None = None) -> None:
        """Work out once more what has changed, and end.

        Args:
            seconds: How long to wait for a look that is under way; one that takes longer is left alone.

        Raises:
            HarnessError: what has changed cannot be worked out or kept.
        """
        self._end.set()
        if self.is_alive():
            self.join(seconds)
        if not self.is_alive():
            self.look()

    def look(self) -> bool:
        """Work the boards out again if there are new events; returns whether it did.

        Raises:
            HarnessError: they cannot be worked out or kept.
        """
        state = self._ledger.state()
        if state.events == self._done or state.rules is None:
            return False
        public = self._publish(state, SetName.PUBLIC, None)
        if state.phase is ContestPhase.RELEASED:
            self._publish(state, SetName.PRIVATE, public)
        self._done = state.events
        return True

    def _publish(self, state: State, name: SetName, before: PublishedBoard | None) -> PublishedBoard | None:
        ready = self._sets.get(name)
        if ready is None:
            return None
        ids = tuple(one.run_id for one in state.entries.values() if one.run_id)
        with self._store.read() as connection:
            rows = {row.run_id: row for row in runs.all_runs(connection, run_ids=ids)}
        found = publish(
            state,
            self._challenge,
            ready,
            rows,
            self._runs_root,
            before=before,
            correction=correction_in_force(self._runs_root, state.regrades),
            memory=self._memory[name],
        )
        row = BoardRow(
            challenge=state.challenge,
            set_name=name.value,
            version=found.version,
            events=found.events,
            computed=found.computed,
            document=found.to_json(),
        )
        self._store.write(lambda connection: board_rows.put(connection, row))
        return found


def read_board(document: str) -> PublishedBoard:
    """Read a board as it was kept."""
    raw: dict[str, Any] = json.loads(document)
    return _BOARD.validate_python(raw)
