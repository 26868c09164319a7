"""The store's face: one open database, and what is asked of it most.

What belongs together is written together: `write` runs any of the functions of `events`, `jobs` and `runs` in
one transaction, so that an entry and its jobs, say, are both there or neither.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from harness.core.types import SetName
from harness.results.leaderboard import Choice, LeaderboardRow
from harness.results.run_folder import RunFolder
from harness.results.run_row import RunRow, enter
from harness.results.store import runs
from harness.results.store.database import Database
from harness.results.store.runs import Rebuilt, SetRow


class Store(Database):
    """A database with the store's tables. Safe to use from several harnesses at once.

    Args:
        url: `sqlite:///FILE` or `postgresql+psycopg://…`. Tables are made if there are none, and brought
            to this release if an older one made them.

    Raises:
        StoreError: it cannot be reached, is of another version, or the URL makes no sense.
    """

    def record(self, folder: RunFolder) -> RunRow:
        """Put a finished run into the index, or update its row; doing it twice changes nothing.

        Raises:
            ResultError: the folder contains no result that can be read.
            StoreError: the database cannot be written.
        """
        return self.write(lambda connection: runs.record(connection, folder))

    def submit(self, folder: RunFolder, *, team: str, submitted: datetime | None = None) -> RunRow:
        """Enter a finished run under a team's name. Whether it stands on a board is for its result to say.

        Raises:
            ConfigError: the name is empty, too long or not printable; or the run was entered by another team.
            ResultError: the folder contains no result that can be read.
            StoreError: the database cannot be written.
        """
        enter(folder, team=team, submitted=submitted)
        return self.record(folder)

    def rebuild(self, runs_root: Path) -> Rebuilt:
        """Forget every run and read every run folder again, in one transaction; contests stay.

        A folder without a result is an unfinished run and no problem; one that cannot be read is named.
        """
        return self.write(lambda connection: runs.rebuild(connection, runs_root))

    def runs(self) -> tuple[RunRow, ...]:
        """Return every run, the newest first."""
        with self.read() as connection:
            return runs.all_runs(connection)

    def sets_of(self, run_id: str) -> tuple[SetRow, ...]:
        """Return the sets of a run, as it scored them and as every regrade did."""
        with self.read() as connection:
            return runs.sets_of(connection, run_id)

    def leaderboard(
        self,
        *,
        challenge_sha256: str,
        by: SetName = SetName.PUBLIC,
        choice: Choice = Choice.BEST,
        decimals: int = 4,
    ) -> tuple[LeaderboardRow, ...]:
        """Rank the teams of one challenge by the log loss of a set: `runs.leaderboard`.

        Raises:
            ConfigError: `by` is a set that has no leaderboard.
            StoreError: the database cannot be read.
        """
        with self.read() as connection:
            return runs.leaderboard(
                connection, challenge_sha256=challenge_sha256, by=by, choice=choice, decimals=decimals
            )
