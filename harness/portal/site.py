"""What every request works with: the database, contests by name, their challenges, the clock.

Nothing that matters is kept here: a second portal beside this one answers the same. What is kept is folded
from events and can be folded again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from harness.contest.ledger import Accepted, Also, Ledger
from harness.contest.rules import Actor, Command, Refusal
from harness.contest.state import State
from harness.core.challenge import Challenge, load_challenge
from harness.portal.config import PortalConfig
from harness.portal.problems import not_found, refused
from harness.results.store import Store, event_log
from harness.results.store.event_log import ContestRow


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
        self._lock = threading.Lock()

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
        """Its title for people."""
        return self.challenge.title or self.name

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
