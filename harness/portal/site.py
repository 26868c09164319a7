"""What every request works with: the database, contests by name, their challenges, the clock.

Nothing that matters is kept here: a second portal beside this one answers the same. What is kept is folded
from events and can be folded again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.contest.board.keeper import read_board
from harness.contest.board.published import PublishedBoard
from harness.contest.ledger import Accepted, Also, Ledger
from harness.contest.progress import by_run
from harness.contest.queue import Queued, queue_of
from harness.contest.rules import Actor, Command, Refusal
from harness.contest.state import State
from harness.core.challenge import Challenge, load_challenge
from harness.core.errors import ConfigError
from harness.core.text import safe_text
from harness.portal.config import PortalConfig
from harness.portal.problems import not_found, refused
from harness.results.store import Store, event_log, jobs
from harness.results.store.board_rows import BoardRow
from harness.results.store.event_log import ContestRow
from harness.results.store.jobs import Job

FRESH_SECONDS = 0.5
ABOUT = "about.txt"
ABOUT_CHARACTERS = 20_000


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be done of a contest, and who is next."""

    by_label: Mapping[str, tuple[Job, ...]]  # an entry's attempt, as its jobs are called
    queue: Mapping[str, Queued]  # by entry


class Site:
    """One portal's surroundings. Safe to use from several threads.

    Args:
        config: What it was started with.
        clock: Returns the moment.

    Raises:
        StoreError: the database cannot be reached.
    """

    def __init__(
        self, config: PortalConfig, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.config = config
        self.now = clock
        self.store = Store(config.store)
        self._ledgers: dict[str, Ledger] = {}
        self._challenges: dict[str, tuple[float, Challenge]] = {}
        self._work: dict[str, tuple[float, int, Work]] = {}
        self._boards: dict[tuple[str, str], tuple[str, PublishedBoard]] = {}
        self._lock = threading.Lock()
        self._looking = threading.Lock()

    def close(self) -> None:
        """Give back every connection."""
        self.store.close()

    def contests(self) -> tuple[ContestRow, ...]:
        """Return every contest, by name."""
        with self.store.read() as connection:
            return event_log.contests(connection)

    def contest(self, name: str) -> Contest:
        """Return one contest.

        Raises:
            Problem: there is none of this name.
        """
        row = next((row for row in self.contests() if row.challenge == name), None)
        if row is None:
            raise not_found("challenge")
        return Contest(site=self, row=row, ledger=self._ledger(name))

    def challenge(self, row: ContestRow) -> Challenge:
        """Return a contest's challenge as its challenge.toml has it now.

        Raises:
            ConfigError: the file is not there any more, or wrong.
        """
        path = Path(row.path)
        changed = path.stat().st_mtime if path.is_file() else 0.0
        with self._lock:
            kept = self._challenges.get(row.challenge)
        if kept is not None and kept[0] == changed:
            return kept[1]
        loaded = load_challenge(path)
        with self._lock:
            self._challenges[row.challenge] = (changed, loaded)
        return loaded

    def work(self, contest: Contest) -> Work:
        """Return the jobs of a contest and who is next: at most half a second old, and read once for all."""
        with self._looking:
            kept = self._work.get(contest.name)
            fresh = kept is not None and time.monotonic() - kept[0] < FRESH_SECONDS
            if kept is not None and fresh and kept[1] == contest.state.events:
                return kept[2]
            with self.store.read() as connection:
                listed = jobs.listed(connection, challenge=contest.name)
            by_label = {own[0].entry or "": tuple(own) for own in by_run(listed).values()}
            found = Work(by_label=by_label, queue=queue_of(contest.state, listed, now=self.now()))
            self._work[contest.name] = (time.monotonic(), contest.state.events, found)
            return found

    def board(self, row: BoardRow) -> PublishedBoard:
        """Return a board as it was kept; read once for each version."""
        key = (row.challenge, row.set_name)
        with self._lock:
            kept = self._boards.get(key)
        if kept is None or kept[0] != row.version:
            kept = (row.version, read_board(row.document))
            with self._lock:
                self._boards[key] = kept
        return kept[1]

    def _ledger(self, name: str) -> Ledger:
        with self._lock:
            if name not in self._ledgers:
                self._ledgers[name] = Ledger(self.store, name)
            return self._ledgers[name]


class Contest:
    """One contest, as one request sees it: its state is read once.

    Attributes:
        name: The challenge's.
        row: As the store has it.
        ledger: For commands.
        state: As it stood when the request began.
    """

    def __init__(self, *, site: Site, row: ContestRow, ledger: Ledger) -> None:
        self._site = site
        self.row = row
        self.name = row.challenge
        self.ledger = ledger
        self.state: State = ledger.state()

    @property
    def challenge(self) -> Challenge:
        """Its challenge."""
        return self._site.challenge(self.row)

    @property
    def title(self) -> str:
        """Its title for people; its name if its challenge.toml cannot be read any more."""
        try:
            return self.challenge.title or self.name
        except ConfigError:
            return self.name

    @property
    def about(self) -> str:
        """What the organiser says about it, in `about.txt` beside its challenge.toml; empty if nothing."""
        try:
            with Path(self.row.path).with_name(ABOUT).open(encoding="utf-8", errors="replace") as text:
                return safe_text(text.read(ABOUT_CHARACTERS).strip())
        except OSError:
            return ""

    def ask(self, command: Command, *, by: Actor, also: Also | None = None) -> Accepted:
        """Ask for something, and return what it came to.

        Raises:
            Problem: a rule of the contest refuses it.
        """
        answer = self.ledger.ask(command, now=self._site.now(), by=by, also=also)
        if isinstance(answer, Refusal):
            raise refused(answer)
        self.state = answer.state
        return answer
